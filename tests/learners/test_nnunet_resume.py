"""``nnunet``: trainings that are cut off end as undisturbed ones; what a training starts from."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from al.io.errors import ConfigError
from tests.learners.contract import files_of
from tests.learners.fakes import Toy
from tests.learners.nnunet_kit import NESTED, fit
from tests.learners.test_convnet import act_after, fail, start_child

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

import torch

from al.learners.nnunet.training import NnunetTraining

STEPS = 9  # in epochs of 4


def test_a_training_cut_off_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether other processes make the batches or not."""
    fit(Toy("3d"), tmp_path / "a", STEPS)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        act_after(patch, NnunetTraining, 6, fail)
        fit(Toy("3d"), tmp_path / "b", STEPS, checkpoint_every=4, workers=2)
    stats = fit(Toy("3d"), tmp_path / "b", STEPS, checkpoint_every=4)
    assert (stats["resumed_from"], stats["steps"]) == (4, STEPS)
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
    child = start_child(CHILD, tmp_path)
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


def weights(model: Path) -> dict[str, torch.Tensor]:
    return torch.load(model / "weights.pt", weights_only=True)


def test_starts_from_the_cycle_before(tmp_path: Path) -> None:
    """Whose model must be of the same kind."""
    fit(Toy("3d"), tmp_path / "a", 3)
    previous = tmp_path / "a/model"
    still = {"learning_rate": 1e-12, "weight_decay": 0, "seed": 9, "previous": previous}
    for name, start in (("b", "previous"), ("c", "scratch")):
        fit(Toy("3d"), tmp_path / name, 1, start=start, **still)
    before, after, fresh = (weights(tmp_path / name / "model") for name in "abc")
    assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in before)
    assert not all(torch.allclose(before[k], fresh[k], atol=1e-6) for k in before)
    for change in ({"classes": list("abcd")}, {"features": 5}, NESTED):
        told = r"nnunet\.start: .*a/model has (classes|plans|dataset_json)"
        with pytest.raises(ConfigError, match=told):
            fit(Toy("3d"), tmp_path / "d", 1, start="previous", previous=previous, **change)
        shutil.rmtree(tmp_path / "d/prepared")
