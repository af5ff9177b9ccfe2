"""The CSV tables of a run: the pool, the regions and where the labels are."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from decomp_core import Region

from .files import read_lines, reading, write_lines

SPLITS = ("train", "val", "test")
KINDS = ("window", "slice_window", "patch", "roi")
Row = TypeVar("Row")
_DIGITS = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class PoolRow:
    """One image of the pool, or one RoI of it.

    Attributes:
        image: what an annotator opens (street image, volume, slide, patient).
        roi: identifier of the RoI within the image; empty for segmentation.
        split: ``train``, ``val`` or ``test``; empty where the dataset fixes none.
        path: file of the image (of the RoI).
        label_path: where ground truth is read; for the oracle and ``evaluate`` alone.
        shape: size in pixels (voxels), in array axes.
        axis: slice axis of a volume in array axes; ``None`` in 2-D.
        group: what the image belongs to (a patient), kept in one split; empty: itself alone.
    """

    image: str
    roi: str
    split: str
    path: str
    label_path: str
    shape: tuple[int, ...]
    axis: int | None = None
    group: str = ""

    @property
    def key(self) -> str:
        """Name that is unique in the pool: the image, or the image and its RoI."""
        return f"{self.image}/{self.roi}" if self.roi else self.image

    def with_split(self, split: str) -> PoolRow:
        """Return this row in another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class FileRow:
    """A file of the dataset, as in ``data.csv``.

    Attributes:
        path: relative to ``data_root``, or absolute where it lies outside.
        size: in bytes.
        time: when it was last written, in nanoseconds.
        sha256: of its content.
        since: day on which changed content was taken (ISO); empty: as when the run was begun.
    """

    path: str
    size: int
    time: int
    sha256: str
    since: str = ""


@dataclass(frozen=True)
class RegionRow:
    """One annotated region, as in ``regions.csv`` and ``history.csv``.

    Start and size are in array axes (z, y, x for volumes; y, x for images, where z and depth
    are ``None``); a RoI has neither. ``cls`` is the class behind the choice, if any.
    """

    cycle: int
    image: str
    kind: str
    z: int | None
    y: int | None
    x: int | None
    depth: int | None
    height: int | None
    width: int | None
    roi: str
    cls: int | None
    score: float | None
    order: int

    @classmethod
    def of(cls, cycle: int, image: str, kind: str, region: Region, order: int) -> RegionRow:
        """Describe a placed region."""
        start = (None,) * (3 - len(region.start)) + tuple(region.start)
        size = (None,) * (3 - len(region.size)) + tuple(region.size)
        score = None if region.score is None else float(region.score)
        return cls(cycle, image, kind, *start, *size, "", region.cls, score, order)

    @property
    def region(self) -> Region:
        """The region in array axes; not defined for a RoI."""
        start = tuple(v for v in (self.z, self.y, self.x) if v is not None)
        size = tuple(v for v in (self.depth, self.height, self.width) if v is not None)
        return Region(start, size, self.cls, self.score)


@dataclass(frozen=True)
class LabelRow:
    """Where an image's revealed labels are (``path``), or the class of a RoI (``label``)."""

    image: str
    roi: str
    path: str
    label: int | None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "x".join(str(v) for v in value)
    return repr(value) if isinstance(value, float) else str(value)


def _columns(kind: type) -> list[str]:
    return ["class" if f.name == "cls" else f.name for f in fields(kind)]


def _write(path: str | Path, kind: type, rows: Iterable[Any]) -> None:
    values = attrgetter(*(f.name for f in fields(kind)))  # asdict would copy each value
    write_lines(path, [_columns(kind), *([_text(v) for v in values(row)] for row in rows)])


def _read(path: str | Path, kind: type[Row]) -> list[Row]:
    """Read a table, each cell as ``_CELLS`` say. Raises DataError where it is none of its kind."""
    expected = _columns(kind)
    with reading(path):
        found, *lines = csv.reader(read_lines(path), strict=True)
        if found != expected:
            raise ValueError(f"columns are {found}, expected {expected}")
        cells = [_CELLS.get(name, str) for name in expected]
        rows = (zip(cells, line, strict=True) for line in lines if line)
        return [kind(*(read(text) for read, text in row)) for row in rows]


def _int(text: str) -> int | None:
    return _whole(text) if text else None


def _whole(text: str) -> int:
    if not _DIGITS.fullmatch(text):  # int takes signs, spaces and other alphabets
        raise ValueError(f"{text!r} in place of a whole number from 0")
    return int(text)


def _size(text: str) -> tuple[int, ...]:
    sides = tuple(_whole(side) for side in text.split("x"))
    if 0 in sides:
        raise ValueError(f"{text!r} in place of sizes above 0")
    return sides


def _one_of(text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise ValueError(f"{text!r} in place of one of {', '.join(allowed)}")
    return text


# How columns are read that hold no text
_CELLS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("axis", "z", "y", "x", "depth", "height", "width", "class", "label"), _int),
    **dict.fromkeys(("cycle", "order", "size"), _whole),
    "split": partial(_one_of, allowed=("", *SPLITS)),
    "kind": partial(_one_of, allowed=KINDS),
    "shape": _size,
    "score": lambda text: float(text) if text else None,
    "time": int,
}


def write_pool(path: str | Path, rows: Sequence[PoolRow]) -> None:
    """Write ``pool.csv``."""
    _write(path, PoolRow, rows)


def read_pool(path: str | Path, *splits: str) -> list[PoolRow]:
    """Read ``pool.csv``, of the splits named, or all of it where none is."""
    rows = _read(path, PoolRow)
    with reading(path):
        if not rows:
            raise ValueError("no image in it")
    return [r for r in rows if not splits or r.split in splits]


def write_files(path: str | Path, rows: Sequence[FileRow]) -> None:
    """Write ``data.csv``."""
    _write(path, FileRow, sorted(rows, key=lambda row: row.path))


def read_files(path: str | Path) -> list[FileRow]:
    """Read ``data.csv``."""
    return _read(path, FileRow)


def write_regions(path: str | Path, rows: Sequence[RegionRow]) -> None:
    """Write ``regions.csv`` or ``history.csv``."""
    _write(path, RegionRow, rows)


def read_regions(path: str | Path) -> list[RegionRow]:
    """Read ``regions.csv`` or ``history.csv``."""
    rows = _read(path, RegionRow)
    with reading(path):
        for row in rows:
            if row.kind == "roi" and not row.roi:
                raise ValueError("a RoI without a name")
            if row.kind != "roi" and min(row.region.size, default=0) < 1:  # Region refuses the rest
                raise ValueError("a region without a size")
    return rows


def write_labels(path: str | Path, rows: Sequence[LabelRow]) -> None:
    """Write ``labels.csv``; paths are relative to its folder."""
    _write(path, LabelRow, rows)


def read_labels(path: str | Path) -> list[LabelRow]:
    """Read ``labels.csv``; paths come back relative to the working folder."""
    rows, folder = _read(path, LabelRow), Path(path).parent
    with reading(path):
        for row in rows:
            if bool(row.path) == (row.label is not None):
                raise ValueError(f"{row.image}: a file and a class, or neither; allowed: one")
    return [replace(row, path=str(folder / row.path)) if row.path else row for row in rows]
