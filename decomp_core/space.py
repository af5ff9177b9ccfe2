"""Where a window of one shape can still be placed in an image or in the slices of a volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import checks
from .region import Region

Box = tuple[int, int, int, int]  # top, left, height, width


def boxes_of(footprint: np.ndarray) -> list[Box]:
    """Cut a (h, w) boolean footprint into boxes that cover it once: runs of a row, merged down."""
    done: list[Box] = []
    growing: dict[tuple[int, int], int] = {}  # (left, width) of a run -> its first row
    for y in range(footprint.shape[0] + 1):
        runs: set[tuple[int, int]] = set()
        if y < footprint.shape[0]:
            edges = np.flatnonzero(np.diff(np.pad(footprint[y], 1).astype(np.int8)))
            runs = {(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)}
        for left, width in [run for run in growing if run not in runs]:
            top = growing.pop((left, width))
            done.append((top, left, y - top, width))
        for run in runs:
            growing.setdefault(run, y)
    return sorted(done)


def parse_shape(shape: Any, plane: tuple[int, int]) -> tuple[tuple[int, int], list[Box]]:
    """Return the size of a window and the boxes it is made of, relative to its position."""
    if isinstance(shape, np.ndarray) and shape.ndim == 2:
        footprint = checks.array("shape", shape, "b")
        if not footprint.any():
            raise ValueError(f"shape is a footprint of {shape.shape} without any True")
        size, boxes = footprint.shape, boxes_of(footprint)
    else:
        sides = list(shape) if isinstance(shape, Sequence | np.ndarray) else []
        if len(sides) != 2 or isinstance(shape, str):
            raise ValueError(f"shape is {shape!r}; it must be 2 integers or a 2-D boolean array")
        size = (
            checks.integer("shape[0]", sides[0], 1),
            checks.integer("shape[1]", sides[1], 1),
        )
        boxes = [(0, 0, *size)]
    if size[0] > plane[0] or size[1] > plane[1]:
        raise ValueError(f"shape is {size}; it must fit in the image, {plane}")
    return (int(size[0]), int(size[1])), boxes


class Space:
    """The free positions of a window, kept up to date as regions are placed.

    Args:
        image_shape: (H, W), or (D, H, W) with ``axis``.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
            A placed region is a box: it blocks the whole of its box for later footprints.
        taken: regions nothing may overlap, boxes of any size.
        axis: slice axis of a volume.
        valid: bool, ``image_shape``; a window may cover these pixels only.
        gap: slices of two windows lie at least this far apart (0: no such rule); a taken region
            counts with all its slices.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        shape: Any,
        taken: Iterable[Region] = (),
        axis: int | None = None,
        valid: Any = None,
        gap: int = 0,
    ) -> None:
        self.image_shape = tuple(image_shape)
        ndim = len(self.image_shape)
        if axis is None and ndim != 2:
            raise ValueError(f"axis is None; it must be 0, 1 or 2 for an image of {ndim} axes")
        if axis is not None and ndim != 3:
            raise ValueError(f"axis is {axis!r}; it must be None for an image of {ndim} axes")
        self.axis = None if axis is None else checks.integer("axis", axis, 0, 2)
        self.plane = tuple(n for i, n in enumerate(self.image_shape) if i != self.axis)
        self.size, self.boxes = parse_shape(shape, self.plane)
        self.gap = checks.integer("min_slice_gap", gap, 0)
        self.n_slices = 1 if self.axis is None else self.image_shape[self.axis]
        self.positions = tuple(n - k + 1 for n, k in zip(self.plane, self.size, strict=True))
        self.closed = np.zeros(self.n_slices, bool)
        self._invalid: dict[int, np.ndarray] = {}
        self._placed: dict[int, list[tuple[list[int], list[int]]]] = {}
        # the map of one slice at a time: those of all would weigh as much as the labels
        self._painted, self._clean = np.zeros(self.positions, bool), True
        self._number, self._count = -1, 0
        self._changes: dict[int, list[tuple[int, int]]] = {}
        if valid is not None:
            self._block_invalid(checks.array("valid", valid, "b", self.image_shape))
        for region in checks.regions(taken, ndim):
            self.place(region)

    def slice_of(self, array: np.ndarray, number: int) -> np.ndarray:
        """The (H, W) view of one slice; the image itself in 2-D."""
        return array if self.axis is None else array[(slice(None),) * self.axis + (number,)]

    def blocked(self, number: int) -> np.ndarray:
        """Positions of a slice where the window would overlap: bool, ``positions``.

        Not to edit, and not to keep: asking for another slice changes the array.
        """
        placed = self._placed.get(number, [])
        if number != self._number:
            invalid = self._invalid.get(number)
            if invalid is not None or not self._clean:
                self._painted[...] = False if invalid is None else invalid
            self._clean = invalid is None
            self._number, self._count = number, 0
        for start, stop in placed[self._count :]:
            self._paint(self._painted, start, stop)
            self._clean = False
        self._count = len(placed)
        return self._painted

    def untouched(self, number: int) -> bool:
        """Whether no position of a slice was ever blocked."""
        return number not in self._placed and number not in self._invalid

    def changes(self, number: int) -> list[tuple[int, int]]:
        """Rows of positions (first, stop) that each region placed in a slice has changed."""
        return self._changes.get(number, [])

    def region(self, number: int, y: int, x: int, cls: int | None, score: float | None) -> Region:
        """The window at a position of a slice, in array axes."""
        start, size = [int(y), int(x)], list(self.size)
        if self.axis is not None:
            start.insert(self.axis, int(number))
            size.insert(self.axis, 1)
        return Region(tuple(start), tuple(size), cls, score)

    def place(self, region: Region) -> None:
        """Block every position where the window would overlap a region."""
        start, stop = list(region.start), list(region.stop)
        first, last = 0, 1
        if self.axis is not None:
            first, last = start.pop(self.axis), stop.pop(self.axis)
            if self.gap:
                self.closed[max(first - self.gap + 1, 0) : last + self.gap - 1] = True
        changed = max(start[0] - self.size[0] + 1, 0), min(stop[0], self.positions[0])
        for number in range(first, min(last, self.n_slices)):
            self._placed.setdefault(number, []).append((start, stop))
            if changed[0] < changed[1]:
                self._changes.setdefault(number, []).append(changed)

    def _paint(self, blocked: np.ndarray, start: list[int], stop: list[int]) -> None:
        for top, left, height, width in self.boxes:
            rows = slice(max(start[0] - top - height + 1, 0), max(stop[0] - top, 0))
            cols = slice(max(start[1] - left - width + 1, 0), max(stop[1] - left, 0))
            blocked[rows, cols] = True

    def _block_invalid(self, valid: np.ndarray) -> None:
        for number in range(self.n_slices):
            plane = self.slice_of(valid, number)
            if not plane.all():
                self._invalid[number] = self._touched(~plane)

    def _touched(self, pixels: np.ndarray) -> np.ndarray:
        """Positions where the window covers one of these pixels: bool, ``positions``."""
        height, width = self.positions
        total = np.pad(pixels.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
        touched = np.zeros(self.positions, bool)
        for top, left, rows, cols in self.boxes:
            corner = total[top : top + rows + height, left : left + cols + width]
            touched |= (
                corner[rows:, cols:]
                - corner[:-rows, cols:]
                - corner[rows:, :-cols]
                + corner[:-rows, :-cols]
            ) > 0
        return touched
