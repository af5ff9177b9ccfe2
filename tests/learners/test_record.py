"""Probabilities become records: exact labels, counts and levels, whatever is asked for."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.records import Record
from al.learners import Request
from al.learners import record as module
from al.learners.record import (
    decide,
    entropy_of,
    free_of,
    record_of,
    record_of_rois,
    uncertainty_of,
)
from decomp_core import Region

MEASURES = ("entropy", "least_confidence", "margin", "mutual_information")
BOTH = frozenset({"labels", "uncertainty"})
TAUS = (0.7, 0.1, 0.95, 0.0, 0.5)


def slow_value(p: list[float], measure: str, spread: float) -> float:
    """The uncertainty of one position in Python's float64."""
    if len(p) == 1:
        return 0.0
    first, second = sorted(p, reverse=True)[:2]
    entropy = -sum(v * math.log(v) for v in p if v > 0)
    value = {
        "entropy": entropy / math.log(len(p)),
        "mutual_information": (entropy - spread) / math.log(len(p)),
        "least_confidence": (1 - first) / (1 - 1 / len(p)),
        "margin": 1 - (first - second),
    }[measure]
    return min(max(value, 0.0), 1.0)


def slow_nested(p: list[np.float32], order: list[int]) -> tuple[int, np.float32, float]:
    """The last output above 0.5 decides; it and those after it are certain so far."""
    yes = [k for k, v in enumerate(p) if v > 0.5]
    decisive = yes[-1] if yes else 0
    confidence = min(max(v, np.float32(1) - v) for v in p[decisive:])
    return (
        order[decisive] if yes else 0,
        confidence,
        max(2 * min(float(v), 1 - float(v)) for v in p),
    )


def check(
    found: Record, decided: list[tuple[int, np.float32, float]], classes: int, valid: np.ndarray
) -> None:
    """Compare a record with label, confidence and uncertainty of every position."""
    labels, confidence, values = map(np.array, zip(*decided, strict=True))
    np.testing.assert_array_equal(found.labels.ravel(), labels)
    levels = 255 * values
    near = np.abs(levels - np.floor(levels) - 0.5) < 1e-9  # another order of sums may round away
    off = np.abs(found.uncertainty.ravel() - np.rint(levels))
    assert off[~near].max(initial=0) == 0 and off.max(initial=0) <= 1
    assert found.labels.dtype == found.uncertainty.dtype == np.uint8
    assert found.labels.shape == found.uncertainty.shape == valid.shape
    free = valid.ravel()
    assert found.unlabelled == free.sum()
    np.testing.assert_array_equal(found.predicted, np.bincount(labels[free], minlength=classes))
    for row, tau in zip(found.confident, TAUS, strict=True):
        sure = free & (confidence > np.float32(tau))
        np.testing.assert_array_equal(row, np.bincount(labels[sure], minlength=classes))
    mean = values[free].mean() if free.any() else 0.0
    assert found.mean_uncertainty == pytest.approx(mean, abs=1e-12)


@st.composite
def volumes(draw: st.DrawFn) -> tuple[np.random.Generator, tuple[int, ...], list[int], int]:
    """A generator, a shape, where its slabs end, and how many positions are taken at a time."""
    shape = draw(st.sampled_from([(1,), (11,), (9, 7), (1, 30), (5, 4, 3), (0, 5)]))
    cuts = draw(st.sets(st.integers(0, shape[0]), max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return rng, shape, sorted({0, *cuts, shape[0]}), draw(st.sampled_from([1, 4, module.CHUNK]))


def cut(p: torch.Tensor, spread: torch.Tensor | None, ends: list[int]) -> Iterator[module.Slab]:
    for a, b in zip(ends[:-1], ends[1:], strict=True):
        yield slice(a, b), p[:, a:b], None if spread is None else spread[a:b]


def softmax(rng: np.random.Generator, classes: int, shape: tuple[int, ...]) -> np.ndarray:
    """(C, *shape) float32; some are equal, some certain."""
    sharp = rng.choice([0.1, 1, 5, 60])
    logits = torch.from_numpy((rng.normal(size=(classes, *shape)) * sharp).astype(np.float32))
    p = logits.softmax(0).numpy()
    p[:, rng.random(shape) < 0.1] = 1 / classes
    certain = rng.random(shape) < 0.1
    p[:, certain] = 0
    p[0, certain] = 1
    return p


@settings(max_examples=100, deadline=None)
@given(volumes(), st.integers(1, 9), st.sampled_from(MEASURES), st.booleans())
def test_exclusive_classes(volume, classes: int, measure: str, taken: bool) -> None:
    rng, shape, ends, chunk = volume
    p = softmax(rng, classes, shape)
    spread = (rng.random(shape) * math.log(classes + 1)).astype(np.float32)
    valid = rng.random(shape) < 0.6 if taken else None
    slabs = cut(torch.from_numpy(p), torch.from_numpy(spread), ends)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        request = Request(BOTH, TAUS, measure)
        found = record_of("a", slabs, shape, classes, request, valid)
    decided = []
    for at in np.ndindex(shape):
        here = p[(slice(None), *at)]
        value = slow_value(here.tolist(), measure, float(spread[at]))
        decided.append((here.argmax(), here.max(), value))
    if decided:
        check(found, decided, classes, np.ones(shape, bool) if valid is None else valid)
    else:
        assert (found.unlabelled, found.mean_uncertainty) == (0, 0.0)


@settings(max_examples=50, deadline=None)
@given(volumes(), st.integers(1, 6), st.booleans())
def test_nested_classes(volume, outputs: int, taken: bool) -> None:
    rng, shape, ends, chunk = volume
    p = rng.random((outputs, *shape)).astype(np.float32)
    p[rng.random(p.shape) < 0.1] = 0.5
    order = (rng.permutation(outputs) + 1).tolist()
    valid = rng.random(shape) < 0.6 if taken else np.ones(shape, bool)
    request = Request(BOTH, TAUS, "least_confidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        slabs = cut(torch.from_numpy(p), None, ends)
        found = record_of("a", slabs, shape, outputs + 2, request, valid, order)
    decided = [slow_nested(list(p[(slice(None), *at)]), order) for at in np.ndindex(shape)]
    if decided:
        check(found, decided, outputs + 2, valid)


def whole(p: torch.Tensor, spread: torch.Tensor | None = None) -> list[module.Slab]:
    return [(slice(0, p.shape[1]), p, spread)]


def one(p: torch.Tensor, request: Request, valid: np.ndarray | None = None) -> Record:
    return record_of("a", whole(p), p.shape[1:], len(p), request, valid)


def test_exact_nested_targets_decode_to_their_class() -> None:
    """Kidney and masses, masses, tumour: in what nnU-Net calls the order of the regions."""
    targets = torch.tensor([[0.0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]])
    labels, confidence = decide(targets, (1, 3, 2))
    assert labels.tolist() == [0, 1, 2, 3] and confidence.tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="argument"):
        decide(targets, (1, 3))


def test_threshold_is_strict_and_ties_go_to_the_first_class() -> None:
    found = one(torch.tensor([[0.5, 0.75], [0.5, 0.25]]), Request(BOTH, (0.5, 0.75)))
    assert (found.labels.tolist(), found.predicted.tolist()) == ([0, 0], [2, 0])
    assert found.confident.tolist() == [[1, 0], [0, 0]]


def test_at_every_boundary_of_two_classes() -> None:
    """Probabilities whose level is as close to k + 1/2 as float32 can say."""
    near = []
    for k in range(255):
        low, high = 0.0, 0.5
        for _ in range(60):
            middle = (low + high) / 2
            level = 255 * -sum(v * math.log2(v) for v in (middle, 1 - middle) if v)
            low, high = (middle, high) if level < k + 0.5 else (low, middle)
        near.append(np.float32(low) + np.spacing(np.float32(low)) * np.arange(-5, 6, dtype="f4"))
    first = np.concatenate(near).astype(np.float32)
    p = np.stack([first, 1 - first])
    expected = [round(255 * slow_value(here.tolist(), "entropy", 0)) for here in p.T]
    found = one(torch.from_numpy(p), Request(frozenset({"uncertainty"}), (0.5,)))
    np.testing.assert_array_equal(found.uncertainty, expected)
    assert found.labels is None
    halves = torch.tensor([0.5, 0.75, 0.875, 1.0, 0.625])  # go to the even level
    found = one(torch.stack([halves, 1 - halves]), Request(BOTH, (0.5,), "least_confidence"))
    assert found.uncertainty.tolist() == [255, 128, 64, 0, 191]


@pytest.mark.parametrize("measure", MEASURES)
def test_uncertainty_runs_from_certain_to_uniform(measure: str) -> None:
    """Mutual information: from members that agree to members certain of different classes."""
    members = torch.tensor([[[1.0, 1.0], [0, 0]], [[1.0, 0.0], [0, 1]]])
    spread = torch.stack([entropy_of(p) for p in members]).mean(0)
    assert uncertainty_of(members.mean(0), measure, spread).tolist() == [0, 1]


def test_slabs_are_let_go_one_after_the_other() -> None:
    """The probabilities of a volume are never in memory as a whole."""
    alive: list[weakref.ref] = []

    def slabs() -> Iterator[module.Slab]:
        for k in range(6):
            assert sum(ref() is not None for ref in alive) <= 1
            p = torch.full((2, 1, 4, 4), 0.5)
            alive.append(weakref.ref(p))
            yield slice(k, k + 1), p, None

    assert record_of("a", slabs(), (6, 4, 4), 2, Request(BOTH, (0.7,))).unlabelled == 96


def test_rois_have_their_own_uncertainty_where_it_is_asked_for() -> None:
    p = np.float32([[0.5, 0.5], [1, 0], [0.9, 0.1]])
    names = ("a", "b", "c")
    bare = record_of_rois("slide", names, p, (), Request(frozenset({"labels"}), (0.7,)))
    assert bare.uncertainty is None and bare.labels is None
    found = record_of_rois("slide", names, p, {"a"}, Request(BOTH, (0.7,)))
    assert (found.unlabelled, found.predicted.tolist()) == (2, [2, 0])
    assert (found.confident.tolist(), found.rois) == ([[2, 0]], names)
    assert found.probabilities is p and found.uncertainty.dtype == np.float32
    third = slow_value(p[2].tolist(), "entropy", 0)
    np.testing.assert_allclose(found.uncertainty, [1, 0, third], atol=1e-6)
    assert found.mean_uncertainty == pytest.approx(third / 2)
    asked = Request(BOTH, (0.7,), "mutual_information")
    found = record_of_rois("slide", names, p, (), asked, np.float32([0, 0, 1]))
    np.testing.assert_allclose(found.uncertainty, [1, 0, 0], atol=1e-6)


def test_free_positions() -> None:
    assert free_of([], (4, 5)) is None
    free = free_of([Region((1, 2), (2, 9)), Region((0, 0), (1, 1))], (4, 5))
    assert np.argwhere(~free).tolist() == [[0, 0], *([y, x] for y in (1, 2) for x in (2, 3, 4))]


@pytest.mark.parametrize(
    ("p", "shape", "classes", "told"),
    [
        ([[0.5, math.nan], [0.5, math.nan]], (2,), 2, r"prediction of a: confidence\[1\] is nan"),
        ([[0.5, 2.0], [0.5, 0]], (2,), 2, r"prediction of a: confidence\[1\] is 2"),
        ([[0.5, 0.0], [0.5, 1.0]], (2,), 1, "prediction of a: labels holds 1"),
        ([[0.5, 0.5], [0.5, 0.5]], (3,), 2, "a: slabs of 2 positions; the image has 3"),
    ],
)
def test_what_is_no_prediction_is_refused(p: list, shape: tuple, classes: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        record_of("a", whole(torch.tensor(p)), shape, classes, Request(BOTH, (0.5,)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("order", [(), (1, 2, 3, 4, 5)])
def test_on_a_device(order: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    p, spread = torch.from_numpy(softmax(rng, 5, (300, 400))), torch.rand(300, 400)
    for measure in MEASURES:
        asked = (p.shape[1:], 6, Request(BOTH, TAUS, measure), rng.random((300, 400)) < 0.5, order)
        expected, found = (
            record_of("a", whole(p.to(device), spread.to(device)), *asked)
            for device in ("cpu", "cuda")
        )
        for name in ("labels", "predicted", "confident"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        off = found.uncertainty.astype(int) - expected.uncertainty
        assert np.abs(off).max() <= 1 and (off != 0).mean() < 1e-4
