"""Compiled loops: running sums, and the farthest of candidates."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


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


@compiled
def values_in(labels: np.ndarray) -> np.ndarray:
    """Return which of the 256 values ``labels`` (N,) uint8 holds, bool."""
    found = np.zeros(256, np.bool_)
    for x in range(labels.size):
        found[labels[x]] = True
    return found


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
def squared_distances(table: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row of a table from one row, (R,) float64."""
    found = np.empty(table.shape[0])
    for i in range(found.size):
        found[i] = squared_distance(table[i], row)
    return found


@compiled
def farthest(
    table: np.ndarray,
    fixed: np.ndarray,
    centres: np.ndarray,
    open_: np.ndarray,
    nearest: np.ndarray,
    met: np.ndarray,
) -> float:
    """Return the largest squared distance of an open candidate from its nearest centre, or -1.

    -1 where none is open. The open candidates whose ``nearest`` is as large are then the farthest.
    The distance from some centres bounds that from all of them: candidates meet more only while
    they could be the farthest.

    Args:
        table: (R, F) float32 or float64, candidates.
        fixed: (L, F) float64, centres that are no candidates.
        centres: (K,) int64, candidates that are centres.
        open_: (R,) bool.
        nearest: (R,) float64, squared distance from the nearest centre met; changed.
        met: (R,) int64, how many of the L + K centres a candidate has met; changed.
    """
    every = fixed.shape[0] + centres.size
    best, place = -1.0, -1
    for i in range(nearest.size):  # first the highest bound: its distance may rule out the others
        if open_[i] and nearest[i] > best:
            best, place = nearest[i], i
    if place < 0:
        return -1.0
    while met[place] < every:
        _meet_next(place, table, fixed, centres, nearest, met)
    best = nearest[place]
    for i in range(nearest.size):
        while open_[i] and nearest[i] >= best and met[i] < every:
            _meet_next(i, table, fixed, centres, nearest, met)
        if open_[i] and nearest[i] > best:
            best = nearest[i]
    return best


@compiled
def _meet_next(
    i: int,
    table: np.ndarray,
    fixed: np.ndarray,
    centres: np.ndarray,
    nearest: np.ndarray,
    met: np.ndarray,
) -> None:
    k = met[i] - fixed.shape[0]
    if k < 0:
        distance = squared_distance(table[i], fixed[met[i]])
    else:
        distance = squared_distance(table[i], table[centres[k]])
    nearest[i] = min(nearest[i], distance)
    met[i] += 1
