"""Compiled search for the box that holds most of a class, by upper bounds over tiles.

A block is ``SIDE`` x ``SIDE`` pixels, a tile ``SIDE`` x ``SIDE`` positions. Every window that
starts in a tile lies in the same few blocks, whose counts of the class bound it from above. Tiles
are looked at best bound first, all their positions exactly, until no bound reaches what was found.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled
from .kernels import slide

SIDE = 16  # of a block, in pixels; a power of 4, see _fold


@compiled
def summarise(labels: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the range of the labels in each block, and which of the 256 labels there are.

    Labels are taken one higher, 255 as 0, so that ranges do not stretch to "no class".

    Args:
        labels: (H, W) uint8.
        found: (256,) bool, by label; set where one is found.

    Returns:
        Lowest and highest of these values, (ceil(H / SIDE), ceil(W / SIDE)) uint8 each.
    """
    width = labels.shape[1]
    blocks = -(-labels.shape[0] // SIDE), -(-width // SIDE)
    low, high = np.empty(blocks, np.uint8), np.empty(blocks, np.uint8)
    least, most = np.empty(width, np.uint8), np.empty(width, np.uint8)
    for row in range(low.shape[0]):
        least[:] = 255
        most[:] = 0
        block = labels[row * SIDE : row * SIDE + SIDE]
        for y in range(block.shape[0]):
            _extremes(block[y], least, most)
        for x in range(low.shape[1]):
            left, right = x * SIDE, min(width, x * SIDE + SIDE)
            a, b = least[left], most[left]
            for k in range(left + 1, right):
                a = min(a, least[k])
                b = max(b, most[k])
            low[row, x], high[row, x] = a, b
            new = False
            for value in range(a, b + 1):
                new |= not found[np.uint8(value - 1)]
            if new:  # there may be labels that no block held before
                for y in range(block.shape[0]):
                    for k in range(left, right):
                        found[block[y, k]] = True
    return low, high


@compiled
def _extremes(row: np.ndarray, least: np.ndarray, most: np.ndarray) -> None:
    for x in range(row.size):
        value = np.uint8(row[x] + 1)
        least[x] = value if value < least[x] else least[x]
        most[x] = value if value > most[x] else most[x]


_NEAR = 4  # tiles between two to look at that cost less than a second start


@compiled
def bound_tiles(
    labels: np.ndarray, cls: int, size: tuple[int, int], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Bound the pixels of a class in every window that starts in a tile.

    Args:
        labels: (H, W) uint8.
        cls: class, 0 to 254.
        size: (h, w) of the window.
        low, high: of ``summarise``.

    Returns:
        (ceil(P / SIDE), ceil(Q / SIDE)) int64 for P x Q positions.
    """
    rows, columns = labels.shape[0] - size[0] + SIDE, labels.shape[1] - size[1] + SIDE
    bound = np.zeros((rows // SIDE, columns // SIDE), np.int64)
    down, right = (size[0] + SIDE - 2) // SIDE + 1, (size[1] + SIDE - 2) // SIDE + 1
    counts = np.zeros((bound.shape[0] + down - 1, bound.shape[1] + right - 1), np.int64)
    narrow = np.zeros(labels.shape[1], np.uint8)
    for row in range(low.shape[0]):
        _count_blocks(labels, row, cls, low[row], high[row], narrow, counts[row, : low.shape[1]])
    every = np.array([[0, 0, down, right]])
    slide(counts, every, 1, 1, np.zeros_like(bound), bound)
    for row in bound:
        for x in range(row.size):
            row[x] = min(row[x], size[0] * size[1])
    return bound


@compiled
def _count_blocks(
    labels: np.ndarray,
    row: int,
    cls: int,
    low: np.ndarray,
    high: np.ndarray,
    narrow: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Count the class in each block of a row of blocks; read only those that may be mixed."""
    value = np.uint8(cls + 1)
    block = labels[row * SIDE : row * SIDE + SIDE]
    first, last = -1, -1
    for x in range(low.size + 1):
        mixed = False
        if x < low.size:
            inside = low[x] <= value and high[x] >= value
            mixed = inside and low[x] < high[x]
            pixels = block.shape[0] * min(SIDE, block.shape[1] - x * SIDE)
            counts[x] = pixels if inside and not mixed else 0
        if first >= 0 and (x == low.size or (mixed and x - last > _NEAR)):
            left, right = first * SIDE, min(block.shape[1], last * SIDE + SIDE)
            part = narrow[: right - left]
            part[:] = 0
            _count_rows(block[:, left:right], np.uint8(cls), part)
            _gather(part, counts[first : last + 1])
            first = -1
        if mixed:
            first, last = (x if first < 0 else first), x


@compiled
def _gather(columns: np.ndarray, counts: np.ndarray) -> None:
    for x in range(counts.size):
        counts[x] = 0
        for k in range(x * SIDE, min(columns.size, x * SIDE + SIDE)):
            counts[x] += columns[k]


@compiled
def _count_rows(block: np.ndarray, cls: int, narrow: np.ndarray) -> None:
    """Add the pixels of a class in each column, at most 255 rows."""
    y = 0
    while y + 4 <= block.shape[0]:
        _add_four(block[y], block[y + 1], block[y + 2], block[y + 3], cls, narrow)
        y += 4
    while y < block.shape[0]:
        row = block[y]
        for x in range(narrow.size):
            narrow[x] = np.uint8(narrow[x] + np.uint8(row[x] == cls))
        y += 1


@compiled
def _add_four(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, cls: int, narrow: np.ndarray
) -> None:
    for x in range(narrow.size):
        ones = np.uint8(a[x] == cls) + np.uint8(b[x] == cls)
        more = np.uint8(c[x] == cls) + np.uint8(d[x] == cls)
        narrow[x] = np.uint8(narrow[x] + ones + more)


@compiled
def search(
    labels: np.ndarray,
    cls: int,
    size: tuple[int, int],
    free: np.ndarray,
    bound: np.ndarray,
    place: np.ndarray,
    scratch: np.ndarray,
) -> tuple[int, int, int]:
    """Find the free window with the most pixels of a class, the first of equals in row-major order.

    Args:
        labels: (H, W) uint8.
        cls: class, 0 to 254.
        size: (h, w) of the window.
        free: (P, Q) bool, positions.
        bound: (R, C) int64 of ``bound_tiles``; tiles looked at get their best free count.
        place: (R, C) int64, the first position with that count, y Q + x, -1 before any look.
        scratch: (6, W) uint16, or uint32 for windows of more pixels.

    Returns:
        Pixels, row and column; 0 pixels where no free window holds any.
    """
    tops = np.empty(bound.shape[0], np.int64)
    for row in range(tops.size):
        tops[row] = bound[row].max()
    best, where = 0, np.int64(-1)
    while True:
        row = tops.argmax()
        here = where // free.shape[1] // SIDE
        limit = best if row < here else best + 1  # an earlier equal one comes first
        if tops[row] < limit:
            return best, where // free.shape[1], where % free.shape[1]
        _look(labels, cls, size, free, row, limit, bound[row], place[row], scratch)
        tops[row] = -1
        for x in range(bound.shape[1]):
            value = bound[row, x]
            if value > best or (value >= limit and value == best and place[row, x] < where):
                best, where = value, place[row, x]


@compiled
def _look(
    labels: np.ndarray,
    cls: int,
    size: tuple[int, int],
    free: np.ndarray,
    row: int,
    limit: int,
    bound: np.ndarray,
    place: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Make the bounds of a row of tiles exact where they reach ``limit``."""
    first, last = -1, -1
    for x in range(bound.size + 1):
        wanted = False
        if x < bound.size and bound[x] >= limit:
            y = place[x] // free.shape[1]
            wanted = place[x] < 0 or not free[y, place[x] % free.shape[1]]
        if first >= 0 and (x == bound.size or (wanted and x - last > _NEAR)):
            _sweep(labels, cls, size, free, row, first, last + 1, bound, place, scratch)
            first = -1
        if wanted:
            first, last = (x if first < 0 else first), x


@compiled
def _sweep(
    labels: np.ndarray,
    cls: int,
    size: tuple[int, int],
    free: np.ndarray,
    row: int,
    first: int,
    stop: int,
    bound: np.ndarray,
    place: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Count the class in every window that starts in neighbouring tiles of a row of tiles."""
    height, width = size
    left, right = first * SIDE, min(free.shape[1], stop * SIDE)
    top, bottom = row * SIDE, min(free.shape[0], row * SIDE + SIDE)
    n, end = right - left, right + width - 1
    columns, sums = scratch[0, : end - left], scratch[1, :n]
    best, rows = scratch[2, :n], scratch[3, :n]
    best[:] = 0
    _count_columns(labels[top : top + height, left:end], cls, columns)
    for y in range(top, bottom):
        if y > top:
            _slide(columns, labels[y - 1, left:end], labels[y + height - 1, left:end], cls)
        _sum_across(columns, width, scratch[4:], sums)
        _keep(sums, free[y, left:right], np.uint8(y - top), best, rows)
    for x in range(first, stop):
        a, b = (x - first) * SIDE, min((x - first) * SIDE + SIDE, n)
        k, most = a, best[a]
        for j in range(a + 1, b):
            if best[j] > most or (best[j] == most and rows[j] < rows[k]):
                k, most = j, best[j]
        bound[x] = most
        place[x] = (top + np.int64(rows[k])) * free.shape[1] + left + k


@compiled
def _count_columns(block: np.ndarray, cls: int, columns: np.ndarray) -> None:
    narrow = np.empty(columns.size, np.uint8)
    columns[:] = 0
    for top in range(0, block.shape[0], 252):
        narrow[:] = 0
        _count_rows(block[top : top + 252], np.uint8(cls), narrow)
        for x in range(columns.size):
            columns[x] += narrow[x]


@compiled
def _slide(columns: np.ndarray, old: np.ndarray, new: np.ndarray, cls: int) -> None:
    value = np.uint8(cls)
    for x in range(columns.size):
        columns[x] += np.uint8(new[x] == value) - np.uint8(old[x] == value)


@compiled
def _sum_across(columns: np.ndarray, width: int, spare: np.ndarray, sums: np.ndarray) -> None:
    """Sum ``width`` neighbours at each position, by the digits of ``width`` in base 4.

    Sums over 4^k neighbours come from those over 4^(k - 1): a few vectorised passes, where running
    sums would take a step after the other.
    """
    sums[:] = 0
    source, step, done, side = columns, 1, 0, 0
    n = sums.size
    while True:
        for _ in range(width // step % 4):
            part = source[done : done + n]
            for x in range(n):
                sums[x] += part[x]
            done += step
        if 4 * step > width:
            return
        length = source.size - 3 * step
        target = spare[side, :length]
        _add_apart(source, step, target)
        source, step, side = target, 4 * step, 1 - side


@compiled
def _add_apart(source: np.ndarray, step: int, target: np.ndarray) -> None:
    n = target.size
    a, b = source[:n], source[step : step + n]
    c, d = source[2 * step : 2 * step + n], source[3 * step : 3 * step + n]
    for x in range(n):
        target[x] = (a[x] + b[x]) + (c[x] + d[x])


@compiled
def _keep(sums: np.ndarray, free: np.ndarray, row: int, best: np.ndarray, rows: np.ndarray) -> None:
    """Keep the highest free sum of each column and the first row that has it."""
    for x in range(sums.size):
        sums[x] *= np.uint8(free[x])
    for x in range(sums.size):
        rows[x] = row if sums[x] > best[x] else rows[x]
    for x in range(sums.size):
        best[x] = sums[x] if sums[x] > best[x] else best[x]
