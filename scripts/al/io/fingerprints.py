"""Fingerprints of a dataset's files: they tell whether these are what a run was begun with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path

from .errors import DataError
from .tables import FileRow, PoolRow, read_files
from .threads import in_order, with_progress

THREADS = 16
MISSING = "is missing"


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


def sums_of(file: Path, root: Path) -> Callable[[str], str]:
    """Return what gives the SHA-256 of a file of the dataset by its path.

    Those in ``data.csv`` (``file``) are believed, as a start compared them; others are read.
    """
    known = {row.path: row.sha256 for row in read_files(file)} if file.exists() else {}

    @cache
    def look(path: str) -> str:
        return known.get(within(path, root)) or fingerprint(path, root).sha256

    return look


def within(path: str, root: Path) -> str:
    """Return a path relative to ``root``; one that does not begin with it as it is."""
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def take(found: dict[str, FileRow], root: Path, row: PoolRow) -> None:
    """Take those of a row's image and label, each once; threads may call it. Raises DataError."""
    for path in filter(None, (row.path, row.label_path)):
        if path not in found:
            found[path] = fingerprint(path, root)


def taken(rows: Sequence[PoolRow], root: Path) -> list[FileRow]:
    """Return the fingerprints of the files of all rows. Raises DataError."""
    found: dict[str, FileRow] = {}
    noted = in_order(partial(take, found, root), rows, THREADS)
    for _ in with_progress(noted, len(rows), "images read"):
        pass
    return list(found.values())


def compare(known: Sequence[FileRow], root: Path) -> tuple[list[FileRow], dict[str, str]]:
    """Look at files again. Those of the same size and time are believed, others are read.

    Returns:
        Those that are there, with today in ``since`` where they changed; by path what became of
        each that changed, or ``MISSING``.

    Raises:
        DataError: a file cannot be read.
    """
    files, differ = [], {}
    found = in_order(lambda row: _look(row, root), known, THREADS)
    found = with_progress(found, len(known), f"files of {root} compared")
    for before, now in zip(known, found, strict=True):
        if now is None:
            differ[before.path] = MISSING
        elif now.sha256 == before.sha256:
            files.append(replace(before, size=now.size, time=now.time))
        else:
            files.append(replace(now, since=date.today().isoformat()))
            sizes = f"{before.size} bytes, now {now.size}"
            differ[before.path] = sizes if before.size != now.size else "other content"
    return files, differ


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
