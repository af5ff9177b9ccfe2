"""The best free window of a class in a slice, whatever its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .blocks import SIDE, summarise
from .peaks import Peaks
from .space import Space
from .tiles import bound_tiles, search

_AT_ONCE = 8  # slices copied together where they do not lie together in memory, at most
_PART = 32  # of all slices, at least, so that the copies stay small beside the volume


class _Tiles(NamedTuple):
    """What is known of a class in a slice; see ``tiles.search``."""

    bound: np.ndarray
    place: np.ndarray


class ClassPeaks:
    """Finds the free window with the most pixels of a class; ties as ``Peaks`` has them.

    Boxes are searched by tiles, other footprints row by row.

    Args:
        space: free positions; regions placed there are noticed.
        labels: uint8, ``space.image_shape``.

    Attributes:
        found: (slices, 256) bool, the labels that each slice holds.
    """

    def __init__(self, space: Space, labels: np.ndarray) -> None:
        self._space, self._labels = space, labels
        self._rows = None
        pixels = space.size[0] * space.size[1]
        large = space.plane[0] * space.plane[1] >= 2**31  # sums of bounds would leave int32
        if space.boxes != [(0, 0, *space.size)] or large:
            self._rows = Peaks(space, lambda number, cls: space.slice_of(labels, number) == cls)
        self.found = np.zeros((space.n_slices, 256), bool)
        blocks = self._empty_blocks()
        for found, plane in zip(self.found, self._planes(), strict=True):
            summarise(plane, *blocks, found)
        # of volumes only the slices that are searched, a few, are summarised to stay
        self._blocks = {0: blocks} if space.n_slices == 1 else {}
        kind = np.uint16 if pixels < 2**16 else np.uint32
        self._scratch = np.empty((6, space.plane[1]), kind)
        self._tiles: dict[tuple[int, int], _Tiles] = {}

    def best(self, number: int, cls: int) -> tuple[int, int, int] | None:
        """Pixels, row and column of the best free window; ``None`` where none has any."""
        if self._space.closed[number] or not self.found[number, cls]:
            return None
        if self._rows is not None:
            found = self._rows.best(number, cls)
        else:
            found = self._search(number, cls)
        return found if found is not None and found[0] > 0 else None

    def _search(self, number: int, cls: int) -> tuple[int, int, int]:
        plane = np.ascontiguousarray(self._space.slice_of(self._labels, number))
        tiles = self._tiles.get((number, cls))
        if tiles is None:
            tiles = self._tiles[number, cls] = self._bounded(plane, number, cls)
        blocked = self._space.blocked(number)
        return search(plane, cls, self._space.size, blocked, *tiles, self._scratch)

    def _bounded(self, plane: np.ndarray, number: int, cls: int) -> _Tiles:
        shape = tuple(-(-n // SIDE) for n in self._space.positions)
        tiles = _Tiles(np.empty(shape, np.int32), np.full(shape, -1, np.int64))
        if number not in self._blocks:
            self._blocks[number] = self._empty_blocks()
            summarise(plane, *self._blocks[number], self.found[number])
        bound_tiles(plane, cls, self._space.size, *self._blocks[number], tiles.bound)
        return tiles

    def _empty_blocks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arrays for the range and the bits of each block of a slice; see ``blocks.summarise``."""
        shape = tuple(-(-n // SIDE) for n in self._space.plane)
        return np.empty(shape, np.uint8), np.empty(shape, np.uint8), np.empty(shape, np.uint64)

    def _planes(self) -> Iterator[np.ndarray]:
        """Every slice, contiguous; a few are copied together, as they share cache lines."""
        if self._space.axis is None:
            yield np.ascontiguousarray(self._labels)
            return
        slices = np.moveaxis(self._labels, self._space.axis, 0)
        step = max(1, min(_AT_ONCE, len(slices) // _PART))
        for first in range(0, len(slices), step):
            planes = np.ascontiguousarray(slices[first : first + step])
            yield from planes
            del planes  # before the next are copied
