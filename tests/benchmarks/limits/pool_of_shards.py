"""Choosing windows from one shard file on disk: against reading it alone, and on two threads.

The file lies in a temporary folder and was written just before, so it comes from memory, not from
the disk; a slower disk only adds to both sides.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from al.io.records import Record, read_records, write_shard
from decomp_core import Region, decomp_regions, pool_uncertain

from .harness import Options, Row, Skip, Times, both_clocks, stand_alone, timed
from .maps import borders, cells, redrawn

CLASSES = 19
AIM = "under 2 times"
PLAIN = "reading such a map of an .npz file (`np.savez_compressed`)"
CACHED = "files come from the page cache"


def street(height: int, width: int, noise: float, seed: int) -> np.ndarray:
    """Return (H, W) uint8: cells of 19 classes with ragged borders, a share of pixels redrawn."""
    rng = np.random.default_rng(seed)
    plain = cells((height, width), CLASSES, 0.0, seed)
    places = []
    for axis, length in enumerate((height, width)):
        shifts = np.zeros((height, width), np.float32)
        for grain, size in ((32, 12), (8, 3)):  # pixels: how coarse, and how far
            coarse = rng.normal(0, size, (-(-height // grain), -(-width // grain)))
            shifts += zoom(coarse.astype(np.float32), grain, order=1)[:height, :width]
        straight = np.arange(length).reshape((-1, 1) if axis == 0 else (1, -1))
        places.append(np.clip(straight + shifts.astype(np.int64), 0, length - 1))
    return redrawn(plain[tuple(places)], CLASSES, noise, rng)


def _records(maps: list[np.ndarray], images: int) -> Iterator[Record]:
    counts = np.zeros((4, CLASSES), np.int64)
    for k in range(images):
        labels = maps[k % len(maps)]
        yield Record(f"i{k:05d}", labels.size, counts[0], counts[1:], 0.0, labels)


def _choose(records: Iterable[Record], n: int, side: int) -> list[list[Region]]:
    weights = np.random.default_rng(0).dirichlet(np.ones(CLASSES))
    return [
        decomp_regions(r.labels, weights, n, (side, side), np.random.default_rng(k))
        for k, r in enumerate(records)
    ]


def _npz(folder: Path, maps: list[np.ndarray], images: int, repeats: int) -> Times:
    """Times to read as many maps that numpy stored, from files in memory."""
    paths = [folder / f"{k}.npz" for k in range(len(maps))]
    for path, labels in zip(paths, maps, strict=True):
        np.savez_compressed(path, labels=labels)
        with np.load(path, allow_pickle=False) as file:
            assert np.array_equal(file["labels"], labels), path

    def read() -> None:
        for k in range(images):
            with np.load(paths[k % len(paths)], allow_pickle=False) as file:
                file["labels"]

    return both_clocks(read, repeats)


def _measured(
    name: str, noise: float, images: int, distinct: int, shape: tuple[int, int], options: Options
) -> Iterator[Row]:
    n, side = (2, 16) if options.quick else (10, 128)
    maps = [street(*shape, noise, seed) for seed in range(distinct)]
    repeats = min(options.repeats, 3)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "1-of-1.zip")
        write_shard(path, _records(maps, images))
        for k, record in enumerate(read_records([path])):
            assert np.array_equal(record.labels, maps[k % distinct]), record.image
        first = _choose(read_records([path], {f"i{k:05d}" for k in range(distinct)}), n, side)
        assert first == _choose(_records(maps, distinct), n, side), "the windows differ"
        both = both_clocks(lambda: _choose(read_records([path]), n, side), repeats)
        alone = both_clocks(lambda: sum(1 for _ in read_records([path])), repeats)
        plain = _npz(Path(made), maps, images, repeats)
        stored = path.stat().st_size / (images * maps[0].size)
    what = f"{images} label maps of {shape[0]} x {shape[1]} from one shard file, {name}"
    note = (
        f"{distinct} different maps in turn, {stored:.3f} bytes per pixel; "
        f"per map {1e3 * alone.cpu / images:.2f} ms to read, "
        f"{1e3 * (both.cpu - alone.cpu) / images:.2f} ms to choose; {CACHED}"
    )
    chosen = f"{what}: read and choose {n} DECOMP windows of {side}² in each"
    row = Row(
        chosen, both.cpu, alone.cpu, "reading them from the shard file alone", "s", AIM,
        both.cpu < 2 * alone.cpu, note, ours_wall=both.wall, alternative_wall=alone.wall,
    )  # fmt: skip
    yield row
    other = {"alternative": plain.cpu, "alternative_wall": plain.wall, "alternative_name": PLAIN}
    other |= {"aim": "", "reached": None, "note": CACHED}
    yield replace(row, **other)
    yield replace(row, **other, work=f"{what}: read", ours=alone.cpu, ours_wall=alone.wall)


def _uncertain_records(shape: tuple[int, int], images: int) -> Iterator[Record]:
    """Yield street maps with their uncertainty, high at smooth borders under noise of a quarter."""
    counts = np.zeros((4, CLASSES), np.int64)
    for k in range(images):
        labels, rng = street(*shape, 0.0, k), np.random.default_rng(k)
        values = borders(*shape, k) // 4 * 3 + rng.integers(0, 64, shape, np.uint8)
        yield Record(f"i{k:05d}", labels.size, counts[0], counts[1:], 0.0, labels, values)


@contextlib.contextmanager
def _two_cores() -> Iterator[None]:
    """Let this thread, and those it starts, run on two cores for a while."""
    if not hasattr(os, "sched_setaffinity"):
        raise Skip("this system does not say which cores a process may use")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the system keeps those allowed
        if len(cores := sorted(os.sched_getaffinity(0))) < 2:
            raise Skip("threads need two cores")
        os.sched_setaffinity(0, cores[:2])
        yield
    finally:
        os.sched_setaffinity(0, before)


def _threads(images: int, shape: tuple[int, int], n: int, side: int, options: Options) -> Row:
    """Choose from a whole pool, its maps read by one thread or by two."""
    with tempfile.TemporaryDirectory() as made, _two_cores():
        path = Path(made, "1-of-1.zip")
        write_shard(path, _uncertain_records(shape, images), 2)

        def choose(threads: int) -> list[tuple[str, Region]]:
            def pool() -> Iterator[tuple[str, np.ndarray, tuple[int, int], tuple[()]]]:
                for record in read_records([path], threads=threads):
                    yield record.image, record.uncertainty, (side, side), ()

            return pool_uncertain(pool, n)

        assert choose(1) == choose(2), "the windows differ"
        one, two = (
            timed(partial(choose, threads), min(options.repeats, 5), wall=True)
            for threads in (1, 2)
        )
    return Row(
        f"{n} uncertain windows of {side}² from a pool of {images} street maps with uncertainty, "
        f"{shape[0]} x {shape[1]}, read from one shard file, 2 threads",
        two, one, "the same with 1 thread", "s", "", None,
        f"by the clock, both on two cores; 2 threads read ahead while a third chooses; {CACHED}",
    )  # fmt: skip


def rows(options: Options) -> Iterator[Row]:
    """Measure the whole pool of smooth maps, fewer with 10 % random pixels, and two threads."""
    if options.quick:
        yield from _measured("ragged borders", 0.0, 6, 2, (64, 96), options)
        yield from _measured("10 % random pixels", 0.1, 4, 2, (64, 96), options)
        yield _threads(4, (64, 96), 5, 16, options)
        return
    yield from _measured("ragged borders", 0.0, 2975, 60, (1024, 2048), options)
    yield from _measured("10 % random pixels", 0.1, 300, 20, (1024, 2048), options)
    yield _threads(60, (1024, 2048), 100, 128, options)


if __name__ == "__main__":
    stand_alone(rows)
