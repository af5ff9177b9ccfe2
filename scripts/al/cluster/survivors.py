"""Processes that outlived their Snakemake: find them, end them, wait until they are gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from .launches import LAUNCH_VARIABLE, Launch, LaunchRefused

KILL_WAIT = 60.0  # seconds that the kernel gets to remove killed processes
POLL = 0.2


def survivors(launch: Launch, slurm: bool = False) -> list[psutil.Process]:
    """Living processes of a launch, oldest first, so that a shell ends before its command.

    They carry the launch's id in their environment, which children inherit. What SLURM started on
    this machine is left to SLURM, unless ``slurm`` asks for it as well.
    """
    own = psutil.Process()
    spared = {own.pid, *(parent.pid for parent in own.parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            held = process.environ()
            submitted = held.get("SLURM_JOB_ID") not in (None, launch.inside)
            if (
                held.get(LAUNCH_VARIABLE) == launch.id
                and process.pid not in spared
                and process.status() != psutil.STATUS_ZOMBIE
                and (slurm or not submitted)
            ):
                found.append((process.create_time(), process))
    return [process for _, process in sorted(found, key=lambda pair: pair[0])]


def end_survivors(
    launch: Launch, grace: float, say: Callable[[str], None], slurm: bool = False
) -> int:
    """End every process of a launch and return how many there were, once none is left.

    SIGTERM first (a learner then saves where it stands), SIGKILL after ``grace`` seconds. The
    search is repeated, since a process may start another one while it is being ended.

    Raises:
        LaunchRefused: a process is still there ``KILL_WAIT`` seconds after SIGKILL.
    """
    told: set[psutil.Process] = set()
    start = time.monotonic()
    while living := survivors(launch, slurm):
        waited = time.monotonic() - start
        if waited > grace + KILL_WAIT:
            names = ", ".join(f"process {process.pid}" for process in living)
            raise LaunchRefused(f"could not end {names} left by an earlier Snakemake")
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                if waited > grace:
                    process.kill()
                elif process not in told:
                    told.add(process)
                    say(f"ending process {process.pid}, left by the Snakemake of {launch.started}")
                    process.terminate()
        time.sleep(POLL)
    return len(told)
