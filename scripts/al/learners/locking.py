"""A lock on a work folder that holds between nodes, and ends with its process.

``flock`` decides where it works. On a cluster's file system it may hold on one node alone, or be
missing; so the lock file also names its holder, who touches it every ``BEAT`` seconds. Where
``flock`` grants a lock that another node has not released, the file is watched until nobody has
touched it for ``STALE`` seconds. A holder that finds another name in its file ends at once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from al.io.heartbeat import Heartbeat

BEAT = 10.0  # seconds between two touches
STALE = 60.0  # seconds without a touch after which a holder counts as dead
POLL = 1.0  # seconds between two looks at a lock that is being watched
SETTLE = 2.0  # seconds that another waiter has to write its name
MISSING = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}  # e.g. Lustre without flock
RELEASED = "released"
_held: set[int] = set()


def _let_go() -> None:
    """Close the locks of the parent in a child, which would hold them beyond the parent's end."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


class LockedError(RuntimeError):
    """Another process is writing this folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder/lock`` while the block runs; the file stays, the lock does not.

    Waits up to ``STALE`` seconds where the holder named in the file may have died on another node.

    Raises:
        LockedError: another process (or another block) holds it; names its host, process, SLURM
            job and start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _held.add(handle)
    try:
        authority = _flock(handle, folder)
        before = _read(path)
        doubted = not _is_free(before) and not (authority and _is_ours(before))
        if doubted:
            _watch(path, before)
        name = _write(handle)
        if doubted:
            time.sleep(SETTLE)
            _refuse_unless(path, name)
        try:
            with Heartbeat(path, BEAT, lambda: _end_unless(path, name)):
                yield
        finally:
            with contextlib.suppress(OSError):  # a full disk does not undo a finished training
                if _read(path) == name:
                    _write(handle, f"{RELEASED} by {name}")
    finally:
        if handle in _held:  # not in a child
            _held.remove(handle)
            os.close(handle)


def _flock(handle: int, folder: Path) -> bool:
    """Take the lock; whether the file system knows locks at all."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _refusal(folder, os.pread(handle, 1000, 0).decode(errors="replace")) from None
    except OSError as error:
        if error.errno in MISSING:
            return False
        raise
    return True


def _refusal(folder: Path, holder: str) -> LockedError:
    return LockedError(
        f"{folder} is being written by another training: {holder.strip() or 'unknown'}"
    )


def _read(path: Path) -> str:
    # Opened anew each time, as network file systems look for changes when a file is opened.
    return path.read_text(encoding="utf-8", errors="replace").strip()


def _write(handle: int, text: str | None = None) -> str:
    """Write ``text``, by default this process's name, and return it."""
    if text is None:
        job = os.environ.get("SLURM_JOB_ID")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = (
            f"host {socket.gethostname()}, pid {os.getpid()}, since {now}"
            f"{f', SLURM job {job}' if job else ''}, key {uuid.uuid4().hex[:12]}"
        )
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{text}\n".encode(), 0)
    os.fsync(handle)
    return text


def _is_free(holder: str) -> bool:
    return not holder or holder.startswith(RELEASED)


def _is_ours(holder: str) -> bool:
    """Whether the holder was on this host, where a granted ``flock`` proves that it is gone."""
    found = re.match(r"host (\S+),", holder)
    return found is not None and found[1] == socket.gethostname()


def _watch(path: Path, before: str) -> None:
    """Return when the lock is released or nobody touched it for ``STALE`` seconds.

    Raises:
        LockedError: it was touched, or got another holder.
    """
    seen = path.stat().st_mtime_ns
    left = STALE - _age(path)
    if left > 0:
        print(f"{path} names a holder, waiting up to {left:.0f} s for its touch: {before}")
    limit = time.monotonic() + left
    while time.monotonic() < limit:
        time.sleep(min(POLL, STALE))
        holder = _read(path)
        if _is_free(holder):
            return
        if holder != before or path.stat().st_mtime_ns != seen:
            raise _refusal(path.parent, holder)


def _age(path: Path) -> float:
    """Seconds since a file was touched, by the clock of its file system; 0 for the future."""
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    probe.touch()
    try:
        return max(0.0, probe.stat().st_mtime - path.stat().st_mtime)
    finally:
        probe.unlink(missing_ok=True)


def _refuse_unless(path: Path, name: str) -> None:
    if (holder := _read(path)) != name:
        raise _refusal(path.parent, holder)


def _end_unless(path: Path, name: str) -> None:
    """End this process when its lock has another holder: it was taken for dead.

    Files appear by rename, so the end leaves whole ones, as SIGKILL does.
    """
    holder = _read(path)
    if holder == name:
        return
    print(f"{path} was taken over, this process ends: {holder}", file=sys.stderr, flush=True)
    os._exit(1)
