"""What a Snakemake started without the launcher looks for before its first job."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .jobs import ClusterSilent, living_jobs
from .launches import (
    LAUNCH_VARIABLE,
    Launch,
    LaunchRefused,
    end_launch,
    folder_lock,
    has_locks,
    open_launch,
    read_launch,
    write_launch,
)
from .survivors import survivors

ADVICE = "`make run` with the same settings ends what is left of it and continues"
_held = ExitStack()  # to the end of the process
# Options of Snakemake under which it needs no lock
UNLOCKED = frozenset({"--unlock", "--nolock", "-n", "--dry-run", "--dryrun"})


def lock_advice(directory: Path, words: Sequence[str]) -> str:
    """Say what to do where Snakemake will refuse a folder that is locked; nothing elsewhere.

    Its own message advises --unlock, which leaves alive what a killed Snakemake left running.

    Args:
        directory: Snakemake's working directory.
        words: its command line.
    """
    if LAUNCH_VARIABLE in os.environ or UNLOCKED & set(words) or not has_locks(directory):
        return ""
    return (
        f"{directory} is locked: another Snakemake works there, or one was killed. After a kill, "
        f"do not --unlock: {ADVICE}"
    )


def guard_start(directory: Path, slurm: bool) -> None:
    """Take the folder for this Snakemake, or refuse; does nothing under the launcher.

    Args:
        directory: Snakemake's working directory.
        slurm: whether its jobs go to SLURM.

    Raises:
        LaunchRefused: another Snakemake works here, or something that one left is still alive.
    """
    before = read_launch(directory)
    if before is not None and before.id == os.environ.get(LAUNCH_VARIABLE):
        return
    _held.enter_context(folder_lock(directory))
    try:
        _refuse_survivors(directory, slurm)
    except BaseException:
        _held.close()
        raise
    launch = Launch.new(slurm, os.getpid())
    os.environ[LAUNCH_VARIABLE] = launch.id  # its jobs inherit it
    write_launch(directory, launch)
    atexit.register(_note_end, directory, launch)


def _refuse_survivors(directory: Path, slurm: bool) -> None:
    """Raise LaunchRefused when something of an earlier Snakemake in the folder is alive."""
    launch = open_launch(directory)
    alive = [] if launch is None else [f"process {p.pid}" for p in survivors(launch)]
    if slurm or (launch is not None and launch.slurm):
        try:
            alive += map(str, living_jobs(directory))
        except ClusterSilent as silence:
            raise LaunchRefused(
                f"{silence}; whether SLURM jobs of an earlier Snakemake still write in "
                f"{directory} is not known"
            ) from None
    if alive:
        raise LaunchRefused(
            f"an earlier Snakemake in {directory} left running: {', '.join(alive)}. {ADVICE}"
        )


def _note_end(directory: Path, launch: Launch) -> None:
    """Note the end unless jobs are left, as after a breakdown."""
    try:
        if not survivors(launch) and not (launch.slurm and living_jobs(directory)):
            end_launch(directory, launch)
    except ClusterSilent:
        pass
    finally:
        _held.close()
