"""Bytes per pixel of stored predictions, and the time to write and read them, on made-up maps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from al.io.records import Record, read_records, write_shard

from .harness import Options, Row, both_clocks, stand_alone
from .pool_of_shards import street

CLASSES = 19
RAW = "raw uint8 label map"


def entropy_of(labels: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8 normalised entropy of the classes' shares around each pixel."""
    total = np.zeros(labels.shape, np.float32)
    for cls in range(CLASSES):
        share = gaussian_filter((labels == cls).astype(np.float32), 3)
        total -= share * np.log(np.maximum(share, 1e-9))
    return np.rint(255 * total / np.log(CLASSES)).clip(0, 255).astype(np.uint8)


def record(name: str, labels: np.ndarray, uncertainty: np.ndarray | None) -> Record:
    counts = np.zeros((2, CLASSES), np.int64)
    return Record(name, labels.size, counts[0], counts[1:], 0.0, labels, uncertainty)


def rows(options: Options) -> Iterator[Row]:
    """Measure label maps alone, then with uncertainties."""
    count, shape = (2, (96, 160)) if options.quick else (4, (1024, 2048))
    maps = [street(*shape, 0.0, seed) for seed in range(count)]
    plain = [record(f"i{k}", labels, None) for k, labels in enumerate(maps)]
    whole = [record(f"i{k}", labels, entropy_of(labels)) for k, labels in enumerate(maps)]
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "1.zip")
        for what, held, aim in (("label maps", plain, 0.1), ("and uncertainties", whole, 0.8)):
            write_shard(path, held)
            found = path.stat().st_size / (count * maps[0].size)
            told = f"under {aim}"
            yield Row(what, found, 1.0, RAW, "bytes per pixel", told, found < aim)
        for verb, call in (
            ("write", lambda: write_shard(path, whole)),
            ("read", lambda: sum(1 for _ in read_records([path]))),
        ):
            found = 1e3 * both_clocks(call, min(options.repeats, 3)).cpu / count
            size = " x ".join(map(str, shape))
            yield Row(
                f"{verb} an image of {size} and its uncertainty", found, None, "", "ms", "", None
            )


if __name__ == "__main__":
    stand_alone(rows)
