"""A cluster for the tests of this folder, and runs on it; skipped where there can be no cluster."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.workflow.conftest import ROOT, street, undisturbed
from tests.workflow.launches import end_launches, until
from tests.workflow.test_killed import Killed, suspend

from .cluster import Cluster, unavailable

__all__ = ["street", "undisturbed"]

RETRIES = 4


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes with a pretended GPU each; tests leave them idle."""
    reason = unavailable()
    if reason:
        pytest.skip(f"no SLURM cluster here: {reason}")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start()
    yield made
    made.stop()


def small_profile(folder: Path, **changes: Any) -> Path:
    """Write the shipped profile with the memory and the cores of a test cluster's nodes.

    ``changes``: keys to replace; ``train`` replaces that rule's resources.
    """
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    small = {"mem_mb": "1000 * attempt", "cpus_per_task": 2}
    for rule, held in profile["set-resources"].items():
        held |= small if "slurm_partition" not in held and "mem_mb" in held else {}
        held |= changes.pop(rule, {})
    profile["default-resources"] |= small
    profile |= {"latency-wait": 15, "retries": RETRIES} | changes
    profile["slurm-init-seconds-before-status-checks"] = 2
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    return folder


class OnCluster(Killed):
    """A run whose jobs go to a test cluster; its processes are those of this machine."""

    cluster: Cluster

    def command(self, *words: str, program: str = "snakemake", **changes: str) -> list[str]:
        local = str(ROOT / "profiles/local")
        own = str(self.folder / "profile")
        return [
            own if word == local else word
            for word in super().command(*words, program=program, **changes)
        ]

    @property
    def environment(self) -> dict[str, str]:
        return self.cluster.environment

    def launch(self, *words: str) -> subprocess.Popen[str]:
        return self.start(*words, program="launch")

    def finish(self, *words: str, fails: bool = False) -> str:
        return self.run(*words, program="launch", fails=fails)

    def hold_training(
        self, launcher: subprocess.Popen[str], cycle: str
    ) -> tuple[psutil.Process, int]:
        """Stop the training of a cycle when it has saved a step of its own; let others pass."""
        before, passed = self.saved_step(cycle), set[int]()
        job = None
        while job is None:
            until(lambda: self._new(passed) or launcher.poll() is not None, 0.01)
            assert launcher.poll() is None, launcher.communicate()[0]
            for process in self._new(passed):
                with contextlib.suppress(psutil.Error, OSError):
                    if (log := self.log_of(process)) is None:
                        continue
                    passed.add(process.pid)
                    if log == self.folder / "logs/tiny" / cycle / "train.log":
                        suspend(process)
                        job = process
        return job, self.let_save(job, cycle, before)

    def _new(self, passed: set[int]) -> list[psutil.Process]:
        return [job for job in self.jobs("train") if job.pid not in passed]

    def log_of(self, process: psutil.Process) -> Path | None:
        """The log that a job writes; None before it does."""
        file = Path(os.readlink(f"/proc/{process.pid}/fd/1"))
        return file if file.name == "train.log" else None

    def resumed_at(self, cycle: str) -> int:
        """The step at which the last attempt of a training went on; 0 if it began anew."""
        found = re.search(r"resumed at step (\d+)", self.log(cycle))
        return int(found[1]) if found else 0

    def running(self) -> list[str]:
        """Ids of the running jobs of this folder."""
        printed = self.cluster.ask("squeue", "-h", "-t", "R", "-o", "%i|%Z") or ""
        pairs = [line.split("|") for line in printed.splitlines()]
        return [job for job, place in pairs if Path(place) == self.folder]

    def job_of(self, pid: int) -> str:
        """SLURM's id of the job that a process belongs to."""
        return self.variable(pid, "SLURM_JOB_ID")

    def node_of(self, pid: int) -> str:
        """The node that a process runs on."""
        return self.variable(pid, "SLURMD_NODENAME")

    def variable(self, pid: int, name: str) -> str:
        """A variable of a process's environment."""
        held = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return next(line.partition("=")[2] for line in held if line.startswith(f"{name}="))


@pytest.fixture
def on_cluster(cluster: Cluster, undisturbed: Any, tmp_path: Path) -> Iterator[OnCluster]:
    """A fresh folder for the first three cycles of the undisturbed run, saved at every step."""
    settings = {
        **undisturbed.settings,
        "strategies": "decomp",
        "convnet": "{checkpoint_every: 1}",
        "chain": "2",
        "minutes": "{select: 1, train: 3, full: 3, predict: 1, evaluate: 1, other: 1}",
    }
    run = OnCluster(tmp_path / "run", settings)
    run.folder.mkdir()
    run.cluster = cluster
    small_profile(run.folder / "profile")
    yield run
    end_launches(run.folder)
    for job in run.running():
        cluster.ask("scancel", job)
    until(lambda: not cluster.jobs("PENDING", "RUNNING", "COMPLETING"))
    until(lambda: all(cluster.state(node) == "IDLE" for node in cluster.nodes))
