"""Fingerprints of a dataset's files: they tell whether these are what a run was begun with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from .errors import DataError
from .tables import FileRow, PoolRow
from .threads import in_order

THREADS = 16


def fingerprint(path: str, root: Path) -> FileRow:
    """Read a file and return what it is known by. Raises DataError where it cannot be read."""
    try:
        # Before its content: what is written while it is read then has another time.
        about = Path(path).stat()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error})") from error
    return FileRow(within(path, root), about.st_size, about.st_mtime_ns, digest.hexdigest())


def within(path: str, root: Path) -> str:
    """Return a path relative to ``root``; one that does not begin with it as it is."""
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


class Fingerprints:
    """Those of the files of rows, each taken once; may be called by several threads."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.found: dict[str, FileRow] = {}

    def __call__(self, row: PoolRow) -> None:
        """Take those of a row's image and label. Raises DataError."""
        for path in {row.path, row.label_path} - self.found.keys():
            self.found[path] = fingerprint(path, self.root)

    @property
    def rows(self) -> list[FileRow]:
        """What was taken, sorted by path."""
        return sorted(self.found.values(), key=lambda row: row.path)


def taken(rows: Iterable[PoolRow], root: str | Path) -> list[FileRow]:
    """Return the fingerprints of the files of all rows, sorted by path. Raises DataError."""
    found = Fingerprints(root)
    for _ in in_order(found, rows, THREADS):
        pass
    return found.rows


class Compared(NamedTuple):
    """Files as they are now.

    Attributes:
        files: as they were given, those that changed with today in ``since``.
        changed: what happened to each file that has other content, by its path.
        missing: paths of files that are not there.
    """

    files: list[FileRow]
    changed: dict[str, str]
    missing: list[str]


def compare(known: Sequence[FileRow], root: str | Path) -> Compared:
    """Look at files again. Those of the same size and time are believed, others are read.

    Raises:
        DataError: a file cannot be read.
    """
    files, changed, missing = [], {}, []
    found = in_order(lambda row: _look(row, Path(root)), known, THREADS)
    for before, now in zip(known, found, strict=True):
        if now is None:
            missing.append(before.path)
        elif now.sha256 == before.sha256:
            files.append(replace(before, size=now.size, time=now.time))
        else:
            files.append(replace(now, since=date.today().isoformat()))
            sizes = f"{before.size} bytes, now {now.size}"
            changed[before.path] = sizes if before.size != now.size else "other content"
    return Compared(files, changed, missing)


def _look(known: FileRow, root: Path) -> FileRow | None:
    path = root / known.path
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error})") from error
    if (about.st_size, about.st_mtime_ns) == (known.size, known.time):
        return known
    return fingerprint(str(path), root)
