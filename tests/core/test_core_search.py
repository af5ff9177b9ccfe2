"""The window search against brute force, in 2-D."""

from __future__ import annotations

import numpy as np
import pytest

from decomp_core import Region, best_region, decomp_regions, uncertain_regions
from tests.core import brute


@pytest.mark.parametrize("seed", range(2))
def test_best_region_equals_brute_force_on_small_maps(seed):
    rng = np.random.default_rng(seed)
    found_some = found_none = 0
    for _ in range(120):
        labels, n_classes = brute.random_map(rng)
        shape = tuple(brute.random_side(rng, n) for n in labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        valid = rng.random(labels.shape) < 0.97 if rng.random() < 0.3 else None
        cls = int(rng.integers(n_classes))
        free = brute.free_pixels(labels.shape, taken)
        if valid is not None:
            free &= valid
        expected = brute.best((labels == cls).astype(np.int64), np.ones(shape, bool), free)
        result = best_region(labels, cls, shape, taken, valid)
        if expected is None or expected[0] == 0:
            assert result is None
            found_none += 1
        else:
            assert result == Region(expected[1:], shape, cls, expected[0])
            found_some += 1
    assert found_some > 30 and found_none > 5


def test_best_region_equals_brute_force_with_footprints():
    rng = np.random.default_rng(7)
    for _ in range(120):
        labels, n_classes = brute.random_map(rng, 24)
        footprint = brute.random_footprint(rng, labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        valid = rng.random(labels.shape) < 0.97 if rng.random() < 0.3 else None
        cls = int(rng.integers(n_classes))
        free = brute.free_pixels(labels.shape, taken)
        if valid is not None:
            free &= valid
        expected = brute.best((labels == cls).astype(np.int64), footprint, free)
        result = best_region(labels, cls, footprint, taken, valid)
        if expected is None or expected[0] == 0:
            assert result is None
        else:
            assert result == Region(expected[1:], footprint.shape, cls, expected[0])


def test_full_footprint_is_the_box():
    labels = np.random.default_rng(0).integers(0, 3, (30, 20)).astype(np.uint8)
    rngs = np.random.default_rng(1), np.random.default_rng(1)
    boxes = decomp_regions(labels, np.ones(3), 8, (5, 4), rngs[0])
    assert boxes == decomp_regions(labels, np.ones(3), 8, np.ones((5, 4), bool), rngs[1])


def test_footprint_of_a_cross_leaves_out_the_corners():
    labels = np.uint8([[1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0]])
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    assert best_region(labels, 1, cross) == Region((0, 0), (3, 3), 1, 4)
    assert best_region(labels, 1, cross, [Region((1, 1), (1, 1))]).start == (1, 1)


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
        chosen = decomp_regions(labels, weights, wanted, given, rng, taken)
        for region in chosen:
            free = brute.free_pixels(labels.shape, taken)
            peaks = {
                c: brute.best((labels == c).astype(np.int64), footprint, free)
                for c in range(n_classes)
            }
            live = {c for c, p in peaks.items() if p is not None and p[0] > 0}
            if region.cls is None:
                assert not live and region.score is None
                assert brute.free_positions(free, footprint)[region.start]
                fallbacks += 1
            else:
                score, *start = peaks[region.cls]
                assert region == Region(tuple(start), footprint.shape, region.cls, score)
                assert weights[region.cls] > 0 or all(weights[c] == 0 for c in live)
            taken = [*taken, region]
        if len(chosen) < wanted:
            assert not brute.free_positions(brute.free_pixels(labels.shape, taken), footprint).any()
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
        chosen = uncertain_regions((values * scale).astype(dtype), 5, footprint, taken)
        for region in chosen:
            peak = brute.best(values, footprint, brute.free_pixels(labels.shape, taken))
            assert region.start == peak[1:] and region.cls is None
            assert region.score == pytest.approx(peak[0] * scale / footprint.sum(), rel=1e-12)
            taken = [*taken, region]
        if len(chosen) < 5:
            assert brute.best(values, footprint, brute.free_pixels(labels.shape, taken)) is None


def test_equal_windows_of_floats_go_to_the_first():
    row = np.random.default_rng(0).random(50)
    values = np.tile(row, (40, 3))
    chosen = uncertain_regions(values, 3, (7, 50))
    assert [r.start for r in chosen[:2]] == [(0, 0), (0, 50)]
    assert chosen[0].score == pytest.approx(row.mean(), rel=1e-12)
    assert chosen[0].score == chosen[1].score


@pytest.mark.parametrize("factor", [1e-200, 1e-30, 1.0, 1e30, 1e300, -1.0])
def test_float_range_does_not_matter(factor):
    values = np.random.default_rng(0).random((12, 12)) * factor
    sums = brute.window_sums(values, np.ones((3, 3), bool))
    (region,) = uncertain_regions(values, 1, (3, 3))
    assert region.start == np.unravel_index(sums.argmax(), sums.shape)
    assert region.score == pytest.approx(sums.max() / 9, rel=1e-9, abs=0)


def test_ties_go_to_the_first_in_row_major_order():
    labels = np.zeros((6, 9), np.uint8)
    assert best_region(labels, 0, (2, 3)).start == (0, 0)
    assert best_region(labels, 0, (2, 3), [Region((0, 0), (1, 9))]).start == (1, 0)
    assert best_region(labels, 0, (2, 3), [Region((0, 1), (6, 1))]).start == (0, 2)


def test_memory_order_of_the_labels_does_not_matter():
    labels = np.random.default_rng(0).integers(0, 3, (30, 20)).astype(np.uint8)
    expected = best_region(labels, 1, (4, 5))
    assert best_region(np.asfortranarray(labels), 1, (4, 5)) == expected
    doubled = np.repeat(np.repeat(labels, 2, 0), 2, 1)
    assert best_region(doubled[::2, ::2], 1, (4, 5)) == expected
    readonly = labels.copy()
    readonly.flags.writeable = False
    assert best_region(readonly, 1, (4, 5)) == expected
