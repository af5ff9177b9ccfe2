"""Start Snakemake in this folder, after whatever an earlier one left behind has been ended.

    python scripts/launch.py --profile profiles/local -- dataset=camvid seeds=3 --cores 1

Words after ``--`` of the form ``key=value`` become ``--config key=value``; targets and flags are
handed to Snakemake as they are. One launcher works in a folder at a time. When an earlier
Snakemake was killed, its jobs still run: they are ended before the folder is unlocked, so that
two jobs never write the same files.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from types import FrameType

import psutil

from launching.processes import LAUNCH_VARIABLE, end_survivors, plain_snakemake
from launching.state import (
    LaunchRefused,
    Record,
    folder_lock,
    now,
    read_record,
    record_path,
    write_record,
)
from launching.words import Request, parse_words

REFUSED = 3  # exit code; Snakemake itself uses 0, 1 and 2
SNAKEMAKE = (sys.executable, "-m", "snakemake")


def main(arguments: list[str]) -> int:
    """Run the launcher; returns Snakemake's exit code, or ``REFUSED``."""
    own, words = _split(arguments)
    parser = argparse.ArgumentParser(
        prog="launch.py", usage="%(prog)s [options] -- [key=value ...] [snakemake's words ...]"
    )
    parser.add_argument("--profile", help="profile used unless the words name one")
    parser.add_argument(
        "--grace", type=float, default=30.0, help="seconds that surviving jobs get to save"
    )
    options = parser.parse_args(own)
    request = parse_words(words, options.profile)
    if request.reads_only:
        return subprocess.call([*SNAKEMAKE, *request.command()], stdin=subprocess.DEVNULL)
    try:
        with folder_lock(request.directory, request.command()):
            return launch(request, options.grace)
    except LaunchRefused as refusal:
        print(f"launch refused: {refusal}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # before Snakemake was started; nothing of it is left to end


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def launch(request: Request, grace: float) -> int:
    """Clear what an earlier run left, then run Snakemake to its end; the folder lock is held.

    Raises:
        LaunchRefused: something that this launcher may not or cannot end still works here.
    """
    directory = request.directory
    clear(directory, grace)
    if has_locks(directory):
        refuse_beside_plain_snakemake(directory)
        say("unlocking the folder that a killed Snakemake left locked")
        code = subprocess.call([*SNAKEMAKE, *request.command("--unlock")], stdin=subprocess.DEVNULL)
        if code:
            return code
    return run(directory, request.command("--rerun-incomplete"), grace)


def clear(directory: Path, grace: float) -> None:
    """End the jobs of an earlier Snakemake that has no recorded end."""
    record = read_record(directory)
    if record is None or record.ended is not None:
        return
    if record.host != socket.gethostname():
        raise LaunchRefused(
            f"a Snakemake started on host {record.host} at {record.started} (process "
            f"{record.pid}) has no recorded end; see there that it and its jobs are gone, "
            f"then remove {record_path(directory)}"
        )
    count = end_survivors(record, grace, say)
    if count:
        say(f"{count} processes of an earlier run ended")
    write_record(directory, replace(record, ended=now()))


def has_locks(directory: Path) -> bool:
    """Whether Snakemake's own locks lie in the folder."""
    locks = directory / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def refuse_beside_plain_snakemake(directory: Path) -> None:
    """Raise LaunchRefused when a Snakemake without the launcher works in the folder."""
    other = plain_snakemake(directory)
    if other is not None:
        raise LaunchRefused(
            f"the folder {directory} is locked, and process {other.pid} "
            f"({' '.join(other.cmdline()[:6])}) works in it; wait for it, or stop it first"
        )


def run(directory: Path, command: list[str], grace: float) -> int:
    """Run Snakemake in a session of its own, forward signals to it, and record its end.

    The record is written before the start: a launcher killed in between leaves its id behind,
    by which the next one finds every child.
    """
    record = Record(str(uuid.uuid4()), socket.gethostname(), now(), command)
    write_record(directory, record)
    with Forwarder() as forwarder:
        process = subprocess.Popen(
            [*SNAKEMAKE, *command],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, LAUNCH_VARIABLE: record.launch_id},
        )
        record = replace(record, pid=process.pid, created=psutil.Process(process.pid).create_time())
        write_record(directory, record)
        forwarder.attach(process.pid)
        code = process.wait()
        end_survivors(record, grace, say)
    write_record(directory, replace(record, ended=now()))
    return code if code >= 0 else 128 - code


class Forwarder:
    """Hands SIGINT, SIGTERM and SIGHUP on to a process group, as a terminal would."""

    def __init__(self) -> None:
        self._group: int | None = None
        self._early: list[int] = []
        self._before: dict[int, object] = {}

    def __enter__(self) -> Forwarder:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def attach(self, group: int) -> None:
        """Name the group; signals that came before are handed on now."""
        self._group = group
        for number in self._early:
            self._send(number)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self._group is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: int) -> None:
        # A lost terminal is a request to stop; Snakemake knows SIGTERM for that.
        wanted = signal.SIGTERM if number == signal.SIGHUP else number
        try:
            os.killpg(self._group or 0, wanted)
        except ProcessLookupError:
            return  # it has just ended by itself


def say(message: str) -> None:
    """Print one line of the launcher's own."""
    print(f"launcher: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
