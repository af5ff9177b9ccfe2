"""Storage that fails: told in plain words, and tried before the first job."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .errors import ConfigError, DataError

_FULL = "free space (df -h), or files where those have run out (df -i)"
_MOUNT = "mount it again, or have that done"
# What is wrong, and what to do about it.
FAILURES = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the quota is used up", "free space, or have the quota raised (quota -s)"),
    errno.EROFS: ("the file system is read-only", "make it writable: mount it again for writing"),
    errno.ESTALE: ("a stale file handle, the file server has lost the file or folder", _MOUNT),
    errno.EIO: ("the disk or the file server fails", f"check it (dmesg), then {_MOUNT}"),
    errno.EACCES: ("permission denied", "give your user the right to read and write there"),
    errno.EPERM: ("operation not permitted", "give your user the right to read and write there"),
}
_NEEDS_PLACE = (errno.EACCES, errno.EPERM)  # other things than files refuse with these as well
AGAIN = (
    "Then start again with the same command: what is finished is kept, and a training goes on "
    "from its last checkpoint."
)
PROBE_BYTES = 1 << 16
NO_SPACE = 16 << 20  # bytes that count as none: Snakemake's own notes of a run need some
LITTLE_SPACE = 1 << 30  # bytes below which a warning is printed
LITTLE_FILES = 1000  # files likewise


class StorageError(RuntimeError):
    """A folder cannot be written; the message names it, the reason and the remedy."""


def explain(error: BaseException) -> str | None:
    """Say what storage failed, where, and what to do; ``None`` for errors of another kind."""
    failed = _storage_error(error)
    if failed is None:
        return None
    reason, remedy = FAILURES[failed.errno or 0]
    where = [str(name) for name in (failed.filename, failed.filename2) if name is not None]
    where += getattr(failed, "__notes__", [])
    if not where:
        where = ["the file is not known; the log itself may be the one"]
    where += [f"full now: {place}, {_room(place)}" for place in _full_places(where[0])]
    return f"Storage: {reason} ({'; '.join(where)}).\nTo do: {remedy}. {AGAIN}"


def _storage_error(error: BaseException | None) -> OSError | None:
    """The error itself, or one behind it (libraries raise others while handling it).

    One that tells its file goes before those that do not.
    """
    found: list[OSError] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in FAILURES:
            if error.filename is not None or hasattr(error, "__notes__"):
                return error
            if error.errno not in _NEEDS_PLACE:
                found.append(error)
        behind = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or behind
    return found[0] if found else None


def _full_places(name: str) -> list[str]:
    """Folders that a job writes to and in which nothing is free, one of each file system."""
    found: dict[int, str] = {}
    for place in (os.path.dirname(name), ".", "results", "work", "logs", "/tmp", "/dev/shm"):
        with suppress(OSError):
            free, files = _free(place or ".")
            if free < NO_SPACE or files == 0:
                found.setdefault(os.stat(place or ".").st_dev, os.path.abspath(place or "."))
    return list(found.values())


def _room(folder: str) -> str:
    """What is free on the file system of a folder, and what a run needs at least."""
    mount = folder
    while not os.path.ismount(mount):
        mount = os.path.dirname(mount)
    free, files = _free(folder)
    some = f"{free / 1e6:.0f} MB" if files != 0 else "no files"
    return f"{some} free on the file system {mount}, {NO_SPACE / 1e6:.0f} MB are needed at least"


def _free(folder: str | Path) -> tuple[int, int | None]:
    """Bytes and files that this user may still write; ``None`` where files are not counted."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None


def tell_on(console: int) -> None:
    """End this process, where storage fails, with an explanation after the traceback.

    It goes to standard error, the log, and to ``console`` as well: what the process had for
    standard error before, since a log on a full disk stays empty. Mistakes of data and
    configuration are told there too, without a traceback.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, DataError | ConfigError):
            told = "\n".join([str(error), *getattr(error, "__notes__", ())])
        else:
            before(kind, error, trace)
            told = explain(error)
        if told is None:
            return
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        same = os.path.sameopenfile(2, console)
        for file in (2,) if same else (2, console):
            with suppress(OSError):
                os.write(file, f"\n{told}\n".encode())

    sys.excepthook = hook


def check_storage(folders: Iterable[str | Path]) -> list[str]:
    """Write, rename and remove a small file in each folder; returns warnings of little space.

    Of a folder that is not there yet, the nearest one above it is tried; none is made.

    Raises:
        StorageError: a folder cannot be written, or next to nothing fits into it.
    """
    warnings = {}
    for wanted in map(Path, folders):
        folder = _existing(wanted)
        try:
            _probe(folder)
            warning = _warning(folder)
            if warning:
                warnings.setdefault(os.stat(folder).st_dev, warning)
        except OSError as error:
            told = explain(error) or f"{error}\nTo do: make {folder} a folder that can be written."
            raise StorageError(f"{wanted} cannot be written. {told}") from None
    return list(warnings.values())


def _existing(folder: Path) -> Path:
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def _probe(folder: Path) -> None:
    """Raises OSError, of this folder, where anything that a job does with a file fails."""
    handle, name = tempfile.mkstemp(prefix=".probe.", dir=folder)
    moved = f"{name}.moved"
    try:
        try:
            os.write(handle, bytes(PROBE_BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(name, moved)
        os.unlink(moved)
    except OSError as error:
        error.filename = error.filename or str(folder)
        for left in (name, moved):
            with suppress(OSError):
                os.unlink(left)
        raise
    if _free(folder)[0] < NO_SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _warning(folder: Path) -> str | None:
    free, files = _free(folder)
    place = os.path.abspath(folder)
    if free < LITTLE_SPACE:
        return f"Storage: only {free / 1e6:.0f} MB are free in {place} (df -h)"
    if files is not None and files < LITTLE_FILES:
        return f"Storage: only {files} more files fit in {place} (df -i)"
    return None
