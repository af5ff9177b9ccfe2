"""Compiled loops. Everything is integer arithmetic, so that sums and ties are exact."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled
def scan_rows(
    values: np.ndarray,
    boxes: np.ndarray,
    blocked: np.ndarray,
    first: int,
    stop: int,
    lowest: int,
    best: np.ndarray,
    where: np.ndarray,
) -> None:
    """Find the best free window of each row of positions, by running sums.

    No map of sums is written: one row of it stays in the cache, which costs half of keeping it.

    Args:
        values: (H, W) uint8 or int64.
        boxes: (K, 4) int64, the window's boxes: top, left, height, width from its position.
        blocked: (P, Q) bool, positions of the window that are not free.
        first: first row of positions to look at.
        stop: row after the last.
        lowest: a value below every sum.
        best: (P,) int32 or int64, wide enough for every sum; the largest free one of a row,
            ``lowest`` without any; changed in place.
        where: (P,) int64, the first column that holds it; changed in place.
    """
    width = blocked.shape[1]
    columns = np.zeros((boxes.shape[0], values.shape[1]), best.dtype)
    sums = np.zeros(width, best.dtype)
    floor = best.dtype.type(lowest)
    for k in range(boxes.shape[0]):
        top, left, rows, cols = boxes[k]
        column = columns[k, : width + cols - 1]
        for y in range(first + top, first + top + rows):
            _add_row(column, values[y, left : left + column.size])
    for y in range(first, stop):
        for k in range(boxes.shape[0]):
            top, left, rows, cols = boxes[k]
            column = columns[k, : width + cols - 1]
            if y > first:
                old = values[y + top - 1, left : left + column.size]
                new = values[y + top + rows - 1, left : left + column.size]
                _slide_row(column, old, new)
            if k == 0:
                set_sums(column, cols, sums)
            else:
                _add_sums(column, cols, sums)
        free = blocked[y]
        highest = floor
        for x in range(width):
            highest = max(highest, floor if free[x] else sums[x])
        best[y] = highest
        for x in range(width):
            if sums[x] == highest and not free[x]:
                where[y] = x
                break


@compiled
def _add_row(column: np.ndarray, row: np.ndarray) -> None:
    for x in range(column.size):
        column[x] += row[x]


@compiled
def _slide_row(column: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
    for x in range(column.size):
        column[x] += new[x] - old[x]


@compiled
def set_sums(column: np.ndarray, cols: int, sums: np.ndarray) -> None:
    """Set ``sums`` to those of ``cols`` neighbours of ``column``, at every place."""
    running = 0
    for x in range(cols):
        running += column[x]
    sums[0] = running
    for x in range(sums.size - 1):
        running += column[x + cols] - column[x]
        sums[x + 1] = running


@compiled
def _add_sums(column: np.ndarray, cols: int, sums: np.ndarray) -> None:
    running = 0
    for x in range(cols):
        running += column[x]
    sums[0] += running
    for x in range(sums.size - 1):
        running += column[x + cols] - column[x]
        sums[x + 1] += running


@compiled
def presence(labels: np.ndarray, axis: int, found: np.ndarray) -> None:
    """Mark which of the 256 values each slice of a volume holds.

    Args:
        labels: (A, B, C) uint8.
        axis: slice axis.
        found: (slices, 256) bool, changed in place.
    """
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                index = z if axis == 0 else (y if axis == 1 else x)
                found[index, labels[z, y, x]] = True
