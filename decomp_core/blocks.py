"""Which labels each block of a label map holds, in one pass."""

from __future__ import annotations

import numpy as np

from .compiling import compiled

SIDE = 16  # of a block, in pixels; a power of 4, see _fold


@compiled
def summarise(
    labels: np.ndarray, low: np.ndarray, high: np.ndarray, bits: np.ndarray, found: np.ndarray
) -> None:
    """Find the labels in each block, and which of the 256 labels there are.

    Labels are taken one higher, 255 as 0, so that ranges do not stretch to "no class".

    Args:
        labels: (H, W) uint8.
        low, high: (ceil(H / SIDE), ceil(W / SIDE)) uint8, set to the range of these values.
        bits: of that shape, uint64, set: bit k where a value is k modulo 64, or might be.
        found: (256,) bool, by label; set where one is found.
    """
    width, columns = labels.shape[1], low.shape[1]
    least, most = np.empty((2, columns * SIDE), np.uint8)
    spare = np.empty(columns * SIDE, np.uint8)
    after = np.arange(257)  # the first value from here on that was not found
    for row in range(low.shape[0]):
        least[:] = 255
        most[:] = 0
        block = labels[row * SIDE : row * SIDE + SIDE]
        for y in range(block.shape[0]):
            _extremes(block[y], least[:width], most[:width])
        _fold(least, spare, False)
        _fold(most, spare, True)
        mixed, new = 0, False
        for x in range(columns):
            a, b = least[x * SIDE], most[x * SIDE]
            low[row, x], high[row, x] = a, b
            bits[row, x] = np.uint64(1) << np.uint64(a & 63)
            mixed += a < b
            new |= after[a] <= b
        if 2 * mixed > columns:  # noise: looking at every block would cost more than it saves
            for x in range(columns):
                if low[row, x] < high[row, x]:
                    bits[row, x] = ~np.uint64(0)
        elif mixed:
            for x in range(columns):
                if low[row, x] < high[row, x]:
                    bits[row, x] = _bits(block[:, x * SIDE : x * SIDE + SIDE])
        if new:
            _mark(block, low[row], high[row], bits[row], found, after)


@compiled
def _extremes(row: np.ndarray, least: np.ndarray, most: np.ndarray) -> None:
    for x in range(row.size):
        value = np.uint8(row[x] + 1)
        least[x] = value if value < least[x] else least[x]
        most[x] = value if value > most[x] else most[x]


@compiled
def _fold(values: np.ndarray, spare: np.ndarray, highest: bool) -> None:
    """Give every ``SIDE``-th value the lowest, or the highest, of those up to the next."""
    source, target, step = values, spare, SIDE // 2
    while step:
        n = values.size - step
        a, b, out = source[:n], source[step:], target[:n]
        if highest:
            for x in range(n):
                out[x] = a[x] if a[x] > b[x] else b[x]
        else:
            for x in range(n):
                out[x] = a[x] if a[x] < b[x] else b[x]
        source, target, step = target, source, step // 2


@compiled
def _bits(block: np.ndarray) -> int:
    bits = np.uint64(0)
    for y in range(block.shape[0]):
        row = block[y]
        for x in range(row.size):
            bits |= np.uint64(1) << np.uint64(np.uint8(row[x] + 1) & 63)
    return bits


@compiled
def _mark(
    block: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    bits: np.ndarray,
    found: np.ndarray,
    after: np.ndarray,
) -> None:
    """Set ``found`` and ``after`` by a row of blocks."""
    plain, looked = np.uint64(0), False
    for x in range(low.size):
        if high[x] < 64 and bits[x] != ~np.uint64(0):
            plain |= bits[x]
        elif low[x] == high[x]:
            found[np.uint8(low[x] - 1)] = True
        elif after[low[x]] <= high[x] and not looked:
            looked = True
            for y in range(block.shape[0]):
                for k in range(block.shape[1]):
                    found[block[y, k]] = True
    for k in range(64):
        if plain >> np.uint64(k) & np.uint64(1):
            found[np.uint8(k - 1)] = True
    for value in range(255, -1, -1):
        after[value] = after[value + 1] if found[np.uint8(value - 1)] else value
