"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PART = ".part-"
# A name that mkstemp makes below: .NAME.part-RANDOM[.SUFFIX]
_TEMPORARY = re.compile(r"\..+\.part-[a-z0-9_]{8}(\.[^.]+)?")
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


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
