"""The lock of the working folder, and the record of the Snakemake that runs in it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil

from al.io.files import read_json, write_json

BEAT = 30.0  # seconds between two signs of life in the record
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}  # from a file system without flock


class LaunchRefused(RuntimeError):
    """A start that would put two writers into one folder; the message names the other one."""


@dataclass(frozen=True)
class Record:
    """One Snakemake, started by the launcher or by itself.

    Attributes:
        launch_id: value of ``DECOMP_LAUNCH_ID`` in it and in all its children.
        host: machine it runs on.
        started: ISO time of the launcher's start.
        command: Snakemake's arguments.
        pid: its process, session and process group; ``None`` until it has been started.
        created: its start time in seconds since the epoch, as process ids are used again.
        ended: ISO time at which it and all its children were gone; ``None`` until then.
        slurm: whether its jobs go to SLURM.
        plain: whether it was started without the launcher.

    The record's file is touched every ``BEAT`` seconds while it runs.
    """

    launch_id: str
    host: str
    started: str
    command: list[str]
    pid: int | None = None
    created: float | None = None
    ended: str | None = None
    slurm: bool = False
    plain: bool = False

    @property
    def alive(self) -> bool:
        """Whether its own process lives on this host."""
        return self.pid is not None and _lives(self.pid, self.created)


def now() -> str:
    """Local time with its offset, ISO 8601, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def record_path(directory: Path) -> Path:
    """Place of the record of a working folder."""
    return directory / ".snakemake" / "decomp-launch.json"


def read_record(directory: Path) -> Record | None:
    """Record of the last start in ``directory``; ``None`` where there was none."""
    path = record_path(directory)
    return Record(**read_json(path)) if path.exists() else None


def last_seen(directory: Path) -> str:
    """When a Snakemake was last seen alive, by the record's file."""
    minutes = (time.time() - record_path(directory).stat().st_mtime) / 60
    return "less than a minute ago" if minutes < 1 else f"{minutes:.0f} minutes ago"


def no_other_host(directory: Path, record: Record) -> None:
    """Raise LaunchRefused when a record without an end is of another machine."""
    if record.host != socket.gethostname():
        raise LaunchRefused(
            f"a Snakemake started on host {record.host} at {record.started} (process "
            f"{record.pid}, last seen alive {last_seen(directory)}) has no recorded end; see "
            f"there that it is gone, then start with `make run TAKEOVER=1 ...` (launch.py "
            f"--takeover), which ends its SLURM jobs and goes on. The record: "
            f"{record_path(directory)}"
        )


def _lives(pid: int, created: float | None) -> bool:
    try:
        process = psutil.Process(pid)
        same = created is None or abs(process.create_time() - created) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write_record(directory: Path, record: Record) -> None:
    """Write the record by rename."""
    write_json(record_path(directory), asdict(record))


@contextmanager
def folder_lock(directory: Path, command: list[str]) -> Iterator[None]:
    """Hold the lock on ``directory``; the kernel drops it when the process ends.

    Raises:
        LaunchRefused: another start holds it; names its host, process, start and command.
    """
    path = directory / ".snakemake" / "decomp-launch.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchRefused(_holder(path, directory)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            if _holder_lives(path):
                raise LaunchRefused(_holder(path, directory)) from None
        created = psutil.Process().create_time()
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "created": created}
        file.truncate(0)
        json.dump({**holder, "time": now(), "command": command}, file)
        file.flush()
        yield


def _holder_lives(path: Path) -> bool:
    """Whether the last holder still runs here; of other hosts, the record tells."""
    try:
        first = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    same_host = first["host"] == socket.gethostname()
    return same_host and _lives(first["pid"], first.get("created"))


def _holder(path: Path, directory: Path) -> str:
    try:
        first = json.loads(path.read_text(encoding="utf-8"))
        told = (
            f"host {first['host']}, process {first['pid']}, since {first['time']}: "
            f"{' '.join(first['command'])}"
        )
    except ValueError:
        told = "it has only just started"
    return f"another Snakemake already runs in {directory} ({told}); wait for it, or stop it first"
