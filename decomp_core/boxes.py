"""Boxes in images of any number of axes: where one can lie, and the sum under it everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np

from . import checks
from .kernels import round_scaled, slide
from .region import Region

Stride = int | Sequence[int]
Part = tuple[int, int, int, int]  # top, left, height, width
# Of the index of a plane: its (H, W) int64 values, which hold until the next is loaded.
Load = Callable[[tuple[int, ...]], np.ndarray]


def box(name: str, size: Sequence[int], image_shape: Sequence[int]) -> tuple[int, ...]:
    """Return ``size`` as a tuple of ints that fits in an image.

    Raises:
        ValueError: another number of axes, or a side outside 1 to the image's.
    """
    if not isinstance(size, Sequence | np.ndarray) or len(size) != len(image_shape):
        raise ValueError(f"{name} is {size!r}; it must be {len(image_shape)} integers")
    sides = zip(size, image_shape, strict=True)
    return tuple(checks.integer(f"{name}[{i}]", k, 1, n) for i, (k, n) in enumerate(sides))


def steps(stride: Stride, ndim: int) -> tuple[int, ...]:
    """Return one stride per axis, each at least 1."""
    if not isinstance(stride, Sequence | np.ndarray):
        stride = (stride,) * ndim
    if len(stride) != ndim:
        raise ValueError(f"stride is {stride!r}; it must be one integer, or {ndim}")
    return tuple(checks.integer(f"stride[{i}]", s, 1) for i, s in enumerate(stride))


class Occupancy:
    """The positions at which a box overlaps nothing, kept up to date as regions are placed.

    Positions have three axes at least: those of the image, or of a volume searched slice by slice
    the slice axis and then the others; fewer than three follow axes of length 1.

    Args:
        image_shape: in pixels (voxels).
        size: of the box along each axis of the image; 1 along the slice axis.
        taken: regions nothing may overlap, boxes of any size.
        strides: distance of positions along each axis, 1 by default; position i starts at
            i * stride.
        parts: boxes that make up the last two axes of a footprint; the whole box by default.
        axis: slice axis.

    Attributes:
        free: bool, one entry per position.
        shape, size, strides: in the axes of ``free``.
        pixels: of the box, or the footprint.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        size: Sequence[int],
        taken: Iterable[Region] = (),
        *,
        strides: Sequence[int] | None = None,
        parts: Sequence[Part] | None = None,
        axis: int | None = None,
    ) -> None:
        self.axis, self._lead = axis or 0, max(0, 3 - len(image_shape))
        self.shape, self.size = self._turned(image_shape, 1), self._turned(size, 1)
        self.strides = self._turned(strides or (1,) * len(size), 1)
        self.parts = parts
        self.pixels = sum(h * w for _, _, h, w in parts) if parts else math.prod(size)
        self.free = np.ones(count_positions(self.shape, self.size, self.strides), bool)
        for region in checks.regions(taken, len(image_shape)):
            self.place(region)

    def _turned(self, numbers: Sequence[int], fill: int) -> tuple[int, ...]:
        """Numbers along the axes of the image as along those of ``free``."""
        first, *rest = numbers[self.axis], *numbers[: self.axis], *numbers[self.axis + 1 :]
        return (fill,) * self._lead + (first, *rest)

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return an array of the image with the axes of ``free``."""
        return np.moveaxis(array, self.axis, 0)[(None,) * self._lead]

    def in_order(self, numbers: Sequence[Any]) -> list[Any]:
        """Return numbers along the axes of ``free`` in the order of the image's axes.

        Equals go to the first position in row-major order of these.
        """
        found = list(numbers)
        found.insert(self.axis, found.pop(0))
        return found

    def region(self, position: Sequence[int], cls: int | None, score: float | None) -> Region:
        """Return the box at a position."""
        start = [int(i) * s for i, s in zip(position, self.strides, strict=True)]
        start, size = (self.in_order(v)[self._lead :] for v in (start, self.size))
        return Region(tuple(start), tuple(size), cls, score)

    def place(self, region: Region) -> None:
        """Close the positions at which the box shares a pixel with a region."""
        for top, left, height, width in self.parts or [(0, 0, *self.size[-2:])]:
            start, stop = list(self._turned(region.start, 0)), list(self._turned(region.stop, 1))
            for axis, offset in ((-2, top), (-1, left)):
                start[axis] -= offset
                stop[axis] -= offset
            self.free[self._overlapping(start, stop, (*self.size[:-2], height, width))] = False

    def of_slice(self, number: int) -> Occupancy:
        """Return the part of one slice; what is placed in the whole closes positions of it too."""
        part = copy(self)
        part.shape, part.axis = (1, *self.shape[1:]), 0
        part.free = self.free[number : number + 1]
        return part

    def overlapping(self, region: Region) -> tuple[slice, ...]:
        """Return the positions at which the whole box shares a pixel with a region."""
        start, stop = self._turned(region.start, 0), self._turned(region.stop, 1)
        return self._overlapping(start, stop, self.size)

    def _overlapping(
        self, start: Sequence[int], stop: Sequence[int], size: Sequence[int]
    ) -> tuple[slice, ...]:
        found = []
        for a, b, k, p, s in zip(start, stop, size, self.free.shape, self.strides, strict=True):
            first, last = max(0, -(-(a - k + 1) // s)), max(0, (b - 1) // s + 1)
            found.append(slice(min(first, p), min(last, p)))
        return tuple(found)


def count_positions(
    shape: Sequence[int], size: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """Return how many positions a box has along each axis."""
    return tuple((n - k) // s + 1 for n, k, s in zip(shape, size, strides, strict=True))


def parts_of(footprint: np.ndarray) -> list[Part]:
    """Cut a (h, w) boolean footprint into boxes that cover it once: runs of a row, merged down."""
    done: list[Part] = []
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


def sums_in_order(
    load: Load, box: Occupancy, shape: Sequence[int] | None = None, outer: tuple[int, ...] = ()
) -> Iterator[np.ndarray]:
    """Yield the sums under a box at each position along the first axis, at all others at once.

    Running sums along every axis; what is kept is as much of the image as the box is deep.

    Args:
        load: the image, integers.
        box: its size, parts and strides.
        shape: of the image; that of ``box`` by default. Its last axes where ``outer`` is given.
        outer: index of the axes before these.

    Yields:
        int64, one entry per position of the axes after the first, until the next is asked for.
    """
    shape = tuple(shape or box.shape)
    size, strides = box.size[len(outer) :], box.strides[len(outer) :]
    rest = count_positions(shape[1:], size[1:], strides[1:])
    parts = np.array(box.parts or [(0, 0, *size[-2:])], np.int64)
    ring, total = np.zeros((size[0], *rest), np.int64), np.zeros(rest, np.int64)
    for z in range(shape[0]):
        oldest = ring[z % size[0]]
        if len(shape) == 3:
            slide(load((*outer, z)), parts, strides[1], strides[2], oldest, total)
        else:
            below = sums_in_order(load, box, shape[1:], (*outer, z))
            newest = np.array([sums.copy() for sums in below])
            total += newest - oldest
            oldest[...] = newest
        place = z - size[0] + 1
        if place >= 0 and place % strides[0] == 0:
            yield total


def integers_of(values: np.ndarray, exponent: int) -> Load:
    """Return what loads planes of an image, uint8 or bool as they are, floats in fixed point."""
    plane = np.empty(values.shape[-2:], np.int64)

    def load(index: tuple[int, ...]) -> np.ndarray:
        if values.dtype.kind == "f":
            to_fixed(values[index], exponent, plane)
        else:
            plane[...] = values[index]
        return plane

    return load


def exponent_for(name: str, values: np.ndarray, pixels: int) -> int:
    """Return the exponent for an image, see ``exponent_of``: 0 where it holds integers.

    Raises:
        ValueError: a value that is not finite; ``name`` is the argument's.
    """
    if values.dtype.kind != "f":
        return 0
    highest = largest(values)
    if not math.isfinite(highest):
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"{name}{list(place)} is {values[place]}; it must be finite")
    return exponent_of(highest, pixels)


def largest(values: np.ndarray) -> float:
    """Return the largest absolute value, NaN where a value is NaN."""
    return float(max(values.max(), -values.min()))


def exponent_of(highest: float, pixels: int) -> int:
    """Return the exponent e with which sums of floats over ``pixels`` are exact; 2^e make 1.

    Floats of at most ``highest`` either side of 0 are rounded to multiples of 2^-e, e so large that
    no sum leaves int64: equal boxes then have equal sums, whatever the order of summation. With e
    at most 1000, 2^e is a float; smaller units tell apart only what is far below 1e-200.
    """
    return min(61 - int(pixels).bit_length() - math.frexp(highest)[1], 1000)


def to_fixed(values: np.ndarray, exponent: int, fixed: np.ndarray) -> None:
    """Set ``fixed``, contiguous int64 of the same shape, to finite floats in units of 2^-e."""
    kind = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
    flat = np.array(values, kind, order="C", copy=None).reshape(-1)
    round_scaled(flat, 2.0**exponent, fixed.reshape(-1))
