"""Boxes of as many axes as the image: their means at every position, which positions are free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import checks
from .fixed import chunks, exponent_of, largest, refuse_infinite, to_fixed
from .region import Region
from .sliding import all_means

Stride = int | Sequence[int]


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


def positions_of(
    image_shape: Sequence[int], size: Sequence[int], stride: Stride = 1
) -> tuple[int, ...]:
    """Return how many positions a box has along each axis; position i starts at i * stride."""
    sides = zip(image_shape, size, steps(stride, len(image_shape)), strict=True)
    return tuple((n - k) // s + 1 for n, k, s in sides)


def weighted_means(
    values: np.ndarray,
    weights: np.ndarray | None,
    size: Sequence[int],
    stride: Stride = 1,
    *,
    least: float = -math.inf,
) -> np.ndarray:
    """Return the mean of ``values * weights`` over the box at each of its positions.

    Products are summed in fixed point, so that equal boxes have equal means whatever the order of
    summation. Neither they nor the sums are held as a whole up to three axes: beside the result
    there are the sums of as many slices as the box has, and some slices of the image widened.

    Args:
        values: float, any number of axes.
        weights: float of the same shape; ``None`` is 1.
        size: of the box, one integer per axis, not larger than the image.
        stride: distance of positions, one integer or one per axis.
        least: means below are raised to it.

    Returns:
        float64, one entry per position, position i starting at i * stride.

    Raises:
        ValueError: a product that is not finite, or a value out of range.
    """
    size, strides = box("size", size, values.shape), steps(stride, values.ndim)

    def read(part: Any) -> np.ndarray:
        return values[part] if weights is None else values[part] * weights[part]

    highest = float(np.max([largest(read(part)) for part in chunks(values.shape)]))
    if not math.isfinite(highest):
        refuse_infinite("values", read(...))
    exponent = exponent_of(highest, math.prod(size))

    def load(part: Any, fixed: np.ndarray) -> None:
        to_fixed(read(part), exponent, fixed)

    return all_means(values.shape, size, strides, load, exponent, least)


def overlapping(
    region: Region, size: Sequence[int], positions: Sequence[int], stride: Stride = 1
) -> tuple[slice, ...]:
    """Return the positions at which a box of ``size`` shares a pixel with ``region``."""
    parts = []
    steps_ = steps(stride, len(positions))
    for a, b, k, p, s in zip(region.start, region.stop, size, positions, steps_, strict=True):
        first = max(0, -(-(a - k + 1) // s))
        parts.append(slice(min(first, p), min((b - 1) // s + 1, p)))
    return tuple(parts)


def free_positions(
    image_shape: Sequence[int],
    size: Sequence[int],
    taken: Iterable[Region] = (),
    stride: Stride = 1,
) -> np.ndarray:
    """Mark the positions at which a box overlaps nothing that is taken.

    Args:
        image_shape: in pixels (voxels), any number of axes.
        size, stride: see ``weighted_means``.
        taken: regions nothing may overlap, boxes of any size.

    Returns:
        bool, one entry per position.

    Raises:
        ValueError: a value out of range, or a region with another number of axes.
    """
    shape = tuple(checks.integer(f"image_shape[{i}]", v, 1) for i, v in enumerate(image_shape))
    size = box("size", size, shape)
    positions = positions_of(shape, size, stride)
    free = np.ones(positions, bool)
    for region in checks.regions(taken, len(shape)):
        free[overlapping(region, size, positions, stride)] = False
    return free
