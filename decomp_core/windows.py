"""Choosing windows of one image, or of the slices of one volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .boxes import Occupancy, Part, Places, parts_of, set_sums
from .draw import draw_class, draw_position
from .region import Region
from .search import ClassSearch, ranked

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
        labels: (H, W) integers, 0 to 255; uint8 is searched without a copy.
        cls: class, 0 to 254.
        shape: (h, w) in pixels, or a boolean footprint of that size.
        taken: regions it must not overlap, of any size.
        valid: (H, W) bool; the window (the True of a footprint) may cover these pixels only.

    Returns:
        The window, the first of equals in row-major order, with ``score`` the pixels of the
        class in it; ``None`` where no free window holds any.

    >>> best_region(np.uint8([[0, 1, 1], [0, 1, 0]]), 1, (2, 2))
    Region(start=(0, 1), size=(2, 2), cls=1, score=3)
    """
    labels = checks.image("labels", labels, (2,))
    cls = checks.integer("cls", cls, 0, checks.UNKNOWN - 1)
    windows = _Windows(labels.shape, shape, taken)
    if valid is not None:
        covered = np.empty(windows.free.shape, np.int64)
        set_sums(~checks.array("valid", valid, "b", labels.shape), 0, windows, covered)
        windows.free &= covered == 0
    found = ClassSearch(labels, windows).best(0, cls)
    return None if found is None else windows.window(found[1], cls, found[0])


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
    annotatable: np.ndarray | None = None,
) -> list[Region]:
    """Choose windows one after the other: draw a class, then a window with most of it.

    Of equal windows one is drawn uniformly (ours).
    Classes are drawn by ``weights`` among those predicted in this image and still live, uniformly
    where all of these have weight 0. A class without a free window that holds it is dropped. In a
    volume a slice is drawn uniformly among those that contain the class, then searched; a slice
    without such a window is dropped for the class. When no class is left, windows are drawn
    uniformly among all free ones, with ``cls`` and ``score`` ``None`` (ours).

    Args:
        labels: (H, W), or (D, H, W) with ``axis``, integer pseudo-labels; 255 is no class.
        weights: (C,) sampling weights, at least 0.
        n: how many, at least 0.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
        rng: draws classes, slices, one of equal windows, and free windows.
        taken: regions nothing may overlap, boxes of any size and depth.
        axis: slice axis of a volume.
        min_slice_gap: slices of two windows, earlier ones included, lie at least this far apart;
            0 is no such rule, 1 at most one window per slice (ours).
        annotatable: bool of the image's shape, see ``boxes.Occupancy``.

    Returns:
        Windows in the order of choice, ``score`` the pixels of the class; fewer than ``n`` when
        nothing is free.

    Raises:
        ValueError: a wrong dtype or shape, a value out of range, or a label outside the classes.
    """
    labels = checks.image("labels", labels, (2, 3))
    weights = checks.numbers("weights", weights, (None,), 0)
    n = checks.integer("n", n, 0)
    rng = checks.generator(rng)
    windows = _Windows(labels.shape, shape, taken, axis, min_slice_gap, annotatable)
    search = ClassSearch(labels, windows)
    known = checks.known_classes("labels", search.found.any(axis=0), len(weights))
    live = {cls: np.flatnonzero(search.found[:, cls]).tolist() for cls in known}
    chosen: list[Region] = []
    while len(chosen) < n:
        region = _draw_region(windows, search, live, weights, rng)
        if region is None:
            break
        chosen.append(region)
        windows.place(region)
    return chosen + _draw_free(windows, n - len(chosen), rng)


def _draw_region(
    windows: _Windows,
    search: ClassSearch,
    live: dict[int, list[int]],
    weights: np.ndarray,
    rng: np.random.Generator,
) -> Region | None:
    """Draw a class, then one of its slices; drop from ``live`` what has no free window of it."""
    while live:
        cls = draw_class(sorted(live), weights, rng)
        numbers = live[cls]
        while numbers:
            place = int(rng.integers(len(numbers))) if windows.sliced else 0
            found = search.best(numbers[place], cls, rng)
            if found is not None:
                return windows.window(found[1], cls, found[0])
            numbers.pop(place)
        del live[cls]
    return None


def uncertain_regions(
    uncertainty: np.ndarray,
    n: int,
    shape: Shape,
    taken: Iterable[Region] = (),
    axis: int | None = None,
    *,
    annotatable: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> list[Region]:
    """Choose the windows with the highest mean uncertainty under non-maximum suppression.

    Stride 1, no overlap, over all slices of a volume jointly.

    Args:
        uncertainty: (H, W), or (D, H, W) with ``axis``; uint8 (sums are exact), or finite float
            (summed in fixed point, see ``boxes.exponent_of``).
        n: how many, at least 0.
        shape: (h, w) in the axes left of a slice, in order, or a boolean footprint of that size.
        taken: regions nothing may overlap, boxes of any size and depth.
        axis: slice axis of a volume.
        annotatable: bool of the image's shape, see ``boxes.Occupancy``.
        rng: draws one of equals uniformly; without it the first in row-major order is taken.

    Returns:
        Windows, most uncertain first, ``score`` the mean uncertainty in the units given; fewer
        than ``n`` when nothing is free.

    >>> uncertain_regions(np.uint8([[0, 8, 9], [0, 5, 0]]), 1, (1, 2))
    [Region(start=(0, 1), size=(1, 2), cls=None, score=8.5)]
    """
    values = checks.image("uncertainty", uncertainty, (2, 3), floats=True)
    n = checks.integer("n", n, 0)
    rng = None if rng is None else checks.generator(rng)
    windows = _Windows(values.shape, shape, taken, axis, annotatable=annotatable)
    return [region for _, region in islice(ranked(values, windows, rng=rng), n)]


def random_regions(
    image_shape: Sequence[int],
    n: int,
    shape: Shape,
    rng: np.random.Generator,
    taken: Iterable[Region] = (),
    centres: Any = None,
    axis: int | None = None,
    *,
    annotatable: np.ndarray | None = None,
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
        annotatable: bool of the image's shape, see ``boxes.Occupancy``.

    Returns:
        Windows in the order drawn, ``cls`` and ``score`` ``None``; fewer than ``n`` when nothing
        is feasible.

    >>> random_regions((2, 2), 3, (2, 2), np.random.default_rng(0))
    [Region(start=(0, 0), size=(2, 2), cls=None, score=None)]
    """
    sides = checks.sizes("image_shape", image_shape, (2, 3))
    n = checks.integer("n", n, 0)
    rng = checks.generator(rng)
    windows = _Windows(sides, shape, taken, axis, annotatable=annotatable)
    if centres is not None:
        centres = checks.array("centres", centres, "b", sides)
        places = zip(windows.size, windows.free.shape, strict=True)
        windows.free &= centres[tuple(slice(k // 2, k // 2 + p) for k, p in places)]
    return _draw_free(windows, n, rng)


def _draw_free(windows: _Windows, n: int, rng: np.random.Generator) -> list[Region]:
    chosen: list[Region] = []
    while len(chosen) < n:
        position = draw_position(windows.planes(windows.free), rng)
        if position is None:
            break
        chosen.append(windows.window(position, None, None))
        windows.place(chosen[-1])
    return chosen


class _Windows(Occupancy):
    """The free windows of an image, or of a volume's slices.

    A placed region is a box: it closes the whole of its box for later footprints.

    Args:
        image_shape, shape, taken, axis, annotatable: see ``random_regions``.
        gap: slices of two windows lie at least this far apart (0: no such rule); a taken region
            counts with all its slices.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        shape: Any,
        taken: Iterable[Region],
        axis: int | None = None,
        gap: int = 0,
        annotatable: np.ndarray | None = None,
    ) -> None:
        ndim = len(image_shape)
        if axis is None and ndim != 2:
            raise ValueError(f"axis is None; it must be 0, 1 or 2 for an image of {ndim} axes")
        if axis is not None and ndim != 3:
            raise ValueError(f"axis is {axis!r}; it must be None for an image of {ndim} axes")
        axis = None if axis is None else checks.integer("axis", axis, 0, 2)
        self._gap = checks.integer("min_slice_gap", gap, 0)
        if axis is None and gap:
            raise ValueError(f"min_slice_gap is {gap}; it must be 0 without axis")
        self.sliced = axis is not None
        self.axis = axis or 0
        plane = [n for i, n in enumerate(image_shape) if i != axis]
        size, parts = _parse_shape(shape, plane)
        parts = [(self._whole(first, 0), self._whole(sides, 1)) for first, sides in parts]
        size = self._whole(size, 1)
        super().__init__(
            image_shape, size, taken, parts=parts, axis=self.axis, annotatable=annotatable
        )

    def _whole(self, pair: Sequence[int], number: int) -> tuple[int, ...]:
        """Numbers of the two axes of a slice, and one of the slice axis, in the image's axes."""
        whole = list(pair)
        if self.sliced:
            whole.insert(self.axis, number)
        return tuple(whole)

    def window(self, place: Sequence[int], cls: int | None, score: float | None) -> Region:
        """Return the window of a slice, row and column."""
        return self.region(self._whole(place[1:], place[0]), cls, score)

    def place(self, region: Region) -> Places:
        places = super().place(region)
        if self._gap:
            start, stop = region.start[self.axis], region.stop[self.axis]
            self.planes(self.free)[max(start - self._gap + 1, 0) : stop + self._gap - 1] = False
        return places


def _parse_shape(shape: Any, plane: Sequence[int]) -> tuple[tuple[int, ...], list[Part]]:
    """Return the size of a window, and the boxes that it is made of."""
    if not (isinstance(shape, np.ndarray) and shape.ndim == 2):
        size = checks.sizes("shape", shape, (2,), plane)
        return size, [((0, 0), size)]
    size = checks.sizes("shape", shape.shape, (2,), plane)
    if not checks.array("shape", shape, "b").any():
        raise ValueError(f"shape is a footprint of {shape.shape} without any True")
    return size, parts_of(shape)
