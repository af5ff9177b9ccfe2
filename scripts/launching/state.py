"""The lock of the working folder, and the record of the Snakemake that runs in it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from glue.files import read_json, write_json


class LaunchRefused(RuntimeError):
    """A start that would put two writers into one folder; the message names the other one."""


@dataclass(frozen=True)
class Record:
    """One Snakemake started by the launcher.

    Attributes:
        launch_id: value of ``DECOMP_LAUNCH_ID`` in it and in all its children.
        host: machine it runs on.
        started: ISO time of the launcher's start.
        command: Snakemake's arguments.
        pid: its process, session and process group; ``None`` until it has been started.
        created: its start time in seconds since the epoch, as process ids are used again.
        ended: ISO time at which it and all its children were gone; ``None`` until then.
    """

    launch_id: str
    host: str
    started: str
    command: list[str]
    pid: int | None = None
    created: float | None = None
    ended: str | None = None


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


def write_record(directory: Path, record: Record) -> None:
    """Write the record by rename."""
    write_json(record_path(directory), asdict(record))


@contextmanager
def folder_lock(directory: Path, command: list[str]) -> Iterator[None]:
    """Hold the launcher's lock on ``directory``; the kernel drops it when the process ends.

    Raises:
        LaunchRefused: another launcher holds it; names its host, process, start and command.
    """
    path = directory / ".snakemake" / "decomp-launch.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchRefused(_holder(path, directory)) from None
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "time": now()}
        file.truncate(0)
        json.dump({**holder, "command": command}, file)
        file.flush()
        yield


def _holder(path: Path, directory: Path) -> str:
    try:
        first = json.loads(path.read_text(encoding="utf-8"))
        told = (
            f"host {first['host']}, process {first['pid']}, since {first['time']}: "
            f"{' '.join(first['command'])}"
        )
    except ValueError:
        told = "it has only just started"
    return f"another launcher already runs in {directory} ({told}); wait for it, or stop it first"
