"""Runs killed by every signal at every stage: what the next start of the launcher makes of them.

That a change of labels, seed, settings or steps resumes nothing is in ``tests/learners``, and that
a second launcher is refused in ``test_launch.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from al.cli.launch import has_locks
from al.cluster.launches import open_launch
from al.learners.training import load_tensors

from .conftest import TINY, Run
from .launches import WAIT, end_launches, gone, until

pytestmark = pytest.mark.slow

PULSE = 0.03  # seconds of CPU time a training gets before it is looked at again
STEPS = int(TINY["steps"])
SECOND_CYCLE = {"strategies": "decomp", "cycles": "2", "convnet": "{checkpoint_every: 1}"}
INITIAL, DECOMP = "2x3/initial/seed-0/cycle-001", "2x3/decomp/seed-0/cycle-002"
CURVES = "results/tiny/curves.csv"


class Killed(Run):
    """A run whose processes are looked for, held and killed by what they work on."""

    def launch(self, *words: str) -> subprocess.Popen[str]:
        return self.start("--cores", "2", *words, program="launch")

    def finish(self, *words: str, fails: bool = False) -> str:
        return self.run("--cores", "2", *words, program="launch", fails=fails)

    def jobs(self, script: str) -> list[psutil.Process]:
        """Living jobs of a rule in this folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                # Forked by name; started by SLURM it is a Python of its own.
                own = any(word.endswith(f".{script}.py") for word in process.cmdline()[1:2])
                if (own or process.name() == script) and Path(process.cwd()) == self.folder:
                    found += [] if gone(process) else [process]
        return found

    def hold(self, launcher: subprocess.Popen[str], script: str) -> psutil.Process:
        """Wait for a job and stop it as soon as it is there."""
        until(lambda: bool(self.jobs(script)) or launcher.poll() is not None)
        assert launcher.poll() is None, launcher.communicate()[0]
        (job,) = self.jobs(script)
        suspend(job)
        return job

    def hold_training(
        self, launcher: subprocess.Popen[str], cycle: str
    ) -> tuple[psutil.Process, int]:
        """Stop a training when it has saved a step of its own; returns it and that step."""
        before = self.saved_step(cycle)
        job = self.hold(launcher, "train")
        lock = self.folder / "work/tiny" / cycle / "model/lock"
        job.resume()  # imports take seconds, and no step is done before the lock is held
        until(lambda: gone(job) or holds(job, lock))
        suspend(job)
        step = self.let_save(job, cycle, before)
        if before:
            assert f"resumed at step {before}\n" in self.log(cycle)
        assert not (self.folder / "results/tiny" / cycle / "model").exists()
        return job, step

    def let_save(self, job: psutil.Process, cycle: str, before: int) -> int:
        """Let a stopped training work until it has saved a later step, which is returned."""
        limit = time.monotonic() + WAIT
        while (step := self.saved_step(cycle)) <= before:
            assert time.monotonic() < limit
            pulse(job)
            assert not gone(job), "the training ended before it was held"
        assert step < STEPS, "the training was held too late"
        return step

    def saved_step(self, cycle: str) -> int:
        """Step of the checkpoint that a training would resume from; 0 without one."""
        files = list((self.folder / "work/tiny" / cycle).glob("model/key-*/checkpoint.pt"))
        return load_tensors(files[0])["step"] if files else 0

    def log(self, cycle: str) -> str:
        return (self.folder / "logs/tiny" / cycle / "train.log").read_text()

    def kill_snakemake(self, launcher: subprocess.Popen[str]) -> None:
        """``kill -9`` of the launcher and of its Snakemake."""
        launch = open_launch(self.folder)
        assert launch is not None and launch.pid is not None
        launcher.kill()
        os.kill(launch.pid, signal.SIGKILL)
        until(lambda: gone(launch.pid))
        launcher.wait()

    def check_clean_end(self) -> None:
        """No process, no lock and no open record is left."""
        assert not self.jobs("train") and not self.jobs("select_regions")
        assert open_launch(self.folder) is None
        assert not has_locks(self.folder)

    def results(self) -> dict[str, bytes]:
        """Contents of everything that a cycle ends with, but for the times it took."""
        found: dict[str, bytes] = {}
        for name in ("*.csv", "labels/*", "model/*", "metrics.json"):
            found |= self.files(f"tiny/2x3/*/seed-0/cycle-*/{name}")
        for path in found:
            if path.endswith("metrics.json"):
                metrics = json.loads(found[path])
                found[path] = json.dumps({**metrics, "train_seconds": 0}).encode()
        return {path: data for path, data in found.items() if not path.endswith("stats.json")}


def check_killed_training(whole: Killed, folder: Path, cycle: str) -> None:
    """Kill Snakemake and a training that has saved a step; continued, all ends as undisturbed."""
    run = Killed(folder, whole.settings)
    launcher = run.launch()
    until(lambda: run.saved_step(cycle) > 0 or launcher.poll() is not None)
    assert launcher.poll() is None
    run.kill_snakemake(launcher)
    for job in run.jobs("train"):
        os.kill(job.pid, signal.SIGKILL)
    step = run.saved_step(cycle)
    finished = (folder / "results/tiny" / cycle / "model").exists()
    printed = run.finish()
    assert " scores" in printed and "rule train:" not in printed, "a line for each score alone"
    assert printed.rstrip().endswith("report.html"), printed
    run.check_clean_end()
    assert finished or f"resumed at step {step}\n" in run.log(cycle)
    assert run.results() == whole.results()


def suspend(job: psutil.Process) -> None:
    job.suspend()
    until(lambda: gone(job) or job.status() == psutil.STATUS_STOPPED)


def pulse(job: psutil.Process) -> None:
    """Let a stopped process work a little, however busy the machine is."""
    with contextlib.suppress(psutil.NoSuchProcess):
        used = sum(job.cpu_times()[:2])
        job.resume()
        until(lambda: gone(job) or sum(job.cpu_times()[:2]) >= used + PULSE, PULSE / 10)
        suspend(job)


def holds(job: psutil.Process, lock: Path) -> bool:
    """Whether a training has written its process id into its lock."""
    return lock.exists() and f"pid={job.pid}\n" in lock.read_text()


def has_pending(job: psutil.Process, number: int) -> bool:
    """Whether a signal waits for a stopped process."""
    lines = Path(f"/proc/{job.pid}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.fixture
def killed(undisturbed: Run, tmp_path: Path) -> Iterator[Killed]:
    """A fresh folder for the first two cycles of the undisturbed run, saved at every step."""
    run = Killed(tmp_path / "killed", {**undisturbed.settings, **SECOND_CYCLE})
    run.folder.mkdir()
    yield run
    end_launches(run.folder)


def test_killed_again_and_again_it_ends_as_the_undisturbed_run(
    killed: Killed, undisturbed: Run
) -> None:
    kill_training_job(killed)
    finish_another_target(killed)
    survivor, step = kill_snakemake_under_training(killed)
    kill_snakemake_under_selection(killed, survivor)
    assert f"resumed at step {step}\n" in killed.log(INITIAL)
    stop_by(killed, signal.SIGTERM)
    step = stop_by(killed, signal.SIGINT)
    killed.finish(CURVES)
    assert f"resumed at step {step}\n" in killed.log(DECOMP)
    killed.check_clean_end()
    assert not (killed.folder / "work/tiny").exists()
    compare(killed, undisturbed)


def compare(killed: Killed, undisturbed: Run) -> None:
    """The same bytes in every file of both cycles, and no others beside them."""
    expected = Killed(undisturbed.folder, undisturbed.settings).results()
    found = killed.results()
    for cycle in (INITIAL, DECOMP):
        own = {"history.csv", "regions.csv", "labels.csv", "metrics.json", "model/weights.pt"}
        assert {f"tiny/{cycle}/{name}" for name in own} <= found.keys()
        assert {p for p in found if cycle in p} <= {p for p in expected if cycle in p}
    assert f"tiny/{INITIAL}/images.csv" in found
    assert [path for path in found if found[path] != expected[path]] == []


def kill_training_job(run: Killed) -> None:
    launcher = run.launch(CURVES)
    job, step = run.hold_training(launcher, INITIAL)
    job.kill()
    printed, _ = launcher.communicate(timeout=WAIT)
    assert launcher.returncode != 0, printed
    assert not (run.folder / "results/tiny" / INITIAL / "training.json").exists()
    run.check_clean_end()
    assert run.saved_step(INITIAL) == step


def finish_another_target(run: Killed) -> None:
    """A run that ends well without the killed training leaves its checkpoints alone."""
    step = run.saved_step(INITIAL)
    truth = run.folder / "results/tiny/truth.json"
    truth.unlink(missing_ok=True)
    run.finish("results/tiny/truth.json")
    assert truth.exists()
    assert run.saved_step(INITIAL) == step


def kill_snakemake_under_training(run: Killed) -> tuple[psutil.Process, int]:
    """Leaves the training behind, stopped, so that it does not end by itself."""
    launcher = run.launch(CURVES)
    survivor, step = run.hold_training(launcher, INITIAL)
    run.kill_snakemake(launcher)
    assert not gone(survivor)
    return survivor, step


def kill_snakemake_under_selection(run: Killed, survivor: psutil.Process) -> None:
    """The survivor goes before any job; then all dies while a selection has written one file."""
    launcher = run.launch(CURVES)
    until(lambda: any(job.pid != survivor.pid for job in run.jobs("train")))
    assert gone(survivor), "the survivor was there when its successor started"
    job = half_written(run, run.hold(launcher, "select_regions"))
    run.kill_snakemake(launcher)
    job.kill()
    until(lambda: gone(job))
    assert f"ending process {survivor.pid}" in launcher.communicate()[0]


def half_written(run: Killed, selection: psutil.Process) -> psutil.Process:
    """Leave what a selection leaves that is killed between two of its files."""
    file = run.folder / "results/tiny" / DECOMP / "regions.csv"
    assert not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.folder / "results/tiny" / INITIAL / "regions.csv", file)
    return selection


def stop_by(run: Killed, number: signal.Signals) -> int:
    """Ask the launcher to stop during a training; returns the step that it had saved then."""
    launcher = run.launch(CURVES)
    job, _ = run.hold_training(launcher, DECOMP)
    launcher.send_signal(number)
    until(lambda: has_pending(job, number))
    job.resume()
    printed, _ = launcher.communicate(timeout=WAIT)
    assert launcher.returncode > 0, printed
    run.check_clean_end()
    assert not (run.folder / "results/tiny" / DECOMP / "model").exists()
    step = run.saved_step(DECOMP)
    if number == signal.SIGTERM:
        assert f"stopped by a signal, saved at step {step}" in run.log(DECOMP)
    return step
