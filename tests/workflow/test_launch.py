"""The launcher with a real Snakemake: what a ``kill -9`` leaves, and what the next start does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from al.cli.launch import BUSY
from al.cluster.launches import (
    LAUNCH_VARIABLE,
    Launch,
    LaunchRefused,
    folder_lock,
    launch_path,
    open_launch,
    write_launch,
)
from al.cluster.survivors import survivors
from al.cluster.words import parse_words

from .launches import Launches, finish, gone


@pytest.fixture
def launches(tmp_path: Path) -> Iterator[Launches]:
    started = Launches(tmp_path, "--cores", "1")
    yield started
    started.end()


def test_everything_killed_then_started_again(launches: Launches) -> None:
    launcher = launches.launch()
    job = launches.running()
    launches.kill(launcher)
    assert not gone(int(job)), "the test needs a job that outlives its Snakemake"

    again = launches.launch()
    launches.running(2)
    assert gone(int(job)), "the survivor still ran when the new job started"
    assert launches.events("term") == [job], "the survivor was not asked to save"
    launches.release()
    output = finish(again)
    assert again.returncode == 0, output
    assert f"ending process {job}" in output and "unlocking" in output
    launches.check_complete(output)


def test_launcher_killed_while_its_snakemake_lives_on(launches: Launches) -> None:
    launcher = launches.launch()
    launches.running()
    snakemake = launches.snakemake
    launcher.kill()
    launcher.wait()
    assert not gone(snakemake)

    again = launches.launch()
    launches.running(2)
    assert gone(snakemake)
    launches.release()
    output = finish(again)
    assert again.returncode == 0, output
    launches.check_complete(output)


def test_snakemake_killed_under_its_launcher(launches: Launches) -> None:
    launcher = launches.launch()
    job = launches.running()
    os.kill(launches.snakemake, signal.SIGKILL)
    output = finish(launcher)
    assert launcher.returncode == 128 + signal.SIGKILL, output
    assert gone(int(job)), "the launcher left a job behind"
    assert open_launch(launches.folder) is None


def test_second_launcher_refused_and_signals_forwarded(launches: Launches) -> None:
    launcher = launches.launch()
    job = launches.running()
    second, listed = launches.launch(), launches.launch("-n")
    output = finish(second)
    assert second.returncode == BUSY
    assert f"host {os.uname().nodename}, pid {launcher.pid}, since 20" in output
    # A plan is shown beside a run and ends nothing.
    output = finish(listed)
    assert listed.returncode == 0 and launcher.poll() is None
    assert "rule first" in output and "are checked when the run is started" in output

    launcher.send_signal(signal.SIGTERM)
    output = finish(launcher)
    assert launcher.returncode not in (0, -signal.SIGTERM), output
    assert gone(int(job)) and open_launch(launches.folder) is None
    assert not (launches.folder / "first.txt").exists()


def test_plain_snakemake_holds_the_folder_and_heeds_survivors(launches: Launches) -> None:
    plain = launches.plain()
    job = launches.running()
    refused = launches.launch()
    output = finish(refused)
    assert refused.returncode == BUSY and f"pid {plain.pid}" in output, output
    launches.kill(plain)
    finish(launches.plain("--unlock"))  # by hand, as Snakemake advises
    output = finish(launches.plain("--rerun-incomplete"))
    assert f"left running: process {job}" in output and "make run" in output, output
    launches.release()
    again = launches.launch()
    output = finish(again)
    assert again.returncode == 0, output


def test_failing_snakemake_returns_its_code(launches: Launches) -> None:
    failed = launches.launch("no_such_target")
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
    own = {key: held for key, held in os.environ.items() if key != "SLURM_JOB_ID"}
    mine = {**own, LAUNCH_VARIABLE: "mine"}
    with ExitStack() as stack:
        local, submitted, other = (
            stack.enter_context(subprocess.Popen(sleeper, env=env, start_new_session=True))
            for env in (mine, {**mine, "SLURM_JOB_ID": "17"}, own)
        )
        try:
            # The record's process id has been taken over by a stranger.
            launch = Launch("mine", "here", "then", other.pid)
            both = [local.pid, submitted.pid]
            assert [p.pid for p in survivors(launch)] == [local.pid], "SLURM ends its own"
            assert sorted(p.pid for p in survivors(launch, slurm=True)) == sorted(both)
            inside = replace(launch, inside="17")
            assert sorted(p.pid for p in survivors(inside)) == sorted(both)
            assert survivors(replace(launch, id="nobody's")) == []
        finally:
            for process in (local, submitted, other):
                process.kill()


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
