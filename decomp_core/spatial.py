"""The most uncertain boxes of one image one after the other, near ones made less attractive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from . import checks
from .compiling import compiled
from .fixed import fixed_point
from .patches import box, box_sums, overlapping
from .region import Region

BLOCKED = int(np.iinfo(np.int64).min)
_WEIGHTS = (0.0, 1e100)
_SIGMAS = (1e-6, 1e6)
# Adding and taking away 2^12 rounds to multiples of 2^-40: sums of penalties below 2^13 are then
# exact, so that boxes equally far from the same picks tie whatever the order of the picks.
_ROUND = 2.0**12
_NOTHING = 2.0**-41  # what is not larger rounds to 0


class FreeSums(NamedTuple):
    """Sums over the free boxes of one image.

    Attributes:
        sums: int64, one per position (stride 1), ``BLOCKED`` where the box is not free.
        size: of the box.
        exponent: a sum is in units of 2^-exponent.
    """

    sums: np.ndarray
    size: tuple[int, ...]
    exponent: int

    def mean(self, total: int) -> float:
        """Return the mean over a box whose sum is ``total``, in the units of the image."""
        return math.ldexp(int(total) / math.prod(self.size), -self.exponent)


def free_sums(
    uncertainty: np.ndarray, size: Sequence[int], taken: Iterable[Region] = ()
) -> FreeSums:
    """Sum over the box at each position that overlaps nothing taken; see ``ranked_regions``."""
    values = np.asarray(uncertainty)
    if values.dtype != np.uint8:
        values = checks.array("uncertainty (if not uint8)", values, "f")
    if not values.ndim or not values.size:
        raise ValueError(f"uncertainty has shape {values.shape}; it must have axes, none empty")
    size = box("size", size, values.shape)
    taken = checks.regions(taken, values.ndim)
    fixed, exponent = fixed_point("uncertainty", values, math.prod(size))
    sums = box_sums(fixed, size)
    for region in taken:
        sums[overlapping(region, size, sums.shape)] = BLOCKED
    return FreeSums(sums, size, exponent)


def strength(weight: float, sigma: float) -> tuple[float, float]:
    """Return the weight and the width of the penalty if they are in range."""
    return checks.real("weight", weight, *_WEIGHTS), checks.real("sigma", sigma, *_SIGMAS)


def ranked_regions(
    uncertainty: np.ndarray,
    size: Sequence[int],
    taken: Iterable[Region] = (),
    *,
    weight: float = 0.0,
    sigma: float = 1.0,
) -> Iterator[tuple[float, Region]]:
    """Rank the boxes of one image greedily: each time the free one with the highest gain.

    The gain of a box is its mean uncertainty minus ``weight`` times the sum over the boxes ranked
    before it of exp(-d^2 / (2 sigma^2)), d the distance of the centres with each axis in units of
    the box's side (ours; terms are rounded to multiples of 2^-40). Boxes lie at stride 1 and
    overlap nothing taken and nothing ranked before; taken regions add no penalty. With weight 0
    these are ``uncertain_regions``.

    The next box is computed when it is asked for. Gains never rise from one box to the next, so
    that the gain a row of positions had when last looked at is an upper bound: only rows whose
    bound is the highest of all are looked at again.

    Args:
        uncertainty: uint8 (sums are exact) or finite float (summed in fixed point), any number of
            axes.
        size: of the box in pixels (voxels), one integer per axis; 1 along the slice axis for
            windows of slices.
        taken: regions nothing may overlap, boxes of any size.
        weight: of the penalty, in the units of ``uncertainty``, 0 to 1e100.
        sigma: width of the penalty in box sides, 1e-6 to 1e6.

    Returns:
        Iterator of (gain, region), the first of equals in row-major order, until nothing is free;
        ``score`` is the mean uncertainty in the units given. With weight 0 gain and score are the
        same float.

    Raises:
        ValueError: at the call; a wrong dtype or number of axes, or a value out of range.

    >>> next(ranked_regions(np.uint8([[0, 8, 9], [0, 5, 0]]), (1, 2)))
    (8.5, Region(start=(0, 1), size=(1, 2), cls=None, score=8.5))
    """
    weight, sigma = strength(weight, sigma)
    return _greedy(free_sums(uncertainty, size, taken), weight, sigma)


def _greedy(free: FreeSums, weight: float, sigma: float) -> Iterator[tuple[float, Region]]:
    sums, size = free.sums, free.size
    rows = sums.reshape(-1, sums.shape[-1])
    # integers without a penalty: equal means of unequal sums are no tie then
    kind, top = (np.float64, np.inf) if weight else (np.int64, np.iinfo(np.int64).max)
    leaves = 1 << (len(rows) - 1).bit_length()
    tree = np.full(2 * leaves, BLOCKED if kind is np.int64 else -np.inf, kind)
    _fill(tree, len(rows), top)
    where = np.zeros(len(rows), np.int64)
    seen = np.full(len(rows), -1, np.int64)
    penalty = np.zeros(rows.shape if weight else (0, 0))
    tables = _gaussians(sums.shape, size, sigma)
    half = free.exponent // 2  # two factors: one alone can leave the range of float64
    units = math.ldexp(1.0, -half), math.ldexp(1.0, half - free.exponent)
    shape = np.array(sums.shape, np.int64)
    picks, count = np.zeros((16, sums.ndim), np.int64), 0
    numbers = (weight, float(math.prod(size)), *units)
    while True:
        row = _next_row(tree, where, seen, rows, penalty, picks, count, shape, tables, numbers)
        if row < 0:
            return
        column = where[row]
        start = np.unravel_index(int(row * rows.shape[1] + column), sums.shape)
        score = free.mean(rows[row, column])
        region = Region(tuple(int(i) for i in start), size, None, score)
        yield (float(tree[1]) if weight else score), region
        sums[overlapping(region, size, sums.shape)] = BLOCKED
        if count == len(picks):
            picks = np.concatenate([picks, np.zeros_like(picks)])
        picks[count] = start
        count += 1


def _fill(tree: np.ndarray, n_rows: int, value: float) -> None:
    """Give ``n_rows`` leaves of a tree of maxima, and all nodes above them, one value."""
    first, last = len(tree) // 2, len(tree) // 2 + n_rows - 1
    while first:
        tree[first : last + 1] = value
        first, last = first // 2, last // 2


def _gaussians(positions: Sequence[int], size: Sequence[int], sigma: float) -> np.ndarray:
    """exp(-d^2 / (2 sigma^2)) along each axis, of distances in pixels; 0 in the middle column."""
    distance = np.arange(1 - max(positions), max(positions))
    sides = np.array(size, np.float64)[:, None]
    return np.exp(-0.5 * (distance / sides / sigma) ** 2)


@compiled
def _next_row(
    tree: np.ndarray,
    where: np.ndarray,
    seen: np.ndarray,
    rows: np.ndarray,
    penalty: np.ndarray,
    picks: np.ndarray,
    count: int,
    shape: np.ndarray,
    tables: np.ndarray,
    numbers: tuple[float, float, float, float],
) -> int:
    """Find the first row of positions that holds the highest gain; -1 where nothing is free.

    Args:
        tree: (2 L,) int64 or float64, maxima: node i above nodes 2i and 2i + 1, row r at L + r,
            each an upper bound of the row's gains; changed in place.
        where: (R,) int64, the column of each row's bound; changed in place.
        seen: (R,) int64, how many picks a row's bound knows of, -1 never looked at; changed.
        rows: (R, W) int64 sums, ``BLOCKED`` where not free.
        penalty: (R, W) float64, of the picks seen; (0, 0) for none; changed in place.
        picks: (at least count, axes) int64 positions.
        count: how many picks there are.
        shape: (axes,) int64, number of positions along each axis.
        tables: (axes, 2 M + 1) float64, the penalty along each axis.
        numbers: weight, pixels of the box, and two factors from sums to the units of the image.
    """
    leaves = tree.size // 2
    lowest = tree.dtype.type(BLOCKED) if penalty.size == 0 else tree.dtype.type(-np.inf)
    gains = np.empty(rows.shape[1], tree.dtype)
    while tree[1] > lowest:
        node = 1
        while node < leaves:
            node *= 2
            if tree[node] < tree[node + 1]:
                node += 1
        row = node - leaves
        known = seen[row] == count or (penalty.size == 0 and seen[row] >= 0)
        if known and rows[row, where[row]] != BLOCKED:
            return row
        if penalty.size == 0:
            gains[:] = rows[row]
        else:
            for k in range(max(seen[row], 0), count):
                _add_penalty(penalty[row], row, picks[k], shape, tables)
            _set_gains(gains, rows[row], penalty[row], numbers)
        seen[row] = count
        where[row] = _first_highest(gains)
        tree[node] = gains[where[row]]
        while node > 1:
            node //= 2
            tree[node] = max(tree[2 * node], tree[2 * node + 1])
    return -1


@compiled
def _add_penalty(
    penalty: np.ndarray, row: int, pick: np.ndarray, shape: np.ndarray, tables: np.ndarray
) -> None:
    middle, last = tables.shape[1] // 2, shape.size - 1
    factor = 1.0
    for axis in range(last - 1, -1, -1):
        factor *= tables[axis, middle + row % shape[axis] - pick[axis]]
        row //= shape[axis]
    if factor <= _NOTHING:
        return
    table = tables[last, middle - pick[last] :]
    for x in range(penalty.size):
        penalty[x] += (factor * table[x] + _ROUND) - _ROUND


@compiled
def _set_gains(
    gains: np.ndarray,
    sums: np.ndarray,
    penalty: np.ndarray,
    numbers: tuple[float, float, float, float],
) -> None:
    weight, pixels, unit, rest = numbers
    for x in range(gains.size):
        gain = sums[x] / pixels * unit * rest - weight * penalty[x]
        gains[x] = gain if sums[x] != BLOCKED else -np.inf


@compiled
def _first_highest(gains: np.ndarray) -> int:
    highest = gains[0]
    for x in range(gains.size):
        highest = max(highest, gains[x])
    for x in range(gains.size):
        if gains[x] == highest:
            return x
    return 0
