"""``nnunet``: trainings that are cut off end as undisturbed ones; what a training starts from."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from al.io.errors import ConfigError
from tests.learners.contract import files_of
from tests.learners.fakes import Toy
from tests.learners.nnunet_kit import NESTED, fit
from tests.learners.test_convnet import _wait_for_checkpoint

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

import torch

from al.learners.nnunet import training

ROOT = Path(__file__).resolve().parents[2]
STEPS = 14  # in epochs of 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    fit(Toy("3d"), folder, STEPS)
    return files_of(folder / "model")


def act_after(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    advance = training._Run.advance

    def advanced(self: training._Run) -> None:
        advance(self)
        if self.step == step:
            act()

    monkeypatch.setattr(training._Run, "advance", advanced)


def fail() -> None:
    raise RuntimeError("cut off")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def ending(folder: Path, workers: int) -> tuple[object, ...]:
    """Train and return how that is cut off; its frames, which hold the workers, are let go."""
    try:
        fit(Toy("3d"), folder, STEPS, checkpoint_every=4, workers=workers)
    except (SystemExit, RuntimeError) as error:
        return error.args
    finally:
        gc.collect()
    return ()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("act", "kept"), [(terminate, 10), (fail, 8)])
def test_a_training_cut_off_ends_as_an_undisturbed_one(
    act: Callable[[], None],
    kept: int,
    workers: int,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal loses no step, anything else those since the last checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")
    with monkeypatch.context() as patch:
        act_after(patch, 10, act)
        told = ending(tmp_path, workers)
    assert told == ((143,) if act is terminate else ("cut off",))
    assert not (tmp_path / "model").exists()
    stats = fit(Toy("3d"), tmp_path, STEPS, checkpoint_every=4, workers=2 - workers)
    assert (stats["resumed_from"], stats["steps"]) == (kept, STEPS)
    assert files_of(tmp_path / "model") == undisturbed


def test_a_finished_member_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def second() -> None:
        calls.append(1)
        if len(calls) == 2:
            fail()

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        act_after(patch, 3, second)
        fit(Toy("3d"), tmp_path / "a", 4, members=2, checkpoint_every=2)
    stats = fit(Toy("3d"), tmp_path / "a", 4, members=2, checkpoint_every=2)
    assert stats["resumed_from"] == 4 + 2
    fit(Toy("3d"), tmp_path / "b", 4, members=2)
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


CHILD = """
import sys
from pathlib import Path
from tests.learners.fakes import Toy
from tests.learners.nnunet_kit import fit
fit(Toy("3d"), Path(sys.argv[1]), 2000, checkpoint_every=2, workers=2)
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_training(stop: signal.Signals, tmp_path: Path) -> None:
    """SIGKILL reaches the parent alone, SIGTERM every process of the job."""
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    _wait_for_checkpoint(tmp_path, child)
    workers = psutil.Process(child.pid).children(recursive=True)
    assert len(workers) >= 2
    if stop == signal.SIGKILL:
        child.kill()
        child.wait(timeout=30)
    else:
        os.killpg(child.pid, stop)
        output, _ = child.communicate(timeout=30)
        assert child.returncode == 143
        assert "stopped by a signal, saved at step" in output
    # A worker that waits looks every 5 s whether its parent lives.
    _, left = psutil.wait_procs(workers, timeout=20)
    for process in left:
        process.kill()
    assert not left


def test_machine_settings_are_no_science(tmp_path: Path) -> None:
    first = fit(Toy("3d"), tmp_path)
    other = {"checkpoint_every": 1, "workers": 1, "mirror": True, "step_size": 0.7}
    assert fit(Toy("3d"), tmp_path, **other) == first
    assert fit(Toy("3d"), tmp_path, oversample=0.5)["resumed_from"] == 0
    assert len(list((tmp_path / "work").glob("key-*"))) == 1


def weights(model: Path) -> dict[str, torch.Tensor]:
    return torch.load(model / "weights.pt", weights_only=True)


@pytest.mark.parametrize("members", [1, 2])
def test_starts_from_the_cycle_before(members: int, tmp_path: Path) -> None:
    """Each member from its own predecessor."""
    fit(Toy("3d"), tmp_path / "a", 3, members=members)
    still = {"learning_rate": 1e-12, "weight_decay": 0, "members": members}
    for name, start in (("b", "previous"), ("c", "scratch")):
        fit(
            Toy("3d"), tmp_path / name, 1, start=start, previous=tmp_path / "a/model", seed=9,
            **still,
        )  # fmt: skip
    for member in [""] if members == 1 else ["member-0", "member-1"]:
        before = weights(tmp_path / "a/model" / member)
        after = weights(tmp_path / "b/model" / member)
        fresh = weights(tmp_path / "c/model" / member)
        assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in before)
        assert not all(torch.allclose(before[k], fresh[k], atol=1e-6) for k in before)


@pytest.mark.parametrize("change", [{"classes": list("abcd")}, {"features": 5}, NESTED])
def test_does_not_start_from_another_kind_of_model(change: dict, tmp_path: Path) -> None:
    fit(Toy("3d"), tmp_path / "a", 1)
    with pytest.raises(ConfigError, match=r"nnunet\.start: .*a/model.*other plans or classes"):
        fit(Toy("3d"), tmp_path / "b", 1, start="previous", previous=tmp_path / "a/model", **change)
