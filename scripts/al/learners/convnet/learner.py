"""``convnet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from al.io.files import read_json
from al.io.records import Record
from al.io.tables import PoolRow
from decomp_core import Region

from ..base import FitJob, ImageSource, Maps, Request, Taken
from ..torch_learner import MapLearner, RoiLearner, Slab
from ..training import DESCRIPTION, Training
from . import inference
from .model import Loaded, load
from .settings import ConvnetSettings
from .training import ConvnetTraining


class Convnet(MapLearner, RoiLearner):
    """A small encoder-decoder for images and volumes, and its encoder for RoIs."""

    settings = ConvnetSettings

    def trainings(
        self, job: FitJob, settings: ConvnetSettings, device: torch.device
    ) -> Callable[[FitJob], Training]:
        """Nothing is shared by the members."""
        return partial(ConvnetTraining, settings=settings, device=device)

    def task_of(self, member: Path) -> str:
        """Return the task of a network."""
        return read_json(member / DESCRIPTION)["task"]

    def open(
        self, members: Sequence[Path], settings: ConvnetSettings, device: torch.device
    ) -> Loaded:
        """Load the networks."""
        return load(members, settings, device)

    def outputs(
        self,
        loaded: Loaded,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        spread: bool = False,
        full: bool = False,
    ) -> Iterator[tuple[PoolRow, Iterator[Slab]]]:
        """Each image is one slab."""
        for row in rows:
            maps, entropy = inference.average(loaded, layout, row, spread)
            yield row, iter([(slice(0, maps.shape[1]), maps, entropy)])

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
        if loaded.task != "roi":
            return super().predict(model, layout, rows, taken, request, section)
        self.check_measure(loaded, request.uncertainty)
        return self.predict_rois(loaded, layout, rows, taken, request)

    def probabilities(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        section: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Maps:
        """Yield rows, probabilities and mutual information, not of RoIs; see ``Learner``."""
        if self.load(model, section).task == "roi":
            raise self._has_no_maps()
        return super().probabilities(model, layout, rows, section, disagreement)

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        section: Mapping[str, Any],
        pooling: str = "mean",
    ) -> np.ndarray:
        """Return the bottleneck pooled over each region; see ``Learner``."""
        return inference.region_features(self.load(model, section), layout, row, regions, pooling)

    def residuals(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        section: Mapping[str, Any],
    ) -> np.ndarray:
        """Return p - onehot(argmax p) averaged over each region; see ``Learner``."""
        return inference.region_residuals(self.load(model, section), layout, row, regions)
