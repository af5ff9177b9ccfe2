"""Processes that outlived their Snakemake: find them, end them, wait until they are gone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from .jobs import RUN_NAME
from .state import LaunchRefused, Record

LAUNCH_VARIABLE = "DECOMP_LAUNCH_ID"
KILL_WAIT = 60.0  # seconds that the kernel gets to remove killed processes
POLL = 0.2


def survivors(record: Record, slurm: bool = False) -> list[psutil.Process]:
    """Living processes of a launch, oldest first, so that a shell ends before its command.

    They carry the launch's id in their environment, which children inherit. Where that cannot
    be read, the session and a start after the launch's own stand in for it. What SLURM started on
    this machine is left to SLURM, unless ``slurm`` asks for it as well.
    """
    found = []
    for process in _others():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if _belongs(process, record) and (slurm or not _is_slurm_job(process)):
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def _others() -> list[psutil.Process]:
    """Every living process but this one and those that it runs under."""
    own = psutil.Process()
    spared = {own.pid, *(parent.pid for parent in own.parents())}
    return [process for process in psutil.process_iter() if process.pid not in spared]


def _belongs(process: psutil.Process, record: Record) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    try:
        environment = process.environ()
    except psutil.AccessDenied:
        environment = {}
    if environment:
        return environment.get(LAUNCH_VARIABLE) == record.launch_id
    if record.pid is None or record.created is None:
        return False
    return os.getsid(process.pid) == record.pid and process.create_time() >= record.created


def _is_slurm_job(process: psutil.Process) -> bool:
    """Whether the executor submitted it; it names its jobs, unlike the shell of an allocation."""
    try:
        return RUN_NAME.fullmatch(process.environ().get("SLURM_JOB_NAME", "")) is not None
    except psutil.AccessDenied:
        return False


def end_survivors(
    record: Record, grace: float, say: Callable[[str], None], slurm: bool = False
) -> int:
    """End every process of a launch and return how many there were, once none is left.

    SIGTERM first (a learner then saves where it stands), SIGKILL after ``grace`` seconds. The
    search is repeated, since a process may start another one while it is being ended.

    Raises:
        LaunchRefused: a process is still there ``KILL_WAIT`` seconds after SIGKILL.
    """
    told: set[tuple[int, float]] = set()
    start = time.monotonic()
    while living := survivors(record, slurm):
        waited = time.monotonic() - start
        if waited > grace + KILL_WAIT:
            raise LaunchRefused(f"could not end {_names(living)} left by an earlier Snakemake")
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                identity = (process.pid, process.create_time())
                if waited > grace:
                    process.kill()
                elif identity not in told:
                    told.add(identity)
                    say(f"ending process {process.pid}, left by the Snakemake of {record.started}")
                    process.terminate()
        time.sleep(POLL)
    return len(told)


def _names(processes: list[psutil.Process]) -> str:
    return ", ".join(f"process {process.pid}" for process in processes)


def plain_snakemake(directory: Path) -> psutil.Process | None:
    """A Snakemake, or a job of one, that works in ``directory`` without this launcher."""
    return _worker(directory, _is_snakemake)


def orphaned_job(directory: Path) -> psutil.Process | None:
    """A local job of any Snakemake that works in ``directory``."""
    return _worker(directory, _is_job)


def _worker(directory: Path, wanted: Callable[[list[str]], bool]) -> psutil.Process | None:
    for process in _others():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if Path(process.cwd()) == directory and wanted(process.cmdline()):
                return process
    return None


def _is_snakemake(arguments: list[str]) -> bool:
    """Whether a command line is Snakemake's or one of its script jobs, not e.g. a pager's."""
    head = arguments[:4]  # interpreter, perhaps an option of it, then the program
    runs_module = any(pair == ("-m", "snakemake") for pair in zip(head, head[1:], strict=False))
    return runs_module or _is_script(head) or any(Path(word).name == "snakemake" for word in head)


def _is_script(head: list[str]) -> bool:
    return any(".snakemake/scripts/" in word for word in head)


def _is_job(arguments: list[str]) -> bool:
    """Whether a command line is that of a job, not of a Snakemake that starts jobs."""
    spawned = _is_snakemake(arguments) and "--mode" in arguments
    return spawned or _is_script(arguments[:4])
