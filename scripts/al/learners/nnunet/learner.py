"""``nnunet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from al.io.tables import PoolRow

from ..base import FitJob, Preparing, Start, VolumeSource
from ..record import entropy_of
from ..torch_learner import MapLearner, Slab
from ..training import Training
from . import preflight, store
from .model import Loaded, Predicted, load
from .settings import NnunetSettings
from .training import NnunetTraining, store_of


class Nnunet(MapLearner, Preparing):
    """nnU-Net on partial labels."""

    settings = NnunetSettings
    segments_full = True

    def prepare(
        self,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make plans and preprocessed images of a dataset; see ``store.prepare``."""
        store.prepare(layout, rows, folder, NnunetSettings.of(section), classes)

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Plan for the pool, or look at what was prepared; see ``preflight``."""
        preflight.check_all(NnunetSettings.of(section), start)

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return the version of nnU-Net and what it plans for the volumes of the pool."""
        return preflight.identify(NnunetSettings.of(section), start)

    def trainings(
        self, job: FitJob, settings: NnunetSettings, device: torch.device
    ) -> Callable[[FitJob], Training]:
        """Open what was prepared."""
        if device.type == "cuda":  # as nnU-Net does
            torch.backends.cudnn.benchmark = True
        made = store_of(job, settings)
        return partial(NnunetTraining, settings=settings, device=device, store=made)

    def open(
        self, members: Sequence[Path], settings: NnunetSettings, device: torch.device
    ) -> Loaded:
        """Load the networks."""
        return load(members, settings, device)

    def outputs(
        self,
        loaded: Loaded,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        spread: bool = False,
        full: bool = False,
    ) -> Iterator[tuple[PoolRow, Iterator[Slab]]]:
        """Predict whole volumes on nnU-Net's grid, and bring them to the grid slab by slab."""
        for row in rows:
            yield row, _means(loaded.predict(layout, row, full), spread)


def _means(predicted: Predicted, spread: bool) -> Iterator[Slab]:
    """Yield slabs with the mean over the members, and (``spread``) the mean of their entropy."""
    for part, found in predicted.slabs():
        entropy = torch.stack([entropy_of(p) for p in found]).mean(0) if spread else None
        yield part, found[0] if len(found) == 1 else torch.stack(found).mean(0), entropy
