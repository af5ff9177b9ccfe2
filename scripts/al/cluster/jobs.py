"""SLURM jobs that an earlier Snakemake of a folder left: find them, end them, see them gone."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .launches import LaunchRefused

PREFIX = "decomp"
ANSWER = 30.0  # seconds that one of SLURM's commands gets
SILENCE = 120.0  # seconds for which the launcher waits for a controller that is restarted
SLURM_WAIT = 240.0  # seconds that SLURM gets to end jobs; its own KillWait is 30 as a rule
POLL = 1.0
FINISHED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"}
    | {"PREEMPTED", "REVOKED", "TIMEOUT"}
)
# The executor names jobs PREFIX_UUID.
RUN_NAME = re.compile(r"(?:(?P<prefix>[\w-]+)_)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN = re.compile(rf"{PREFIX}-[0-9a-f]{{12}}")


class ClusterSilent(LaunchRefused):
    """SLURM did not say which jobs live."""


@dataclass(frozen=True)
class Job:
    """A job that SLURM has not finished.

    Attributes:
        number: id to cancel it by; that of the whole array, for a part of one.
        shown: id as squeue shows it.
        state: e.g. ``RUNNING``.
        nodes: where it runs; empty while it waits.
    """

    number: str
    shown: str
    state: str
    nodes: str

    def __str__(self) -> str:
        return f"SLURM job {self.shown} ({self.state}{f' on {self.nodes}' if self.nodes else ''})"


def job_prefix(directory: Path) -> str:
    """Beginning of the names of the jobs that the launcher starts for a folder."""
    return f"{PREFIX}-{sha256(os.fsencode(directory.resolve())).hexdigest()[:12]}"


def living_jobs(directory: Path) -> list[Job]:
    """The user's unfinished SLURM jobs of any Snakemake that worked in ``directory``.

    A prefix of the launcher tells the folder; of others, the jobs' working directory does.

    Raises:
        ClusterSilent: squeue is missing, fails or does not answer.
    """
    found = []
    shown = "%F|%i|%T|%N|%j|%Z"
    for line in _ask("squeue", "-h", "-u", str(os.getuid()), "-t", "all", "-o", shown).splitlines():
        number, shown, state, nodes, name, place = line.split("|", 5)
        if state not in FINISHED and _is_of(directory, name, place):
            found.append(Job(number, shown, state, nodes))
    return found


def _is_of(directory: Path, name: str, place: str) -> bool:
    run = RUN_NAME.fullmatch(name)
    if run is None:
        return False
    if _OWN.fullmatch(run["prefix"] or ""):
        return run["prefix"] == job_prefix(directory)
    return Path(place).resolve() == directory.resolve()


def _ask(*words: str) -> str:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER
        )
    except FileNotFoundError:
        raise ClusterSilent(f"{words[0]} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise ClusterSilent(f"{words[0]} did not answer in {ANSWER:g} s") from None
    if done.returncode:
        raise ClusterSilent(f"{words[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def end_jobs(
    directory: Path,
    say: Callable[[str], None],
    limit: float = SLURM_WAIT,
    patience: float = SILENCE,
) -> int:
    """Cancel the folder's SLURM jobs and return how many there were, once none is left.

    SLURM sends SIGTERM first (a learner then saves where it stands), SIGKILL after KillWait.

    Args:
        directory: the folder they work in.
        say: told what is being done.
        limit: seconds for all jobs to go.
        patience: seconds for which a cluster that does not answer is asked again.

    Raises:
        LaunchRefused: jobs are left after ``limit`` seconds; names them.
        ClusterSilent: the cluster did not answer for ``patience`` seconds.
    """
    cancelled: set[str] = set()
    start = time.monotonic()
    while living := _patient_living_jobs(directory, say, patience):
        if time.monotonic() - start > limit:
            raise LaunchRefused(
                f"{', '.join(map(str, living))}: left by an earlier Snakemake in {directory}, and "
                f"not gone {limit:.0f} s after scancel; start again when squeue shows none of them"
            )
        new = [job for job in living if job.number not in cancelled and job.state != "COMPLETING"]
        for job in new:
            say(f"cancelling {job}, left by an earlier Snakemake")
        if new:
            with contextlib.suppress(ClusterSilent):  # tried again
                _ask("scancel", *sorted({job.number for job in new}))
                cancelled |= {job.number for job in new}
        time.sleep(POLL)
    return len(cancelled)


def _patient_living_jobs(directory: Path, say: Callable[[str], None], patience: float) -> list[Job]:
    limit = time.monotonic() + patience
    while True:
        try:
            return living_jobs(directory)
        except ClusterSilent as silence:
            if time.monotonic() > limit or "not installed" in str(silence):
                raise
            say(f"{silence}; asking again for up to {limit - time.monotonic():.0f} s")
            time.sleep(10 * POLL if patience > 10 else POLL)
