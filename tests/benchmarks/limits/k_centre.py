"""One step of k-centre greedy over pooled features, against scikit-learn's distances."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.metrics import pairwise_distances

from decomp_core import choose

from .harness import Options, Row, stand_alone

SKLEARN = "scikit-learn, `pairwise_distances`, minimum and argmax"
ROUNDING = 1e-4  # of a distance: where scikit-learn's own rounding may decide


def gaussian(count: int, width: int) -> np.ndarray:
    """Return (count, width) float32 noise: all distances nearly the same."""
    return np.random.default_rng(0).standard_normal((count, width), np.float32)


def clustered(count: int, width: int) -> np.ndarray:
    """Return (count, width) float32 as after a ReLU: 200 clusters of uneven size, half zeros."""
    rng = np.random.default_rng(1)
    middles = rng.standard_normal((200, width), np.float32) * 2
    numbers = rng.choice(200, count, p=rng.dirichlet(np.ones(200)))
    return np.maximum(middles[numbers] + rng.standard_normal((count, width), np.float32) / 2, 0)


def greedy(features: np.ndarray, n: int) -> list[int]:
    """Choose n rows by k-centre greedy, the first row being there already."""
    size, rng = len(features), np.random.default_rng(0)
    group = np.arange(size)
    centres = features[:1].astype(np.float64)
    return choose(features, np.zeros(size), group, n, None, rng, "coreset", centres=centres)


def sklearn_steps(features: np.ndarray, chosen: list[int]) -> list[int]:
    """Return what scikit-learn's distances call farthest at each step of a choice."""
    nearest = pairwise_distances(features, features[:1])[:, 0]
    found = []
    for index in chosen:
        found.append(int(nearest.argmax()))
        np.minimum(nearest, pairwise_distances(features, features[index, None])[:, 0], out=nearest)
    return found


def check(features: np.ndarray, chosen: list[int]) -> int:
    """Assert that every choice is the farthest; return how many rounding decided otherwise there.

    Where scikit-learn names another row, both must be equally far up to its rounding.
    """
    centres, differ = [0], 0
    for ours, theirs in zip(chosen, sklearn_steps(features, chosen), strict=True):
        if ours != theirs:
            held, pair = features[centres].astype(np.float64), features[[ours, theirs]]
            apart = np.square(pair[:, None] - held).sum(-1).min(1)
            assert apart[0] >= apart[1] * (1 - 1e-12), f"row {theirs} is farther than row {ours}"
            assert apart[0] <= apart[1] * (1 + ROUNDING), f"rows {ours} and {theirs} differ"
            differ += 1
        centres.append(ours)
    return differ


def per_step(call: Callable[[int], object], few: int, steps: int, repeats: int) -> float:
    """Return median milliseconds of one step, processor time: few + steps less few."""
    call(few)
    found = []
    for _ in range(repeats):
        spent = []
        for count in (few, few + steps):
            start = time.process_time()
            call(count)
            spent.append(time.process_time() - start)
        found.append(1e3 * (spent[1] - spent[0]) / steps)
    return statistics.median(found)


def step_row(name: str, features: np.ndarray, steps: int, repeats: int) -> Row:
    """Time one step of both over ``steps`` steps."""
    size, width = features.shape
    chosen = greedy(features, 2 + steps)
    differ = check(features, chosen)
    cpu = per_step(lambda n: greedy(features, n), 2, steps, repeats)
    few = max(1, steps // 5)
    other = per_step(lambda n: sklearn_steps(features, chosen[:n]), 1, few, min(3, repeats))
    note = f"mean of steps 3 to {2 + steps}"
    note += f"; {differ} of them decided by scikit-learn's rounding" if differ else ""
    return Row(
        f"one k-centre step over {size} features of {width}, {name}", cpu, other, SKLEARN, "ms",
        "10 times faster", other >= 10 * cpu, note,
    )  # fmt: skip


def rows(options: Options) -> Iterator[Row]:
    """Time a step on two kinds of features."""
    size, width, steps = (2000, 16, 8) if options.quick else (30_000, 512, 30)
    repeats = min(options.repeats, 5)
    for name, made in (("Gaussian", gaussian), ("clusters after a ReLU", clustered)):
        yield step_row(name, made(size, width), steps, repeats)


if __name__ == "__main__":
    stand_alone(rows)
