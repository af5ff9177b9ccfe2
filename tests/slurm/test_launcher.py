"""The launcher and plain Snakemake on SLURM: jobs that outlive a killed Snakemake."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from al.cli.launch import BUSY, clear, has_locks
from al.cluster.jobs import ClusterSilent, end_jobs, job_prefix, living_jobs
from al.cluster.launches import (
    Launch,
    LaunchRefused,
    end_launch,
    open_launch,
    write_launch,
)
from tests.workflow.launches import Launches, finish, until

from .cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

WAIT = 60.0

PROFILE = """
executor: slurm
jobs: 2
slurm-jobname-prefix: decomp
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 8
latency-wait: 5
default-resources: {slurm_partition: work, runtime: 10, mem_mb: 500, disk_mb: 10}
"""


class Folder(Launches):
    """A working folder whose Snakemake submits to the test cluster."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder, "--profile", "profile", environment=cluster.environment)
        self.cluster = cluster
        (folder / "profile").mkdir()
        (folder / "profile/config.yaml").write_text(PROFILE)

    def submit(self, name: str, *words: str) -> str:
        printed = self.cluster.ask(
            *("sbatch", "--parsable", "-J", name, "-D", str(self.folder), "--mem=100", "-t", "15"),
            *("-o", str(self.folder / "out"), *words, "--wrap", "sleep 600"),
        )
        assert printed is not None
        return printed.strip()

    def state(self, job: str) -> str:
        return next((state for i, state, _ in self.cluster.jobs() if i == job), "unknown")


@pytest.fixture
def folder(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    for key in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(key, cluster.environment[key])
    made = Folder(tmp_path, cluster)
    yield made
    for process in made.started:
        process.kill()
    cluster.ask("scancel", "--user", str(os.getuid()))
    until(lambda: not cluster.jobs("PENDING", "RUNNING", "COMPLETING"))
    made.end()


def run_name() -> str:
    return str(uuid.uuid4())


def test_killed_launcher_then_unlock_and_plain_then_launcher(folder: Folder) -> None:
    launcher = folder.launch()
    job = folder.running()
    folder.kill(launcher)
    assert folder.state(job) == "RUNNING", "the test needs a job that outlives its Snakemake"
    assert has_locks(folder.folder)

    assert "--unlock" in finish(folder.plain())  # Snakemake's own refusal
    finish(folder.plain("--unlock"))
    plain = folder.plain("--rerun-incomplete")
    printed = finish(plain)
    assert plain.returncode != 0
    assert f"SLURM job {job} (RUNNING on n" in printed and "make run" in printed, printed
    assert folder.events("start") == [job] and not has_locks(folder.folder)

    again = folder.launch()
    until(lambda: folder.state(job) == "CANCELLED")
    until(lambda: folder.events("term") == [job])  # it was asked to save
    folder.release()  # here, so that the first look finds the second job's end
    printed = finish(again)
    assert again.returncode == 0 and f"cancelling SLURM job {job}" in printed, printed
    first, second = folder.events("start")
    assert first == job != second and folder.events("end") == [second]
    assert open_launch(folder.folder) is None
    assert (folder.folder / "hooks").read_text().split() == ["slurm"] * 3  # not inside the jobs


def test_killed_plain_snakemake_then_launcher_with_a_local_profile(folder: Folder) -> None:
    plain = folder.plain()
    job = folder.running()
    assert folder.snakemake == plain.pid
    refused = folder.launch()
    printed = finish(refused)
    assert refused.returncode == BUSY and f"pid {plain.pid}, since 20" in printed, printed
    folder.kill(plain)

    local = folder.launch("--executor", "local", "--cores", "1")
    until(lambda: len(folder.events("start")) == 2)
    assert folder.state(job) == "CANCELLED"
    folder.release()
    printed = finish(local)
    assert local.returncode == 0 and f"cancelling SLURM job {job}" in printed, printed
    assert folder.events("end") == folder.events("start")[1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_launcher_is_refused_and_a_stopped_one_leaves_no_jobs(
    folder: Folder, number: signal.Signals
) -> None:
    launcher = folder.launch()
    job = folder.running()
    second = folder.launch()
    printed = finish(second)
    assert second.returncode == BUSY
    assert f"host {os.uname().nodename}, pid {launcher.pid}, since 20" in printed
    launcher.send_signal(number)
    printed = finish(launcher)
    assert launcher.returncode != 0, printed
    assert folder.events("term") == [job]
    assert folder.state(job) == "CANCELLED"
    assert open_launch(folder.folder) is None and not has_locks(folder.folder)


def test_another_host_is_refused_until_it_is_taken_over(folder: Folder) -> None:
    job = folder.submit(f"{job_prefix(folder.folder)}_{run_name()}")
    write_launch(folder.folder, Launch("x", "login7", "then", 7, slurm=True))
    folder.release()
    listed = folder.plain("-n")  # shows the plan whoever works here
    assert "rule first" in finish(listed) and listed.returncode == 0
    assert not (folder.folder / "hooks").exists()
    for refused in (folder.launch(), folder.plain()):
        printed = finish(refused)
        assert refused.returncode != 0
        for part in ("host login7", "process 7", "less than a minute ago", "TAKEOVER=1"):
            assert part in printed
    assert folder.state(job) in ("PENDING", "RUNNING")
    taking = folder.launch(own=("--takeover",))
    printed = finish(taking)
    assert taking.returncode == 0, printed
    assert folder.state(job) == "CANCELLED" and (folder.folder / "first.txt").exists()


def test_jobs_are_told_by_name_and_folder(folder: Folder, tmp_path: Path) -> None:
    hold = "--hold"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    own = {
        folder.submit(f"{job_prefix(folder.folder)}_{run_name()}", hold, "-D", str(elsewhere)),
        folder.submit(f"decomp_{run_name()}", hold),
        folder.submit(run_name(), hold, "--array=1-2"),
    }
    others = {
        folder.submit(f"{job_prefix(elsewhere)}_{run_name()}", hold),
        folder.submit(f"decomp_{run_name()}", hold, "-D", str(elsewhere)),
        folder.submit("decomp_by_hand", hold),
    }
    assert {job.number for job in living_jobs(folder.folder)} == own
    assert end_jobs(folder.folder, print) == 3
    assert living_jobs(folder.folder) == []
    assert {folder.state(job) for job in others} == {"PENDING"}


def test_a_job_that_does_not_go_is_named(folder: Folder, cluster: Cluster) -> None:
    job = folder.submit(f"decomp_{run_name()}", "-w", "n1")
    until(lambda: folder.state(job) == "RUNNING")
    daemons = cluster.daemons("slurmd", "n1")
    assert daemons
    for daemon in daemons:
        daemon.suspend()
    try:
        with pytest.raises(LaunchRefused, match=rf"SLURM job {job} \(.* on n1\).*scancel"):
            end_jobs(folder.folder, print, limit=2)
    finally:
        for daemon in daemons:
            daemon.resume()
    assert end_jobs(folder.folder, print, limit=WAIT) == 0
    until(lambda: cluster.state("n1") == "IDLE")


def test_without_an_answer_nothing_is_unlocked(
    folder: Folder, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slurmctld away: the launcher waits for it; squeue away: it refuses."""
    job = folder.submit(f"decomp_{run_name()}", "--hold")
    cluster.stop_daemon("slurmctld")
    back = threading.Timer(3, cluster.start_daemon, ["slurmctld"])
    back.start()
    said: list[str] = []
    try:
        assert end_jobs(folder.folder, said.append) == 1
    finally:
        back.join()
        until(lambda: cluster.ask("sinfo", "-h") is not None)
    assert job in said[-1]

    with monkeypatch.context() as broken:
        broken.setenv("SLURM_CONF", str(folder.folder / "none.conf"))
        broken.setattr("al.cluster.jobs.ANSWER", 1.0)
        with pytest.raises(ClusterSilent, match="squeue (failed|did not answer)"):
            end_jobs(folder.folder, said.append, patience=2)
    assert "asking again" in said[-1]
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ClusterSilent, match="squeue is not installed"):
        living_jobs(folder.folder)
    killed = Launch.new(slurm=True, pid=2**22 + 1)
    write_launch(folder.folder, killed)
    with pytest.raises(LaunchRefused, match="is not known"):
        clear(folder.folder, 1.0, slurm=False)
    assert open_launch(folder.folder) is not None
    # One that had ended binds nobody: its folder may have moved to a machine without SLURM.
    end_launch(folder.folder, killed)
    clear(folder.folder, 1.0, slurm=False)
