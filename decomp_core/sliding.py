"""Sums over a box at every position, some slices of the image at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .box_kernels import scale_sums, slide_slices
from .fixed import chunks, powers

# Of an index into the image and an array of that part's shape: set the array to the integers.
Load = Callable[[Any, np.ndarray], None]
Triple = tuple[int, int, int]


def all_sums(
    shape: Sequence[int], size: Sequence[int], strides: Sequence[int], load: Load
) -> np.ndarray:
    """Return int64 sums, one entry per position; the first axes of more than three come last."""
    positions = _positions(shape, size, strides)
    lead = len(shape) - 3 if len(shape) > 3 else 0
    sums = np.empty((*shape[:lead], *positions[lead:]), np.int64)
    for outer in np.ndindex(*shape[:lead]):
        block = sums[outer].reshape(_triple(positions[lead:]))
        for part, found in _sweep(shape, size, strides, load, outer):
            block[part] = found
    for axis in range(lead):
        sums = _along(sums, axis, size[axis], strides[axis])
    return sums


def all_means(
    shape: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    load: Load,
    exponent: int,
    least: float = -math.inf,
) -> np.ndarray:
    """Return float64 means of integers in units of 2^-exponent; those below ``least`` are it."""
    if len(shape) > 3:
        sums = all_sums(shape, size, strides, load)
        means = np.empty(sums.shape)
        _divide(sums, math.prod(size), exponent, least, means)
        return means
    positions = _positions(shape, size, strides)
    means = np.empty(_triple(positions))
    for part, found in _sweep(shape, size, strides, load, ()):
        _divide(found, math.prod(size), exponent, least, means[part])
    return means.reshape(positions)


def _divide(sums: np.ndarray, pixels: int, exponent: int, least: float, means: np.ndarray) -> None:
    factors = powers(-exponent)
    scale_sums(sums.reshape(-1), float(pixels), *factors, least, means.reshape(-1))


def _positions(shape: Sequence[int], size: Sequence[int], strides: Sequence[int]) -> list[int]:
    return [(n - k) // s + 1 for n, k, s in zip(shape, size, strides, strict=True)]


def _triple(numbers: Sequence[int]) -> Triple:
    """Up to three axes as three: of an image, slices are single rows."""
    if len(numbers) == 2:
        return numbers[0], 1, numbers[1]
    first, second, third = (1, 1, 1, *numbers)[-3:]
    return first, second, third


def _sweep(
    shape: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    load: Load,
    outer: tuple[int, ...],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the sums over the last three axes at one index of the others, in order.

    What is yielded, positions along the first of the three and their sums, holds until the next.
    """
    inner = shape[len(outer) :]
    depth, height, width = _triple(inner)
    box, step = _triple(size[len(outer) :]), _triple(strides[len(outer) :])
    lines, columns = (height - box[1]) // step[1] + 1, (width - box[2]) // step[2] + 1
    ring = np.zeros((box[0], lines, columns), np.int64)
    total = np.zeros((lines, columns), np.int64)
    parts = list(chunks((depth, height, width)))
    fixed = np.empty((parts[0].stop, height, width), np.int64)
    found = np.empty((parts[0].stop, lines, columns), np.int64)
    done = 0
    for part in parts:
        length = part.stop - part.start
        slices = fixed[:length]
        index = (*outer, part) if len(inner) > 1 else ...
        load(index, slices.reshape((length, *inner[1:]) if len(inner) > 1 else inner))
        new = slide_slices(slices, part.start, box, step, ring, total, found)
        yield slice(done, done + new), found[:new]
        done += new


def _along(sums: np.ndarray, axis: int, length: int, step: int) -> np.ndarray:
    """Sum over ``length`` entries of one axis, at every ``step``."""
    before, after = sums.shape[:axis], sums.shape[axis + 1 :]
    rows = sums.reshape(math.prod(before), sums.shape[axis], math.prod(after))
    count = (sums.shape[axis] - length) // step + 1
    found = np.empty((len(rows), count, rows.shape[2]), np.int64)
    for row, result in zip(rows, found, strict=True):

        def load(index: Any, fixed: np.ndarray, row: np.ndarray = row) -> None:
            fixed[...] = row[index]

        for part, part_sums in _sweep(row.shape, (length, 1), (step, 1), load, ()):
            result[part] = part_sums[:, 0]
    return found.reshape(*before, count, *after)
