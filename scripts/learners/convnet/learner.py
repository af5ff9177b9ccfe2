"""``convnet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from decomp_core import Region
from glue.records import Record
from glue.tables import PoolRow

from ..base import FitJob, ImageSource, Request
from ..condense import condense, condense_rois
from . import inference, training
from .model import Loaded, load


class Convnet:
    """See ``learners.base.Learner``."""

    name = "convnet"
    tasks = frozenset({"2d", "3d", "roi"})
    has_features = True

    def __init__(self) -> None:
        self._loaded: tuple[tuple[Any, ...], Loaded] | None = None

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
        """Yield one record per image, in the order of ``rows``."""
        loaded = self._load(model, settings)
        if loaded.task != "roi":
            for row in rows:
                yield self._record(loaded, layout, row, taken.get(row.image, ()), request)
            return
        images: dict[str, list[PoolRow]] = {}
        for row in rows:
            images.setdefault(row.image, []).append(row)
        for image, rois in images.items():
            yield self._rois_record(loaded, layout, image, rois, taken.get(image, ()), request)

    def _record(
        self,
        loaded: Loaded,
        layout: ImageSource,
        row: PoolRow,
        taken: Sequence[Region],
        request: Request,
    ) -> Record:
        maps = inference.probabilities(loaded, layout, row)
        valid = None
        if taken:
            valid = torch.ones(maps.shape[1:], dtype=torch.bool, device=maps.device)
            for region in taken:
                valid[region.slices] = False
        found = condense(maps, valid, request.thresholds, request.uncertainty)
        wanted = request.needs
        return Record(
            row.image,
            found.count,
            found.predicted.cpu().numpy(),
            found.confident.cpu().numpy(),
            found.mean_uncertainty,
            found.labels.cpu().numpy() if "labels" in wanted else None,
            found.uncertainty.cpu().numpy() if "uncertainty" in wanted else None,
        )

    def _rois_record(
        self,
        loaded: Loaded,
        layout: ImageSource,
        image: str,
        rows: Sequence[PoolRow],
        taken: Sequence[str],
        request: Request,
    ) -> Record:
        values = self._classify(loaded, layout, rows)
        return condense_rois(image, tuple(row.roi for row in rows), values, taken, request)

    def segment(
        self, model: Path, layout: ImageSource, row: PoolRow, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the most probable classes of one image, uint8 in its shape."""
        maps = inference.probabilities(self._load(model, settings), layout, row)
        return maps.argmax(0).to(torch.uint8).cpu().numpy()

    def classify(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32."""
        return self._classify(self._load(model, settings), layout, rows)

    def _classify(self, loaded: Loaded, layout: ImageSource, rows: Sequence[PoolRow]) -> np.ndarray:
        logits = inference.roi_outputs(loaded, layout, rows, "forward")
        return torch.from_numpy(logits).softmax(1).numpy()

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
    ) -> np.ndarray:
        """Return the bottleneck averaged over each region, (R, F) float32 of length 1."""
        return inference.region_features(self._load(model, settings), layout, row, regions)

    def embed_rois(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Return what the classification layer sees of each RoI, (M, F) float32 of length 1."""
        values = inference.roi_outputs(self._load(model, settings), layout, rows, "features")
        return inference.unit_length(values)

    def _load(self, model: Path, settings: Mapping[str, Any]) -> Loaded:
        """Load a model, or take the one loaded last while its file and settings are the same."""
        written = (model / "weights.pt").stat()
        key = (model, written.st_ino, written.st_mtime_ns, repr(sorted(settings.items())))
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = (key, load(model, settings))
        return self._loaded[1]
