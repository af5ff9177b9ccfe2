"""Nested (hierarchical) classes of ``convnet``: settings, loss, training, prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from al.io.errors import ConfigError
from al.io.labels import UNKNOWN
from al.learners import Request, describe_learner, get_learner
from al.learners.convnet.training import nested_loss
from al.learners.nested import nested_targets
from decomp_core import Region
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL

NESTED = {"nested": [[1, 2], [2]], "nested_order": [1, 2]}
KIDNEY = {"nested": [[1, 2, 3], [2, 3], [2]], "nested_order": [1, 3, 2]}
LEAST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7), "least_confidence")


def _fit(task: str, folder: Path, steps: int, **changes: Any) -> tuple[Any, Toy, Path, dict]:
    learner, toy, settings = get_learner("convnet"), Toy(task), {**SMALL[task], **NESTED, **changes}
    job = toy.job(folder, toy.labels(folder / "y"), steps, settings=settings)
    learner.fit(job)
    return learner, toy, job.out, settings


def test_learns_an_easy_toy(tmp_path: Path) -> None:
    learner, _, model, settings = _fit("3d", tmp_path, 60, class_weights="balanced")
    fresh = Toy("3d", 3, seed=1)
    found = [learner.segment(model, fresh.layout, r, settings) for r in fresh.rows.values()]
    assert (np.stack(found) == np.stack(list(fresh.truth.values()))).mean() > 0.9
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize("members", [1, 2])
def test_records(members: int, tmp_path: Path) -> None:
    """What is predicted follows from the mean sigmoids of the members."""
    learner, toy, model, settings = _fit("2d", tmp_path, 6, members=members)
    row, taken = toy.rows["i0"], Region((3, 4), (9, 11))
    (record,) = learner.predict(model, toy.layout, [row], {"i0": [taken]}, LEAST, settings)
    loaded = learner.load(model, settings)
    image = torch.from_numpy(np.moveaxis(toy.images["i0"], -1, 0).astype(np.float32) * 4 / 255 - 2)
    p = torch.stack([loaded.run("forward", image[None], m)[0].sigmoid() for m in range(members)])
    p = p.mean(0).numpy()
    labels = np.where(p[1] > 0.5, 2, np.where(p[0] > 0.5, 1, 0))
    assert p.shape == (2, 48, 64)
    assert (record.labels == labels).mean() > 0.999
    np.testing.assert_array_equal(learner.segment(model, toy.layout, row, settings), record.labels)
    least = (2 * np.minimum(p, 1 - p)).max(0)
    assert np.abs(record.uncertainty - 255 * least).max() < 1
    free = np.ones((48, 64), bool)
    free[taken.slices] = False
    counts = np.bincount(record.labels[free], minlength=3)
    np.testing.assert_array_equal(record.predicted, counts)
    assert record.confident.shape == (2, 3)
    assert (record.confident <= record.predicted).all()
    assert abs(record.mean_uncertainty - least[free].mean()) < 1e-4


def test_residuals_of_nested_classes(tmp_path: Path) -> None:
    """p less the targets of the decoded class: the gradient of the loss with that label."""
    learner, toy, model, settings = _fit("2d", tmp_path, 6)
    regions = [Region((5, 6), (9, 20)), Region((0, 0), (48, 64))]
    row = toy.rows["i0"]
    found = learner.residuals(model, toy.layout, row, regions, settings)
    loaded = learner.load(model, settings)
    image = torch.from_numpy(np.moveaxis(toy.images["i0"], -1, 0).astype(np.float32) * 4 / 255 - 2)
    logits = loaded.run("forward", image[None])[0].clone().requires_grad_()
    labels = torch.from_numpy(learner.segment(model, toy.layout, row, settings)).long()
    targets = torch.tensor([[0.0, 0], [1, 0], [1, 1]])
    for region, residual in zip(regions, found, strict=True):
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
    learner, toy, model, settings = _fit("2d", tmp_path, 1)
    rows = list(toy.rows.values())
    for measure in ("entropy", "margin", "mutual_information"):
        request = Request(frozenset(), (0.5,), measure)
        with pytest.raises(ConfigError, match="allowed: least_confidence .*nested"):
            learner.predict(model, toy.layout, rows, {}, request, settings)
    with pytest.raises(ConfigError, match="ClaSP PE needs softmax classes"):
        learner.probabilities(model, toy.layout, rows, settings)
    assert describe_learner("convnet").of(settings).uncertainties() == ("least_confidence",)
    warm = {**SMALL["2d"], "start": "previous"}
    labels = toy.labels(tmp_path / "y")
    job = toy.job(tmp_path / "b", labels, 1, settings=warm, previous=model)
    with pytest.raises(ConfigError, match=r"nested \[\[1, 2\], \[2\]\], not None"):
        learner.fit(job)


def test_a_training_checks_the_classes(tmp_path: Path) -> None:
    toy = Toy("2d")
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 1, settings={**SMALL["2d"], **KIDNEY})
    with pytest.raises(ConfigError, match="nested.*classes 0 to 2"):
        get_learner("convnet").fit(job)
