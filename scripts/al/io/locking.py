"""A lock on a folder that holds between the nodes of a cluster, and ends with its process.

``SoftFileLease`` of filelock makes the lock file and touches it every ``BEAT`` seconds; a contender
measures with its own clock how long nobody has, so that clocks need not agree. It takes the lock of
a dead process of the same host over at once, that of another host after ``LEASE`` seconds, but only
by exchanging two names in one step, which NFS, Lustre and most file systems of clusters refuse
(EINVAL): there filelock waits for ever. Hence the last step of ``_acquire``.

A holder whose lock was taken over ends within two beats. One that was suspended for longer than
``LEASE`` may therefore write for two beats after it was resumed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import LeaseCompromise, SoftFileLease, Timeout

BEAT = 3.0  # seconds between two touches
LEASE = 60.0  # seconds without a touch after which a holder counts as dead
POLL = 0.5  # seconds between two looks at a lock that is being watched


class LockedError(RuntimeError):
    """Another process is writing this folder; ``holder`` names its host and process."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is being written by another process: {holder}")
        self.holder = holder


def _end(loss: LeaseCompromise) -> None:
    """End this process when its lock has another holder: it was taken for dead.

    Files appear by rename, so the end leaves whole ones, as SIGKILL does.
    """
    print(f"{loss.lock_file} was lost, this process ends: {loss.reason}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def locked(folder: Path, lost: Callable[[LeaseCompromise], None] = _end) -> Iterator[None]:
    """Hold ``folder/lock`` while the block runs.

    Waits up to ``LEASE`` seconds where the holder may have died on another node.

    Args:
        folder: made where it is missing.
        lost: called on a thread when the lock was taken over, or could not be touched any more.

    Raises:
        LockedError: another process (or another block) holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(
        folder / "lock",
        lease_duration=LEASE,
        heartbeat_interval=BEAT,
        poll_interval=POLL,
        on_compromise=lost,
    )
    _acquire(lease, folder)
    try:
        yield
    finally:
        with suppress(OSError):  # a full disk does not undo a finished training
            lease.release()


def _acquire(lease: SoftFileLease, folder: Path) -> None:
    path = folder / "lock"
    with suppress(Timeout):
        lease.acquire(blocking=False)
        return
    first, holder = _state(path), _holder(lease)
    print(f"{path} names a holder, waiting up to {LEASE:.0f} s for its touch: {holder}")

    def lives() -> bool:
        return _state(path) not in (first, None)

    with suppress(Timeout):
        lease.acquire(timeout=LEASE + 2 * POLL, cancel_check=lives)
        return
    if lives():
        raise LockedError(folder, _holder(lease))
    lease.force_break()
    try:
        lease.acquire(blocking=False)
    except Timeout:
        raise LockedError(folder, _holder(lease)) from None
    # Of those who break it at once one is left, and whoever came between them has noticed.
    time.sleep(3 * BEAT)
    if lease.owner is None or lease.owner.token != lease.token:
        holder = _holder(lease)
        lease.release()
        raise LockedError(folder, holder)


def _state(path: Path) -> tuple[int, int, bytes] | None:
    """What changes with every touch and holder; None where there is no lock.

    Opened anew each time: network file systems look for changes when a file is opened.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            return found.st_mtime_ns, found.st_ino, file.read()
    except FileNotFoundError:
        return None


def _holder(lease: SoftFileLease) -> str:
    owner = lease.owner
    return "unknown" if owner is None else f"host {owner.hostname}, pid {owner.pid}"
