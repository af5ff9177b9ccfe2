"""``mmseg`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from al.io.errors import ConfigError
from al.io.records import Record
from al.io.tables import PoolRow
from decomp_core import Region

from ..absent import WithoutRois
from ..base import FitJob, ImageSource, Request
from ..model_cache import LastLoaded
from ..record import free_of, record_of
from ..regions import mean_residuals
from ..running import read_ahead
from . import training
from .model import WEIGHTS, Loaded, load
from .settings import uncertainties


class Mmseg(WithoutRois):
    """See ``learners.base.Learner``."""

    name = "mmseg"
    tasks = frozenset({"2d"})
    has_features = True
    segments_full = False

    def __init__(self) -> None:
        self._last = LastLoaded(load)

    def fit(self, job: FitJob) -> dict[str, Any]:
        """Train, or resume; see ``training.fit``."""
        return training.fit(job)

    def predict(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        taken: Mapping[str, list[Region]] | Mapping[str, set[str]],
        request: Request,
        settings: Mapping[str, Any],
    ) -> Iterator[Record]:
        """Yield one record per image, in the order of ``rows``.

        Raises:
            ConfigError: at once, for an uncertainty that needs an ensemble.
        """
        _check_measure(request.uncertainty)
        loaded = self._load(model, settings)
        for row, image in read_ahead(layout, rows):
            maps = loaded.probabilities(image)
            shape, free = maps.shape[1:], free_of(taken.get(row.image, ()), maps.shape[1:])
            yield record_of(row.image, [(maps, None)], shape, len(maps), request, free)

    def probabilities(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Iterator[tuple[PoolRow, np.ndarray, np.ndarray | None]]:
        """Yield each row with its class probabilities, (C, H, W) float32, and ``None``.

        Raises:
            ConfigError: at once, for ``disagreement``: there are no ensembles.
        """
        if disagreement:
            _check_measure("mutual_information")
        loaded = self._load(model, settings)
        return (
            (row, loaded.probabilities(image).cpu().numpy(), None)
            for row, image in read_ahead(layout, rows)
        )

    def segment(
        self, model: Path, layout: ImageSource, row: PoolRow, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the most probable classes of one image, (H, W) uint8."""
        maps = self._load(model, settings).probabilities(layout.open_image(row))
        return maps.argmax(0).to(torch.uint8).cpu().numpy()

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
        pooling: str = "mean",
    ) -> np.ndarray:
        """Return the bottleneck pooled over each region, (R, F) float32.

        ``mean`` is of length 1, ``max`` as it is; see ``Loaded.region_features``.

        Raises:
            ValueError: for another ``pooling`` or a region that leaves the image.
        """
        loaded = self._load(model, settings)
        return loaded.region_features(layout.open_image(row), regions, pooling)

    def residuals(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
    ) -> np.ndarray:
        """Return p - onehot(argmax p) averaged over each region, (R, C) float32.

        Raises:
            ValueError: for a region that leaves the image.
        """
        maps = self._load(model, settings).probabilities(layout.open_image(row))
        return mean_residuals(maps, regions)

    def _load(self, model: Path, settings: Mapping[str, Any]) -> Loaded:
        return self._last.get(model, [model / WEIGHTS], settings)


def _check_measure(measure: str) -> None:
    allowed = uncertainties({})
    if measure not in allowed:
        raise ConfigError(
            f"uncertainty: {measure!r}; allowed: {', '.join(allowed)} (learner mmseg trains one "
            "network, no ensemble)"
        )
