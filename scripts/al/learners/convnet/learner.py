"""``convnet`` behind the interface that every learner has."""

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

from ..base import FitJob, ImageSource, Request
from ..ensemble import members_in
from ..model_cache import LastLoaded
from ..nested import measures
from ..record import decide, entropy_of, free_of, record_of, record_of_rois
from ..regions import unit_length
from . import ensemble, inference
from .features import region_features
from .model import WEIGHTS, Loaded, load


class Convnet:
    """See ``learners.base.Learner``."""

    name = "convnet"
    tasks = frozenset({"2d", "3d", "roi"})
    has_features = True
    segments_full = False

    def __init__(self) -> None:
        self._last = LastLoaded(load)

    def fit(self, job: FitJob) -> dict[str, Any]:
        """Train, or resume; see ``ensemble.fit``."""
        return ensemble.fit(job)

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
        _check_request(loaded, request.uncertainty)
        if loaded.task != "roi":
            return (
                self._record(loaded, layout, row, taken.get(row.image, ()), request) for row in rows
            )
        images: dict[str, list[PoolRow]] = {}
        for row in rows:
            images.setdefault(row.image, []).append(row)
        return (
            self._rois_record(loaded, layout, image, rois, taken.get(image, ()), request)
            for image, rois in images.items()
        )

    def _record(
        self,
        loaded: Loaded,
        layout: ImageSource,
        row: PoolRow,
        taken: Sequence[Region],
        request: Request,
    ) -> Record:
        spread = request.uncertainty == "mutual_information"
        maps, entropy = inference.average(loaded, layout, row, spread)
        shape, free = maps.shape[1:], free_of(taken, maps.shape[1:])
        slabs = [(maps, entropy)]
        return record_of(row.image, slabs, shape, loaded.classes, request, free, loaded.order)

    def _rois_record(
        self,
        loaded: Loaded,
        layout: ImageSource,
        image: str,
        rows: Sequence[PoolRow],
        taken: Sequence[str],
        request: Request,
    ) -> Record:
        values, entropy = inference.average_rois(loaded, layout, rows)
        names = tuple(row.roi for row in rows)
        return record_of_rois(image, names, values, taken, request, entropy)

    def probabilities(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Iterator[tuple[PoolRow, np.ndarray, np.ndarray | None]]:
        """Yield each row with its class probabilities, (C, *spatial) float32, mean of the members.

        With ``disagreement`` also the mutual information between class and member, (*spatial)
        float32 in nats, from 0.

        Raises:
            ConfigError: at once, for RoIs, for nested classes, for ``disagreement`` of one network.
        """
        loaded = self._load(model, settings)
        if loaded.task == "roi":
            raise ConfigError("task: 'roi'; maps of probabilities are for tasks 2d and 3d")
        if loaded.nested is not None:
            raise ConfigError("convnet.nested: ClaSP PE needs softmax classes; allowed: null")
        if disagreement:
            _check_request(loaded, "mutual_information")
        return (self._maps(loaded, layout, row, disagreement) for row in rows)

    def _maps(
        self, loaded: Loaded, layout: ImageSource, row: PoolRow, disagreement: bool
    ) -> tuple[PoolRow, np.ndarray, np.ndarray | None]:
        maps, entropy = inference.average(loaded, layout, row, disagreement)
        if entropy is None:
            return row, maps.cpu().numpy(), None
        information = (entropy_of(maps) - entropy).clamp(min=0)
        return row, maps.cpu().numpy(), information.cpu().numpy()

    def segment(
        self, model: Path, layout: ImageSource, row: PoolRow, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the most probable (nested: decoded) classes of one image, uint8 in its shape."""
        loaded = self._load(model, settings)
        maps, _ = inference.average(loaded, layout, row)
        return decide(maps, loaded.order)[0].cpu().numpy()

    def classify(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32, mean of the members."""
        return inference.average_rois(self._load(model, settings), layout, rows)[0]

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
        pooling: str = "mean",
    ) -> np.ndarray:
        """Return the bottleneck pooled over each region, (R, F) float32, of the first member.

        ``mean`` is of length 1, ``max`` as it is; see ``features.region_features``.

        Raises:
            ValueError: for another ``pooling`` or a region that leaves the image.
        """
        return region_features(self._load(model, settings), layout, row, regions, pooling)

    def embed_rois(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        unit: bool = True,
    ) -> np.ndarray:
        """Return what the classification layer sees of each RoI, (M, F) float32, first member.

        Of length 1, or with ``unit=False`` as it is.
        """
        (values,) = inference.roi_outputs(self._load(model, settings), layout, rows, "features")
        return unit_length(values) if unit else values

    def residuals_rois(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return p - onehot(argmax p) of RoIs, (M, C) float32, first member as ``embed_rois``."""
        (logits,) = inference.roi_outputs(self._load(model, settings), layout, rows, "forward")
        p = torch.from_numpy(logits).softmax(1)
        return (p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])).numpy()

    def residuals(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
    ) -> np.ndarray:
        """Return p - onehot(argmax p) averaged over each region, (R, C) float32, first member.

        Of nested classes (R, K), one column per output; see ``inference.region_residuals``.

        Raises:
            ValueError: for a region that leaves the image.
        """
        return inference.region_residuals(self._load(model, settings), layout, row, regions)

    def _load(self, model: Path, settings: Mapping[str, Any]) -> Loaded:
        files = [folder / WEIGHTS for folder in members_in(model, WEIGHTS)]
        return self._last.get(model, files, settings)


def _check_request(loaded: Loaded, measure: str) -> None:
    allowed = measures(loaded.members, loaded.nested is not None)
    if measure in allowed:
        return
    if loaded.nested is not None:
        reason = "convnet.nested is set"
    else:
        reason = f"it needs an ensemble, and convnet.members is {loaded.members}"
    raise ConfigError(f"uncertainty: {measure!r}; allowed: {', '.join(allowed)} ({reason})")
