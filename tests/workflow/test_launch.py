"""The launcher with a real Snakemake: what a ``kill -9`` leaves, and what the next start does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from al.cli.launch import has_locks
from al.cluster.processes import LAUNCH_VARIABLE, survivors
from al.cluster.state import LaunchRefused, Record, folder_lock, read_record, record_path
from al.cluster.words import parse_words

from .conftest import TINY, Run

LAUNCH = "al.cli.launch"
WAIT = 30.0  # seconds for anything that should take two or three

# Each start of the job leaves its process id in `events`; it ends when `release` appears, and a
# survivor would then add its lines beside those of its successor.
SNAKEFILE = """
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

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.command(*words),
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

    def record(self) -> Record:
        record = read_record(self.folder)
        assert record is not None
        return record

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
    assert launches.record().ended is not None
    assert not has_locks(launches.folder)


def test_everything_killed_then_started_again(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    (job,) = launches.events("start")
    snakemake = launches.record().pid
    assert snakemake is not None
    launcher.kill()
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
    snakemake = launches.record().pid
    assert snakemake is not None
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
    snakemake = launches.record().pid
    assert snakemake is not None
    os.kill(snakemake, signal.SIGKILL)
    output = finish(launcher)
    assert launcher.returncode == 128 + signal.SIGKILL, output
    assert gone(job), "the launcher left a job behind"
    assert launches.record().ended is not None

    launches.release()
    again = launches.start()
    output = finish(again)
    assert again.returncode == 0, output
    check_complete(launches, output)


def test_second_launcher_refused_and_signals_forwarded(launches: Launches) -> None:
    launcher = launches.start()
    until(lambda: len(launches.events("start")) == 1)
    second = launches.start()
    output = finish(second)
    assert second.returncode == 3
    for part in (os.uname().nodename, f"process {launcher.pid}", "since 20", "word=hello"):
        assert part in output
    assert launches.events("start") == launches.events("start")[:1]

    listed = launches.start("-n")  # shows the plan beside a run, ends nothing
    assert "rule second" in finish(listed)
    assert listed.returncode == 0 and launcher.poll() is None

    launcher.send_signal(signal.SIGTERM)
    output = finish(launcher)
    assert launcher.returncode not in (0, -signal.SIGTERM), output
    assert gone(launches.events("start")[0])
    assert launches.record().ended is not None
    assert not (launches.folder / "first.txt").exists()


def test_plain_snakemake_is_refused_while_alive_and_unlocked_when_killed(
    launches: Launches,
) -> None:
    own = launches.command()
    words = own[own.index("--") + 1 :]
    words.remove("word=hello")
    command = [sys.executable, "-m", "snakemake", *words, "--config", "word=hello"]
    with subprocess.Popen(
        command, cwd=launches.folder, stderr=subprocess.DEVNULL, start_new_session=True
    ) as plain:
        try:
            until(lambda: len(launches.events("start")) == 1)
            refused = launches.start()
            output = finish(refused)
            assert refused.returncode == 3
            assert f"process {plain.pid} " in output
        finally:
            os.killpg(plain.pid, signal.SIGKILL)
    launches.release()
    again = launches.start()
    output = finish(again)
    assert again.returncode == 0 and "unlocking" in output, output
    check_complete(launches, output)


def test_failing_snakemake_returns_its_code_and_runs_again(launches: Launches) -> None:
    launches.release()
    failed = launches.start("no_such_target")
    output = finish(failed)
    assert failed.returncode == 1, output
    assert launches.record().ended is not None
    again = launches.start("first.txt")
    assert finish(again) and again.returncode == 0
    assert (launches.folder / "first.txt").exists()
    assert not (launches.folder / "second.txt").exists()


def test_record_of_another_host_is_not_touched(launches: Launches) -> None:
    record = {"launch_id": "x", "host": "elsewhere", "started": "then", "command": [], "pid": 7}
    record_path(launches.folder).parent.mkdir()
    record_path(launches.folder).write_text(json.dumps(record))
    refused = launches.start()
    output = finish(refused)
    assert refused.returncode == 3
    assert "elsewhere" in output and str(record_path(launches.folder)) in output
    assert launches.record().ended is None


def test_survivors_are_told_by_their_launch_id_not_by_process_id() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(sleeper, env={**os.environ, LAUNCH_VARIABLE: "mine"}) as mine,
        subprocess.Popen(sleeper, start_new_session=True) as other,
    ):
        try:
            # The record's process id has been taken over by a stranger, session and all.
            record = Record("mine", "here", "then", [], pid=other.pid, created=0.0)
            assert [process.pid for process in survivors(record)] == [mine.pid]
            assert survivors(Record("nobody's", "here", "then", [])) == []
        finally:
            mine.kill()
            other.kill()


def test_lock_is_exclusive_and_dropped(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path, ["one"]),
        pytest.raises(LaunchRefused, match=f"process {os.getpid()}.*one"),
        folder_lock(tmp_path, ["two"]),
    ):
        pytest.fail("the lock was given twice")
    with folder_lock(tmp_path, ["three"]):
        assert json.loads((tmp_path / ".snakemake/decomp-launch.lock").read_text())["command"] == [
            "three"
        ]


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
        (["n=-n"], False),
    ],
)
def test_only_showing_needs_no_lock(words: list[str], reads_only: bool) -> None:
    assert parse_words(words).reads_only is reads_only
    assert parse_words(words).plans_only <= reads_only


def test_words_may_name_profile_directory_and_config_themselves(tmp_path: Path) -> None:
    request = parse_words(
        ["--profile=mine", "-d", str(tmp_path), "--config", "a1=2", "--", "x"], "profiles/local"
    )
    assert request.directory == tmp_path
    assert "profiles/local" not in request.words
    assert request.settings == ("a1=2",)


def test_a_dry_run_says_what_it_did_not_look_at(tmp_path: Path) -> None:
    run = Run(tmp_path, {**TINY, "cycles": "1"})
    assert "are checked when the run is started" in run.run("-n", program="launch")
    assert "are checked when" not in run.run("--list-rules", program="launch")
