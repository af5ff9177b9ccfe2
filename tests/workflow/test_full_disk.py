"""Runs whose disk gets full or read-only: a clear error, whole files, and on with the same command.

Single failures of every kind are in ``tests/io/test_storage.py``.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from al.cli.launch import REFUSED
from al.io.storage import AGAIN

from ..io.test_storage import Mount, fill, mount  # noqa: F401 - a fixture
from .conftest import Run
from .launches import end_launches
from .test_killed import CURVES, DECOMP, INITIAL, SECOND_CYCLE, Killed

pytestmark = pytest.mark.slow

FULL, READ_ONLY = "the disk is full", "the file system is read-only"


@pytest.fixture
def disk(mount: Mount, undisturbed: Run) -> Iterator[Killed]:  # noqa: F811
    """A run of two cycles in a file system of its own, saved at every step."""
    folder = mount("size=48m")
    yield Killed(folder, {**undisturbed.settings, **SECOND_CYCLE})
    end_launches(folder)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def end(launcher: subprocess.Popen[str], reason: str) -> str:
    """Wait for a run that must fail, with the reason on its console; returns what it printed."""
    printed, _ = launcher.communicate(timeout=300)
    assert launcher.returncode == 1, printed
    assert f"Storage: {reason} (" in printed and AGAIN in printed, printed
    return printed


def check_whole(run: Killed, undisturbed: Run) -> None:
    """Every file that is there is the one of the undisturbed run, and no other is there."""
    expected = Killed(undisturbed.folder, undisturbed.settings).results()
    found = run.results()
    assert [path for path in found if found[path] != expected[path]] == []
    results = run.folder / "results"
    for archive in results.rglob("*.zip"):
        with zipfile.ZipFile(archive) as held:
            assert held.testzip() is None
    files = [path for path in results.rglob(".*") if path.is_file()]
    assert [path for path in files if path.name != ".snakemake_timestamp"] == []


def finish(run: Killed, undisturbed: Run) -> None:
    """The same command goes on and ends with the same bytes."""
    run.finish(CURVES)
    run.check_clean_end()
    check_whole(run, undisturbed)
    found = run.results()
    for cycle in (INITIAL, DECOMP):
        own = {"history.csv", "regions.csv", "labels.csv", "metrics.json", "model/weights.pt"}
        assert {f"tiny/{cycle}/{name}" for name in own} <= found.keys()


def refuse_to_start(disk: Killed) -> None:
    """Neither program starts a job where only a small file fits."""
    ballast = fill(disk.folder)
    os.truncate(ballast, ballast.stat().st_size - (8 << 20))
    printed, _ = (launcher := disk.launch(CURVES)).communicate(timeout=300)
    assert launcher.returncode == REFUSED, printed
    assert f"launch refused: {disk.folder}/.snakemake/decomp-launch cannot be written" in printed
    assert f"Storage: {FULL} (" in printed
    printed = disk.run("--cores", "2", "--rerun-incomplete", CURVES, fails=True)
    assert "localrule" not in printed
    assert f"Storage: {FULL} (" in printed


def test_disk_full_in_training_and_read_only_in_prediction(
    disk: Killed,
    undisturbed: Run,
    mount: Mount,  # noqa: F811
) -> None:
    results = mount("size=48m,ro", disk.folder / "results")
    printed = end(disk.launch(CURVES), READ_ONLY)
    assert "results/tiny cannot be written" in printed
    assert not (disk.folder / "logs").exists(), "a job was started"

    remount(results, "rw")
    launcher = disk.launch(CURVES)
    job, step = disk.hold_training(launcher, INITIAL)
    ballast = fill(disk.folder)
    job.resume()
    end(launcher, FULL)
    check_whole(disk, undisturbed)
    assert not (disk.folder / "results/tiny" / INITIAL / "training.json").exists()

    refuse_to_start(disk)
    check_whole(disk, undisturbed)

    ballast.unlink()
    launcher = disk.launch(CURVES)
    job = disk.hold(launcher, "predict")
    assert f"resumed at step {step}\n" in disk.log(INITIAL)
    remount(results, "ro")
    job.resume()
    end(launcher, READ_ONLY)
    remount(results, "rw")
    check_whole(disk, undisturbed)
    model = disk.folder / "results/tiny" / INITIAL / "model/weights.pt"
    made = model.stat().st_mtime_ns
    finish(disk, undisturbed)
    assert model.stat().st_mtime_ns == made, "trained again"


def test_whole_folder_read_only(disk: Killed) -> None:
    remount(disk.folder, "ro")
    printed, _ = (launcher := disk.launch(CURVES)).communicate(timeout=120)
    assert launcher.returncode == REFUSED, printed
    assert f"Storage: {READ_ONLY} (" in printed and "Traceback" not in printed
    assert "Read-only file system" in disk.run("--cores", "2", CURVES, fails=True)
    assert os.listdir(disk.folder) == []
