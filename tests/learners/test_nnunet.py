"""Learner ``nnunet``: the contract of all learners, and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.learners.contract import LearnerContract

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

TINY = {
    "patch": [8, 16, 16],
    "batch": 2,
    "features": 8,
    "iterations": 25,
    "learning_rate": 0.05,
    "mirror": False,
    "checkpoint_every": 1000,
}


class TestContract(LearnerContract):
    learner = "nnunet"
    settings: ClassVar[dict[str, dict[str, Any]]] = {"3d": TINY}
    steps: ClassVar[dict[str, int]] = {"3d": 150}
    ensemble: ClassVar[dict[str, Any]] = {"members": 2}
