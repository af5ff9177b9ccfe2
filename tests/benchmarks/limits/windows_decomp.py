"""10 DECOMP windows on one large label map, against a numpy integral image per pick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from decomp_core import Region, decomp_regions, random_regions
from decomp_core.draw import draw_class

from .harness import Options, Row, both_clocks, compared, stand_alone
from .maps import label_map

NUMPY = "numpy, an integral image per pick"


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
        table = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1), np.int32)
        table[1:, 1:] = (labels == cls).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
        score = table[side:, side:] - table[:-side, side:] - table[side:, :-side]
        score += table[:-side, :-side]
        score[blocked] = -1
        y, x = (int(v) for v in np.unravel_index(score.argmax(), score.shape))
        if score[y, x] <= 0:
            live.remove(cls)
            continue
        chosen.append(Region((y, x), (side, side), cls, int(score[y, x])))
        blocked[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = True
    return chosen


def rows(options: Options) -> Iterator[Row]:
    """Compare on a smooth map and on one with 10 % random pixels."""
    (height, width), side, n = (96, 160) if options.quick else (1024, 2048), 128, 10
    side, n = (16, 3) if options.quick else (side, n)
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

        fast, slow = ours(), other()
        assert fast == slow, f"the windows differ: {fast} and {slow}"
        yield compared(f"{sizes}, {name}", ours, other, NUMPY, 100, options)

    def drawn() -> list[Region]:
        return random_regions((height, width), n, (side, side), np.random.default_rng(seed))

    found = both_clocks(drawn, options.repeats)
    work = f"{n} random windows of {side}² on {height} x {width}"
    yield Row(work, 1e3 * found.cpu, None, "", "ms", "", None, ours_wall=1e3 * found.wall)


if __name__ == "__main__":
    stand_alone(rows)
