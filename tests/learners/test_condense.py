"""``condense`` against a slow count, position by position."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from al.io.records import read_records, write_shard
from al.learners import Request
from al.learners import condense as module
from al.learners.condense import (
    condense,
    condense_nested,
    condense_rois,
    decode_nested,
    entropy_of,
    uncertainty_of,
)


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


@pytest.mark.parametrize("chunk", [3, 1 << 22])
def test_mutual_information_of_members(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where members agree, all of log C where they are certain of different classes."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    members = torch.tensor(
        [
            [[1.0, 1.0, 0.5, 0.9], [0.0, 0.0, 0.5, 0.1]],
            [[1.0, 0.0, 0.5, 0.4], [0.0, 1.0, 0.5, 0.6]],
        ]
    )
    mean = members.mean(0)
    spread = torch.stack([entropy_of(p) for p in members]).mean(0)
    found = uncertainty_of(mean, "mutual_information", spread)
    last = [_entropy(0.65), (_entropy(0.9) + _entropy(0.4)) / 2]
    expected = [0, 1, 0, (last[0] - last[1]) / math.log(2)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    whole = condense(mean, None, (0.5,), "mutual_information", spread)
    assert whole.uncertainty.tolist() == [round(255 * v) for v in expected]
    with pytest.raises(ValueError, match="member_entropy is None"):
        condense(mean, None, (), "mutual_information")
    with pytest.raises(ValueError, match="member_entropy has shape"):
        condense(mean, None, (), "mutual_information", spread[:2])
    same = condense(mean, None, (), "mutual_information", entropy_of(mean) + 1e-3)
    assert same.uncertainty.max() == 0


def _entropy(p: float) -> float:
    return -(p * math.log(p) + (1 - p) * math.log(1 - p))


@pytest.mark.parametrize("chunk", [3, 1 << 22])
def test_entropy_in_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    p = np.random.default_rng(0).dirichlet([0.5] * 3, (4, 5)).astype(np.float32)
    p[0, 0] = [1, 0, 0]
    found = entropy_of(torch.from_numpy(np.moveaxis(p, -1, 0).copy()))
    slow = [-sum(float(v) * math.log(v) for v in row if v > 0) for row in p.reshape(-1, 3)]
    np.testing.assert_allclose(found, np.reshape(slow, (4, 5)), atol=1e-6)


ORDER = (1, 3, 2)


def _decode(p: list[float]) -> tuple[int, float]:
    """One position: the last region above 0.5 decides; it and those after it are certain so far."""
    yes = [k for k, v in enumerate(p) if v > 0.5]
    decisive = yes[-1] if yes else 0
    label = ORDER[decisive] if yes else 0
    return label, min(max(v, 1 - v) for v in p[decisive:])


def _walk(p: list[float]) -> tuple[int, float]:
    """From the whole to the part: stop at the first region that is declined."""
    label, certain = 0, 1.0
    for value, cls in zip(p, ORDER, strict=True):
        certain = min(certain, max(value, 1 - value))
        if value <= 0.5:
            break
        label = cls
    return label, certain


@pytest.mark.parametrize("shape", [(40,), (8, 9), (3, 5, 6)])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("chunk", [7, 1 << 22])
def test_nested_classes_agree_with_a_slow_count(
    shape: tuple[int, ...], ordered: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    rng = np.random.default_rng(len(shape))
    p = rng.random((3, *shape)).astype(np.float32)
    p[rng.random(p.shape) < 0.1] = 0.5
    if ordered:
        p = -np.sort(-p, axis=0)
    valid, taus = rng.random(shape) < 0.7, (0.6, 0.75)
    predicted, confident, total = np.zeros(5, int), np.zeros((2, 5), int), 0.0
    labels, certain = decode_nested(torch.from_numpy(p), ORDER)
    found = condense_nested(torch.from_numpy(p), ORDER, 5, torch.from_numpy(valid), taus)
    for place in np.ndindex(*shape):
        values = [float(v) for v in p[(slice(None), *place)]]
        label, confidence = _decode(values)
        least = 2 * max(1 - max(v, 1 - v) for v in values)
        assert labels[place] == found.labels[place] == label
        assert float(certain[place]) == pytest.approx(confidence, abs=1e-6)
        if ordered:
            assert _walk(values) == (label, pytest.approx(confidence))
        assert abs(int(found.uncertainty[place]) - 255 * least) < 0.51
        if valid[place]:
            predicted[label] += 1
            total += least
            for t, tau in enumerate(taus):
                confident[t, label] += float(certain[place]) > tau
    assert labels.dtype == torch.uint8
    assert certain.dtype == torch.float32
    assert found.count == valid.sum()
    np.testing.assert_array_equal(found.predicted, predicted)
    np.testing.assert_array_equal(found.confident, confident)
    assert found.mean_uncertainty == pytest.approx(total / valid.sum(), abs=1e-5)


def test_exact_nested_targets_decode_to_their_class() -> None:
    """Kidney and masses, masses, tumour: in what nnU-Net calls the order of the regions."""
    targets = torch.tensor([[0.0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]])
    labels, confidence = decode_nested(targets, ORDER)
    assert labels.tolist() == [0, 1, 2, 3]
    assert confidence.tolist() == [1, 1, 1, 1]


def test_wrong_nested_arguments() -> None:
    p = torch.full((2, 3, 3), 0.5)
    for order in ((1,), (1, 255), (-1, 1)):
        with pytest.raises(ValueError, match="order is"):
            decode_nested(p, order)
    with pytest.raises(ValueError, match="there are 2 classes"):
        condense_nested(p, (1, 2), 2, None, ())
    with pytest.raises(ValueError, match="valid has shape"):
        condense_nested(p, (1, 2), 3, torch.ones(3, dtype=torch.bool), ())
