"""A lock on a work folder that dies with its process."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class LockedError(RuntimeError):
    """Another process is writing this folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder/lock`` while the block runs; the file stays, the lock does not.

    Raises:
        LockedError: when another process (or another block) holds it, with host, pid and time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 1000, 0).decode(errors="replace").strip() or "unknown"
            raise LockedError(f"{folder} is being written by another training: {holder}") from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(handle, 0)
        os.pwrite(
            handle, f"host {socket.gethostname()}, pid {os.getpid()}, since {now}\n".encode(), 0
        )
        yield
    finally:
        os.close(handle)
