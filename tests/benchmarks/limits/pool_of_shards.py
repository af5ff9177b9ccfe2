"""Choosing windows image after image from one shard file on disk, against reading it alone.

The file lies in a temporary folder and was written just before, so it comes from memory, not from
the disk; a slower disk only adds to both sides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from decomp_core import Region, decomp_regions
from glue.records import Record, read_records, write_shard

from .harness import Options, Row, Times, both_clocks, stand_alone
from .maps import cells, redrawn

CLASSES = 19
AIM = "under 2 times"
PLAIN = "reading such a map of an .npz file (`np.savez_compressed`)"


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
        f"{1e3 * (both.cpu - alone.cpu) / images:.2f} ms to choose"
    )
    chosen = f"{what}: read and choose {n} DECOMP windows of {side}² in each"
    row = Row(
        chosen, both.cpu, alone.cpu, "reading them from the shard file alone", "s", AIM,
        both.cpu < 2 * alone.cpu, note, ours_wall=both.wall, alternative_wall=alone.wall,
    )  # fmt: skip
    yield row
    other = {"alternative": plain.cpu, "alternative_wall": plain.wall, "alternative_name": PLAIN}
    yield replace(row, **other, reached=both.cpu < 2 * plain.cpu, note="")
    yield replace(
        row, **other, work=f"{what}: read", ours=alone.cpu, ours_wall=alone.wall,
        aim="", reached=None, note="",
    )  # fmt: skip


def rows(options: Options) -> Iterator[Row]:
    """Measure the whole pool of smooth maps, and fewer with 10 % random pixels."""
    if options.quick:
        yield from _measured("ragged borders", 0.0, 6, 2, (64, 96), options)
        yield from _measured("10 % random pixels", 0.1, 4, 2, (64, 96), options)
        return
    yield from _measured("ragged borders", 0.0, 2975, 60, (1024, 2048), options)
    yield from _measured("10 % random pixels", 0.1, 300, 20, (1024, 2048), options)


if __name__ == "__main__":
    stand_alone(rows)
