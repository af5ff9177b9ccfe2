"""Jobs, nodes and daemons that fail on a real cluster: every run ends as if nothing had happened.

What is compared: all results of the three cycles, byte by byte, with an undisturbed run on this
machine; and that each training went on at the step it had saved last.
"""

from __future__ import annotations

import signal
import subprocess
import time

import psutil
import pytest

from tests.workflow.conftest import Run
from tests.workflow.launches import WAIT, gone, until
from tests.workflow.test_killed import INITIAL, Killed

from .conftest import OnCluster, small_profile

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

LAST = "2x3/decomp/seed-0/cycle-003"
GOAL = f"results/tiny/{LAST}/metrics.json"


def compare(run: OnCluster, undisturbed: Run) -> None:
    """The same bytes in every file of all cycles."""
    expected = Killed(undisturbed.folder, undisturbed.settings).results()
    found = run.results()
    assert f"tiny/{LAST}/metrics.json" in found and f"tiny/{INITIAL}/images.csv" in found
    assert not [path for path in found if path not in expected]
    assert [path for path in found if found[path] != expected[path]] == []


def end_well(run: OnCluster, launcher: subprocess.Popen[str], undisturbed: Run) -> str:
    """Wait for the end; everything is as in the undisturbed run and nothing is left behind."""
    printed, _ = launcher.communicate(timeout=600)
    assert launcher.returncode == 0, printed[-5000:]
    compare(run, undisturbed)
    assert not run.running()
    return printed


def resumed(run: OnCluster, cycle: str, step: int) -> None:
    """The training went on where it had saved, at the earliest at ``step``."""
    assert run.resumed_at(cycle) >= step, run.log(cycle)


@pytest.mark.quick
def test_training_killed_in_the_second_cycle_of_a_submission(
    on_cluster: OnCluster, undisturbed: Run
) -> None:
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, LAST)
    job.kill()
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" in printed
    resumed(on_cluster, LAST, step)
    second = on_cluster.folder / "logs/tiny/2x3/decomp/seed-0/cycle-002"
    for name in ("predict-1", "select"):  # of the cycle before, repeated with it
        assert "nothing is computed again" in (second / f"{name}.log").read_text()
    assert "resumed at step 6" in (second / "train.log").read_text()


def test_cancelled_by_hand(on_cluster: OnCluster, undisturbed: Run) -> None:
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, INITIAL)
    assert on_cluster.cluster.ask("scancel", on_cluster.job_of(job.pid)) is not None
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" in printed
    resumed(on_cluster, INITIAL, step)


def test_preempted(on_cluster: OnCluster, undisturbed: Run) -> None:
    """SIGTERM and a grace of seconds for the sake of a job of a higher partition.

    The training saves and ends in time, and with it the executor's step, before SLURM could put
    the job back into the queue: a preemption costs a retry.
    """
    cluster = on_cluster.cluster
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, INITIAL)
    node = on_cluster.node_of(job.pid)
    urgent = cluster.ask(
        "sbatch", "--parsable", "-p", "urgent", "-w", node, "--exclusive",
        "-o", "/dev/null", "--wrap", "sleep 15",
    )  # fmt: skip
    assert urgent is not None
    until(lambda: (urgent.strip(), "RUNNING", node) in cluster.jobs())
    assert gone(job)
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" in printed
    resumed(on_cluster, INITIAL, step)


def test_over_its_time_limit(on_cluster: OnCluster, undisturbed: Run) -> None:
    on_cluster.settings["minutes"] = (
        "{select: 1, train: 1, full: 1, predict: 1, evaluate: 1, other: 1}"
    )
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, INITIAL)
    held = on_cluster.job_of(job.pid)
    assert on_cluster.cluster.ask("scontrol", "update", f"JobId={held}", "TimeLimit=1") is not None
    until_gone(job, 180)
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" in printed
    assert f"Time limit exhausted for JobId={held}" in on_cluster.cluster.log("slurmctld")
    resumed(on_cluster, INITIAL, step)


def test_over_its_memory(on_cluster: OnCluster, undisturbed: Run) -> None:
    """A submission asks for what its largest job needs; each retry asks for as much again."""
    little = {"mem_mb": "170 * attempt"}
    names = ("train", "predict_initial", "predict", "evaluate")
    small_profile(on_cluster.folder / "profile", **{name: little for name in names})
    profile = on_cluster.folder / "profile/config.yaml"
    text = profile.read_text().replace("mem_mb: 1000 * attempt", "mem_mb: 170 * attempt")
    profile.write_text(text)
    printed = end_well(on_cluster, on_cluster.launch(GOAL), undisturbed)
    assert "Trying to restart job" in printed
    logs = [on_cluster.cluster.log(node) for node in on_cluster.cluster.nodes]
    assert any("exceeded memory limit" in log for log in logs)


def test_a_node_goes_down(on_cluster: OnCluster, undisturbed: Run) -> None:
    """Everything on the node dies at once; SLURM itself starts its job again on the other one."""
    cluster = on_cluster.cluster
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, INITIAL)
    held, node = on_cluster.job_of(job.pid), on_cluster.node_of(job.pid)
    cluster.lose(node)
    try:
        until(lambda: cluster.state(node).startswith("DOWN"))
        printed = end_well(on_cluster, launcher, undisturbed)
        resumed(on_cluster, INITIAL, step)
        assert "Restarts=1" in (cluster.ask("scontrol", "show", "job", held) or "")
        assert "Trying to restart job" not in printed
    finally:
        cluster.start_daemon("slurmd", node)


def test_accounting_away_for_a_while(on_cluster: OnCluster, undisturbed: Run) -> None:
    """Only slurmctld is asked, so that nobody notices."""
    cluster = on_cluster.cluster
    launcher = on_cluster.launch(GOAL)
    job, _ = on_cluster.hold_training(launcher, INITIAL)
    cluster.stop_daemon("slurmdbd")
    assert cluster.ask("sacct") is None
    job.resume()
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" not in printed
    cluster.start_daemon("slurmdbd")
    until(lambda: cluster.ask("sacctmgr", "-n", "list", "cluster") is not None)


def test_controller_killed_and_started_again(on_cluster: OnCluster, undisturbed: Run) -> None:
    cluster = on_cluster.cluster
    launcher = on_cluster.launch(GOAL)
    job, _ = on_cluster.hold_training(launcher, INITIAL)
    cluster.stop_daemon("slurmctld", number=signal.SIGKILL)
    assert cluster.ask("squeue") is None
    job.resume()  # its end comes while nobody can be told
    until_gone(job, WAIT)
    time.sleep(10)
    cluster.start_daemon("slurmctld")
    until(lambda: cluster.ask("squeue") is not None)
    printed = end_well(on_cluster, launcher, undisturbed)
    assert "Trying to restart job" not in printed


@pytest.mark.quick
def test_snakemake_killed_and_started_again(on_cluster: OnCluster, undisturbed: Run) -> None:
    """The launcher ends the job that lives on, then continues; plain Snakemake refuses to start."""
    launcher = on_cluster.launch(GOAL)
    job, step = on_cluster.hold_training(launcher, INITIAL)
    on_cluster.kill_snakemake(launcher)
    held = on_cluster.job_of(job.pid)
    printed = on_cluster.run(GOAL, fails=True)
    assert "unlock" in printed or "make run" in printed, printed[-3000:]
    assert not gone(job) and on_cluster.running() == [held]
    printed = end_well(on_cluster, on_cluster.launch(GOAL), undisturbed)
    assert held in printed, printed[:3000]
    resumed(on_cluster, INITIAL, step)
    on_cluster.check_clean_end()


def until_gone(job: psutil.Process, seconds: float) -> None:
    """Wait for the end of a process that is to be killed by somebody else."""
    limit = time.monotonic() + seconds
    while not gone(job):
        assert time.monotonic() < limit, f"process {job.pid} is still there"
        time.sleep(0.5)
