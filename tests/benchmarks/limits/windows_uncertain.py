"""Uncertain windows under non-maximum suppression, against sorting all windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from decomp_core import Region, uncertain_regions

from .harness import Options, Row, compared, stand_alone
from .maps import borders

SORTED = "numpy, integral image and full sort"


def sorted_windows(values: np.ndarray, n: int, side: int) -> list[tuple[int, int]]:
    """Return (y, x) of the best windows without overlap: sums, a stable sort, a walk.

    Sums are int64 for integers and float64 for floats. The walk looks at many places at a time.
    """
    kind = np.int64 if values.dtype.kind in "iu" else np.float64
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), kind)
    table[1:, 1:] = values.cumsum(0, dtype=kind).cumsum(1)
    sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side]
    sums += table[:-side, :-side]
    order = np.argsort(-sums, axis=None, kind="stable")
    blocked = np.zeros(sums.shape, bool)
    flat, chosen, place, stretch = blocked.ravel(), [], 0, 1 << 13
    while len(chosen) < n and place < order.size:
        free = np.flatnonzero(~flat[order[place : place + stretch]])
        if not free.size:
            place += stretch
            continue
        place += int(free[0])
        y, x = divmod(int(order[place]), sums.shape[1])
        chosen.append((y, x))
        blocked[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = True
    return chosen


def rows(options: Options) -> Iterator[Row]:
    """Compare on random pixels and on borders, as uint8 and as float32."""
    (height, width), side, n = (1024, 2048), 128, 10
    if options.quick:
        (height, width), side, n = (96, 160), 16, 4
    noise = np.random.default_rng(1).integers(0, 256, (height, width), dtype=np.uint8)
    sizes = f"{n} uncertain windows of {side}² on {height} x {width}"
    for name, map_ in (("random pixels", noise), ("borders", borders(height, width, 2))):
        real = np.random.default_rng(3).random(map_.shape, np.float32) / 8
        for values in (map_, map_.astype(np.float32) / 255 + real):

            def ours(values: np.ndarray = values) -> list[Region]:
                return uncertain_regions(values, n, (side, side))

            def other(values: np.ndarray = values) -> list[tuple[int, int]]:
                return sorted_windows(values, n, side)

            fast, slow = [r.start for r in ours()], other()
            assert fast == slow, f"the windows differ: {fast} and {slow}"
            work = f"{sizes}, {name}, {values.dtype}"
            yield compared(work, ours, other, SORTED, 20, options, note="stride 1")


if __name__ == "__main__":
    stand_alone(rows)
