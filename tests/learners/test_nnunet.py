"""Learner ``nnunet``: the contract of all learners, and classes, members and grids of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.labels import write_label
from al.io.tables import LabelRow
from al.learners import Request, describe_learner, get_learner
from al.learners.record import decide
from decomp_core import Region
from tests.learners.contract import LearnerContract
from tests.learners.fakes import CLASSES, Toy
from tests.learners.nnunet_kit import FAST, NESTED, TINY, fit, open_dataset, write_dataset

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

import torch

from al.learners.nnunet import training

LEAST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7), "least_confidence")


class TestContract(LearnerContract):
    learner = "nnunet"
    settings: ClassVar[dict[str, dict[str, Any]]] = {"3d": TINY}
    steps: ClassVar[dict[str, int]] = {"3d": 150}
    ensemble: ClassVar[dict[str, Any]] = {"members": 2}


def test_nested_classes_are_learnt(tmp_path: Path) -> None:
    """From six volumes, scored on three others of the prepared dataset."""
    toy, settings = Toy("3d", 9), {**TINY, **NESTED}
    labels = toy.labels(tmp_path / "y")[:6]
    stats = fit(toy, tmp_path, 110, labels=labels, **settings)
    first = fit(toy, tmp_path / "first", 1, labels=labels, **settings)
    assert stats["loss"] < first["loss"] - 0.5
    learner, others = get_learner("nnunet"), list(toy.rows.values())[6:]
    found = [learner.segment(tmp_path / "model", toy.layout, r, settings) for r in others]
    assert (np.stack(found) == np.stack([toy.truth[r.key] for r in others])).mean() > 0.9


def test_nested_records_decode_the_sigmoids(tmp_path: Path) -> None:
    """And have no other uncertainty than least confidence, and no softmax probabilities."""
    toy, settings = Toy("3d"), {**FAST, **NESTED}
    fit(toy, tmp_path, 12, **NESTED)
    learner, model, row = get_learner("nnunet"), tmp_path / "model", toy.rows["i0"]
    taken = Region((1, 2, 3), (4, 9, 5))
    (record,) = learner.predict(model, toy.layout, [row], {"i0": [taken]}, LEAST, settings)
    slabs = learner.load(model, settings).predict(toy.layout, row).slabs()
    p = torch.cat([found[0] for _, found in slabs], 1)
    labels, confidence = decide(p, (1, 2))
    np.testing.assert_array_equal(record.labels, labels)
    np.testing.assert_array_equal(learner.segment(model, toy.layout, row, settings), labels)
    expected = 255 * 2 * torch.minimum(p, 1 - p).amax(0).numpy()
    assert np.abs(record.uncertainty - expected).max() < 0.51
    free = np.ones(labels.shape, bool)
    free[taken.slices] = False
    assert record.unlabelled == free.sum()
    sure = (confidence.numpy() > np.float32(0.7)) & free
    np.testing.assert_array_equal(record.confident[1], np.bincount(labels[sure], minlength=3))
    assert describe_learner("nnunet").of(settings).uncertainties() == ("least_confidence",)
    with pytest.raises(ConfigError, match="least_confidence"):
        learner.predict(model, toy.layout, [row], {}, Request(frozenset(), ()), settings)
    with pytest.raises(ConfigError, match=r"nnunet\.nested"):
        learner.probabilities(model, toy.layout, [row], settings)


def test_members_of_folds_see_different_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, seen = Toy("3d"), []

    class Noted(training.Cases):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            seen.append(set(self.identifiers))

    monkeypatch.setattr(training, "Cases", Noted)
    folds = {"members": 2, "member_labels": "folds"}
    stats = fit(toy, tmp_path, 8, **folds)
    assert stats["members"] == len(seen) == 2
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set(toy.rows)
    learner, settings = get_learner("nnunet"), {**FAST, **folds}
    rows = [toy.rows["i0"]]
    found = learner.probabilities(tmp_path / "model", toy.layout, rows, settings, True)
    ((_, p, information),) = found
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(0)
    assert 0 <= information.min() < information.max() <= np.log(len(CLASSES))
    assert (information <= entropy + 1e-5).all()


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
    learner, row = get_learner("nnunet"), rows["i1"]
    taken, request = Region((5, 0, 0), (1, 15, 13)), Request(LEAST.needs, (0.5,))
    model = tmp_path / "model"
    (record,) = learner.predict(model, layout, [row], {"i1": [taken]}, request, TINY)
    assert record.labels.shape == record.uncertainty.shape == row.shape
    assert record.unlabelled == 5 * 15 * 13
    np.testing.assert_array_equal(learner.segment(model, layout, row, TINY), record.labels)
    full = learner.segment(model, layout, row, TINY, full=True)
    assert full.shape == toy.truth["i1"].shape
    assert (full == toy.truth["i1"]).mean() > 0.85
