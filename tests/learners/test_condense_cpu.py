"""``condense`` on the host: exact labels, counts and levels, whatever the probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from al.learners import Request
from al.learners import condense_cpu as module
from al.learners.condense import condense, condense_nested, condense_slabs
from al.learners.condense_torch import Rule, by_torch

MEASURES = ("entropy", "least_confidence", "margin", "mutual_information")
SIZES = (1, 2, 7, module.STRIP - 1, module.STRIP, module.STRIP + 1, 3 * module.STRIP + 5)


def exact(p: np.ndarray, measure: str, spread: np.ndarray | None) -> np.ndarray:
    """The uncertainty of (C, N) float32 by float64 arithmetic."""
    q = p.astype(np.float64)
    if len(q) == 1:
        return np.zeros(q.shape[1])
    if measure in ("entropy", "mutual_information"):
        value = -(q * np.log(np.where(q > 0, q, 1))).sum(0)
        value = (value if spread is None else value - spread) / math.log(len(q))
    else:
        ranked = np.sort(q, 0)
        if measure == "margin":
            value = 1 - (ranked[-1] - ranked[-2])
        else:
            value = (1 - ranked[-1]) / (1 - 1 / len(q))
    return value.clip(0, 1)


def softmax(rng: np.random.Generator, classes: int, size: int, sharp: float) -> np.ndarray:
    logits = torch.from_numpy(rng.normal(size=(classes, size)).astype(np.float32))
    p = (logits * sharp).softmax(0).numpy()
    p[:, rng.random(size) < 0.05] = 1 / classes  # equal ones
    certain = rng.random(size) < 0.05
    p[:, certain] = 0
    p[rng.integers(0, classes, certain.sum()), certain] = 1
    return p


def check(p: np.ndarray, measure: str, spread: np.ndarray | None, valid: np.ndarray | None) -> None:
    taus = (0.7, 0.1, 0.7, 0.95, 0.0)
    given_ = [None if v is None else torch.from_numpy(v) for v in (spread, valid)]
    found = condense(torch.from_numpy(p), given_[1], taus, measure, given_[0])
    value = exact(p, measure, spread)
    inside = np.ones(p.shape[1], bool) if valid is None else valid
    label, confidence = p.argmax(0), p.max(0)
    np.testing.assert_array_equal(found.labels, label.astype(np.uint8))
    np.testing.assert_array_equal(found.uncertainty, np.rint(255 * value))
    assert found.count == inside.sum()
    counts = [np.bincount(label[inside], minlength=len(p))]
    for tau in taus:
        above = inside & (confidence > np.float32(tau))
        counts.append(np.bincount(label[above], minlength=len(p)))
    np.testing.assert_array_equal(found.predicted, counts[0])
    np.testing.assert_array_equal(found.confident, counts[1:])
    mean = value[inside].mean() if inside.any() else 0
    assert abs(found.mean_uncertainty - mean) < 1e-6


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.sampled_from(SIZES),
    st.sampled_from(MEASURES),
    st.sampled_from([0.1, 1.0, 5.0, 60.0]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_agrees_with_float64(
    classes: int, size: int, measure: str, sharp: float, taken: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p = softmax(rng, classes, size, sharp)
    spread = None
    if measure == "mutual_information":
        spread = (rng.random(size) * math.log(classes + 1)).astype(np.float32)
    check(p, measure, spread, rng.random(size) < 0.5 if taken else None)


@pytest.mark.parametrize("classes", [2, 19, 150, 255, 256])
@pytest.mark.parametrize("measure", MEASURES)
def test_many_classes(classes: int, measure: str) -> None:
    rng = np.random.default_rng(classes)
    spread = np.zeros(5000, np.float32) if measure == "mutual_information" else None
    check(softmax(rng, classes, 5000, 3.0), measure, spread, None)


def test_every_logarithm_of_a_mantissa() -> None:
    """All 2**23 of them: the error that the bound of the sums is made of."""
    bits = np.arange(int(module.ROOT), int(module.ROOT) + 2**23, dtype=np.int32)
    error = _logs(bits) - np.log2(bits.view(np.float32).astype(np.float64))
    assert np.abs(error).max() <= module.LOG_ERROR


def test_logarithms_of_all_exponents() -> None:
    """The exponent is added with one rounding."""
    rng = np.random.default_rng(0)
    bits = rng.integers(1 << 23, int(module.HIGHEST), 1 << 20, dtype=np.int32)
    expected = np.log2(bits.view(np.float32).astype(np.float64))
    bound = module.LOG_ERROR + 2.0**-24 * np.abs(expected)
    assert (np.abs(_logs(bits) - expected) <= bound * 1.0001).all()
    small = np.array([0, 1, 1 << 22, (1 << 23) - 1], np.int32)
    assert (np.abs(_logs(small) + 127) < 2).all()


def _logs(bits: np.ndarray) -> np.ndarray:
    """``log2_of`` of an array: the entropy of one class of probability 1 with that logarithm."""
    one, out = np.ones(bits.size, np.float32), np.zeros(bits.size, np.float32)
    module._with_entropy(one, bits, np.int32(0), one.copy(), out, np.zeros(bits.size, np.int32))
    return -out.astype(np.float64)


@pytest.mark.parametrize("classes", [2, 3, 19, 150, 256])
@pytest.mark.parametrize("sharp", [0.05, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_sums_are_within_their_bound(classes: int, sharp: float, scale: float) -> None:
    """Also of probabilities that do not add up to 1."""
    size = module.STRIP
    p = softmax(np.random.default_rng(classes), classes, size, sharp) * np.float32(scale)
    flat = p.reshape(-1)
    best, entropy = np.empty((2, size), np.float32)
    args = (classes, size, 0, module.ENTROPY, np.empty(0, np.int64))
    module._scan(flat, flat.view(np.uint32), *args, best, entropy, np.empty(size, np.int32))
    q = p.astype(np.float64)
    bits = -(q * np.log2(np.where(q > 0, q, 1))).sum(0)
    a, b = module.error_bound(classes)
    off = 255 / math.log2(classes) * np.abs(entropy - bits)
    assert (off <= a + b * entropy).all()
    assert a + 8 * b < 0.02  # few positions are done again


def test_at_every_boundary_of_two_classes() -> None:
    """Probabilities whose level is as close to k + 1/2 as float32 can say."""
    near = []
    for k in range(255):
        low, high = 0.0, 0.5
        for _ in range(60):
            middle = (low + high) / 2
            level = 255 * -sum(v * math.log2(v) for v in (middle, 1 - middle) if v)
            low, high = (middle, high) if level < k + 0.5 else (low, middle)
        near.append(np.float32(low) + np.spacing(np.float32(low)) * np.arange(-40, 41, dtype="f4"))
    first = np.concatenate(near).astype(np.float32)
    check(np.stack([first, 1 - first]), "entropy", None, None)


def test_ties_of_the_rounding_go_to_the_even_level() -> None:
    first = np.float32([0.5, 0.75, 0.875, 1.0, 0.625])
    p = torch.from_numpy(np.stack([first, 1 - first]))
    assert condense(p, None, (), "least_confidence").uncertainty.tolist() == [255, 128, 64, 0, 191]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("value", [math.nan, -1e-9, -0.0, math.inf, -math.inf, 1.01, 1e-42])
def test_what_is_no_probability_is_left_to_torch(measure: str, value: float) -> None:
    rng = np.random.default_rng(1)
    p = torch.from_numpy(softmax(rng, 5, 3 * module.STRIP + 9, 2.0))
    p[3, module.STRIP + 7] = value
    spread = torch.zeros(p.shape[1]) if measure == "mutual_information" else None
    found = condense(p, None, (0.5,), measure, spread)
    slow = by_torch(p, spread, None, Rule(5, (0.5,), measure))
    assert torch.equal(found.labels, slow.labels)
    assert found.predicted.tolist() == slow.counts[0].tolist()
    assert found.confident.tolist() == slow.counts[1:].tolist()
    away = torch.arange(p.shape[1]) != module.STRIP + 7
    off = (found.uncertainty.int() - slow.uncertainty.int()).abs()
    assert off[away].max() <= 1
    assert off[~away].max() == 0
    if not math.isnan(value):
        assert abs(found.mean_uncertainty - slow.total / p.shape[1]) < 1e-5
    assert math.isnan(found.mean_uncertainty) == math.isnan(slow.total)


def layouts(p: torch.Tensor) -> dict[str, torch.Tensor]:
    """Tensors equal to ``p`` (C, H, W) that lie differently in memory."""
    wide = torch.full((p.shape[0], p.shape[1] + 3, p.shape[2] + 5), math.nan)
    wide[:, 2:-1, 1:-4] = p
    return {
        "channels last": p.permute(1, 2, 0).contiguous().permute(2, 0, 1),
        "crop": wide[:, 2:-1, 1:-4],
        "turned": p.transpose(1, 2).contiguous().transpose(1, 2),
        "every second": torch.stack([p, p], 3)[..., 1],
        "more classes": torch.cat([p, p])[: len(p)],
        "needs a gradient": p.clone().requires_grad_(),
    }


@pytest.mark.parametrize("name", layouts(torch.zeros(1, 6, 6)))
def test_layouts(name: str) -> None:
    p = torch.from_numpy(softmax(np.random.default_rng(2), 6, 60 * 70, 2.0)).reshape(6, 60, 70)
    valid = torch.from_numpy(np.random.default_rng(3).random((70, 60)) < 0.5).T
    other = layouts(p)[name]
    with torch.no_grad():
        found, expected = condense(other, valid, (0.5,)), condense(p, valid, (0.5,))
    for key in ("labels", "uncertainty", "predicted", "confident"):
        assert torch.equal(getattr(found, key), getattr(expected, key))
    assert found.mean_uncertainty == expected.mean_uncertainty


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("measure", MEASURES[:3])
def test_other_types(dtype: torch.dtype, measure: str) -> None:
    p = torch.from_numpy(softmax(np.random.default_rng(4), 6, 5000, 2.0)).to(dtype)
    found = condense(p, None, (0.5,), measure)
    assert torch.equal(found.labels.long(), p.max(0).indices)
    value = exact(p.double().numpy(), measure, None)
    off = {torch.float64: 1e-9, torch.float16: 0.03, torch.bfloat16: 0.2}[dtype]
    assert np.abs(found.uncertainty.numpy() - 255 * value).max() < 0.5 + 255 * off


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.sampled_from(SIZES), st.integers(0, 2**31))
def test_nested_outputs(outputs: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random((outputs, size)).astype(np.float32)
    p[rng.random(p.shape) < 0.1] = 0.5
    order = tuple((rng.permutation(outputs) + 1).tolist())
    valid = torch.from_numpy(rng.random(size) < 0.5)
    taus = (0.75, 0.5, 0.9)
    found = condense_nested(torch.from_numpy(p), order, 12, valid, taus)
    slow = by_torch(torch.from_numpy(p), None, valid, Rule(12, taus, order=order))
    assert torch.equal(found.labels, slow.labels)
    assert torch.equal(torch.cat([found.predicted[None], found.confident]), slow.counts)
    least = np.minimum(p.astype(np.float64), 1 - p.astype(np.float64)).max(0)
    np.testing.assert_array_equal(found.uncertainty, np.rint(510 * least))
    assert abs(found.mean_uncertainty * found.count - slow.total) < 1e-5 * max(1, size)


def test_slabs_sum_to_the_same_mean() -> None:
    """In units, not in floating point: no order of the slabs can change a digit."""
    p = torch.from_numpy(softmax(np.random.default_rng(5), 4, 20 * 300, 2.0)).reshape(4, 20, 300, 1)
    request = Request(frozenset(), (0.5,), "entropy")
    for step in (1, 7, 20):
        slabs = [
            (slice(a, min(a + step, 20)), p[:, a : a + step], None) for a in range(0, 20, step)
        ]
        found = condense_slabs(slabs, p.shape[1:], 4, (), None, request)
        assert found.mean_uncertainty == condense(p, None, (0.5,)).mean_uncertainty


def test_more_classes_than_are_counted() -> None:
    p = torch.full((3, 2, 2, 2), 0.5)
    request = Request(frozenset(), (), "entropy")
    for order in ((), (1, 2, 3)):
        with pytest.raises(ValueError, match="there are 2 classes"):
            condense_slabs([(slice(0, 2), p, None)], p.shape[1:], 2, order, None, request)


def test_nothing_at_all() -> None:
    found = condense(torch.empty(3, 0, 5), None, (0.5,))
    assert (found.count, found.mean_uncertainty, found.labels.shape) == (0, 0.0, (0, 5))


def test_the_maps_hold_no_memory_of_each_other() -> None:
    """A record that keeps one of them lets go of the other."""
    p = torch.from_numpy(softmax(np.random.default_rng(6), 3, 1000, 2.0))
    for found in (condense(p, None, (0.5,)), condense_nested(p, (2, 1, 0), 3, None, (0.5,))):
        for values in (found.labels, found.uncertainty):
            assert values.untyped_storage().nbytes() == 1000
