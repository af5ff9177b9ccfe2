"""Compiled search for the box that holds most of a class, by upper bounds over tiles.

A block is ``SIDE`` x ``SIDE`` pixels, a tile ``SIDE`` x ``SIDE`` positions. Every window that
starts in a tile lies in the same few blocks, whose counts of the class bound it from above. Tiles
are looked at best bound first, all their positions exactly, until no bound reaches what was found.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled
from .kernels import slide

SIDE = 16  # of a block, in pixels
Blocks = tuple[np.ndarray, np.ndarray, np.ndarray]  # of ``summarise``
_NEAR = 4  # tiles between two to look at that cost less than a second start


@compiled
def summarise(labels: np.ndarray, found: np.ndarray) -> Blocks:
    """Find the labels in each block, and which of the 256 labels there are.

    Labels are taken one higher, 255 as 0, so that ranges do not stretch to "no class".

    Args:
        labels: (H, W) uint8.
        found: (256,) bool, by label; set where one is found.

    Returns:
        Lowest and highest of these values, (ceil(H / SIDE), ceil(W / SIDE)) uint8 each, and uint64
        with bit k set where a value is k modulo 64, or might be.
    """
    width = labels.shape[1]
    blocks = -(-labels.shape[0] // SIDE), -(-width // SIDE)
    low, high = np.empty(blocks, np.uint8), np.empty(blocks, np.uint8)
    bits = np.empty(blocks, np.uint64)
    least, most = np.empty(width, np.uint8), np.empty(width, np.uint8)
    for row in range(low.shape[0]):
        least[:] = 255
        most[:] = 0
        block = labels[row * SIDE : row * SIDE + SIDE]
        for y in range(block.shape[0]):
            _extremes(block[y], least, most)
        mixed = 0
        for x in range(low.shape[1]):
            left, right = x * SIDE, min(width, x * SIDE + SIDE)
            a, b = least[left], most[left]
            for k in range(left + 1, right):
                a = min(a, least[k])
                b = max(b, most[k])
            low[row, x], high[row, x] = a, b
            mixed += a < b
        for x in range(low.shape[1]):
            a, b = low[row, x], high[row, x]
            look = a < b and 2 * mixed <= low.shape[1]  # in noise it would cost more than it saves
            for value in range(a, b + 1):
                look |= not found[np.uint8(value - 1)]
            if look:
                bits[row, x] = _bits(block[:, x * SIDE : x * SIDE + SIDE], found)
            else:
                bits[row, x] = ~np.uint64(0) if a < b else np.uint64(1) << np.uint64(a & 63)
    return low, high, bits


@compiled
def _bits(block: np.ndarray, found: np.ndarray) -> np.uint64:
    held = np.uint64(0)
    for y in range(block.shape[0]):
        for x in range(block.shape[1]):
            held |= np.uint64(1) << np.uint64((block[y, x] + 1) & 63)
            found[block[y, x]] = True
    return held


@compiled
def _extremes(row: np.ndarray, least: np.ndarray, most: np.ndarray) -> None:
    for x in range(row.size):
        value = np.uint8(row[x] + 1)
        least[x] = value if value < least[x] else least[x]
        most[x] = value if value > most[x] else most[x]


@compiled
def bound_tiles(labels: np.ndarray, cls: int, size: tuple[int, int], blocks: Blocks) -> np.ndarray:
    """Bound the pixels of a class in every window that starts in a tile.

    Args:
        labels: (H, W) uint8.
        cls: class, 0 to 254.
        size: (h, w) of the window.
        blocks: of ``summarise``.

    Returns:
        (ceil(P / SIDE), ceil(Q / SIDE)) int64 for P x Q positions.
    """
    rows, columns = labels.shape[0] - size[0] + SIDE, labels.shape[1] - size[1] + SIDE
    bound = np.zeros((rows // SIDE, columns // SIDE), np.int64)
    down, right = (size[0] + SIDE - 2) // SIDE + 1, (size[1] + SIDE - 2) // SIDE + 1
    counts = np.zeros((bound.shape[0] + down - 1, bound.shape[1] + right - 1), np.int64)
    narrow = np.zeros(labels.shape[1], np.uint8)
    low, high, bits = blocks
    for row in range(low.shape[0]):
        held = low[row], high[row], bits[row]
        _count_blocks(labels, row, cls, held, narrow, counts[row, : low.shape[1]])
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
    held: Blocks,
    narrow: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Count the class in each block of a row of blocks; read only those that may be mixed."""
    low, high, bits = held
    value = np.uint8(cls + 1)
    bit = np.uint64(1) << np.uint64(value & 63)
    block = labels[row * SIDE : row * SIDE + SIDE]
    first, last = -1, -1
    for x in range(low.size + 1):
        mixed = False
        if x < low.size:
            inside = low[x] <= value and high[x] >= value and bits[x] & bit != 0
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
    for y in range(block.shape[0]):
        row = block[y]
        for x in range(narrow.size):
            narrow[x] = np.uint8(narrow[x] + np.uint8(row[x] == cls))


@compiled
def search(
    labels: np.ndarray,
    cls: int,
    size: tuple[int, int],
    free: np.ndarray,
    bound: np.ndarray,
    place: np.ndarray,
    scratch: np.ndarray,
) -> tuple[int, int]:
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
        Pixels and position, y Q + x; 0 pixels where no free window holds any.
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
            return best, where
        _look(labels, cls, size, free, row, limit, bound[row], place[row], scratch)
        tops[row] = -1
        for x in range(bound.shape[1]):
            value = bound[row, x]
            if value > best or (value >= limit and value == best and place[row, x] < where):
                best, where = value, place[row, x]


@compiled
def equals_in(
    labels: np.ndarray,
    cls: int,
    size: tuple[int, int],
    free: np.ndarray,
    tile: tuple[int, int],
    pixels: int,
    scratch: np.ndarray,
) -> np.ndarray:
    """Find the free positions of a tile whose windows hold so many pixels of a class.

    Args:
        labels, cls, size, free, scratch: see ``search``.
        tile: its row and column.
        pixels: above 0.

    Returns:
        (K,) int64, y Q + x, ascending.
    """
    height, width = size
    top, left = tile[0] * SIDE, tile[1] * SIDE
    bottom, right = min(free.shape[0], top + SIDE), min(free.shape[1], left + SIDE)
    end = right + width - 1
    columns, sums = scratch[0, : end - left], scratch[1, : right - left]
    found, n = np.empty(SIDE * SIDE, np.int64), 0
    _count_columns(labels[top : top + height, left:end], cls, columns)
    for y in range(top, bottom):
        if y > top:
            _slide(columns, labels[y - 1, left:end], labels[y + height - 1, left:end], cls)
        _sum_across(columns, width, scratch[4:], sums)
        for k in range(sums.size):
            if sums[k] == pixels and free[y, left + k]:
                found[n] = y * free.shape[1] + left + k
                n += 1
    return found[:n]


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
