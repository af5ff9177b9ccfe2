"""The grid an annotator sees: a volume at another voxel size, mapped both ways without rounding.

Both grids cover the same box, axis by axis; a voxel of one belongs to that voxel of the other in
which its centre lies. All of it is integer arithmetic, so that the mapping is the same everywhere.
Directions are those of the file: a rotated affine rotates both grids alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decomp_core import Region

# Halves are rounded up, also where an affine in float32 has made them a little less.
HALF = 0.5 + 1e-4


@dataclass(frozen=True)
class Grid:
    """The file's grid and the annotator's, over the same box.

    Attributes:
        full: shape of the file's array.
        shape: shape of the annotator's grid.
    """

    full: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(
        cls, full: Sequence[int], spacing: Sequence[float], wanted: Sequence[float | None]
    ) -> Grid:
        """Return the grid with voxels of about the wanted size.

        Args:
            full: shape of the file's array.
            spacing: its voxel size in mm, in array axes.
            wanted: voxel size in mm per array axis; ``None`` keeps the axis as it is.
        """
        shape = [
            n if size is None else max(1, int(n * step / size + HALF))
            for n, step, size in zip(full, spacing, wanted, strict=True)
        ]
        return cls(tuple(full), tuple(shape))

    def labels_seen(self, labels: np.ndarray) -> np.ndarray:
        """Bring labels from the file's grid to the annotator's: those at the voxels' centres."""
        return _at_centres(labels, self.full, self.shape)

    def labels_in_full(self, labels: np.ndarray) -> np.ndarray:
        """Bring labels from the annotator's grid to the file's."""
        return _at_centres(labels, self.shape, self.full)

    def image_seen(self, image: np.ndarray) -> np.ndarray:
        """Bring an image to the annotator's grid, float32: means where voxels grow, else linear."""
        for axis, (before, after) in enumerate(zip(self.full, self.shape, strict=True)):
            if before != after:
                mixed = np.tensordot(_mixing(before, after), image, (1, axis))
                image = np.moveaxis(mixed, 0, axis)
        return np.ascontiguousarray(image, dtype=np.float32)

    def region_in_full(self, region: Region) -> Region | None:
        """Return the voxels of the file whose centres lie in a region of the annotator's grid.

        ``None`` where there is none, which is where the annotator's voxels are the smaller ones.
        """
        start, size = [], []
        for low, high, n, m in zip(region.start, region.stop, self.full, self.shape, strict=True):
            first, last = _first_in(low, n, m), _first_in(high, n, m)
            start.append(first)
            size.append(last - first)
        return Region(tuple(start), tuple(size)) if min(size) else None


def _at_centres(values: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    if values.shape != tuple(before):
        raise ValueError(f"labels have shape {values.shape}; allowed: {tuple(before)}")
    if tuple(before) == tuple(after):
        return values
    places = [(2 * np.arange(m) + 1) * n // (2 * m) for n, m in zip(before, after, strict=True)]
    return values[np.ix_(*places)]


def _first_in(edge: int, n: int, m: int) -> int:
    """Return the first of n voxels whose centre is not before an edge of the m voxels."""
    return max(0, -((m - 2 * edge * n) // (2 * m)))


def _mixing(before: int, after: int) -> np.ndarray:
    """Return (after, before) float32 weights, each row summing to 1."""
    if after <= before:
        edges = np.arange(after + 1) * before / after
        cells = np.arange(before)
        inside = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
        weights = inside.clip(0)
    else:
        place = ((np.arange(after) + 0.5) * before / after - 0.5).clip(0, before - 1)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(before)))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
