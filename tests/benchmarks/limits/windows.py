"""Windows of large maps: DECOMP's against an integral image per pick, the uncertain against a sort.

Pool-wide choices from one volume are timed without an alternative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from decomp_core import (
    Region,
    decomp_regions,
    pool_uncertain,
    random_regions,
    spatially_diverse,
    uncertain_regions,
)
from decomp_core.draw import draw_class, draw_one

from .harness import Options, Row, compared, median_seconds, stand_alone, traced_bytes
from .maps import borders, label_map

NUMPY = "numpy, an integral image per pick"
SORTED = "numpy, integral image and full sort"


def numpy_regions(
    labels: np.ndarray, weights: np.ndarray, n: int, side: int, rng: np.random.Generator
) -> list[Region]:
    """Choose as ``decomp_regions`` does: an integral image of the drawn class for every pick.

    Raises:
        ValueError: no class has a free window left.
    """
    live = sorted(int(c) for c in np.unique(labels))
    blocked = np.zeros([k - side + 1 for k in labels.shape], bool)
    chosen: list[Region] = []
    while len(chosen) < n:
        if not live:
            raise ValueError(f"no class has a free window left after {len(chosen)} of {n}")
        cls = draw_class(live, weights, rng)
        score = _free_counts(labels, cls, side, blocked)
        most = int(score.max())
        if most <= 0:
            live.remove(cls)
            continue
        y, x = divmod(draw_one(np.flatnonzero(score == most), rng), score.shape[1])
        chosen.append(Region((y, x), (side, side), cls, most))
        _block(blocked, y, x, side)
    return chosen


def _free_counts(labels: np.ndarray, cls: int, side: int, blocked: np.ndarray) -> np.ndarray:
    """Pixels of the class in the window at each position, -1 where it is blocked."""
    table = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1), np.int32)
    table[1:, 1:] = (labels == cls).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    score = table[side:, side:] - table[:-side, side:] - table[side:, :-side]
    score += table[:-side, :-side]
    score[blocked] = -1
    return score


def _block(blocked: np.ndarray, y: int, x: int, side: int) -> None:
    blocked[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = True


def _check(labels: np.ndarray, side: int, chosen: list[Region]) -> None:
    """Each window holds as much of its class as any that was free then; equals are drawn."""
    blocked = np.zeros([k - side + 1 for k in labels.shape], bool)
    for region in chosen:
        assert region.cls is not None
        score = _free_counts(labels, region.cls, side, blocked)
        assert score[region.start] == region.score == score.max(), f"not the best: {region}"
        _block(blocked, *region.start, side)


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
        _block(blocked, y, x, side)
    return chosen


def rows(options: Options) -> Iterator[Row]:
    """Compare on smooth and on noisy maps; then random windows, and a volume."""
    (height, width), side, n = ((96, 160), 16, 3) if options.quick else ((1024, 2048), 128, 10)
    yield from _decomp(height, width, side, n, options)
    yield from _uncertain(height, width, side, n, options)

    def drawn() -> list[Region]:
        return random_regions((height, width), n, (side, side), np.random.default_rng(0))

    yield _timed(f"{n} random windows of {side}² on {height} x {width}", drawn, options)
    shape, side = ((12, 60, 70), 8) if options.quick else ((600, 512, 512), 32)
    volume = np.empty(shape, np.uint8)
    plane = borders(*shape[1:], 2)
    for z in range(shape[0]):
        volume[z] = np.roll(plane, 3 * z, axis=z % 2)
    image = ("volume", volume, (1, side, side), ())
    name = f"{n} windows of {side}² in slices of one volume of {' x '.join(map(str, shape))}"
    yield _timed(
        f"pool-wide uncertain, {name}", lambda: pool_uncertain(lambda: [image], n), options
    )
    yield _timed(
        f"spatially diverse, {name}", lambda: spatially_diverse(lambda: [image], n, 1.0), options
    )


def _timed(work: str, call: Callable[[], object], options: Options) -> Row:
    found = median_seconds(call, min(3, options.repeats))
    peak = traced_bytes(call) / 2**20
    return Row(work, 1e3 * found, None, "", "ms", "", None, peak_mb=peak)


def _decomp(height: int, width: int, side: int, n: int, options: Options) -> Iterator[Row]:
    classes, seed = 19, 0
    weights = np.random.default_rng(seed).dirichlet(np.ones(classes))
    sizes = f"{n} DECOMP windows of {side}² on {height} x {width}, {classes} classes"
    for name, noise in (("smooth", 0.0), ("10 % random pixels", 0.1)):
        labels = label_map(height, width, classes, noise, seed)

        def ours(labels: np.ndarray = labels) -> list[Region]:
            rng = np.random.default_rng(seed)
            return decomp_regions(labels, weights, n, (side, side), rng)

        def other(labels: np.ndarray = labels) -> list[Region]:
            return numpy_regions(labels, weights, n, side, np.random.default_rng(seed))

        _check(labels, side, ours())
        _check(labels, side, other())
        yield compared(f"{sizes}, {name}", ours, other, NUMPY, 100, options)


def _uncertain(height: int, width: int, side: int, n: int, options: Options) -> Iterator[Row]:
    values = borders(height, width, 2)

    def ours() -> list[Region]:
        return uncertain_regions(values, n, (side, side))

    def other() -> list[tuple[int, int]]:
        return sorted_windows(values, n, side)

    fast, slow = [r.start for r in ours()], other()
    assert fast == slow, f"the windows differ: {fast} and {slow}"
    work = f"{n} uncertain windows of {side}² on {height} x {width}, borders, uint8"
    yield compared(work, ours, other, SORTED, None, options, note="stride 1")


if __name__ == "__main__":
    stand_alone(rows)
