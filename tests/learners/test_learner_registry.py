"""Finding a learner, and what must stay light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from al.io.errors import ConfigError
from al.learners import LEARNERS, Request, describe_learner, get_learner
from al.learners.base import UNCERTAINTIES
from tests.learners.fakes import Toy

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_known_learners(name: str) -> None:
    learner = get_learner(name)
    assert learner.name == name
    assert learner.tasks <= {"2d", "3d", "roi"}
    assert isinstance(learner.has_features, bool)
    assert isinstance(learner.segments_full, bool)
    described = describe_learner(name)
    assert described.has_features == learner.has_features
    assert described.tasks == learner.tasks
    assert described.prepares == hasattr(learner, "prepare")
    assert bool(described.preparation_of({})) == described.prepares
    assert described.members_of({}) == 1
    assert "entropy" in described.uncertainties_of({})
    assert set(described.uncertainties_of({})) < set(UNCERTAINTIES)


def test_volumes_of_the_toys_are_those_of_a_layout() -> None:
    layout, row = Toy("3d").layout, next(iter(Toy("3d").rows.values()))
    assert nib.aff2axcodes(layout.affine(row)) == ("S", "A", "R")
    assert layout.grid_of(row).is_plain and layout.grid_of(row).full == row.shape
    assert layout.open_full(row).shape == row.shape and layout.open_full(row).dtype == np.float32


def test_unknown_learner_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'convnt'.*did you mean 'convnet'"):
        get_learner("convnt")


def test_import_leaves_torch_alone() -> None:
    code = "import learners, sys; sys.exit('torch' in sys.modules)"
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((frozenset({"label"}), (0.7,)), "needs"),
        ((frozenset(), (1.5,)), "thresholds"),
        ((frozenset(), (0.7,), "variance"), "least_confidence"),
    ],
)
def test_request_is_checked(values: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Request(*values)
