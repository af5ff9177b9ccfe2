"""Pools, regions and a layout that opens drawn pictures, for the tests of pictures of regions."""

from __future__ import annotations

import numpy as np

from al.io.tables import PoolRow, RegionRow
from decomp_core import Region


class Drawn:
    """Opens noise of the pool row's shape, the same for the same row, and remembers which.

    RoIs are of one colour each, ``colour_of`` their number.
    """

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open_image(self, row: PoolRow) -> np.ndarray:
        self.opened.append(row.key)
        rng = np.random.default_rng(list(row.key.encode()))
        if row.roi:
            return np.full((*row.shape, 3), colour_of(row.roi), np.uint8)
        if len(row.shape) == 3:
            return rng.normal(size=row.shape).astype(np.float32)
        return rng.integers(0, 256, (*row.shape, 3)).astype(np.uint8)


def colour_of(roi: str) -> tuple[int, int, int]:
    """A saturated colour that no other RoI below 60 has."""
    return 250 - 4 * int(roi[1:]), 4 * int(roi[1:]), 60


def pool_of(shape: tuple[int, ...], axis: int | None, *images: str) -> dict[str, PoolRow]:
    """Rows of images, or of RoIs written ``image/roi``."""
    rows = [PoolRow(*image.partition("/")[::2], "", "p", "l", shape, axis) for image in images]
    return {row.key: row for row in rows}


def window(
    cycle: int, image: str, start: tuple[int, ...], cls: int | None = None, order: int = 0
) -> RegionRow:
    """A window of 10 x 12, in a slice across the first axis where ``start`` has three numbers."""
    size = (10, 12) if len(start) == 2 else (1, 10, 12)
    kind = "window" if len(start) == 2 else "slice_window"
    return RegionRow.of(cycle, image, kind, Region(start, size, cls), order)


def roi(cycle: int, name: str, cls: int | None = None, image: str = "slide") -> RegionRow:
    """A RoI."""
    return RegionRow(cycle, image, "roi", *(None,) * 6, name, cls, 0.5, 0)


def placed(
    axis: int, cycle: int, image: str, where: tuple[int, int, int], depth: int = 1
) -> RegionRow:
    """10 x 12 at (slice, y, x), in a volume whose slices lie across ``axis``."""
    (z, *start), size = where, [10, 12]
    start.insert(axis, z)
    size.insert(axis, depth)
    kind = "slice_window" if depth == 1 else "patch"
    return RegionRow.of(cycle, image, kind, Region(tuple(start), tuple(size), 0), 0)
