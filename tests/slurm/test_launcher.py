"""The launcher and plain Snakemake on SLURM: jobs that outlive a killed Snakemake."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from al.cli.launch import clear, has_locks
from al.cluster.jobs import ClusterSilent, end_jobs, job_prefix, living_jobs
from al.cluster.launches import (
    LAUNCH_VARIABLE,
    Launch,
    LaunchRefused,
    end_launch,
    open_launch,
    read_launch,
    write_launch,
)
from tests.workflow.test_launch import finish, gone, until

from .cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SCRIPTS = Path(__file__).parents[2] / "scripts"
WAIT = 60.0

# A job notes its start, the SIGTERM that it gets and its end.
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
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
        "job=${{{{SLURM_JOB_ID:-local}}}}; trap 'echo term $job >> events; exit 1' TERM; "
        "echo start $job >> events; while [ ! -e release ]; do sleep 0.1; done; "
        "echo end $job >> events; echo done > {{output}}"
"""
PROFILE = """
executor: slurm
jobs: 2
slurm-jobname-prefix: decomp
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 8
latency-wait: 5
default-resources: {slurm_partition: work, runtime: 10, mem_mb: 200, disk_mb: 10}
"""


class Folder:
    """A working folder whose Snakemake submits to the test cluster."""

    def __init__(self, path: Path, cluster: Cluster) -> None:
        self.path = path
        self.cluster = cluster
        self.started: list[subprocess.Popen[str]] = []
        (path / "Snakefile").write_text(SNAKEFILE)
        (path / "profile").mkdir()
        (path / "profile/config.yaml").write_text(PROFILE)

    def start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.path,
            env=self.cluster.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def launch(self, *words: str, own: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        place = ("--", "--profile", "profile")
        return self.start("-m", "al.cli.launch", "--grace", "1", *own, *place, *words)

    def plain(self, *words: str) -> subprocess.Popen[str]:
        return self.start("-m", "snakemake", "--profile", "profile", *words)

    def events(self, kind: str) -> list[str]:
        path = self.path / "events"
        lines = path.read_text().split("\n") if path.exists() else []
        return [line.split()[1] for line in lines if line.startswith(kind)]

    @property
    def snakemake(self) -> int:
        """Process of the Snakemake that was last started here."""
        launch = read_launch(self.path)
        assert launch is not None and launch.pid is not None
        return launch.pid

    def running(self, count: int = 1) -> str:
        """Wait for the ``count``-th job to work; returns its SLURM id."""
        until(lambda: len(self.events("start")) == count)
        return self.events("start")[-1]

    def kill(self, process: subprocess.Popen[str]) -> None:
        """``kill -9`` of a launcher, or a plain Snakemake, and of the Snakemake under it."""
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.snakemake, signal.SIGKILL)
        until(lambda: gone(self.snakemake))

    def submit(self, name: str, *words: str) -> str:
        printed = self.cluster.ask(
            *("sbatch", "--parsable", "-J", name, "-D", str(self.path), "--mem=100", "-t", "5"),
            *("-o", str(self.path / "out"), *words, "--wrap", "sleep 60"),
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
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if LAUNCH_VARIABLE in process.environ() and Path(process.cwd()) == tmp_path:
                process.kill()
    for process in made.started:
        process.communicate()


def run_name() -> str:
    return str(uuid.uuid4())


def test_killed_launcher_then_unlock_and_plain_then_launcher(folder: Folder) -> None:
    launcher = folder.launch()
    job = folder.running()
    folder.kill(launcher)
    assert folder.state(job) == "RUNNING", "the test needs a job that outlives its Snakemake"
    assert has_locks(folder.path)

    assert "--unlock" in finish(folder.plain())  # Snakemake's own refusal
    finish(folder.plain("--unlock"))
    plain = folder.plain("--rerun-incomplete")
    printed = finish(plain)
    assert plain.returncode != 0
    assert f"SLURM job {job} (RUNNING on n" in printed and "make run" in printed, printed
    assert folder.events("start") == [job] and not has_locks(folder.path)

    again = folder.launch()
    until(lambda: folder.state(job) == "CANCELLED")
    assert folder.events("term") == [job], "the survivor was not asked to save"
    (folder.path / "release").touch()  # here, so that the first look finds the second job's end
    printed = finish(again)
    assert again.returncode == 0 and f"cancelling SLURM job {job}" in printed, printed
    first, second = folder.events("start")
    assert first == job != second and folder.events("end") == [second]
    assert open_launch(folder.path) is None
    assert (folder.path / "hooks").read_text().split() == ["slurm"] * 3  # not inside the jobs


def test_killed_plain_snakemake_then_launcher_with_a_local_profile(folder: Folder) -> None:
    plain = folder.plain()
    job = folder.running()
    assert folder.snakemake == plain.pid
    refused = folder.launch()
    printed = finish(refused)
    assert refused.returncode == 3 and f"pid {plain.pid}, since 20" in printed, printed
    folder.kill(plain)

    local = folder.launch("--executor", "local", "--cores", "1")
    until(lambda: len(folder.events("start")) == 2)
    assert folder.state(job) == "CANCELLED"
    (folder.path / "release").touch()
    printed = finish(local)
    assert local.returncode == 0 and f"cancelling SLURM job {job}" in printed, printed
    assert folder.events("end") == ["local"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_launcher_is_refused_and_a_stopped_one_leaves_no_jobs(
    folder: Folder, number: signal.Signals
) -> None:
    launcher = folder.launch()
    job = folder.running()
    second = folder.launch()
    printed = finish(second)
    assert second.returncode == 3
    assert f"host {os.uname().nodename}, pid {launcher.pid}, since 20" in printed
    launcher.send_signal(number)
    printed = finish(launcher)
    assert launcher.returncode != 0, printed
    assert folder.events("term") == [job]
    assert folder.state(job) == "CANCELLED"
    assert open_launch(folder.path) is None and not has_locks(folder.path)


def test_another_host_is_refused_until_it_is_taken_over(folder: Folder) -> None:
    job = folder.submit(f"{job_prefix(folder.path)}_{run_name()}")
    write_launch(folder.path, Launch("x", "login7", "then", 7, slurm=True))
    (folder.path / "release").touch()
    listed = folder.plain("-n")  # shows the plan whoever works here
    assert "rule first" in finish(listed) and listed.returncode == 0
    assert not (folder.path / "hooks").exists()
    for refused in (folder.launch(), folder.plain()):
        printed = finish(refused)
        assert refused.returncode != 0
        for part in ("host login7", "process 7", "less than a minute ago", "TAKEOVER=1"):
            assert part in printed
    assert folder.state(job) in ("PENDING", "RUNNING")
    taking = folder.launch(own=("--takeover",))
    printed = finish(taking)
    assert taking.returncode == 0, printed
    assert folder.state(job) == "CANCELLED" and (folder.path / "first.txt").exists()


def test_jobs_are_told_by_name_and_folder(folder: Folder, tmp_path: Path) -> None:
    hold = "--hold"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    own = {
        folder.submit(f"{job_prefix(folder.path)}_{run_name()}", hold, "-D", str(elsewhere)),
        folder.submit(f"decomp_{run_name()}", hold),
        folder.submit(run_name(), hold, "--array=1-2"),
    }
    others = {
        folder.submit(f"{job_prefix(elsewhere)}_{run_name()}", hold),
        folder.submit(f"decomp_{run_name()}", hold, "-D", str(elsewhere)),
        folder.submit("decomp_by_hand", hold),
    }
    assert {job.number for job in living_jobs(folder.path)} == own
    assert end_jobs(folder.path, print) == 3
    assert living_jobs(folder.path) == []
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
            end_jobs(folder.path, print, limit=2)
    finally:
        for daemon in daemons:
            daemon.resume()
    assert end_jobs(folder.path, print, limit=WAIT) == 0
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
        assert end_jobs(folder.path, said.append) == 1
    finally:
        back.join()
        until(lambda: cluster.ask("sinfo", "-h") is not None)
    assert job in said[-1]

    with monkeypatch.context() as broken:
        broken.setenv("SLURM_CONF", str(folder.path / "none.conf"))
        broken.setattr("al.cluster.jobs.ANSWER", 1.0)
        with pytest.raises(ClusterSilent, match="squeue (failed|did not answer)"):
            end_jobs(folder.path, said.append, patience=2)
    assert "asking again" in said[-1]
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ClusterSilent, match="squeue is not installed"):
        living_jobs(folder.path)
    killed = Launch.new(slurm=True, pid=2**22 + 1)
    write_launch(folder.path, killed)
    with pytest.raises(LaunchRefused, match="is not known"):
        clear(folder.path, 1.0, slurm=False)
    assert open_launch(folder.path) is not None
    # One that had ended binds nobody: its folder may have moved to a machine without SLURM.
    end_launch(folder.path, killed)
    clear(folder.path, 1.0, slurm=False)
