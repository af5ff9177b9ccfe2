"""Choosing windows of one image, or of the slices of one volume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .class_peaks import ClassPeaks
from .draw import ClassDraw
from .fixed import fixed_exponent, to_fixed
from .peaks import Peaks
from .region import Region
from .space import Space

Shape = Sequence[int] | np.ndarray


def best_region(
    labels: np.ndarray,
    cls: int,
    shape: Shape,
    taken: Iterable[Region] = (),
    valid: np.ndarray | None = None,
) -> Region | None:
    """Find the window with the most pixels of a class, over all positions (stride 1).

    Args:
        labels: (H, W) uint8.
        cls: class, 0 to 254.
        shape: (h, w) in pixels, or a boolean footprint of that size.
        taken: regions it must not overlap, of any size.
        valid: (H, W) bool; the window (the True of a footprint) may cover these pixels only.

    Returns:
        The window, the first of equals in row-major order, with ``score`` the pixels of the
        class in it; ``None`` where no free window holds any.

    Raises:
        ValueError: a wrong dtype or shape, or a value out of range.

    >>> best_region(np.uint8([[0, 1, 1], [0, 1, 0]]), 1, (2, 2))
    Region(start=(0, 1), size=(2, 2), cls=1, score=3)
    """
    labels = checks.label_map(labels, (2,))
    cls = checks.integer("cls", cls, 0, checks.UNKNOWN - 1)
    space = Space(labels.shape, shape, taken, valid=valid)
    found = ClassPeaks(space, labels).best(0, cls)
    if found is None:
        return None
    return space.region(0, found[1], found[2], cls, found[0])


def decomp_regions(
    labels: np.ndarray,
    weights: ArrayLike,
    n: int,
    shape: Shape,
    rng: np.random.Generator,
    taken: Iterable[Region] = (),
    axis: int | None = None,
    *,
    min_slice_gap: int = 0,
) -> list[Region]:
    """Choose windows one after the other: draw a class, then the window with most of it.

    Classes are drawn by ``weights`` among those predicted in this image and still live, uniformly
    where all of these have weight 0. A class without a free window that holds it is dropped. In a
    volume a slice is drawn uniformly among those that contain the class, then searched; a slice
    without such a window is dropped for the class. When no class is left, windows are drawn
    uniformly among all free ones, with ``cls`` and ``score`` ``None`` (ours).

    Args:
        labels: (H, W), or (D, H, W) with ``axis``, uint8 pseudo-labels; 255 is no class.
        weights: (C,) sampling weights, at least 0.
        n: how many, at least 0.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
        rng: draws classes, slices and free windows.
        taken: regions nothing may overlap, boxes of any size and depth.
        axis: slice axis of a volume.
        min_slice_gap: slices of two windows, earlier ones included, lie at least this far apart;
            0 is no such rule, 1 at most one window per slice (ours).

    Returns:
        Windows in the order of choice, ``score`` the pixels of the class; fewer than ``n`` when
        nothing is free.

    Raises:
        ValueError: a wrong dtype or shape, a value out of range, or a label outside the classes.
    """
    labels = checks.label_map(labels, (2, 3))
    weights = checks.numbers("weights", weights, (None,), 0)
    n = checks.integer("n", n, 0)
    rng = checks.generator(rng)
    space = Space(labels.shape, shape, taken, axis, gap=min_slice_gap)
    if axis is None and min_slice_gap:
        raise ValueError(f"min_slice_gap is {min_slice_gap}; it must be 0 without axis")
    peaks = ClassPeaks(space, labels)
    live = _Live(_slices_of_classes(peaks.found, len(weights)), weights)
    chosen: list[Region] = []
    while len(chosen) < n:
        region = _draw_region(space, peaks, live, rng)
        if region is None:
            break
        chosen.append(region)
        space.place(region)
    return chosen + _draw_free(space, n - len(chosen), rng)


class _Live:
    """The classes that may still have a window, and the slices where."""

    def __init__(self, slices: dict[int, list[int]], weights: np.ndarray) -> None:
        self.slices, self._weights = slices, weights
        self._draw: ClassDraw | None = None

    def draw(self, rng: np.random.Generator) -> int:
        if self._draw is None:
            self._draw = ClassDraw(sorted(self.slices), self._weights)
        return self._draw.draw(rng)

    def drop(self, cls: int) -> None:
        del self.slices[cls]
        self._draw = None


def _slices_of_classes(found: np.ndarray, n_classes: int) -> dict[int, list[int]]:
    """The slices that contain each class predicted, from the labels that each holds."""
    classes = checks.known_classes(np.flatnonzero(found.any(axis=0)), n_classes, "weights")
    return {cls: np.flatnonzero(found[:, cls]).tolist() for cls in classes}


def _draw_region(
    space: Space, peaks: ClassPeaks, live: _Live, rng: np.random.Generator
) -> Region | None:
    """Draw a class, then a slice; drop from ``live`` what holds no free window of the class."""
    while live.slices:
        cls = live.draw(rng)
        numbers = live.slices[cls]
        while numbers:
            place = int(rng.integers(len(numbers))) if space.axis is not None else 0
            found = peaks.best(numbers[place], cls)
            if found is not None:
                return space.region(numbers[place], found[1], found[2], cls, found[0])
            numbers.pop(place)
        live.drop(cls)
    return None


def uncertain_regions(
    uncertainty: np.ndarray,
    n: int,
    shape: Shape,
    taken: Iterable[Region] = (),
    axis: int | None = None,
) -> list[Region]:
    """Choose the windows with the highest mean uncertainty under non-maximum suppression.

    Stride 1, no overlap, over all slices of a volume jointly.

    Args:
        uncertainty: (H, W), or (D, H, W) with ``axis``; uint8 (sums are exact), or finite float
            (summed in fixed point, see ``decomp_core.fixed``).
        n: how many, at least 0.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
        taken: regions nothing may overlap, boxes of any size and depth.
        axis: slice axis of a volume.

    Returns:
        Windows, most uncertain first, the first of equals in row-major order, ``score`` the mean
        uncertainty in the units given; fewer than ``n`` when nothing is free.

    Raises:
        ValueError: a wrong dtype or shape, or a value out of range.

    >>> uncertain_regions(np.uint8([[0, 8, 9], [0, 5, 0]]), 1, (1, 2))
    [Region(start=(0, 1), size=(1, 2), cls=None, score=8.5)]
    """
    values = np.asarray(uncertainty)
    if values.dtype != np.uint8:
        values = checks.array("uncertainty (if not uint8)", values, "f")
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"uncertainty has shape {values.shape}; it must have 2 or 3 axes")
    n = checks.integer("n", n, 0)
    space = Space(values.shape, shape, taken, axis)
    pixels = sum(height * width for _, _, height, width in space.boxes)
    exponent = 0 if values.dtype == np.uint8 else fixed_exponent("uncertainty", values, pixels)
    peaks = _peaks_of(space, values, exponent)
    best = {number: _peak_region(space, peaks, number) for number in range(space.n_slices)}
    chosen: list[Region] = []
    while len(chosen) < n:
        free = [item for item in best.items() if item[1] is not None]
        if not free:
            break
        number, (total, region) = min(free, key=lambda item: (-item[1][0], item[1][1].start))
        region = Region(region.start, region.size, None, math.ldexp(total / pixels, -exponent))
        chosen.append(region)
        space.place(region)
        best[number] = _peak_region(space, peaks, number)
    return chosen


def _peaks_of(space: Space, values: np.ndarray, exponent: int) -> Peaks:
    if values.dtype == np.uint8:
        return Peaks(space, lambda number, key: space.slice_of(values, number))

    @lru_cache(maxsize=1)  # one slice at a time, so that a volume is never widened as a whole
    def plane(number: int) -> np.ndarray:
        fixed = np.empty(space.plane, np.int64)
        to_fixed(space.slice_of(values, number), exponent, fixed)
        return fixed

    return Peaks(space, lambda number, key: plane(number))


def _peak_region(space: Space, peaks: Peaks, number: int) -> tuple[int, Region] | None:
    found = peaks.best(number)
    if found is None:
        return None
    return found[0], space.region(number, found[1], found[2], None, None)


def random_regions(
    image_shape: Sequence[int],
    n: int,
    shape: Shape,
    rng: np.random.Generator,
    taken: Iterable[Region] = (),
    centres: Any = None,
    axis: int | None = None,
) -> list[Region]:
    """Draw windows without overlap, each uniformly over all positions that are feasible then.

    Args:
        image_shape: (H, W), or (D, H, W) with ``axis``, in pixels (voxels).
        n: how many, at least 0.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
        rng: draws.
        taken: regions nothing may overlap, boxes of any size and depth.
        centres: bool of ``image_shape``; a window's centre, start + size // 2, lies in it.
        axis: slice axis of a volume; any slice can be drawn.

    Returns:
        Windows in the order drawn, ``cls`` and ``score`` ``None``; fewer than ``n`` when nothing
        is feasible.

    Raises:
        ValueError: a wrong dtype or shape, or a value out of range.

    >>> random_regions((2, 2), 3, (2, 2), np.random.default_rng(0))
    [Region(start=(0, 0), size=(2, 2), cls=None, score=None)]
    """
    if not isinstance(image_shape, Sequence | np.ndarray) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape is {image_shape!r}; it must be 2 or 3 integers")
    sides = [checks.integer(f"image_shape[{i}]", v, 1) for i, v in enumerate(image_shape)]
    n = checks.integer("n", n, 0)
    rng = checks.generator(rng)
    space = Space(sides, shape, taken, axis)
    if centres is not None:
        centres = checks.array("centres", centres, "b", space.image_shape)
    return _draw_free(space, n, rng, centres)


def _draw_free(
    space: Space, n: int, rng: np.random.Generator, centres: np.ndarray | None = None
) -> list[Region]:
    chosen: list[Region] = []
    if n == 0:
        return chosen
    rows = [_feasible_rows(space, number, centres) for number in range(space.n_slices)]
    counts = np.array([row.sum() for row in rows])
    while len(chosen) < n:
        ends = np.where(space.closed, 0, counts).cumsum()
        if ends[-1] == 0:
            break
        pick = int(rng.integers(ends[-1]))
        number = int(np.searchsorted(ends, pick, side="right"))
        ends_of_rows = rows[number].cumsum()
        pick -= int(ends[number]) - int(counts[number])
        y = int(np.searchsorted(ends_of_rows, pick, side="right"))
        places = np.flatnonzero(_feasible(space, number, centres, slice(y, y + 1)))
        region = space.region(number, y, places[pick - int(ends_of_rows[y])], None, None)
        chosen.append(region)
        space.place(region)
        changed = slice(*space.changes(number)[-1])
        rows[number] = rows[number].copy()  # untouched slices share one
        rows[number][changed] = _feasible(space, number, centres, changed).sum(axis=1)
        counts[number] = rows[number].sum()
    return chosen


def _feasible_rows(space: Space, number: int, centres: np.ndarray | None) -> np.ndarray:
    """In how many positions of each row of a slice the window can lie: (P,) int64."""
    if centres is None and space.untouched(number):
        return np.broadcast_to(np.int64(space.positions[1]), space.positions[:1])
    return _feasible(space, number, centres, slice(None)).sum(axis=1)


def _feasible(space: Space, number: int, centres: np.ndarray | None, rows: slice) -> np.ndarray:
    """Positions in these rows of a slice where the window can lie: bool."""
    free = ~space.blocked(number)[rows]
    if centres is None:
        return free
    plane = space.slice_of(centres, number)
    (top, left), (height, width) = (k // 2 for k in space.size), space.positions
    return free & plane[top : top + height, left : left + width][rows]
