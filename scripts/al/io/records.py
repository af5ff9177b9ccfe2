"""Prediction records and the shard files that hold them.

A shard is a zip archive. Its member ``index.json`` has one entry per image; every map is a member
of its own, NUMBER/NAME for the NUMBER-th image: a zlib stream of its bytes in C order, so that the
archive's checksums run over what lies on disk, which is much less.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .files import atomic_path, check_keys, stored
from .threads import in_order

MAPS = ("labels", "uncertainty", "probabilities")
# Of an entry of the index
KEYS = {"image": str, "unlabelled": int, "predicted": list, "confident": list, "rois": list}
KEYS |= {"mean_uncertainty": float, "maps": dict}
_LEVEL = 3


@dataclass(frozen=True)
class Record:
    """What selection knows of one image after the forward pass.

    Attributes:
        image: identifier in the pool.
        unlabelled: number of pixels (voxels, RoIs) not annotated yet; the counts run over these.
        predicted: (C,) int64, how often each class is predicted.
        confident: (T, C) int64, how often with a confidence above each of the T thresholds.
        mean_uncertainty: mean over the unlabelled pixels (RoIs), 0 where there is none.
        labels: (H, W) or (D, H, W) uint8 pseudo-labels; ``None`` for RoIs.
        uncertainty: uint8, same shape, 0..255 for 0..the measure's maximum, if asked for; RoIs:
            (M,) float32, 0..1.
        probabilities: (M, C) float32 of the image's RoIs; ``None`` for segmentation.
        rois: identifiers of these M RoIs.
    """

    image: str
    unlabelled: int
    predicted: np.ndarray
    confident: np.ndarray
    mean_uncertainty: float
    labels: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    rois: tuple[str, ...] = field(default=())


def write_shard(path: str | Path, records: Iterable[Record], threads: int = 1) -> None:
    """Write records one after the other to one compressed file, by rename.

    Args:
        path: of the file.
        records: taken in this thread, one at a time.
        threads: with more than one, that many compress while the next records are made, and as
            many records and one more are in memory beside the one that is made.
    """
    entries = []
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, (entry, packed) in enumerate(in_order(_pack, records, threads)):
            entries.append(entry)
            for name, data in packed.items():
                archive.writestr(f"{number}/{name}", data)
        archive.writestr("index.json", json.dumps(entries))


def read_records(
    paths: Iterable[str | Path],
    images: set[str] | None = None,
    maps: bool = True,
    threads: int = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Iterator[Record]:
    """Yield the records of shards, of all images or of some, one in memory at a time.

    Nothing but the index is read of other images. The maps cannot be written to.

    Args:
        paths: shard files.
        images: names of those wanted; ``None``: all.
        maps: without, the arrays of pixels and of RoIs stay on disk (they come as ``None``).
        threads: with more than one, that many decompress ahead, and as many records and one more
            are in memory beside the one yielded.
        shapes: of the images in the pool (of RoIs their number); maps of others are not read.

    Raises:
        DataError: a file that is no shard or not there, is damaged, or does not fit the pool.
        OSError: a disk that cannot be read.
    """
    for path in paths:
        with stored(path, "predictions") as archive:
            entries = enumerate(json.loads(archive.read("index.json")))
            wanted = [(n, e) for n, e in entries if images is None or e["image"] in images]
            yield from in_order(partial(_unpack, archive, maps, shapes), wanted, threads)


def _pack(record: Record) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a record's entry of the index, and its compressed maps."""
    maps = {name: getattr(record, name) for name in MAPS if getattr(record, name) is not None}
    entry = {
        "image": record.image,
        "unlabelled": int(record.unlabelled),  # numpy's numbers are no JSON
        "predicted": record.predicted.tolist(),
        "confident": record.confident.tolist(),
        "mean_uncertainty": float(record.mean_uncertainty),
        "rois": list(record.rois),
        "maps": {name: (array.dtype.str, array.shape) for name, array in maps.items()},
    }
    return entry, {name: zlib.compress(array.tobytes(), _LEVEL) for name, array in maps.items()}


def _unpack(
    archive: zipfile.ZipFile,
    maps: bool,
    shapes: Mapping[str, Sequence[int]] | None,
    numbered: tuple[int, dict[str, Any]],
) -> Record:
    """Return the record of an entry of the index and its number."""
    number, entry = numbered
    check_keys(entry, KEYS)
    held = entry["maps"] if maps else {}
    if shapes is not None:
        for name, (_, shape) in held.items():
            expected = list(shapes[entry["image"]])
            # Probabilities have one axis more: the classes.
            rest = math.prod(shape[len(expected) :])
            if list(shape[: len(expected)]) != expected or rest > 255:
                raise ValueError(f"{entry['image']}: {name} of {shape}, in the pool {expected}")
    return Record(
        entry["image"],
        entry["unlabelled"],
        np.array(entry["predicted"], np.int64),
        np.array(entry["confident"], np.int64),
        entry["mean_uncertainty"],
        rois=tuple(entry["rois"]),
        **{name: _map(archive, f"{number}/{name}", *kind) for name, kind in held.items()},
    )


def _map(archive: zipfile.ZipFile, member: str, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Return a stored map; its bytes are checked by the archive's checksum and their number."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    data = zlib.decompressobj().decompress(archive.read(member), max(size, 0) + 1)
    if len(data) != size:
        raise ValueError(f"{member} has {len(data)} bytes or more, expected {size}")
    return np.frombuffer(data, dtype).reshape(shape)
