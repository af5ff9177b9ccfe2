"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import json
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from al.io.damage import remedy
from al.io.errors import ConfigError, DataError

_PART = ".part-"
# A name that mkstemp makes below: .NAME.part-RANDOM[.SUFFIX]
_TEMPORARY = re.compile(r"\..+\.part-[a-z0-9_]{8}(\.[^.]+)?")
# Of a file that is not there or a folder; a damaged offset cannot be sought, bz2 has no number.
_DAMAGE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, None)
_MOST = 300  # letters of a reason
_LONGEST = 200  # bytes; file systems take 255, and what is being written has a longer name
_FRESH = 60.0  # seconds; the locks of some cluster file systems are not seen on other nodes


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there when the block succeeds.

    The temporary file is locked while the block runs: see ``sweep``.
    """
    path = Path(path)
    handle = -1
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name}{_PART}"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
        temporary = Path(name)
        with suppress(OSError):  # a file system without locks; nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        error.add_note(f"while {path} was written")
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):  # would hide the first error
                temporary.unlink(missing_ok=True)
        if handle >= 0:
            os.close(handle)


def sweep(folder: str | Path, fresh: float = _FRESH) -> int:
    """Remove the temporary files that killed writers left under ``folder``; returns how many.

    A file whose writer lives is locked and stays, as does one written ``fresh`` seconds ago.
    """
    removed = 0
    for place, _, names in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, names):
            with suppress(OSError):
                removed += _remove_unlocked(Path(place, name), fresh)
    return removed


def _remove_unlocked(path: Path, fresh: float) -> bool:
    """Raises OSError where it is locked, or cannot be."""
    if time.time() - path.stat().st_mtime < fresh:
        return False
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path`` by rename."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` by rename."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_name(name: str) -> str:
    """Return a file's name, without suffix, for any text: quoted, and short; no two share one."""
    return short_name(quote(name, safe=""))


def short_name(name: str) -> str:
    """Return a name of a file, or where it is too long its beginning and a digest of it."""
    held = os.fsencode(name)
    if len(held) <= _LONGEST:
        return name
    digest = sha256(held).hexdigest()[:32]
    return held[: _LONGEST - len(digest) - 1].decode(errors="ignore") + f"-{digest}"


@contextmanager
def reading(
    path: str | Path, what: str = "it", passed: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Tell that a file of the project's own is damaged, and what to do about it.

    What is told already passes, as does what the disk raises.

    Args:
        path: of the file, which the block reads and makes something of.
        what: is in it, for the message.
        passed: kinds of errors that mean something else.

    Raises:
        DataError: for all else that is raised in the block.
    """
    try:
        yield
    except (DataError, ConfigError, MemoryError, *passed):
        raise
    except Exception as error:  # zipfile, zlib, json, torch and numpy have dozens for damaged bytes
        if isinstance(error, OSError) and error.errno not in _DAMAGE:
            raise
        if isinstance(error, FileNotFoundError):
            told, then = "not there", remedy(path).removeprefix(f"delete {path}: ")
        else:
            told = f"incomplete, damaged or of another form: {repr(error)[:_MOST]}"
            then = remedy(path)
        raise DataError(f"{path}: {what} cannot be read, {told}. To do: {then}") from error


@contextmanager
def stored(path: str | Path, what: str = "it") -> Iterator[zipfile.ZipFile]:
    """Open an archive in which nothing is compressed: what is may be of any size.

    Raises:
        DataError: as ``reading``, for what is done with it too.
    """
    with reading(path, what), zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("compressed, which nothing in it is")
        yield archive


def read_json(path: str | Path, **expected: type | tuple[type, ...]) -> dict[str, Any]:
    """Read an object of JSON.

    Args:
        path: of the file.
        **expected: types of keys that must be there.

    Raises:
        DataError: the file is not there, is damaged, or lacks something.
    """
    with reading(path):
        text = Path(path).read_text(encoding="utf-8")
        held = json.loads(text, parse_constant=_refuse_constant)
        check_keys(held, expected)
    return held


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no number of JSON")


def read_lines(path: str | Path) -> io.StringIO:
    """Open a table, for the csv module. Raises ValueError where its last line is cut off."""
    text = Path(path).read_bytes().decode("utf-8")
    if not text.endswith("\n"):
        raise ValueError("cut off in its last line")
    return io.StringIO(text, newline="")


def write_lines(path: str | Path, lines: Iterable[Iterable[Any]]) -> None:
    """Write a table as CSV, its head first, by rename."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        bare = csv.writer(file, lineterminator="\n")
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for line in map(list, lines):  # csv leaves a carriage return bare, and reads it as an end
            (quoted if any("\r" in str(cell) for cell in line) else bare).writerow(line)


def check_keys(held: Any, expected: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raise ValueError where something is no mapping, or lacks keys of some types.

    A whole number is a number too; a truth value is none.
    """
    if not isinstance(held, dict):
        raise ValueError(f"{type(held).__name__} in place of a mapping")
    if lacking := [key for key in expected if key not in held]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    for key, kinds in expected.items():
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        fits = isinstance(held[key], (*kinds, int) if float in kinds else kinds)
        if not fits or (isinstance(held[key], bool) and bool not in kinds):
            raise ValueError(f"{key}: {held[key]!r} in place of {kinds[0].__name__}")
