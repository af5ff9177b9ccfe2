"""Perceptrons with the features they read, on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from al.io.errors import DataError
from al.io.tables import PoolRow
from decomp_core import Region

from ..base import ImageSource, Model
from ..models import MapModel, Part, RoiModel
from ..regions import Cells, pool_regions
from .network import Perceptron
from .settings import PixelsSettings, cells_of, factors_of
from .store import Store, compute, open_store

CHUNK = 1 << 16  # cells at a time
MODES = {2: "bilinear", 3: "trilinear"}


@dataclass
class Loaded(Model):
    """One network, or the members of an ensemble."""

    nets: list[Perceptron]
    about: Mapping[str, Any]  # of ``PixelsTraining.description``
    layout: ImageSource
    settings: PixelsSettings
    device: torch.device

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.nets)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.about["classes"])

    @cached_property
    def store(self) -> Store | None:
        """What was prepared, where it is still what the model was trained on."""
        store = open_store(Path(self.about["prepared"]))
        return store if store is not None and store.settings == self.about["made"] else None

    def features(self, row: PoolRow) -> np.ndarray:
        """Return features of an image or a RoI, as they were prepared or else made now."""
        held = None if self.store is None else self.store.features(row)
        cells = () if row.roi else cells_of(row.shape, self.settings)
        if held is not None and held.shape[:-1] == cells:
            return held
        if self.settings.decides() != self.about["made"]:
            raise DataError(
                f"{row.key}: its features are not prepared, and would be made by another version "
                "or other weights than those that the model was trained on"
            )
        return compute(self.layout, row, self.settings)

    def run(self, call: Callable[[Tensor], Tensor], table: np.ndarray) -> Tensor:
        """Return what a network makes of (N, F) features, some at a time, (N, ...) float32."""
        with torch.inference_mode():
            parts = range(0, max(1, len(table)), CHUNK)
            chunks = (np.array(table[start : start + CHUNK]) for start in parts)
            return torch.cat([call(torch.from_numpy(c).to(self.device)) for c in chunks])


class MapPixels(Loaded, MapModel):
    """Predicts images and volumes; each is one part."""

    def outputs(
        self, rows: Sequence[PoolRow], full: bool = False
    ) -> Iterator[tuple[PoolRow, Iterator[Part]]]:
        """Yield each row with what the members predict for the whole of it."""
        for row in rows:
            maps = map(partial(self._predict, self.features(row), row.shape), self.nets)
            yield row, iter([(slice(0, row.shape[0]), maps)])

    def _predict(self, features: np.ndarray, shape: Sequence[int], net: Perceptron) -> Tensor:
        """Return probabilities, (C, *shape) float32."""
        table = features.reshape(-1, features.shape[-1])
        p = self.run(lambda x: net(x).softmax(1), table).T.reshape(-1, *features.shape[:-1])
        if p.shape[1:] == tuple(shape):
            return p
        factors = factors_of(shape, self.settings)
        size = [n * f for n, f in zip(p.shape[1:], factors, strict=True)]
        mode = MODES[len(size)]
        p = torch.nn.functional.interpolate(p[None], size=size, mode=mode, align_corners=False)[0]
        return p[(slice(None), *(slice(n) for n in shape))]

    def embed(self, row: PoolRow, regions: Sequence[Region], pooling: str = "mean") -> np.ndarray:
        """Return what the last layer sees, pooled over each region; see ``Model``."""
        features, factors = self.features(row), factors_of(row.shape, self.settings)

        def cells(part: tuple[slice, ...]) -> Cells:
            table = features.reshape(-1, features.shape[-1])
            found = self.run(self.nets[0].features, table).T.cpu().numpy()
            return found.reshape(-1, *features.shape[:-1]), factors

        whole = [[slice(0, n)] for n in row.shape]
        return pool_regions(regions, whole, factors, cells, pooling)


class RoiPixels(Loaded, RoiModel):
    """Classifies RoIs."""

    def roi_outputs(
        self, rows: Sequence[PoolRow], method: str, members: Sequence[int] = (0,)
    ) -> np.ndarray:
        """Run ``forward`` or ``features`` of members on RoIs; see ``RoiModel``."""
        empty = np.zeros((0, self.about["features"]), np.float16)
        table = np.concatenate([empty, *(self.features(row)[None] for row in rows)])
        calls = [getattr(self.nets[member], method) for member in members]
        return np.stack([self.run(call, table).cpu().numpy() for call in calls])
