"""Tiny real runs of the workflow, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from al.generators import generate

ROOT = Path(__file__).parents[2]
TINY = {
    "dataset": "cityscapes_mini",
    "run": "tiny",
    "strategies": "decomp,uncertainty",
    "references": "none",
    "seeds": "1",
    "cycles": "3",
    "budget": "2x3",
    "steps": "6",
}


@dataclass
class Run:
    """A folder in which runs are started."""

    folder: Path
    settings: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which runs are started."""
        return dict(os.environ)

    def command(self, *words: str, program: str = "snakemake", **changes: str) -> list[str]:
        """Return the command line of a run with some settings changed."""
        pairs = [f"{k}={v}" for k, v in {**self.settings, **changes}.items()]
        place = [
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--directory",
            str(self.folder),
            "--profile",
            str(ROOT / "profiles/local"),
        ]
        if program == "launch":
            head = [sys.executable, "-m", "al.cli.launch", "--grace", "5", "--"]
            return [*head, *place, *pairs, *words]
        return [sys.executable, "-m", "snakemake", *place, *words, "--config", *pairs]

    def start(
        self, *words: str, program: str = "snakemake", **changes: str
    ) -> subprocess.Popen[str]:
        """Start a run and return the process."""
        return subprocess.Popen(
            self.command(*words, program=program, **changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.environment, "OMP_NUM_THREADS": "1"},
            preexec_fn=heed_interrupts,
        )

    def run(
        self, *words: str, program: str = "snakemake", fails: bool = False, **changes: str
    ) -> str:
        """Run to the end and return what was printed."""
        process = self.start(*words, program=program, **changes)
        printed, _ = process.communicate(timeout=1800)
        assert (process.returncode != 0) == fails, printed[-6000:]
        return printed

    def files(self, pattern: str) -> dict[str, bytes]:
        """Return the contents of result files by path."""
        root = self.folder / "results"
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.glob(pattern))}


def heed_interrupts() -> None:
    """Tests that a shell starts in the background ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is filled once, whichever of pytest-xdist's processes asks first.

    Where ``SHARED_RUNS`` names a folder it lies there, for several sessions.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(os.environ.get("SHARED_RUNS", base), f"shared-{name}")
    mark = folder.with_suffix(".made")
    with FileLock(folder.with_suffix(".lock")):
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            mark.touch()
    return folder


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated dataset of few small images, in the layout of Cityscapes."""

    def make(folder: Path) -> None:
        generate("cityscapes_mini", folder / "street", 0, train=5, val=2, height=64, width=96)

    return once(tmp_path_factory, "street", make) / "street"


@pytest.fixture(scope="session")
def undisturbed(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run that later ones are compared with; tests leave it as it is."""
    settings = {**TINY, "data_root": str(street)}
    folder = once(
        tmp_path_factory, "undisturbed", lambda folder: Run(folder, settings).run("--cores", "2")
    )
    return Run(folder, settings)
