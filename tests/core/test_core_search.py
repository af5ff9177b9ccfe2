"""The window search against brute force, in 2-D."""

from __future__ import annotations

import numpy as np
import pytest

from decomp_core import Region, best_region, decomp_regions, uncertain_regions
from tests.core import brute


@pytest.mark.parametrize("footprints", [False, True])
def test_best_region_equals_brute_force(footprints):
    rng = np.random.default_rng(7)
    found_some = found_none = 0
    for _ in range(120):
        labels, n_classes = brute.random_map(rng, 24 if footprints else 40)
        footprint = np.ones([brute.random_side(rng, n) for n in labels.shape], bool)
        if footprints:
            footprint = brute.random_footprint(rng, labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        valid = rng.random(labels.shape) < 0.97 if rng.random() < 0.3 else None
        cls = int(rng.integers(n_classes))
        free = brute.free_pixels(labels.shape, taken)
        if valid is not None:
            free &= valid
        expected = brute.best((labels == cls).astype(np.int64), footprint, free)
        shape = footprint if footprints else footprint.shape
        result = best_region(brute.disguised(labels, rng), cls, shape, taken, valid)
        if expected is None or expected[0] == 0:
            assert result is None
            found_none += 1
        else:
            assert result == Region(expected[1:], footprint.shape, cls, expected[0])
            found_some += 1
    assert found_some > 30 and found_none > 5


def test_full_footprint_is_the_box():
    labels = np.random.default_rng(0).integers(0, 3, (30, 20)).astype(np.uint8)
    assert best_region(labels, 1, (5, 4)) == best_region(labels, 1, np.ones((5, 4), bool))
    rngs = np.random.default_rng(1), np.random.default_rng(1)
    boxes = decomp_regions(labels, np.ones(3), 8, (5, 4), rngs[0])
    assert boxes == decomp_regions(labels, np.ones(3), 8, np.ones((5, 4), bool), rngs[1])


@pytest.mark.parametrize("footprints", [False, True])
def test_every_choice_of_decomp_is_the_best_left(footprints):
    rng = np.random.default_rng(3)
    fallbacks = fewer = 0
    for _ in range(60):
        labels, n_classes = brute.random_map(rng, 30)
        if rng.random() < 0.5:
            labels[:, labels.shape[1] // 3 :] = 255
        shape = tuple(brute.random_side(rng, n) for n in labels.shape)
        footprint = (
            brute.random_footprint(rng, labels.shape) if footprints else np.ones(shape, bool)
        )
        taken = brute.random_taken(rng, labels.shape)
        wanted = int(rng.integers(1, 13))
        weights = rng.random(n_classes) * (rng.random(n_classes) < 0.8)
        given = footprint if footprints else shape
        mask = brute.random_annotatable(rng, labels.shape)
        chosen = decomp_regions(labels, weights, wanted, given, rng, taken, annotatable=mask)
        for region in chosen:
            free = brute.free_pixels(labels.shape, taken)
            peaks = {
                c: brute.equals((labels == c).astype(np.int64), footprint, free, mask)
                for c in range(n_classes)
            }
            live = {c for c, p in peaks.items() if p is not None and p[0] > 0}
            if region.cls is None:
                assert not live and region.score is None
                assert brute.free_positions(free, footprint, mask)[region.start]
                fallbacks += 1
            else:
                score, starts = peaks[region.cls]
                assert region.start in starts and region.score == score
                assert region.size == footprint.shape
                assert weights[region.cls] > 0 or all(weights[c] == 0 for c in live)
            taken = [*taken, region]
        if len(chosen) < wanted:
            free = brute.free_pixels(labels.shape, taken)
            assert not brute.free_positions(free, footprint, mask).any()
            fewer += 1
    assert fallbacks > 4 and fewer > 4


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_uncertain_regions_equal_greedy_brute_force(dtype):
    rng = np.random.default_rng(11)
    for _ in range(40):
        labels, _ = brute.random_map(rng, 24)
        levels = int(rng.choice([2, 256]))
        values = rng.integers(0, levels, labels.shape)
        shape = tuple(brute.random_side(rng, n) for n in labels.shape)
        footprint = np.ones(shape, bool)
        if rng.random() < 0.2:
            footprint = brute.random_footprint(rng, labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        scale = 1 if dtype is np.uint8 else 1 / 256
        given = brute.disguised((values * scale).astype(dtype), rng)
        mask = brute.random_annotatable(rng, labels.shape)
        chosen = uncertain_regions(given, 5, footprint, taken, annotatable=mask)
        for region in chosen:
            peak = brute.best(values, footprint, brute.free_pixels(labels.shape, taken), mask)
            assert region.start == peak[1:] and region.cls is None
            assert region.score == pytest.approx(peak[0] * scale / footprint.sum(), rel=1e-12)
            taken = [*taken, region]
        if len(chosen) < 5:
            free = brute.free_pixels(labels.shape, taken)
            assert brute.best(values, footprint, free, mask) is None
