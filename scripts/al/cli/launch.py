"""Start Snakemake in this folder, after whatever an earlier one left behind has been ended.

    python -m al.cli.launch --profile profiles/local -- dataset=camvid seeds=3 --cores 1

Words after ``--`` of the form ``key=value`` become ``--config key=value``; targets and flags are
handed to Snakemake as they are. One launcher works in a folder at a time. When an earlier
Snakemake was killed, its jobs still run, here or on SLURM: they are ended before the folder is
unlocked, so that two jobs never write the same files.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from al.cluster.jobs import ClusterSilent, end_jobs, job_prefix
from al.cluster.launches import (
    LAUNCH_VARIABLE,
    FolderBusy,
    Launch,
    LaunchRefused,
    end_launch,
    folder_lock,
    has_locks,
    launch_path,
    open_launch,
    write_launch,
)
from al.cluster.survivors import end_survivors
from al.cluster.words import Request, parse_words, split_words
from al.config.typed import refuse_typed
from al.io.errors import ConfigError, DataError
from al.io.storage import StorageError, check_storage, explain

REFUSED = 3  # exit code; Snakemake itself uses 0, 1 and 2
BUSY = 4  # the refusal that ends by itself: another Snakemake works in the folder
SNAKEMAKE = (sys.executable, "-m", "snakemake")


def main(arguments: list[str]) -> int:
    """Run the launcher; returns Snakemake's exit code, ``REFUSED`` or ``BUSY``."""
    own, words = split_words(arguments)
    parser = argparse.ArgumentParser(
        prog="launch.py", usage="%(prog)s [options] -- [key=value ...] [snakemake's words ...]"
    )
    parser.add_argument("--profile", help="profile used unless the words name one")
    parser.add_argument(
        "--grace", type=float, default=30.0, help="seconds that surviving jobs get to save"
    )
    parser.add_argument(
        "--takeover",
        action="store_true",
        help="a Snakemake of another machine without a recorded end is known to be gone",
    )
    options = parser.parse_args(own)
    request = parse_words(words, options.profile)
    try:
        refuse_typed(request.settings, request.words)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    if request.reads_only:
        code = subprocess.call([*SNAKEMAKE, *request.command()], stdin=subprocess.DEVNULL)
        if request.options.dryrun and not code:
            say("planned alone: data, weights and network are checked when the run is started")
        return code
    directory, slurm = request.directory, request.uses_slurm
    if slurm:
        request = request.with_job_prefix(job_prefix(directory))
    try:
        check_storage([launch_path(directory).parent])
        with folder_lock(directory, options.takeover):
            clear(directory, options.grace, slurm)
            return run(request, directory, options.grace, slurm)
    except (LaunchRefused, StorageError) as refusal:
        print(f"launch refused: {refusal}", file=sys.stderr)
        return BUSY if isinstance(refusal, FolderBusy) else REFUSED
    except OSError as error:
        if (told := explain(error)) is None:
            raise
        print(f"launcher: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # before Snakemake was started; nothing of it is left to end


def clear(directory: Path, grace: float, slurm: bool) -> None:
    """End the jobs that an earlier Snakemake left on this machine and on SLURM.

    Args:
        directory: the folder it worked in, whose lock is held.
        grace: seconds that processes get to save.
        slurm: whether the start that follows goes to SLURM.

    Raises:
        LaunchRefused: something that cannot be ended still works here, or might.
    """
    before = open_launch(directory)
    if before is not None and (count := end_survivors(before, grace, say)):
        say(f"{count} processes of an earlier run ended")
    if slurm or (before is not None and before.slurm):
        try:
            count = end_jobs(directory, say)
        except ClusterSilent as silence:
            raise LaunchRefused(
                f"{silence}; whether SLURM jobs of an earlier Snakemake still write in "
                f"{directory} is not known. Start again when SLURM answers"
            ) from None
        if count:
            say(f"{count} SLURM jobs of an earlier run ended")
    if before is not None:
        end_survivors(before, grace, say, slurm=True)
        end_launch(directory, before)


def run(request: Request, directory: Path, grace: float, slurm: bool) -> int:
    """Run Snakemake in a session of its own, forward signals to it, and record its end.

    The record is written before the start: a launcher killed in between leaves its id behind,
    by which the next one finds every child.
    """
    if has_locks(directory):
        say("unlocking the folder that a killed Snakemake left locked")
        code = subprocess.call([*SNAKEMAKE, *request.command("--unlock")], stdin=subprocess.DEVNULL)
        if code:
            return code
    launch = Launch.new(slurm)
    write_launch(directory, launch)
    with forwarded(slurm) as (attach, received):
        process = subprocess.Popen(
            [*SNAKEMAKE, *request.command("--rerun-incomplete")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, LAUNCH_VARIABLE: launch.id},
        )
        launch = replace(launch, pid=process.pid)
        write_launch(directory, launch)
        attach(process.pid)
        code = process.wait()
        end_survivors(launch, grace, say)
        if slurm:
            try:
                end_jobs(directory, say)
            except LaunchRefused as left:
                say(f"{left}. The next start looks for them again")
                return code or 1
    end_launch(directory, launch)
    if code > 0:
        _say_storage(directory)
    if received:
        say("stopped, and what runs has been saved; the same command goes on from there")
    return code if code >= 0 else 128 - code


def _say_storage(directory: Path) -> None:
    """Say last what is wrong with the disk: Snakemake's own last line names neither file nor it."""
    try:
        check_storage([directory / ".snakemake", directory / "results"])
    except StorageError as error:
        say(str(error))


@contextmanager
def forwarded(slurm: bool) -> Iterator[tuple[Callable[[int], None], list[int]]]:
    """Hand SIGINT, SIGTERM and SIGHUP on to a process group, as a terminal would.

    With SLURM every one of them becomes SIGINT: Snakemake then cancels its jobs, while after
    SIGTERM it would wait for them to end by themselves.

    Yields:
        a function that names the group, and the signals that have come; those that came before it
        was named are handed on then.
    """
    groups: list[int] = []
    received: list[int] = []

    def send(number: int) -> None:
        # A lost terminal is a request to stop; Snakemake knows SIGTERM for that.
        wanted = signal.SIGTERM if number == signal.SIGHUP else number
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(groups[0], signal.SIGINT if slurm else wanted)

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        if groups:
            send(number)

    def attach(group: int) -> None:
        early = list(received)
        groups.append(group)
        for number in early:
            send(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]  # not under nohup
    before = {number: signal.signal(number, receive) for number in heeded}
    try:
        yield attach, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(message: str) -> None:
    """Print one line of the launcher's own."""
    print(f"launcher: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
