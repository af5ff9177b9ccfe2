"""Compiled loops: running sums, the highest of each block, the farthest of candidates."""

from __future__ import annotations

import math

import numpy as np

from .compiling import compiled


@compiled
def round_scaled(values: np.ndarray, factor: float, fixed: np.ndarray) -> None:
    """Set ``fixed`` (N,) int64 to float ``values`` (N,) times a factor, rounded to even."""
    for x in range(values.size):
        fixed[x] = np.int64(np.rint(np.float64(values[x]) * factor))


@compiled
def slide(
    plane: np.ndarray,
    boxes: np.ndarray,
    down: int,
    right: int,
    oldest: np.ndarray,
    total: np.ndarray,
) -> None:
    """Put the sums under a window of one plane in the place of those of an older plane.

    Args:
        plane: (H, W) int64.
        boxes: (K, 4) int64, the window's boxes: top, left, height, width from its position.
        down, right: distance of positions.
        oldest: (P, Q) int64, sums of the plane to take away; set to the new ones.
        total: (P, Q) int64, to which the new are added and from which the old are taken.
    """
    columns = np.zeros((boxes.shape[0], plane.shape[1]), np.int64)
    line = np.empty(total.shape[1], np.int64)
    for k in range(boxes.shape[0]):
        for y in range(boxes[k, 0], boxes[k, 0] + boxes[k, 2]):
            _add(columns[k], plane[y])
    for row in range(total.shape[0]):
        line[:] = 0
        for k in range(boxes.shape[0]):
            top, left, height, width = boxes[k]
            if row:
                for y in range(top + (row - 1) * down, top + row * down):
                    _replace(columns[k], plane[y], plane[y + height])
            _add_across(columns[k, left:], width, right, line)
        for x in range(line.size):
            total[row, x] += line[x] - oldest[row, x]
            oldest[row, x] = line[x]


@compiled
def _add(column: np.ndarray, row: np.ndarray) -> None:
    for x in range(column.size):
        column[x] += row[x]


@compiled
def _replace(column: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
    for x in range(column.size):
        column[x] += new[x] - old[x]


@compiled
def _add_across(column: np.ndarray, width: int, step: int, line: np.ndarray) -> None:
    """Add to each place of ``line`` the sum of ``width`` neighbours."""
    running = 0
    for x in range(width):
        running += column[x]
    line[0] += running
    if step == 1:  # the inner loop below would be twice as slow
        for x in range(line.size - 1):
            running += column[x + width] - column[x]
            line[x + 1] += running
        return
    for place in range(1, line.size):
        for x in range((place - 1) * step, place * step):
            running += column[x + width] - column[x]
        line[place] += running


@compiled(error_model="numpy")
def set_means(
    sums: np.ndarray, pixels: float, factor: float, least: float, means: np.ndarray
) -> None:
    """Set ``means`` (N,) float64 to int64 ``sums`` (N,) over ``pixels``, at least ``least``."""
    for x in range(sums.size):
        mean = np.float64(sums[x]) / pixels * factor
        means[x] = mean if mean > least else least


@compiled
def mark_values(labels: np.ndarray, found: np.ndarray) -> None:
    """Set ``found`` (256,) bool at every value of ``labels`` (N,) uint8."""
    for x in range(labels.size):
        found[labels[x]] = True


@compiled
def highest_free(
    bits: np.ndarray,
    free: np.ndarray,
    length: int,
    blocks: np.ndarray,
    tops: np.ndarray,
    where: np.ndarray,
) -> None:
    """Find the highest free value of some blocks of ``length``, and its first index.

    Args:
        bits: (N,) int64, all above 0; positive float64 seen as integers have the same order.
        free: (N,) bool.
        length: of a block; the last may be shorter.
        blocks: int64, the blocks to look at.
        tops: (B,) int64; set, 0 where nothing is free.
        where: (B,) int64; set, indices into ``bits``.
    """
    for block in blocks:
        first = block * length
        part, open_ = bits[first : first + length], free[first : first + length]
        highest = 0
        for x in range(part.size):
            highest = max(highest, part[x] if open_[x] else 0)
        tops[block] = highest
        for x in range(part.size):
            if part[x] == highest and open_[x]:
                where[block] = first + x
                break


# Sums may be reordered, which is ten times faster.
@compiled(fastmath={"reassoc", "contract"})
def squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Add the squared differences, in float64: identical rows are exactly 0 apart."""
    total = 0.0
    for j in range(a.size):
        difference = np.float64(a[j]) - np.float64(b[j])
        total += difference * difference
    return total


@compiled
def squared_distances(table: np.ndarray, row: np.ndarray, found: np.ndarray) -> None:
    """Set ``found`` (R,) float64 to the squared distance of each row of a table from one row."""
    for i in range(found.size):
        found[i] = squared_distance(table[i], row)


@compiled
def farthest(
    table: np.ndarray,
    fixed: np.ndarray,
    centres: np.ndarray,
    open_: np.ndarray,
    nearest: np.ndarray,
    met: np.ndarray,
    scale: float,
    weight: float,
    penalty: np.ndarray,
) -> int:
    """Find the first open candidate with the highest gain; -1 where none is open.

    The gain is the squared distance from the nearest centre, or with a ``scale`` the distance over
    the scale less ``weight`` times the penalty. A distance from some centres bounds that from all
    of them: candidates meet more only while their gain could be the highest.

    Args:
        table: (R, F) float32 or float64, candidates.
        fixed: (L, F) float64, centres that are no candidates.
        centres: (K,) int64, candidates that are centres.
        open_: (R,) bool.
        nearest: (R,) float64, squared distance from the nearest centre met; changed.
        met: (R,) int64, how many of the L + K centres a candidate has met; changed.
        scale: 0 for squared distances.
        weight, penalty: (R,) float64, of the gain with a scale.
    """
    best, place = -np.inf, -1
    for i in range(nearest.size):  # first the highest bound: its gain may rule out the others
        if open_[i]:
            bound = _gain(nearest[i], scale, weight, penalty[i])
            if place < 0 or bound > best:
                best, place = bound, i
    if place < 0:
        return -1
    best = _meet(place, -np.inf, table, fixed, centres, nearest, met, scale, weight, penalty)
    for i in range(nearest.size):
        if open_[i]:
            gain = _gain(nearest[i], scale, weight, penalty[i])
            if gain > best or (gain == best and i < place):
                least = best if i > place else np.nextafter(best, -np.inf)
                gain = _meet(i, least, table, fixed, centres, nearest, met, scale, weight, penalty)
                if gain > best or (gain == best and i < place):
                    best, place = gain, i
    return place


@compiled
def _meet(
    i: int,
    least: float,
    table: np.ndarray,
    fixed: np.ndarray,
    centres: np.ndarray,
    nearest: np.ndarray,
    met: np.ndarray,
    scale: float,
    weight: float,
    penalty: np.ndarray,
) -> float:
    """Let a candidate meet centres while its gain is above ``least``; return the gain."""
    gain = _gain(nearest[i], scale, weight, penalty[i])
    while gain > least and met[i] < fixed.shape[0] + centres.size:
        k = met[i]
        if k < fixed.shape[0]:
            distance = squared_distance(table[i], fixed[k])
        else:
            distance = squared_distance(table[i], table[centres[k - fixed.shape[0]]])
        nearest[i] = min(nearest[i], distance)
        met[i] += 1
        gain = _gain(nearest[i], scale, weight, penalty[i])
    return gain


@compiled
def _gain(squared: float, scale: float, weight: float, penalty: float) -> float:
    return squared if scale == 0 else math.sqrt(squared) / scale - weight * penalty
