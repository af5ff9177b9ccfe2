"""Counts, weights, image scores and the choice of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from decomp_core import (
    class_confidence,
    class_counts,
    decomp_image_scores,
    rotate_images,
    sampling_weights,
    select_images,
    uncertain_rois,
)

unit = st.floats(0, 1)
kappas = hnp.arrays(np.float64, st.integers(1, 30), elements=unit)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_counts_equal_a_loop_over_pixels(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
    n_classes = data.draw(st.integers(1, 5))
    values = st.one_of(st.integers(0, n_classes - 1), st.just(255))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=values))
    quarters = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    confidence = data.draw(hnp.arrays(np.float32, shape, elements=quarters))
    valid = data.draw(st.one_of(st.none(), hnp.arrays(np.bool_, shape)))
    tau = data.draw(quarters)
    predicted, confident = [0] * n_classes, [0] * n_classes
    for index in np.ndindex(shape):
        if labels[index] != 255 and (valid is None or valid[index]):
            predicted[labels[index]] += 1
            confident[labels[index]] += bool(confidence[index] > tau)
    found = class_counts(labels, confidence, n_classes, tau, valid)
    assert [f.tolist() for f in found] == [predicted, confident]
    assert all(f.dtype == np.int64 for f in found)


def test_tau_is_strict_in_every_precision():
    for dtype in (np.float16, np.float32, np.float64):
        confidence = np.full(3, 0.7, dtype)
        assert class_counts(np.zeros(3, np.uint8), confidence, 1, 0.7)[1].tolist() == [0]
        above = np.nextafter(confidence, dtype(1))
        assert class_counts(np.zeros(3, np.uint8), above, 1, 0.7)[1].tolist() == [3]


def test_confidence_is_the_confident_share_over_all_images():
    predicted = np.array([[4, 0, 10], [6, 0, 0]])
    confident = np.array([[4, 0, 3], [1, 0, 0]])
    assert class_confidence(predicted, confident).tolist() == [0.5, 0.0, 0.3]
    assert class_confidence(predicted[0], confident[0]).tolist() == [1.0, 0.0, 0.3]
    assert class_confidence(np.zeros((0, 2), int), np.zeros((0, 2), int)).tolist() == [0, 0]


@settings(max_examples=40, deadline=None)
@given(kappas)
def test_weights_sum_to_one_and_follow_doubt(kappa):
    weights = sampling_weights(kappa)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    if (kappa == 1).all():
        assert np.allclose(weights, 1 / kappa.size)
    else:
        assert np.allclose(weights, (1 - kappa) / (1 - kappa).sum())
        assert (weights[kappa == 1] == 0).all()


@settings(max_examples=40, deadline=None)
@given(kappas, st.data())
def test_emphasis_multiplies_and_is_normalised_again(kappa, data):
    elements = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))
    emphasis = data.draw(hnp.arrays(np.float64, kappa.shape, elements=elements))
    if not emphasis.any():
        emphasis[0] = 1
    weights = sampling_weights(kappa, emphasis)
    assert weights.sum() == pytest.approx(1)
    product = sampling_weights(kappa) * emphasis
    if product.sum() > 0:
        assert np.allclose(weights, product / product.sum())
    else:
        assert np.allclose(weights, emphasis / emphasis.sum())
    assert (weights[emphasis == 0] == 0).all()
    assert sampling_weights([1.0, 0.5], [1, 0]).tolist() == [1, 0]  # no class has both
    uniform = np.full(kappa.shape, 7.0)
    assert np.allclose(sampling_weights(kappa, uniform), sampling_weights(kappa))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 99)),
    st.data(),
)
def test_image_scores_equal_the_sum_and_are_capped(predicted, data):
    n_images, n_classes = predicted.shape
    weights = data.draw(hnp.arrays(np.float64, n_classes, elements=unit))
    caps = data.draw(hnp.arrays(np.float64, n_images, elements=st.floats(0.5, 120)))
    scores = decomp_image_scores(predicted, weights, caps)
    for i in range(n_images):
        expected = sum(weights[c] * min(predicted[i, c], caps[i]) for c in range(n_classes))
        assert scores[i] == pytest.approx(expected)
        assert scores[i] <= weights.sum() * caps[i] * (1 + 1e-12) + 1e-300
        alone = decomp_image_scores(predicted[i : i + 1], weights, caps[i])
        assert alone[0] == scores[i]  # bit for bit: the place in the list must not matter
    assert (decomp_image_scores(predicted[::-1], weights, caps[::-1])[::-1] == scores).all()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_select_images_takes_the_best_eligible(data):
    size = data.draw(st.integers(0, 12))
    scores = data.draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0, 2.5])))
    eligible = data.draw(hnp.arrays(np.bool_, size))
    n = data.draw(st.integers(0, 14))
    chosen = select_images(
        scores, n, eligible, np.random.default_rng(data.draw(st.integers(0, 99)))
    )
    assert chosen.dtype == np.int64 and len(set(chosen.tolist())) == len(chosen)
    assert len(chosen) == min(n, eligible.sum()) and eligible[chosen].all()
    assert (np.diff(scores[chosen]) <= 0).all()
    rest = eligible.copy()
    rest[chosen] = False
    assert not len(chosen) or not rest.any() or scores[rest].max() <= scores[chosen].min()


def test_ties_between_images_are_broken_evenly():
    first = [
        int(select_images(np.ones(4), 1, np.ones(4, bool), np.random.default_rng(s))[0])
        for s in range(600)
    ]
    assert np.bincount(first, minlength=4).min() > 90


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
def test_rotation_opens_every_image_once_before_any_twice(size, n, seed):
    rng = np.random.default_rng(seed)
    openings = np.zeros(size, int)
    for _ in range(8):
        before = openings.copy()
        chosen = rotate_images(rng.random(size), n, openings, np.ones(size, bool), rng)
        assert len(chosen) == len(set(chosen.tolist())) == min(n, size)
        openings[chosen] += 1
        assert openings.max() - openings.min() <= 1
        if (before == before.min()).sum() >= n:
            assert (before[chosen] == before.min()).all()


def test_rotation_fills_the_batch_from_the_next_loop_by_score():
    scores = np.array([5.0, 1.0, 9.0, 7.0, 8.0])
    openings = np.array([0, 0, 1, 1, 2])
    available = np.array([True] * 5)
    rng = np.random.default_rng(0)
    for n in range(7):
        assert rotate_images(scores, n, openings, available, rng).tolist() == [0, 1, 2, 3, 4][:n]
    available[[0, 2]] = False
    assert rotate_images(scores, 4, openings, available, rng).tolist() == [1, 3, 4]


def test_uncertain_rois_are_the_highest_free_ones():
    values = [0.2, 0.9, 0.9, 0.1, 0.5]
    assert uncertain_rois(values, 3) == [1, 2, 4]
    assert uncertain_rois(values, 9, taken=[1, 4]) == [2, 0, 3]
    assert uncertain_rois([], 2) == []
