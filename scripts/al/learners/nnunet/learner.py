"""``nnunet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from al.io.errors import ConfigError
from al.io.records import Record
from al.io.tables import PoolRow
from decomp_core import Region

from ..absent import WithoutFeatures, WithoutRois
from ..base import FitJob, Request, VolumeSource
from ..ensemble import members_in
from ..model_cache import LastLoaded
from ..nested import measures
from ..record import decide, entropy_of, free_of, record_of
from . import store, training
from .model import WEIGHTS, Loaded, Predicted, load
from .settings import NnunetSettings


class Nnunet(WithoutRois, WithoutFeatures):
    """See ``learners.base.Learner`` and ``learners.base.Preparing``."""

    name = "nnunet"
    tasks = frozenset({"3d"})
    has_features = False
    segments_full = True

    def __init__(self) -> None:
        self._models = LastLoaded(load)

    def prepare(
        self,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        folder: Path,
        settings: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make plans and preprocessed images of a dataset; see ``store.prepare``."""
        store.prepare(layout, rows, folder, NnunetSettings.of(settings), classes)

    def fit(self, job: FitJob) -> dict[str, Any]:
        """Train, or resume; see ``training.fit``."""
        return training.fit(job)

    def predict(
        self,
        model: Path,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        taken: Mapping[str, list[Region]] | Mapping[str, set[str]],
        request: Request,
        settings: Mapping[str, Any],
    ) -> Iterator[Record]:
        """Yield one record per volume, in the order of ``rows``.

        Raises:
            ConfigError: at once, for an uncertainty that the model does not have.
        """
        loaded = self._load(model, settings)
        _check_measure(loaded, request.uncertainty)
        return (_record(loaded, layout, row, taken.get(row.image, ()), request) for row in rows)

    def probabilities(
        self,
        model: Path,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Iterator[tuple[PoolRow, np.ndarray, np.ndarray | None]]:
        """Yield each row with its class probabilities, (C, D, H, W) float32, mean of the members.

        With ``disagreement`` also the mutual information between class and member, (D, H, W)
        float32 in nats, from 0.

        Raises:
            ConfigError: at once, for nested classes, for ``disagreement`` of one network.
        """
        loaded = self._load(model, settings)
        if loaded.nested:
            raise ConfigError("nnunet.nested: ClaSP PE needs softmax classes; allowed: null")
        if disagreement:
            _check_measure(loaded, "mutual_information")
        return (_maps(loaded, layout, row, disagreement) for row in rows)

    def segment(
        self,
        model: Path,
        layout: VolumeSource,
        row: PoolRow,
        settings: Mapping[str, Any],
        full: bool = False,
    ) -> np.ndarray:
        """Return the most probable (nested: decoded) classes of a volume, (D, H, W) uint8.

        With ``full`` on the file's grid, otherwise on the annotator's.
        """
        loaded = self._load(model, settings)
        predicted = loaded.predict(layout, row, full)
        found = np.empty(predicted.target.shape, np.uint8)
        for part, p, _ in _means(predicted, spread=False):
            found[part] = decide(p, loaded.description.order)[0].cpu().numpy()
        return found

    def _load(self, model: Path, settings: Mapping[str, Any]) -> Loaded:
        files = [folder / WEIGHTS for folder in members_in(model, WEIGHTS)]
        return self._models.get(model, files, settings)


def _means(predicted: Predicted, spread: bool) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
    """Yield slabs with the mean over the members, and (``spread``) the mean of their entropy."""
    for part, found in predicted.slabs():
        entropy = torch.stack([entropy_of(p) for p in found]).mean(0) if spread else None
        yield part, found[0] if len(found) == 1 else torch.stack(found).mean(0), entropy


def _record(
    loaded: Loaded, layout: VolumeSource, row: PoolRow, taken: Sequence[Region], request: Request
) -> Record:
    predicted = loaded.predict(layout, row)
    shape, about = predicted.target.shape, loaded.description
    means = _means(predicted, request.uncertainty == "mutual_information")
    slabs = ((p, entropy) for _, p, entropy in means)
    free = free_of(taken, shape)
    return record_of(row.image, slabs, shape, len(about.classes), request, free, about.order)


def _maps(
    loaded: Loaded, layout: VolumeSource, row: PoolRow, disagreement: bool
) -> tuple[PoolRow, np.ndarray, np.ndarray | None]:
    predicted = loaded.predict(layout, row)
    shape = predicted.target.shape
    maps = np.empty((predicted.outputs, *shape), np.float32)
    information = np.empty(shape, np.float32) if disagreement else None
    for part, p, entropy in _means(predicted, disagreement):
        maps[:, part] = p.cpu().numpy()
        if information is not None and entropy is not None:
            information[part] = (entropy_of(p) - entropy).clamp(min=0).cpu().numpy()
    return row, maps, information


def _check_measure(loaded: Loaded, measure: str) -> None:
    allowed = measures(loaded.members, loaded.nested)
    if measure in allowed:
        return
    if loaded.nested:
        reason = "nnunet.nested is set"
    else:
        reason = f"it needs an ensemble, and nnunet.members is {loaded.members}"
    raise ConfigError(f"uncertainty: {measure!r}; allowed: {', '.join(allowed)} ({reason})")
