"""Compiled loops over boxes: running sums, integers from floats, the highest of each block."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled
def round_scaled(values: np.ndarray, factor: float, rest: float, fixed: np.ndarray) -> None:
    """Set ``fixed`` (N,) int64 to float ``values`` (N,) times both factors, rounded to even."""
    for x in range(values.size):
        fixed[x] = np.int64(np.rint(np.float64(values[x]) * factor * rest))


@compiled(error_model="numpy")
def scale_sums(
    sums: np.ndarray, pixels: float, factor: float, rest: float, least: float, means: np.ndarray
) -> None:
    """Set ``means`` (N,) float64 to int64 ``sums`` (N,) over ``pixels``, at least ``least``."""
    for x in range(sums.size):
        mean = np.float64(sums[x]) / pixels * factor * rest
        means[x] = mean if mean > least else least


@compiled
def slide_slices(
    slices: np.ndarray,
    first: int,
    size: tuple[int, int, int],
    step: tuple[int, int, int],
    ring: np.ndarray,
    total: np.ndarray,
    found: np.ndarray,
) -> int:
    """Move a box down over some more slices of a volume, by running sums along every axis.

    What is kept between slices is what a box covers, so that nothing has the volume's size.

    Args:
        slices: (N, H, W) int64, the next slices.
        first: number of the first of them in the volume.
        size, step: of the box and between positions, along each axis.
        ring: (size[0], Q, R) int64, sums over the box within each of the last slices, slice z at
            z % size[0]; 0 before the first; changed in place.
        total: (Q, R) int64, the sum of ``ring``; changed in place.
        found: (at least the new positions, Q, R) int64; set to the sums.

    Returns:
        How many positions along the first axis are new.
    """
    height, depth, count = slices.shape[1], size[0], 0
    column = np.empty(slices.shape[2], np.int64)
    line = np.empty(total.shape[1], np.int64)
    for i in range(slices.shape[0]):
        z = first + i
        place = z - depth + 1
        complete = place >= 0 and place % step[0] == 0
        last = ring[z % depth]
        column[:] = 0
        for y in range(size[1] - 1):
            _add_row(column, slices[i, y])
        for top in range(height - size[1] + 1):
            _add_row(column, slices[i, top + size[1] - 1])
            if top % step[1] == 0:
                q = top // step[1]
                _slide_row(column, size[2], step[2], line)
                _replace_row(line, last[q], total[q])
                if complete:
                    _copy_row(total[q], found[count, q])
            _subtract_row(column, slices[i, top])
        count += complete
    return count


@compiled
def _add_row(column: np.ndarray, row: np.ndarray) -> None:
    for x in range(column.size):
        column[x] += row[x]


@compiled
def _subtract_row(column: np.ndarray, row: np.ndarray) -> None:
    for x in range(column.size):
        column[x] -= row[x]


@compiled
def _copy_row(row: np.ndarray, copy: np.ndarray) -> None:
    for x in range(row.size):
        copy[x] = row[x]


@compiled
def _slide_row(column: np.ndarray, length: int, step: int, line: np.ndarray) -> None:
    running = 0
    for x in range(length):
        running += column[x]
    line[0] = running
    if step == 1:
        for x in range(line.size - 1):
            running += column[x + length] - column[x]
            line[x + 1] = running
        return
    for r in range(line.size - 1):
        for x in range(r * step, (r + 1) * step):
            running += column[x + length] - column[x]
        line[r + 1] = running


@compiled
def _replace_row(line: np.ndarray, last: np.ndarray, total: np.ndarray) -> None:
    """Add to the total the new line less the one it replaces."""
    for x in range(line.size):
        total[x] += line[x] - last[x]
        last[x] = line[x]


@compiled
def highest_free(
    bits: np.ndarray, free: np.ndarray, length: int, tops: np.ndarray, where: np.ndarray
) -> None:
    """Find the highest free value of each block of ``length``, and its first index.

    Args:
        bits: (N,) int64, all above 0; positive float64 seen as integers have the same order.
        free: (N,) bool.
        length: of a block; the last may be shorter.
        tops: (B,) int64; set, 0 where nothing is free.
        where: (B,) int64; set, indices into ``bits``.
    """
    for block in range(tops.size):
        _search_block(bits, free, length, block, tops, where)


@compiled
def highest_again(
    bits: np.ndarray,
    free: np.ndarray,
    length: int,
    tops: np.ndarray,
    where: np.ndarray,
    starts: np.ndarray,
    width: int,
) -> None:
    """Search those blocks again whose highest value is no longer free; see ``highest_free``.

    Args:
        starts: (R,) int64, the first index of each row of positions that are no longer free.
        width: of each of these rows.
    """
    for r in range(starts.size):
        for block in range(starts[r] // length, (starts[r] + width - 1) // length + 1):
            if tops[block] > 0 and not free[where[block]]:
                _search_block(bits, free, length, block, tops, where)


@compiled
def _search_block(
    bits: np.ndarray,
    free: np.ndarray,
    length: int,
    block: int,
    tops: np.ndarray,
    where: np.ndarray,
) -> None:
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
