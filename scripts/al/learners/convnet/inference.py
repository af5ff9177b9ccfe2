"""Prediction of whole images, in overlapping tiles where they are larger than a tile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from al.io.tables import PoolRow
from decomp_core import Region

from ..models import MapModel, Part
from ..regions import Cells, pool_regions
from .images import load_image, scale, with_position
from .model import Loaded


def tile_starts(length: int, tile: int, overlap: float, multiple: int) -> list[int]:
    """Return where tiles start along one axis: they cover it and share about ``overlap``.

    Starts are multiples of the network's stride, so that every tile samples the image on the
    grid that the whole image would have.
    """
    if length <= tile:
        return [0]
    step = max(multiple, int(tile * (1 - overlap)) // multiple * multiple)
    last = -(-(length - tile) // multiple) * multiple
    return [*range(0, last, step), last]


def _weight(part: Sequence[slice], shape: Sequence[int], device: torch.device) -> Tensor:
    """Weight of a tile's pixels: falls linearly towards the sides where it meets another tile."""
    weight = torch.ones([s.stop - s.start for s in part], device=device)
    for axis, (piece, length) in enumerate(zip(part, shape, strict=True)):
        size = piece.stop - piece.start
        ramp = torch.full((size,), float(size), device=device)
        if piece.start > 0:
            ramp = torch.minimum(ramp, torch.arange(1, size + 1, device=device).float())
        if piece.stop < length:
            ramp = torch.minimum(ramp, torch.arange(size, 0, -1, device=device).float())
        view = [1] * len(part)
        view[axis] = size
        weight = weight * ramp.view(view) / size
    return weight


class MapConvnet(Loaded, MapModel):
    """Predicts images and volumes; each is one part."""

    def outputs(
        self, rows: Sequence[PoolRow], full: bool = False
    ) -> Iterator[tuple[PoolRow, Iterator[Part]]]:
        """Yield each row with what the members predict for the whole of it."""
        for row in rows:
            image = self.open_image(row)
            maps = map(partial(self._predict, image), range(self.members))
            yield row, iter([(slice(0, image.shape[1]), maps)])

    def embed(self, row: PoolRow, regions: Sequence[Region], pooling: str = "mean") -> np.ndarray:
        """Return the bottleneck pooled over each region; see ``Model``."""
        image, stride = self.open_image(row), self.encoder.stride

        def run(part: tuple[slice, ...]) -> Cells:
            return self._run_tile("features", image, part)[0].cpu().numpy(), stride

        return pool_regions(regions, self._sides(image.shape[1:]), stride, run, pooling)

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return an image as the network sees it, (channels, *spatial) float32."""
        image = scale(load_image(self.layout, row, self.about["task"], self.about["clip"]))
        if not self.about["position"]:
            return image
        return with_position(image, (0,) * (image.ndim - 1), image.shape[1:])

    def _predict(self, image: np.ndarray, member: int) -> Tensor:
        """Return probabilities (C, *spatial), of nested classes sigmoids (K, *spatial), float32."""
        shape = image.shape[1:]
        parts = list(itertools.product(*self._sides(shape)))
        if len(parts) == 1:
            return self._activate(self._run_tile("forward", image, parts[0], member)[0])
        total = torch.zeros(len(self.nested) or self.classes, *shape, device=self.device)
        norm = torch.zeros(shape, device=self.device)
        for part in parts:
            weight = _weight(part, shape, self.device)
            value = self._activate(self._run_tile("forward", image, part, member)[0])
            total[(slice(None), *part)] += value * weight
            norm[part] += weight
        return total / norm

    def _activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.nested else logits.softmax(0)

    def _sides(self, shape: Sequence[int]) -> list[list[slice]]:
        """Return the sides of the tiles along each axis; one where the image fits."""
        axes = []
        tile_sizes = self.settings.tile or shape
        for n, t, m in zip(shape, tile_sizes, self.encoder.stride, strict=True):
            size = max(m, t // m * m)
            starts = tile_starts(n, size, self.settings.overlap, m)
            axes.append([slice(s, min(s + size, n)) for s in starts])
        return axes

    def _run_tile(
        self, method: str, image: np.ndarray, part: Sequence[slice], member: int = 0
    ) -> Tensor:
        """Run ``forward`` or ``features`` on a tile: (1, C, *tile) or (1, F, *coarse) float32."""
        tile = torch.from_numpy(np.ascontiguousarray(image[(slice(None), *part)]))[None]
        return self.run(method, tile, member)
