"""What a Snakemake started without the launcher looks for before its first job."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from al.io.heartbeat import Heartbeat

from .jobs import ClusterSilent, living_jobs
from .processes import LAUNCH_VARIABLE, orphaned_job, survivors
from .state import (
    BEAT,
    LaunchRefused,
    Record,
    folder_lock,
    no_other_host,
    now,
    read_record,
    record_path,
    write_record,
)

ADVICE = "`make run` with the same settings ends what is left of it and continues"
_held = ExitStack()  # to the end of the process


def guard_start(directory: Path, slurm: bool) -> None:
    """Take the folder for this Snakemake, or refuse; does nothing under the launcher.

    Args:
        directory: Snakemake's working directory.
        slurm: whether its jobs go to SLURM.

    Raises:
        LaunchRefused: another Snakemake works here, or something that one left is still alive.
    """
    record = read_record(directory)
    if record is not None and record.launch_id == os.environ.get(LAUNCH_VARIABLE):
        return
    lock = folder_lock(directory, sys.argv[1:])
    _held.enter_context(lock)
    try:
        refuse_survivors(directory, slurm)
    except BaseException:
        _held.close()
        raise
    _leave_record(directory, slurm)


def refuse_survivors(directory: Path, slurm: bool) -> None:
    """Raise LaunchRefused when something of an earlier Snakemake in the folder is alive."""
    record = read_record(directory)
    open_record = record is not None and record.ended is None
    alive: list[str] = []
    if open_record:
        no_other_host(directory, record)
        alive += [f"process {process.pid}" for process in survivors(record)]
    orphan = orphaned_job(directory)
    if orphan is not None and f"process {orphan.pid}" not in alive:
        alive.append(f"process {orphan.pid}")
    if slurm or (record is not None and record.slurm):
        try:
            alive += [str(job) for job in living_jobs(directory)]
        except ClusterSilent as silence:
            if slurm or open_record:
                raise LaunchRefused(
                    f"{silence}; whether SLURM jobs of an earlier Snakemake still write in "
                    f"{directory} is not known"
                ) from None
    if alive:
        raise LaunchRefused(
            f"an earlier Snakemake in {directory} left running: {', '.join(alive)}. {ADVICE}"
        )


def _leave_record(directory: Path, slurm: bool) -> None:
    """Write this Snakemake's record, keep it fresh, and note the end when the process exits."""
    record = Record(
        launch_id=str(uuid.uuid4()),
        host=socket.gethostname(),
        started=now(),
        command=sys.argv[1:],
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        slurm=slurm,
        plain=True,
    )
    os.environ[LAUNCH_VARIABLE] = record.launch_id  # its jobs inherit it
    write_record(directory, record)
    _held.enter_context(Heartbeat(record_path(directory), BEAT))
    atexit.register(_note_end, directory, record)


def _note_end(directory: Path, record: Record) -> None:
    _held.close()
    if not survivors(record):
        write_record(directory, replace(record, ended=now()))
