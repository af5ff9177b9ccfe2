"""Prediction records and the shard files that hold them.

A shard is a zip archive. Its member ``index.json`` has one entry per image; ``predicted`` and
``confident`` hold these counts of all images; every other array is a member of its own, NUMBER/NAME
for the NUMBER-th image. Arrays are stored as raw deflate streams of their bytes in C order, those
of uncertainties as differences of neighbours, so that the archive's checksums run over what lies on
disk: the maps themselves are much larger.
"""

from __future__ import annotations

import errno
import io
import json
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import DataError
from .files import atomic_path
from .threads import in_order

COUNTS = ("predicted", "confident")
MAPS = ("labels", "uncertainty", "probabilities")
FORMAT = 2  # 1 had .npy files in a compressed archive, and a list as its index
_RAW = -zlib.MAX_WBITS  # no header and no checksum: the archive has its own
_LEVEL = 3
# What damaged bytes and an index that does not fit raise: RuntimeError holds encryption and, as
# NotImplementedError, versions and methods of compression that zipfile does not know.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, LookupError, TypeError,
    ValueError, AttributeError, OverflowError, RuntimeError,
)  # fmt: skip


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

    Raises:
        ValueError: counts of two images have different shapes.
    """
    entries: list[dict[str, Any]] = []
    counts: dict[str, list[np.ndarray]] = {name: [] for name in COUNTS}
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for number, (entry, own, packed) in enumerate(in_order(_packed, records, threads)):
            entries.append(entry)
            for name in COUNTS:
                counts[name].append(own[name])
            for name, data in packed.items():
                archive.writestr(f"{number}/{name}", data)
        kinds = {}
        for name in (name for name in COUNTS if entries):
            data, kinds[name] = _pack(name, np.stack(counts[name]))
            archive.writestr(name, data)
        archive.writestr(
            "index.json",
            json.dumps({"format": FORMAT, "counts": kinds, "images": entries}),
            compress_type=zipfile.ZIP_DEFLATED,
        )


def read_records(
    paths: Iterable[str | Path],
    images: set[str] | None = None,
    maps: bool = True,
    threads: int = 1,
) -> Iterator[Record]:
    """Yield the records of shards, of all images or of some, one in memory at a time.

    Nothing is read of other images. The arrays cannot be written to.

    Args:
        paths: shard files.
        images: names of those wanted; ``None``: all.
        maps: without, the arrays of pixels and of RoIs stay on disk (they come as ``None``).
        threads: with more than one, that many decompress ahead, and as many records and one more
            are in memory beside the one yielded.

    Raises:
        DataError: a file that is no shard, that is incomplete or damaged.
        OSError: a file that is not there, or a disk that cannot be read.
    """
    for path in paths:
        with open(path, "rb") as file:
            with _told(path):
                archive = _archive(file)
            with archive:
                with _told(path):
                    shard = _open(path, archive)
                    wanted = [
                        number
                        for number, entry in enumerate(shard.entries)
                        if images is None or entry["image"] in images
                    ]
                yield from in_order(partial(shard.record, maps=maps), wanted, threads)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Name the file where what it holds cannot be read; what the disk raises passes."""
    try:
        yield
    except (*_BROKEN, OSError) as error:
        # A damaged offset cannot be sought (EINVAL); bz2 has no number for damaged data.
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
            raise
        told = f"{path}: predictions cannot be read, incomplete or damaged: {error!r}"
        raise DataError(told) from error


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip archive."""
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        # zipfile says so too where the disk cannot read the end of the file: then this raises
        file.seek(-min(file.seek(0, io.SEEK_END), 1 << 17), io.SEEK_END)
        file.read()
        raise


@dataclass(frozen=True)
class _Shard:
    """An open shard: its entries, and the counts of all images."""

    path: str | Path
    archive: zipfile.ZipFile
    entries: list[dict[str, Any]]
    counts: dict[str, np.ndarray]

    def record(self, number: int, maps: bool) -> Record:
        with _told(self.path):
            entry = self.entries[number]
            arrays = {
                name: _get(self.archive, f"{number}/{name}", kind)
                for name, kind in (entry["arrays"].items() if maps else ())
            }
            return Record(
                entry["image"],
                entry["unlabelled"],
                *(self.counts[name][number] for name in COUNTS),
                entry["mean_uncertainty"],
                **arrays,
                rois=tuple(entry["rois"]),
            )


class _Earlier(_Shard):
    """A shard of format 1."""

    def record(self, number: int, maps: bool) -> Record:
        with _told(self.path):
            entry = dict(self.entries[number])
            names = [name for name in entry.pop("arrays") if maps or name in COUNTS]
            arrays = {}
            for name in names:  # all bytes first, so that the checksum comes before their meaning
                file = io.BytesIO(self.archive.read(f"{number}/{name}.npy"))
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                arrays[name].flags.writeable = False
            return Record(**{**entry, "rois": tuple(entry["rois"])}, **arrays)


def _open(path: str | Path, archive: zipfile.ZipFile) -> _Shard:
    index = json.loads(archive.read("index.json"))
    if isinstance(index, list):
        return _Earlier(path, archive, index, {})
    if index["format"] != FORMAT:
        raise ValueError(f"format {index['format']}, expected {FORMAT}")
    counts = {name: _get(archive, name, kind) for name, kind in index["counts"].items()}
    return _Shard(path, archive, index["images"], counts)


def _packed(record: Record) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, bytes]]:
    """Return a record's entry, its counts and its compressed arrays."""
    entry = {
        "image": record.image,
        "unlabelled": int(record.unlabelled),  # numpy's numbers are no JSON
        "mean_uncertainty": float(record.mean_uncertainty),
        "rois": list(record.rois),
        "arrays": {},
    }
    data = {}
    for name in MAPS:
        if (array := getattr(record, name)) is not None:
            data[name], entry["arrays"][name] = _pack(name, array)
    return entry, {name: getattr(record, name) for name in COUNTS}, data


def _pack(name: str, array: np.ndarray) -> tuple[bytes, tuple[str, tuple[int, ...]]]:
    """Return an array's compressed bytes, and its dtype and shape."""
    if array.dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    strategy = zlib.Z_DEFAULT_STRATEGY
    values = np.ascontiguousarray(array)
    if _differs(name, array.dtype):
        from .differences import differences

        values, strategy = differences(values), zlib.Z_RLE  # repeats longer than runs are rare
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, zlib.DEF_MEM_LEVEL, strategy)
    return packer.compress(values) + packer.flush(), (array.dtype.str, array.shape)


def _get(archive: zipfile.ZipFile, member: str, kind: tuple[str, Sequence[int]]) -> np.ndarray:
    """Return a stored array; its bytes are checked by the archive's checksum and their number."""
    dtype, shape = np.dtype(kind[0]), tuple(kind[1])
    size = math.prod(shape) * dtype.itemsize
    data = zlib.decompress(archive.read(member), _RAW, bufsize=max(1, size))
    if len(data) != size:
        raise ValueError(f"{member} has {len(data)} bytes, expected {size}")
    values = np.frombuffer(data, dtype).reshape(shape)
    if _differs(member.split("/")[-1], dtype):
        from .differences import add_up

        values = values.copy()
        add_up(values)
        values.flags.writeable = False
    return values


def _differs(name: str, dtype: np.dtype) -> bool:
    """Whether an array is stored as differences of neighbours: the maps of uncertainties."""
    return name == "uncertainty" and dtype == np.uint8
