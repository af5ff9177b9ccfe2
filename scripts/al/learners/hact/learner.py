"""``hact`` behind the interface that every learner has."""

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

from ..absent import WithoutFeatures
from ..base import FitJob, ImageSource, Request
from ..ensemble import members_in
from ..model_cache import LastLoaded
from ..nested import measures
from ..record import record_of_rois
from ..regions import unit_length
from . import preparing, training
from .model import WEIGHTS, Loaded, load
from .settings import HactSettings


class Hact(WithoutFeatures):
    """HACT-Net on graphs of nuclei and tissue; see ``learners.base.Learner`` and ``Preparing``.

    RoIs have features; windows of an image, which this learner does not know, have none.
    """

    name = "hact"
    tasks = frozenset({"roi"})
    has_features = True
    segments_full = False

    def __init__(self) -> None:
        self._models = LastLoaded(load)

    def parts(self, settings: Mapping[str, Any]) -> int:
        """Return the number of parts that a dataset is prepared in."""
        return HactSettings.of(settings).graph_shards

    def prepare_part(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        part: int,
        folder: Path,
        settings: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs of one part (from 1), of all ``rows``; see ``preparing.prepare_part``."""
        preparing.prepare_part(layout, rows, part, folder, HactSettings.of(settings))

    def prepare(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        folder: Path,
        settings: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs that are missing and plans; see ``preparing.prepare``."""
        preparing.prepare(layout, rows, folder, HactSettings.of(settings))

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
            ConfigError: at once, for an uncertainty that the model does not have.
        """
        loaded = self._load(model, settings)
        allowed = measures(loaded.members, False)
        if request.uncertainty not in allowed:
            raise ConfigError(
                f"uncertainty: {request.uncertainty!r}; allowed: {', '.join(allowed)} (it needs an "
                f"ensemble, and hact.members is {loaded.members})"
            )
        images: dict[str, list[PoolRow]] = {}
        for row in rows:
            images.setdefault(row.image, []).append(row)
        return (
            _record(loaded, layout, image, rois, taken.get(image, ()), request)
            for image, rois in images.items()
        )

    def probabilities(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Iterator[tuple[PoolRow, np.ndarray, np.ndarray | None]]:
        """Raise ConfigError: RoIs have no maps."""
        raise ConfigError("task: 'roi'; maps of probabilities are for tasks 2d and 3d")

    def segment(
        self, model: Path, layout: ImageSource, row: PoolRow, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Raise ConfigError: RoIs have no maps."""
        raise ConfigError("task: 'roi'; maps of classes are for tasks 2d and 3d")

    def classify(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32, mean of the members."""
        return self._load(model, settings).probabilities(layout, rows)[0]

    def embed_rois(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        unit: bool = True,
    ) -> np.ndarray:
        """Return what the last linear layer sees of each RoI, (M, hidden) float32, first member.

        Of length 1, or with ``unit=False`` as it is.
        """
        (values,) = self._load(model, settings).outputs(layout, rows, "embed")
        return unit_length(values) if unit else values

    def residuals_rois(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return p - onehot(argmax p) of RoIs, (M, C) float32, first member as ``embed_rois``."""
        (logits,) = self._load(model, settings).outputs(layout, rows, "forward")
        p = torch.from_numpy(logits).softmax(1)
        return (p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])).numpy()

    def _load(self, model: Path, settings: Mapping[str, Any]) -> Loaded:
        files = [folder / WEIGHTS for folder in members_in(model, WEIGHTS)]
        return self._models.get(model, files, settings)


def _record(
    loaded: Loaded,
    layout: ImageSource,
    image: str,
    rows: Sequence[PoolRow],
    taken: Sequence[str],
    request: Request,
) -> Record:
    values, entropy = loaded.probabilities(layout, rows)
    return record_of_rois(image, tuple(r.roi for r in rows), values, taken, request, entropy)
