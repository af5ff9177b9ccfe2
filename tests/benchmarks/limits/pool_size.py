"""What choosing images costs as the pool grows: the choice, and reading the workflow's tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from al.io.image_statistics import read_statistics, write_statistics
from al.io.records import Record
from al.io.tables import PoolRow, RegionRow, read_pool, write_pool
from al.strategies.budget import Budget
from al.strategies.pool_state import pool_state
from decomp_core import (
    class_confidence,
    decomp_image_scores,
    rotate_images,
    sampling_weights,
    select_images,
)

from .harness import Options, Row, both_clocks, stand_alone

CLASSES = [f"class {i}" for i in range(19)]
SHAPE = (1024, 2048)
CHOSEN, OPENED = 150, 2000  # images of a cycle, and images that earlier cycles opened


class Pool:
    """Predictions, table and history of ``n`` images that nobody has taken."""

    def __init__(self, n: int, folder: Path) -> None:
        rng, count = np.random.default_rng(0), len(CLASSES)
        self.pixels = SHAPE[0] * SHAPE[1]
        self.names = [f"city_{i:06d}" for i in range(n)]
        self.predicted = rng.multinomial(self.pixels, rng.dirichlet(np.ones(count)), n)
        self.confident = (self.predicted * rng.random((n, count))).astype(np.int64)
        self.openings = (np.arange(n) < OPENED).astype(np.int64)
        self.images, self.pool = folder / "images.csv", folder / "pool.csv"
        write_pool(self.pool, [self._row(name) for name in self.names])
        self.history = [
            RegionRow(1, name, "window", None, 0, 0, None, 128, 128, "", 0, 1.0, i)
            for i, name in enumerate(self.names[:OPENED])
        ]

    @staticmethod
    def _row(name: str) -> PoolRow:
        return PoolRow(name, "", "train", f"images/{name}.png", f"labels/{name}.png", SHAPE)

    def write(self) -> None:
        """Write ``images.csv`` for one threshold."""
        counts = zip(self.names, self.predicted, self.confident, strict=True)
        records = (Record(n, self.pixels, p, c[None], p[0] / self.pixels) for n, p, c in counts)
        write_statistics(self.images, records, CLASSES, [0.7])

    def scores(self) -> np.ndarray:
        """Return the images' scores by Eqs. 1 to 3."""
        weights = sampling_weights(class_confidence(self.predicted, self.confident))
        return decomp_image_scores(self.predicted, weights, 0.1 * self.pixels)


def check(pool: Pool, scores: np.ndarray) -> None:
    """Assert that what is chosen is what sorting gives, and that tables hold what was written."""
    n = len(scores)
    rng, everything = np.random.default_rng(0), np.ones(n, bool)
    best = np.sort(scores)[::-1][: min(n, CHOSEN)]
    assert (scores[select_images(scores, CHOSEN, everything, rng)] == best).all()
    unopened = np.sort(scores[pool.openings == 0])[::-1][:CHOSEN]
    rotated = rotate_images(scores, CHOSEN, pool.openings, everything, rng)
    assert (scores[rotated[: len(unopened)]] == unopened).all()
    held = read_statistics(pool.images, CLASSES, 0.7)
    assert list(held) == pool.names
    assert all((held[v][1] == p).all() for v, p in zip(pool.names, pool.predicted, strict=True))
    assert [r.image for r in read_pool(pool.pool, "train")] == pool.names


def calls(pool: Pool) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is timed, by the name of its curve."""
    pool.write()
    scores, everything = pool.scores(), np.ones(len(pool.names), bool)
    check(pool, scores)
    rows, statistics = read_pool(pool.pool), read_statistics(pool.images, CLASSES, 0.7)
    budget = Budget(CHOSEN, 10, (128, 128))
    rng = np.random.default_rng(0)
    yield "weights and scores", pool.scores
    yield "choose by score", lambda: select_images(scores, CHOSEN, everything, rng)
    yield (
        "choose by rotation",
        lambda: rotate_images(scores, CHOSEN, pool.openings, everything, rng),
    )
    yield "write images.csv", pool.write
    yield "read images.csv", lambda: read_statistics(pool.images, CLASSES, 0.7)
    yield "read pool.csv", lambda: read_pool(pool.pool, "train")
    yield (
        "state of the pool",
        lambda: pool_state(rows, pool.history, statistics, "2d", CLASSES, budget),
    )


def rows(options: Options) -> Iterator[Row]:
    """Time every part for pools of growing size."""
    for n in (20, 200) if options.quick else (1_000, 10_000, 100_000):
        repeats = min(options.repeats, 9 if n < 100_000 else 3)
        with tempfile.TemporaryDirectory() as folder:
            for name, call in calls(Pool(n, Path(folder))):
                found = both_clocks(call, repeats)
                yield Row(
                    f"{name}, {n} images", 1e3 * found.cpu, None, "", "ms", "", None,
                    ours_wall=1e3 * found.wall, panel="pool size", series=name, x=n,
                )  # fmt: skip


if __name__ == "__main__":
    stand_alone(rows)
