"""``mmseg`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from al.io.tables import PoolRow
from al.io.threads import in_order
from decomp_core import Region

from ..base import FitJob, ImageSource, Start
from ..regions import mean_residuals
from ..torch_learner import MapLearner, Slab
from ..training import Training
from . import preflight
from .model import Loaded, load
from .settings import MmsegSettings
from .training import MmsegTraining, plan_of


class Mmseg(MapLearner):
    """Networks of mmsegmentation, and InternImage."""

    settings = MmsegSettings

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Build the network and try it; see ``preflight``."""
        preflight.check_all(MmsegSettings.of(section), start)

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return the resolved configuration and a hash of the first weights."""
        return preflight.identify(MmsegSettings.of(section), start)

    def trainings(
        self, job: FitJob, settings: MmsegSettings, device: torch.device
    ) -> Callable[[FitJob], Training]:
        """Read the configuration of mmsegmentation."""
        plan = plan_of(job, settings)
        return partial(MmsegTraining, settings=settings, device=device, plan=plan)

    def open(
        self, members: Sequence[Path], settings: MmsegSettings, device: torch.device
    ) -> Loaded:
        """Load the network."""
        return load(members[0], settings, device)

    def outputs(
        self,
        loaded: Loaded,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        spread: bool = False,
        full: bool = False,
    ) -> Iterator[tuple[PoolRow, Iterator[Slab]]]:
        """Each image is one slab; the next images are read meanwhile, by threads."""
        for row, image in zip(rows, in_order(layout.open_image, rows, 2), strict=True):
            maps = loaded.probabilities(image)
            yield row, iter([(slice(0, maps.shape[1]), maps, None)])

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        section: Mapping[str, Any],
        pooling: str = "mean",
    ) -> np.ndarray:
        """Return the bottleneck pooled over each region; see ``Loaded.region_features``."""
        loaded = self.load(model, section)
        return loaded.region_features(layout.open_image(row), regions, pooling)

    def residuals(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        section: Mapping[str, Any],
    ) -> np.ndarray:
        """Return p - onehot(argmax p) averaged over each region; see ``Learner``."""
        maps = self.load(model, section).probabilities(layout.open_image(row))
        return mean_residuals(maps, regions)
