"""The launcher with a real Snakemake: what a ``kill -9`` leaves, and what the next start does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from al.cli.launch import REFUSED, has_locks
from al.cluster.launches import (
    LAUNCH_VARIABLE,
    Launch,
    LaunchRefused,
    folder_lock,
    launch_path,
    open_launch,
    read_launch,
    write_launch,
)
from al.cluster.survivors import survivors
from al.cluster.words import parse_words

LAUNCH = "al.cli.launch"
WAIT = 120.0  # seconds for anything that takes two or three on an idle machine

# Each start of the job leaves its process id in `events`; it ends when `release` appears, and a
# survivor would then add its lines beside those of its successor.
SNAKEFILE = """
from al.cluster.guard import guard_start
from al.cluster.launches import LaunchRefused

onstart:
    try:
        guard_start(Path.cwd(), False)
    except LaunchRefused as refusal:
        raise WorkflowError(str(refusal)) from None

rule all:
    input: "second.txt"

rule first:
    output: "first.txt"
    shell:
        "echo start $$ >> events; while [ ! -e release ]; do sleep 0.1; done; "
        "echo end $$ >> events; echo {config[word]} > {output}"

rule second:
    input: "first.txt"
    output: "second.txt"
    shell: "cp {input} {output}"
"""


class Launches:
    """Starts launchers in one folder and ends what is left of them after the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        (folder / "Toy").write_text(SNAKEFILE)

    def command(self, *words: str) -> list[str]:
        place = ["--snakefile", str(self.folder / "Toy"), "--directory", str(self.folder)]
        own = [sys.executable, "-m", LAUNCH, "--grace", "1", "--"]
        return [*own, *place, "--cores", "1", "word=hello", *words]

    def start(self, *words: str, plain: bool = False) -> subprocess.Popen[str]:
        command = self.command(*words)
        if plain:
            command = [sys.executable, "-m", "snakemake", *command[command.index("--") + 1 :]]
            command[command.index("word=hello")] = "--config=word=hello"
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )
        self.started.append(process)
        return process

    def events(self, kind: str) -> list[int]:
        path = self.folder / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(kind)]

    def snakemake(self) -> int:
        """Process of the Snakemake that works here."""
        launch = read_launch(self.folder)
        assert launch is not None and launch.pid is not None
        return launch.pid

    def release(self) -> None:
        (self.folder / "release").touch()


@pytest.fixture
def launches(tmp_path: Path) -> Iterator[Launches]:
    started = Launches(tmp_path)
    yield started
    # By what they carry and where they work, and not by the code under test. They go before the
    # pipes are read to their end, since they hold them open.
    for process in started.started:
        process.kill()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if LAUNCH_VARIABLE in process.environ() and Path(process.cwd()) == tmp_path:
                process.kill()
    for process in started.started:
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=WAIT)
    return output


def check_complete(launches: Launches, output: str) -> None:
    """The second run alone wrote the outputs, and left nothing locked or open."""
    assert (launches.folder / "second.txt").read_text() == "hello\n", output
    first, second = launches.events("start")
    assert launches.events("end") == [second], output
    assert gone(first) and gone(second)
    assert open_launch(launches.folder) is None
    assert not has_locks(launches.folder)


def test_everything_killed_then_started_again(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    (job,) = launches.events("start")
    snakemake = launches.snakemake()
    launcher.kill()
    launcher.wait()
    os.kill(snakemake, signal.SIGKILL)
    until(lambda: gone(snakemake))
    assert not gone(job), "the test needs a job that outlives its Snakemake"

    again = launches.start()
    until(lambda: len(launches.events("start")) == 2)
    assert gone(job), "the survivor still ran when the new job started"
    launches.release()
    output = finish(again)
    assert again.returncode == 0, output
    assert f"ending process {job}" in output
    assert "unlocking" in output
    check_complete(launches, output)


def test_launcher_killed_while_its_snakemake_lives_on(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    snakemake = launches.snakemake()
    launcher.kill()
    launcher.wait()
    assert not gone(snakemake)

    again = launches.start()
    until(lambda: len(launches.events("start")) == 2)
    assert gone(snakemake)
    launches.release()
    output = finish(again)
    assert again.returncode == 0, output
    check_complete(launches, output)


def test_snakemake_killed_under_its_launcher(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    (job,) = launches.events("start")
    snakemake = launches.snakemake()
    os.kill(snakemake, signal.SIGKILL)
    output = finish(launcher)
    assert launcher.returncode == 128 + signal.SIGKILL, output
    assert gone(job), "the launcher left a job behind"
    assert open_launch(launches.folder) is None

    launches.release()
    again = launches.start()
    output = finish(again)
    assert again.returncode == 0, output
    check_complete(launches, output)


def test_second_launcher_refused_and_signals_forwarded(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    second, listed = launches.start(), launches.start("-n")
    output = finish(second)
    assert second.returncode == REFUSED
    for part in (f"host {os.uname().nodename}", f"pid {launcher.pid}", "since 20"):
        assert part in output
    # A plan is shown beside a run and ends nothing.
    output = finish(listed)
    assert listed.returncode == 0 and launcher.poll() is None
    assert "rule second" in output and "are checked when the run is started" in output

    launcher.send_signal(signal.SIGTERM)
    output = finish(launcher)
    assert launcher.returncode not in (0, -signal.SIGTERM), output
    (job,) = launches.events("start")
    assert gone(job) and open_launch(launches.folder) is None
    assert not (launches.folder / "first.txt").exists()


def test_plain_snakemake_is_refused_while_alive_and_unlocked_when_killed(
    launches: Launches,
) -> None:
    plain = launches.start(plain=True)
    until(lambda: len(launches.events("start")) == 1)
    refused = launches.start()
    output = finish(refused)
    assert refused.returncode == REFUSED and f"pid {plain.pid}" in output, output
    plain.kill()
    plain.wait()
    words = ["--unlock", "--nolock"]  # by hand, as Snakemake advises
    for word in words:
        output = finish(launches.start(word, plain=True))
    (job,) = launches.events("start")
    assert f"left running: process {job}" in output and "make run" in output, output
    launches.release()
    again = launches.start()
    output = finish(again)
    assert again.returncode == 0, output


def test_failing_snakemake_returns_its_code(launches: Launches) -> None:
    failed = launches.start("no_such_target")
    output = finish(failed)
    assert failed.returncode == 1, output
    assert open_launch(launches.folder) is None


def test_record_of_another_host_is_not_touched(tmp_path: Path) -> None:
    write_launch(tmp_path, Launch("x", "elsewhere", "then", 7))
    with pytest.raises(LaunchRefused) as refusal, folder_lock(tmp_path):
        pytest.fail("took the folder of another host")
    for part in ("host elsewhere", "process 7", "less than a minute ago", "TAKEOVER=1"):
        assert part in str(refusal.value)
    assert str(launch_path(tmp_path)) in str(refusal.value)
    with folder_lock(tmp_path, takeover=True):
        assert open_launch(tmp_path) is not None


def test_survivors_are_told_by_their_launch_id_not_by_process_id() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(sleeper, env={**os.environ, LAUNCH_VARIABLE: "mine"}) as mine,
        subprocess.Popen(sleeper, start_new_session=True) as other,
    ):
        try:
            # The record's process id has been taken over by a stranger.
            launch = Launch("mine", "here", "then", other.pid)
            assert [process.pid for process in survivors(launch)] == [mine.pid]
            assert survivors(Launch("nobody's", "here", "then")) == []
        finally:
            mine.kill()
            other.kill()


def test_words_become_settings_targets_and_flags() -> None:
    request = parse_words(
        ["dataset=crc", "--cores", "1", "seeds=0,1", "figures", "--resources", "gpu=1", "-p"],
        "profiles/local",
    )
    assert request.settings == ("dataset=crc", "seeds=0,1")
    assert request.command("--unlock") == (
        ["--profile", "profiles/local", "--cores", "1", "figures", "--resources", "gpu=1", "-p"]
        + ["--unlock", "--config", "dataset=crc", "seeds=0,1"]
    )


@pytest.mark.parametrize(
    ("words", "reads_only"),
    [
        (["-n"], True),
        (["-np"], True),
        (["--dry-run"], True),
        (["--report=r.html"], True),
        (["-p", "--notemp"], False),
        (["--nolock"], False),
        (["n0=-n"], False),
    ],
)
def test_only_showing_needs_no_lock(words: list[str], reads_only: bool) -> None:
    assert parse_words([*words, "--cores=1"]).reads_only is reads_only


def test_words_may_name_profile_directory_and_config_themselves(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("executor: slurm\n")
    words = [f"--profile={tmp_path}", "-d", str(tmp_path), "--config", "a1=2", "--", "x"]
    request = parse_words(words, "profiles/local")
    assert request.directory == tmp_path and request.uses_slurm
    assert "profiles/local" not in request.words
    assert request.settings == ("a1=2",)
