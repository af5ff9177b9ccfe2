"""Nested (hierarchical) classes of ``convnet``: settings, loss, training, prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from al.io.errors import ConfigError
from al.io.labels import UNKNOWN
from al.learners import Request, get_learner
from al.learners.convnet.training import nested_loss
from al.learners.nested import nested_targets
from decomp_core import Region
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL

NESTED = {"nested": [[1, 2], [2]], "nested_order": [1, 2]}
KIDNEY = {"nested": [[1, 2, 3], [2, 3], [2]], "nested_order": [1, 3, 2]}
LEAST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7), "least_confidence")


def _fit(task: str, folder: Path, steps: int, **changes: Any) -> tuple[Toy, Any]:
    """Return a toy and the model that has learnt it for some steps."""
    learner, toy, settings = get_learner("convnet"), Toy(task), {**SMALL[task], **NESTED, **changes}
    job = toy.job(folder, toy.labels(folder / "y"), steps, settings=settings)
    learner.fit(job)
    return toy, learner.open(job.out, toy.layout, settings)


def _logits(toy: Toy, model: Any, member: int = 0) -> torch.Tensor:
    """Logits of the first image, (2, 48, 64)."""
    image = torch.from_numpy(np.moveaxis(toy.images["i0"], -1, 0).astype(np.float32) * 4 / 255 - 2)
    return model.run("forward", image[None], member)[0].clone()


def test_learns_an_easy_toy(tmp_path: Path) -> None:
    toy, model = _fit("3d", tmp_path, 60, class_weights="balanced")
    found = [model.segment(row) for row in toy.rows.values()]
    assert (np.stack(found) == np.stack(list(toy.truth.values()))).mean() > 0.9
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize("members", [1, 2])
def test_records(members: int, tmp_path: Path) -> None:
    """What is predicted follows from the mean sigmoids of the members."""
    toy, model = _fit("2d", tmp_path, 6, members=members)
    row, taken = toy.rows["i0"], Region((3, 4), (9, 11))
    (record,) = model.predict([row], {"i0": [taken]}, LEAST)
    p = np.mean([_logits(toy, model, m).sigmoid().numpy() for m in range(members)], 0)
    labels = np.where(p[1] > 0.5, 2, np.where(p[0] > 0.5, 1, 0))
    assert (record.labels == labels).mean() > 0.999
    np.testing.assert_array_equal(model.segment(row), record.labels)
    least = (2 * np.minimum(p, 1 - p)).max(0)
    assert np.abs(record.uncertainty - 255 * least).max() < 1
    assert record.unlabelled == 48 * 64 - 9 * 11
    assert record.confident.shape == (2, 3)


def test_residuals_of_nested_classes(tmp_path: Path) -> None:
    """p less the targets of the decoded class: the gradient of the loss with that label."""
    toy, model = _fit("2d", tmp_path, 6)
    regions = [Region((5, 6), (9, 20)), Region((0, 0), (48, 64))]
    row = toy.rows["i0"]
    logits = _logits(toy, model).requires_grad_()
    labels = torch.from_numpy(model.segment(row)).long()
    targets = torch.tensor([[0.0, 0], [1, 0], [1, 1]])
    for region, residual in zip(regions, model.residuals(row, regions), strict=True):
        part = logits[(slice(None), *region.slices)][None]
        loss = 2 * nested_loss(part, labels[region.slices][None], targets, None)
        (gradient,) = torch.autograd.grad(loss, logits)
        np.testing.assert_allclose(residual, gradient.sum((1, 2)).numpy(), atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_agrees_with_a_loop(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 3, UNKNOWN], (2, 4, 5))
    targets = nested_targets(KIDNEY["nested"], 4)
    weights = np.array([0.5, 1, 2, 3], np.float32) if weighted else np.ones(4, np.float32)
    total = share = 0.0
    for b, y, x in np.ndindex(2, 4, 5):
        if (label := labels[b, y, x]) == UNKNOWN:
            continue
        p = 1 / (1 + np.exp(-logits[b, :, y, x].astype(float)))
        chance = np.where([label in held for held in KIDNEY["nested"]], p, 1 - p)
        total += weights[label] * -np.log(chance).mean()
        share += weights[label]
    found = nested_loss(
        torch.from_numpy(logits),
        torch.from_numpy(labels),
        torch.from_numpy(targets).float(),
        torch.from_numpy(weights) if weighted else None,
    )
    assert float(found) == pytest.approx(total / share, rel=1e-5)


def test_what_nested_classes_cannot_do_is_refused(tmp_path: Path) -> None:
    toy, model = _fit("2d", tmp_path, 1)
    rows = list(toy.rows.values())
    with pytest.raises(ConfigError, match="allowed: least_confidence .*nested"):
        model.predict(rows, {}, Request(frozenset(), (0.5,), "entropy"))
    with pytest.raises(ConfigError, match=r"convnet\.nested: .*softmax"):
        model.probabilities(rows)
    learner, labels = get_learner("convnet"), toy.labels(tmp_path / "y")
    warm = {**SMALL["2d"], "start": "previous"}
    job = toy.job(tmp_path / "b", labels, 1, settings=warm, previous=tmp_path / "model")
    with pytest.raises(ConfigError, match=r"nested \[\[1, 2\], \[2\]\], not None"):
        learner.fit(job)
    with pytest.raises(ConfigError, match="nested.*classes 0 to 2"):
        learner.fit(replace(job, settings={**SMALL["2d"], **KIDNEY}))
