"""A toy workflow whose launchers and Snakemakes are started, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from al.cli.launch import has_locks
from al.cluster.launches import LAUNCH_VARIABLE, open_launch, read_launch

WAIT = 120.0  # seconds for anything that takes two or three on an idle machine

# Each start of the job leaves its id in `events`, and so do the SIGTERM that it gets and its end,
# when `release` appears: a survivor would add its lines beside those of its successor.
SNAKEFILE = """
from al.cluster.guard import guard_start
from al.cluster.launches import LaunchRefused

onstart:
    with open("hooks", "a") as file:
        print(workflow.executor_plugin.name, file=file)
    try:
        guard_start(Path.cwd(), workflow.executor_plugin.name == "slurm")
    except LaunchRefused as refusal:
        raise WorkflowError(str(refusal)) from None

rule first:
    output: "first.txt"
    shell:
        "job=${{SLURM_JOB_ID:-$$}}; trap 'echo term $job >> events; exit 1' TERM; "
        "echo start $job >> events; while [ ! -e release ]; do sleep 0.1; done; "
        "echo end $job >> events; echo {config[word]} > {output}"
"""


class Launches:
    """Starts launchers and Snakemakes in one folder."""

    def __init__(self, folder: Path, *words: str, environment: dict[str, str] | None = None):
        self.folder, self.words, self.environment = folder, words, environment
        self.started: list[subprocess.Popen[str]] = []
        (folder / "Snakefile").write_text(SNAKEFILE)

    def _start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def launch(self, *words: str, own: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a launcher, with options of its own and Snakemake's words."""
        command = ("al.cli.launch", "--grace", "1", *own, "--")
        return self._start(*command, *self.words, "word=hello", *words)

    def plain(self, *words: str) -> subprocess.Popen[str]:
        """Start a Snakemake without a launcher."""
        return self._start("snakemake", *self.words, *words, "--config", "word=hello")

    def events(self, kind: str) -> list[str]:
        """Ids of the jobs that noted an event."""
        path = self.folder / "events"
        lines = path.read_text().split("\n") if path.exists() else []
        return [line.split()[1] for line in lines if line.startswith(kind)]

    @property
    def snakemake(self) -> int:
        """Process of the Snakemake that was last started here."""
        launch = read_launch(self.folder)
        assert launch is not None and launch.pid is not None
        return launch.pid

    def running(self, count: int = 1) -> str:
        """Wait for the ``count``-th job to work; returns its id."""
        until(lambda: len(self.events("start")) == count)
        return self.events("start")[-1]

    def kill(self, process: subprocess.Popen[str]) -> None:
        """``kill -9`` of a launcher, or a plain Snakemake, and of the Snakemake under it."""
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.snakemake, signal.SIGKILL)
        until(lambda: gone(self.snakemake))

    def release(self) -> None:
        """Let jobs come to their end."""
        (self.folder / "release").touch()

    def check_complete(self, printed: str) -> None:
        """The second job alone wrote the output, and nothing is left locked or open."""
        assert (self.folder / "first.txt").read_text() == "hello\n", printed
        first, second = self.events("start")
        assert self.events("end") == [second] != [first], printed
        assert open_launch(self.folder) is None and not has_locks(self.folder)

    def end(self) -> None:
        """End whatever a test left; before pipes are read, since it holds them open."""
        for process in self.started:
            process.kill()
        end_launches(self.folder)
        for process in self.started:
            process.communicate()


def end_launches(folder: Path) -> None:
    """Kill what a launch left, by what it carries and where it works, without our code."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if LAUNCH_VARIABLE in process.environ() and Path(process.cwd()) == folder:
                process.kill()


def until(condition: Callable[[], bool], interval: float = 0.05) -> None:
    """Wait for something that takes seconds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(interval)


def gone(process: int | psutil.Process) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        found = psutil.Process(process) if isinstance(process, int) else process
        return found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process; returns what it printed."""
    return process.communicate(timeout=WAIT)[0]
