"""Uncertain boxes of whole volumes: time and memory, against keeping a sum for every position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from decomp_core import Region, pool_uncertain, spatially_diverse, spatially_diverse_features

from .harness import (
    Options,
    Row,
    both_clocks,
    compared,
    in_fresh_process,
    most_beyond_mb,
    stand_alone,
)
from .maps import borders

KEPT = "numpy, a sum kept for every position, the highest sought anew for each pick"
PLAIN = "numpy, all distances for each pick"
KINDS = ("random voxels", "borders")
SEED = 0
Starts = list[tuple[int, ...]]


class Task(NamedTuple):
    """What to choose from a volume: its shape and dtype, the box, how many, the penalty."""

    shape: tuple[int, int, int]
    dtype: str
    size: tuple[int, int, int]
    n: int
    weight: float = 0.0

    @property
    def words(self) -> str:
        box, shape = (" x ".join(map(str, v)) for v in (self.size, self.shape))
        penalty = f", penalty {self.weight}" if self.weight else ""
        return f"{self.n} uncertain boxes of {box} on {shape} {self.dtype}, stride 1{penalty}"


def volume(shape: tuple[int, int, int], dtype: str, kind: str) -> np.ndarray:
    """Random voxels, or borders that move with depth under noise of a quarter."""
    rng = np.random.default_rng(SEED)
    made = np.empty(shape, dtype)
    plane = borders(*shape[1:], SEED) if kind == "borders" else None
    for z in range(shape[0]):
        drawn = rng.integers(0, 256, shape[1:], np.uint8)
        if plane is not None:
            drawn = drawn // 4 + np.roll(plane, 3 * z, axis=z % 2) // 4 * 3
        made[z] = drawn
        if made.dtype.kind == "f":  # so that no two boxes tie
            made[z] = made[z] / 256 + rng.random(shape[1:], np.float32) / 256
    return made


def kept_sums(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The sum over the box at every position: int64 of integers, float64 of floats."""
    sums = values
    for axis, side in enumerate(size):
        if side > 1:
            kind = np.int64 if sums.dtype.kind in "iu" else np.float64
            ends = np.moveaxis(np.cumsum(sums, axis=axis, dtype=kind), axis, 0)
            sums = ends[side - 1 :].copy()
            sums[1:] -= ends[:-side]
            sums = np.moveaxis(sums, 0, axis)
            del ends
    return np.ascontiguousarray(sums)


def from_kept_sums(values: np.ndarray, task: Task) -> Starts:
    """Choose by a map of all sums, one of penalties too if there are any."""
    sums = kept_sums(values, task.size)
    gains = sums
    if task.weight:
        gains = sums / np.float64(np.prod(task.size))
        weight = task.weight * float(gains.max() - gains.min())
    lowest = np.iinfo(np.int64).min if gains.dtype.kind == "i" else -np.inf
    chosen: Starts = []
    while len(chosen) < task.n:
        best = np.unravel_index(int(gains.argmax()), gains.shape)
        if gains[best] == lowest:
            break
        chosen.append(tuple(int(i) for i in best))
        if task.weight:
            apart = [
                np.exp(-0.5 * ((np.arange(p) - i) / k) ** 2)
                for p, i, k in zip(gains.shape, best, task.size, strict=True)
            ]
            for z in range(len(gains)):
                gains[z] -= weight * apart[0][z] * np.outer(apart[1], apart[2])
        near = zip(best, task.size, strict=True)
        gains[tuple(slice(max(0, i - k + 1), i + k) for i, k in near)] = lowest
    return chosen


def ours(values: np.ndarray, task: Task) -> list[tuple[str, Region]]:
    """Choose with this library, from a pool of one volume."""

    def pool() -> Iterator[tuple[str, np.ndarray, tuple[int, ...], tuple[()]]]:
        yield "a", values, task.size, ()

    if task.weight:
        return spatially_diverse(pool, task.n, task.weight)
    return pool_uncertain(pool, task.n)


def peak_mb(who: str, kind: str, fields: list) -> float:
    """Memory beyond the volume, in a process of its own."""
    shape, dtype, size, n, weight = fields
    task = Task(tuple(shape), dtype, tuple(size), n, weight)
    choose: Callable[..., object] = ours if who == "ours" else from_kept_sums
    small = task._replace(shape=tuple(3 * k for k in task.size))
    choose(volume(small.shape, dtype, kind), small)  # loads what is compiled
    values = volume(task.shape, dtype, kind)
    return most_beyond_mb(lambda: choose(values, task))


def tasks(quick: bool) -> tuple[list[Task], list[Task]]:
    """What is measured against the alternative, and what is too large to wait for that."""
    if quick:
        flat = Task((12, 64, 60), "uint8", (1, 8, 8), 5)
        return [flat, Task((20, 24, 30), "float32", (6, 6, 6), 4)], [flat._replace(weight=0.5)]
    flat = Task((600, 512, 512), "uint8", (1, 32, 32), 15)
    few = flat._replace(shape=(60, 512, 512))
    cube = Task((177, 217, 217), "float32", (32, 32, 32), 15)
    compared_ = [few, few._replace(weight=0.5), cube, cube._replace(weight=0.5)]
    return compared_, [flat, flat._replace(weight=0.5)]


def check(values: np.ndarray, task: Task) -> None:
    fast = [region.start for _, region in ours(values, task)]
    slow = from_kept_sums(values, task)
    assert fast == slow, f"{task.words}: the boxes differ, {fast} and {slow}"


def rows(options: Options) -> Iterator[Row]:
    """Time and memory of choosing from one volume; then candidates by features."""
    few = replace(options, repeats=min(options.repeats, 3))
    compared_tasks, large = tasks(options.quick)
    for task in compared_tasks:
        for kind in KINDS:
            values = volume(task.shape, task.dtype, kind)
            check(values, task)
            calls = partial(ours, values, task), partial(from_kept_sums, values, task)
            yield compared(f"{task.words}, {kind}", *calls, KEPT, None, few)
    for kind in KINDS:
        values = volume(large[0].shape, large[0].dtype, kind)
        for task in large:
            found = both_clocks(partial(ours, values, task), few.repeats)
            yield Row(
                f"{task.words}, {kind}", 1e3 * found.cpu, None, "", "ms", "", None,
                ours_wall=1e3 * found.wall,
            )  # fmt: skip
    values = None  # processes for memory follow
    for task in [*compared_tasks, *large]:
        asserted = task in compared_tasks
        yield _memory(task, other=asserted or not task.weight, same=asserted)
    yield _features(few, 2000 if options.quick else 30_000)


def _memory(task: Task, other: bool, same: bool) -> Row:
    map_mb = float(np.dtype(task.dtype).itemsize * np.prod(task.shape) / 2**20)
    mine = in_fresh_process(peak_mb, "ours", "borders", list(task))
    theirs = in_fresh_process(peak_mb, "other", "borders", list(task)) if other else None
    note = f"the map has {map_mb:.3g} MB" + ("" if same or not other else "; boxes not compared")
    return Row(
        f"memory beyond the map, {task.words}", mine, theirs, KEPT if other else "", "MB",
        "a tenth of the map", bool(mine <= map_mb / 10), note,
    )  # fmt: skip


def _features(options: Options, count: int) -> Row:
    """Candidates far apart in features and in their image; ten candidates to an image."""
    rng = np.random.default_rng(SEED)
    features = rng.standard_normal((count, 512), np.float32)
    starts, group = rng.integers(0, 900, (count, 2)), np.arange(count) // 10
    regions = [Region((int(y), int(x)), (32, 32)) for y, x in starts]
    n = 20

    def fast() -> list[int]:
        draw = np.random.default_rng(SEED)
        return spatially_diverse_features(regions, group, features, n, 0.5, 1.0, draw)

    def plain() -> list[int]:
        left, loss, chosen = np.ones(count, bool), np.zeros(count), []
        nearest, table = np.full(count, np.inf), features.astype(np.float64)
        pick, scale = int(np.random.default_rng(SEED).integers(count)), 0.0
        while True:
            chosen.append(pick)
            nearest = np.minimum(nearest, np.linalg.norm(table - table[pick], axis=1))
            scale = scale or nearest.max()
            same = np.flatnonzero(group == group[pick])
            apart = (starts[same] - starts[pick]) / 32
            left[same[(abs(apart) < 1).all(axis=1)]] = False
            loss[same] += np.exp(-0.5 * (apart**2).sum(axis=1))
            if len(chosen) == n:
                return chosen
            pick = int(np.where(left, nearest / scale - 0.5 * loss, -np.inf).argmax())

    assert fast() == plain(), "the candidates differ"
    return compared(
        f"{n} of {count} candidates by 512 features and places", fast, plain, PLAIN, None, options
    )


if __name__ == "__main__":
    stand_alone(rows)
