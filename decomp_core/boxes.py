"""Boxes in images of any number of axes: where one can lie, and the sum under it everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from . import checks
from .kernels import slide
from .region import Region

Part = tuple[tuple[int, ...], tuple[int, ...]]  # first pixel, size
Places = tuple[slice, ...]
# Of the index of a plane: its (H, W) int64 values.
Load = Callable[[tuple[int, ...]], np.ndarray]


class Occupancy:
    """The positions at which a box overlaps nothing, kept up to date as regions are placed.

    Args:
        shape: of the image, in pixels (voxels).
        size: of the box, one integer per axis of the image.
        taken: regions nothing may overlap, boxes of any size.
        strides: distance of positions along each axis, 1 by default; position i starts at
            i * stride.
        parts: boxes that make up a footprint, from the first pixel of the whole; the whole by
            default. They differ in the axes of a plane only.
        axis: what ``planes`` puts first; the slice axis of a volume.
        annotatable: bool of ``shape``; a box (a footprint) covers at least one True of it, so that
            nothing is asked for where nobody can answer (ours). All of the image by default.

    Attributes:
        free: bool, one entry per position, in the axes of the image.
        pixels: of the box, or the footprint.
        plane_parts: (K, 4) int64, of ``parts`` in a plane: top, left, height, width.
    """

    def __init__(
        self,
        shape: Sequence[int],
        size: Sequence[int],
        taken: Iterable[Region] = (),
        *,
        strides: Sequence[int] | None = None,
        parts: Sequence[Part] | None = None,
        axis: int = 0,
        annotatable: np.ndarray | None = None,
    ) -> None:
        self.shape, self.size, self.axis = tuple(shape), tuple(size), axis
        self.strides = tuple(strides or (1,) * len(size))
        self.parts = parts or [((0,) * len(size), self.size)]
        self.pixels = sum(math.prod(sides) for _, sides in self.parts)
        self.plane_parts = np.array(
            [self.turned(o, 0)[-2:] + self.turned(k, 1)[-2:] for o, k in self.parts], np.int64
        )
        self.free = np.ones(count_positions(self.shape, self.size, self.strides), bool)
        for region in checks.regions(taken, len(shape)):
            self.place(region)
        if annotatable is not None:
            self._keep_to(checks.array("annotatable", annotatable, "b", self.shape))

    def place(self, region: Region) -> Places:
        """Close the positions at which the box shares a pixel with a region.

        Returns:
            Where they are; of a footprint, where its whole box shares a pixel.
        """
        for offset, size in self.parts:
            self.free[self._overlapping(region, offset, size)] = False
        return self._overlapping(region, (0,) * len(self.size), self.size)

    def _keep_to(self, mask: np.ndarray) -> None:
        """Close the positions that cover no True of a mask."""
        for plane, covered in zip(self.planes(self.free), _all_sums(mask, 0, self), strict=True):
            plane &= covered > 0

    def _overlapping(self, region: Region, offset: Sequence[int], size: Sequence[int]) -> Places:
        found = []
        ends, shape = (region.start, region.stop), self.free.shape
        for a, b, o, k, p, s in zip(*ends, offset, size, shape, self.strides, strict=True):
            first, last = max(0, -(-(a - o - k + 1) // s)), max(0, (b - o - 1) // s + 1)
            found.append(slice(min(first, p), min(last, p)))
        return tuple(found)

    def region(self, position: Sequence[int], cls: int | None, score: float | None) -> Region:
        """Return the box at a position."""
        start = tuple(int(i) * s for i, s in zip(position, self.strides, strict=True))
        return Region(start, self.size, cls, score)

    def planes(self, array: np.ndarray) -> np.ndarray:
        """View an array of the image, or of the positions, plane by plane: three axes or more."""
        return np.moveaxis(array, self.axis, 0)[(None,) * (3 - array.ndim)]

    def turned(self, numbers: Sequence[int], fill: int) -> tuple[int, ...]:
        """Numbers along the axes of the image as along those of ``planes``; ``fill`` for new."""
        rest = *numbers[: self.axis], *numbers[self.axis + 1 :]
        return (fill,) * (3 - len(numbers)) + (numbers[self.axis], *rest)


def count_positions(
    shape: Sequence[int], size: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """Return how many positions a box has along each axis."""
    return tuple((n - k) // s + 1 for n, k, s in zip(shape, size, strides, strict=True))


def sums_in_order(load: Load, box: Occupancy) -> Iterator[np.ndarray]:
    """Yield the sums under a box at each position along the first axis, at all others at once.

    Running sums along every axis; what is kept is as much of the image as the box is deep.

    Args:
        load: planes of the image, int64, by their index.
        box: its size, parts and strides.

    Yields:
        int64, one entry per position of the axes of ``box.planes`` after the first, until the next
        is asked for.
    """
    axes = [box.turned(numbers, 1) for numbers in (box.shape, box.size, box.strides)]
    return _sums(load, box.plane_parts, axes, ())


def _sums(
    load: Load, parts: np.ndarray, axes: list[tuple[int, ...]], outer: tuple[int, ...]
) -> Iterator[np.ndarray]:
    """Sums over the axes of shape, size and strides; ``outer``: index of those before."""
    inner = [numbers[1:] for numbers in axes]
    length, depth, step = (numbers[0] for numbers in axes)
    rest = count_positions(*inner)
    ring, total = np.zeros((depth, *rest), np.int64), np.zeros(rest, np.int64)
    for z in range(length):
        oldest = ring[z % depth]
        if len(rest) == 2:
            slide(load((*outer, z)), parts, *inner[2], oldest, total)
        else:
            newest = np.array([sums.copy() for sums in _sums(load, parts, inner, (*outer, z))])
            total += newest - oldest
            oldest[...] = newest
        place = z - depth + 1
        if place >= 0 and place % step == 0:
            yield total


def set_sums(values: np.ndarray, exponent: int, box: Occupancy, sums: np.ndarray) -> None:
    """Set ``sums``, int64 per position, to those of uint8, bool or of floats in units of 2^-e."""
    found = _all_sums(values, exponent, box)
    for plane, of_plane in zip(box.planes(sums), found, strict=True):
        plane[...] = of_plane


def _all_sums(values: np.ndarray, exponent: int, box: Occupancy) -> Iterator[np.ndarray]:
    """Yield what ``set_sums`` sets, plane by plane."""
    values = box.planes(values)

    def load(index: tuple[int, ...]) -> np.ndarray:
        plane = values[index]
        return to_fixed(plane, exponent) if plane.dtype.kind == "f" else plane.astype(np.int64)

    return sums_in_order(load, box)


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
            done.append(((top, left), (y - top, width)))
        for run in runs:
            growing.setdefault(run, y)
    return sorted(done)


def exponent_for(name: str, values: np.ndarray, pixels: int) -> int:
    """Return the exponent for an image, see ``exponent_of``: 0 where it holds integers.

    Raises:
        ValueError: a value that is not finite; ``name`` is the argument's.
    """
    if values.dtype.kind != "f":
        return 0
    highest = largest(values)
    if not math.isfinite(highest):
        checks.everywhere(name, values, np.isfinite(values), "finite")
    return exponent_of(highest, pixels)


def largest(values: np.ndarray) -> float:
    """Return the largest absolute value; NaN where a value is NaN."""
    return float(max(values.max(), -values.min()))


def exponent_of(highest: float, pixels: int) -> int:
    """Return the exponent e with which sums of floats over ``pixels`` are exact; 2^e make 1.

    Floats of at most ``highest`` either side of 0 are rounded to multiples of 2^-e, e so large that
    no sum leaves int64: equal boxes then have equal sums, whatever the order of summation. With e
    at most 1000, 2^e is a float; smaller units tell apart only what is far below 1e-200.
    """
    return min(61 - int(pixels).bit_length() - math.frexp(highest)[1], 1000)


def to_fixed(values: np.ndarray, exponent: int) -> np.ndarray:
    """Return finite floats in units of 2^-e, rounded to even, int64."""
    scaled = np.multiply(values, 2.0**exponent, dtype=np.float64, casting="unsafe")
    return np.rint(scaled, out=scaled).astype(np.int64)
