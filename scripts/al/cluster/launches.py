"""The lock of the working folder, and the record of the Snakemake that was last started in it."""

from __future__ import annotations

import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from al.io.files import read_json, reading, write_json
from al.io.locking import LockedError, locked

LAUNCH_VARIABLE = "DECOMP_LAUNCH_ID"  # in the environment of a Snakemake and of all its children


class LaunchRefused(RuntimeError):
    """A start that would put two writers into one folder; the message names the other one."""


class FolderBusy(LaunchRefused):
    """Another Snakemake works in the folder now; when it is through, a start is not refused."""


@dataclass(frozen=True)
class Launch:
    """One Snakemake, started by the launcher or by itself.

    Attributes:
        id: value of ``DECOMP_LAUNCH_ID`` in it and in all its children.
        host: machine it runs on.
        started: ISO time of the start.
        pid: its process, session and process group; ``None`` until it has been started.
        slurm: whether its jobs go to SLURM.
        inside: SLURM's id of the job that it runs in itself, as on a node that was asked for.
        ended: ISO time at which it and all its children were gone; ``None`` until then.
    """

    id: str
    host: str
    started: str
    pid: int | None = None
    slurm: bool = False
    inside: str | None = None
    ended: str | None = None

    @classmethod
    def new(cls, slurm: bool, pid: int | None = None) -> Launch:
        """Return one that begins now, on this host."""
        inside = os.environ.get("SLURM_JOB_ID")
        return cls(str(uuid.uuid4()), socket.gethostname(), _now(), pid, slurm, inside)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def launch_path(directory: Path) -> Path:
    """Place of the record of a working folder."""
    return directory / ".snakemake" / "decomp-launch" / "launch.json"


def read_launch(directory: Path) -> Launch | None:
    """The last start in ``directory``; ``None`` where there was none."""
    path = launch_path(directory)
    if not path.exists():
        return None
    text, maybe = str, (str, type(None))
    held = read_json(
        path, id=text, host=text, started=text, pid=(int, type(None)), slurm=bool, inside=maybe,
        ended=maybe,
    )  # fmt: skip
    with reading(path):
        return Launch(**held)


def open_launch(directory: Path) -> Launch | None:
    """The last start in ``directory`` if it has no recorded end."""
    launch = read_launch(directory)
    return None if launch is None or launch.ended else launch


def write_launch(directory: Path, launch: Launch) -> None:
    """Write the record by rename."""
    write_json(launch_path(directory), asdict(launch))


def end_launch(directory: Path, launch: Launch) -> None:
    """Record that nothing of a launch is left."""
    write_launch(directory, replace(launch, ended=_now()))


def has_locks(directory: Path) -> bool:
    """Whether Snakemake's own locks lie in the folder."""
    locks = directory / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


@contextmanager
def folder_lock(directory: Path, takeover: bool = False) -> Iterator[None]:
    """Hold the lock on ``directory``; it ends with the process.

    A holder that finds it taken over gets a SIGTERM.

    Args:
        directory: Snakemake's working directory.
        takeover: a Snakemake of another machine is known to be gone; one seen alive is not ended.

    Raises:
        FolderBusy: another start holds it.
        LaunchRefused: another machine's has no recorded end.
    """
    launch = open_launch(directory)
    if launch is not None and launch.host != socket.gethostname() and not takeover:
        raise LaunchRefused(
            f"a Snakemake started on host {launch.host} at {launch.started} (process "
            f"{launch.pid}, last seen alive {_last_seen(directory)}) has no recorded end; see "
            f"there that it is gone, then start with `make run TAKEOVER=1 ...` (launch.py "
            f"--takeover), which ends its SLURM jobs and goes on. The record: "
            f"{launch_path(directory)}"
        )
    folder = launch_path(directory).parent
    try:
        with locked(folder, lambda _: os.kill(os.getpid(), signal.SIGTERM)):
            yield
    except LockedError as error:
        since = "" if launch is None else f", since {launch.started}"
        raise FolderBusy(
            f"another Snakemake already runs in {directory} ({error.holder}{since}); wait for it, "
            "or stop it first"
        ) from None


def _last_seen(directory: Path) -> str:
    """When a Snakemake was last seen alive, by the touch of its lock."""
    lock = launch_path(directory).with_name("lock")
    if not lock.exists():
        lock = launch_path(directory)
    minutes = (time.time() - lock.stat().st_mtime) / 60
    return "less than a minute ago" if minutes < 1 else f"{minutes:.0f} minutes ago"
