"""``hact`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from al.io.records import Record
from al.io.tables import PoolRow

from ..base import FitJob, ImageSource, Preparing, Request, Start, Taken
from ..torch_learner import RoiLearner
from ..training import Training
from . import preflight, preparing
from .model import Loaded, load
from .settings import HactSettings
from .training import HactTraining, store_of


class Hact(RoiLearner, Preparing):
    """HACT-Net on graphs of nuclei and tissue.

    RoIs have features; windows of an image, which this learner does not know, have none.
    """

    settings = HactSettings

    def prepare_part(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        part: int,
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs of one part (from 1), of all ``rows``; see ``preparing.prepare_part``."""
        preparing.prepare_part(layout, rows, part, folder, HactSettings.of(section))

    def prepare(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs that are missing and plans; see ``preparing.prepare``."""
        preparing.prepare(layout, rows, folder, HactSettings.of(section))

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Look at what was prepared, or at what it is prepared with; see ``preflight``."""
        preflight.check_all(HactSettings.of(section), start)

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return what imported graphs or weights are."""
        return preflight.identify(HactSettings.of(section))

    def trainings(
        self, job: FitJob, settings: HactSettings, device: torch.device
    ) -> Callable[[FitJob], Training]:
        """Open what was prepared."""
        made = store_of(job, settings)
        return partial(HactTraining, settings=settings, device=device, store=made)

    def open(self, members: Sequence[Path], settings: HactSettings, device: torch.device) -> Loaded:
        """Load the networks."""
        return load(members, settings, device)

    def predict(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        taken: Taken,
        request: Request,
        section: Mapping[str, Any],
    ) -> Iterator[Record]:
        """Yield one record per image; see ``Learner``."""
        loaded = self.load(model, section)
        self.check_measure(loaded, request.uncertainty)
        return self.predict_rois(loaded, layout, rows, taken, request)
