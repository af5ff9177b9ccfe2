"""``condense`` against a slow count, position by position."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from glue.records import read_records, write_shard
from learners import Request
from learners import condense as module
from learners.condense import condense, condense_rois, uncertainty_of


def _slow(p: np.ndarray, valid: np.ndarray, taus: tuple[float, ...], measure: str) -> tuple:
    classes = len(p)
    predicted = np.zeros(classes, int)
    confident = np.zeros((len(taus), classes), int)
    total, count = 0.0, 0
    values = np.zeros(p.shape[1:])
    for place in np.ndindex(*p.shape[1:]):
        row = [float(p[(c, *place)]) for c in range(classes)]
        best = row.index(max(row))
        ranked = sorted(row, reverse=True)
        values[place] = {
            "entropy": -sum(v * math.log(v) for v in row if v > 0) / math.log(classes),
            "least_confidence": (1 - ranked[0]) / (1 - 1 / classes),
            "margin": 1 - (ranked[0] - ranked[1]),
        }[measure]
        if valid[place]:
            count += 1
            total += values[place]
            predicted[best] += 1
            for t, tau in enumerate(taus):
                confident[t, best] += p[(best, *place)] > np.float32(tau)
    return count, predicted, confident, total / count, values


@pytest.mark.parametrize("measure", ["entropy", "least_confidence", "margin"])
@pytest.mark.parametrize("shape", [(9, 7), (3, 5, 4), (11,)])
@pytest.mark.parametrize("chunk", [5, 1 << 22])
def test_agrees_with_a_slow_count(
    measure: str, shape: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    rng = np.random.default_rng(len(shape))
    p = rng.dirichlet([0.4] * 4, shape).astype(np.float32)
    p = np.moveaxis(p, -1, 0).copy()
    valid = rng.random(shape) < 0.6
    taus = (0.3, 0.7, 0.95)
    found = condense(torch.from_numpy(p), torch.from_numpy(valid), taus, measure)
    count, predicted, confident, mean, values = _slow(p, valid, taus, measure)
    assert found.count == count
    np.testing.assert_array_equal(found.predicted, predicted)
    np.testing.assert_array_equal(found.confident, confident)
    np.testing.assert_array_equal(found.labels, p.argmax(0))
    assert abs(found.mean_uncertainty - mean) < 1e-5
    assert np.abs(found.uncertainty.numpy() - values * 255).max() < 0.51


def test_threshold_is_strict_and_ties_go_to_the_first_class() -> None:
    p = torch.tensor([[0.5, 0.75], [0.5, 0.25]])
    found = condense(p, None, (0.5, 0.75))
    assert found.labels.tolist() == [0, 0]
    assert found.predicted.tolist() == [2, 0]
    assert found.confident.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("measure", ["entropy", "least_confidence", "margin"])
def test_uncertainty_runs_from_certain_to_uniform(measure: str) -> None:
    p = torch.tensor([[1.0, 1 / 3], [0.0, 1 / 3], [0.0, 1 / 3]])
    np.testing.assert_allclose(uncertainty_of(p, measure), [0, 1], atol=1e-6)


def test_rois_have_their_own_uncertainty_where_it_is_asked_for(tmp_path: Path) -> None:
    p = np.float32([[0.5, 0.5], [1, 0], [0.9, 0.1]])
    labels = Request(frozenset({"labels"}), (0.7,))
    assert condense_rois("slide", ("a", "b", "c"), p, (), labels).uncertainty is None
    asked = Request(frozenset({"labels", "uncertainty"}), (0.7,))
    record = condense_rois("slide", ("a", "b", "c"), p, {"a"}, asked)
    assert (record.unlabelled, record.predicted.tolist()) == (2, [2, 0])
    assert record.confident.tolist() == [[2, 0]]
    write_shard(tmp_path / "shard.zip", [record])
    (held,) = read_records([tmp_path / "shard.zip"])
    third = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    np.testing.assert_allclose(held.uncertainty, [1, 0, third], atol=1e-6)


def test_nothing_valid() -> None:
    p = torch.full((2, 3, 3), 0.5)
    found = condense(p, torch.zeros(3, 3, dtype=torch.bool), (0.7,))
    assert (found.count, found.mean_uncertainty) == (0, 0.0)
    assert found.predicted.tolist() == [0, 0]


def test_wrong_arguments() -> None:
    p = torch.full((2, 3, 3), 0.5)
    with pytest.raises(ValueError, match="valid has shape"):
        condense(p, torch.ones(3, dtype=torch.bool), ())
    with pytest.raises(ValueError, match="allowed: entropy"):
        condense(p, None, (), "variance")
