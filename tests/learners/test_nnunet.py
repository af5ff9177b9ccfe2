"""Learner ``nnunet``: the contract of all learners, and classes, members and grids of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.labels import write_label
from al.io.tables import LabelRow
from al.learners import Request, get_learner
from al.learners.record import decide
from decomp_core import Region
from tests.learners.contract import LearnerContract
from tests.learners.fakes import Toy
from tests.learners.nnunet_kit import NESTED, TINY, fit, open_dataset, write_dataset

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

import torch

LEAST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7), "least_confidence")


class TestContract(LearnerContract):
    learner = "nnunet"
    settings: ClassVar[dict[str, dict[str, Any]]] = {"3d": TINY}
    steps: ClassVar[dict[str, int]] = {"3d": 150}
    ensemble: ClassVar[dict[str, Any]] = {"members": 2}


def test_nested_classes(tmp_path: Path) -> None:
    """They are learnt; records decode the sigmoids; nothing is asked that they do not have."""
    toy, settings = Toy("3d"), {**TINY, **NESTED}
    fit(toy, tmp_path, 110, **settings)
    model, row = (
        get_learner("nnunet").open(tmp_path / "model", toy.layout, settings),
        toy.rows["i0"],
    )
    found = [model.segment(r) for r in toy.rows.values()]
    assert (np.stack(found) == np.stack(list(toy.truth.values()))).mean() > 0.9
    taken = Region((1, 2, 3), (4, 9, 5))
    (record,) = model.predict([row], {"i0": [taken]}, LEAST)
    ((_, parts),) = model.outputs([row])
    p = torch.cat([next(members) for _, members in parts], 1)
    labels, confidence = decide(p, (1, 2))
    np.testing.assert_array_equal(record.labels, labels)
    np.testing.assert_array_equal(found[0], labels)
    expected = 255 * 2 * torch.minimum(p, 1 - p).amax(0).numpy()
    assert np.abs(record.uncertainty - expected).max() < 0.51
    free = np.ones(labels.shape, bool)
    free[taken.slices] = False
    sure = (confidence.numpy() > np.float32(0.7)) & free
    np.testing.assert_array_equal(record.confident[1], np.bincount(labels[sure], minlength=3))
    with pytest.raises(ConfigError, match="least_confidence"):
        model.predict([row], {}, Request(frozenset(), ()))
    with pytest.raises(ConfigError, match=r"nnunet\.nested"):
        model.probabilities([row])


def test_annotators_may_see_another_grid(tmp_path: Path) -> None:
    """Trained on and asked about the annotator's voxels; scored on the file's."""
    toy = Toy("3d", 3)
    layout, rows = open_dataset(write_dataset(tmp_path / "data", toy), grid=2.0)
    labels = []
    for key, row in rows.items():
        assert row.shape == (6, 15, 13)
        write_label(tmp_path / f"{key}.npz", layout.open_label(row))
        labels.append(LabelRow(key, "", str(tmp_path / f"{key}.npz"), None))
    fit(toy, tmp_path, 70, **TINY, labels=labels, rows=rows, layout=layout)
    model, row = get_learner("nnunet").open(tmp_path / "model", layout, TINY), rows["i1"]
    taken, request = Region((5, 0, 0), (1, 15, 13)), Request(LEAST.needs, (0.5,))
    (record,) = model.predict([row], {"i1": [taken]}, request)
    assert record.labels.shape == record.uncertainty.shape == row.shape
    assert record.unlabelled == 5 * 15 * 13
    np.testing.assert_array_equal(model.segment(row), record.labels)
    full = model.segment(row, full=True)
    assert full.shape == toy.truth["i1"].shape
    assert (full == toy.truth["i1"]).mean() > 0.85
