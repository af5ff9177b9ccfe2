"""Windows in the slices of a volume, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import Region, decomp_regions, uncertain_regions
from tests.core import brute


def random_volume(rng):
    shape = tuple(int(n) for n in rng.integers(1, 10, 3))
    axis = int(rng.integers(3))
    plane = tuple(n for i, n in enumerate(shape) if i != axis)
    window = tuple(brute.random_side(rng, n) for n in plane)
    n_classes = int(rng.integers(1, 5))
    labels = (n_classes * rng.random(shape) ** 2).astype(np.uint8)
    return labels, n_classes, axis, window, brute.random_taken(rng, shape)


def unfold(region, axis):
    """Slice number, start and size within the slice."""
    rest = [i for i in range(3) if i != axis]
    assert region.size[axis] == 1
    start, size = (tuple(t[i] for i in rest) for t in (region.start, region.size))
    return region.start[axis], start, size


def peaks_of(values, free, axis, footprint):
    """Best free windows of every slice."""
    return [
        brute.equals(np.take(values, s, axis), footprint, np.take(free, s, axis))
        for s in range(values.shape[axis])
    ]


def test_every_choice_is_the_best_of_its_slice():
    rng = np.random.default_rng(0)
    fallbacks = fewer = 0
    for _ in range(50):
        labels, n_classes, axis, window, taken = random_volume(rng)
        footprint = np.ones(window, bool)
        chosen = decomp_regions(labels, np.ones(n_classes), 8, window, rng, taken, axis)
        for region in chosen:
            number, start, size = unfold(region, axis)
            assert size == window
            free = brute.free_pixels(labels.shape, taken)
            if region.cls is None:
                for cls in range(n_classes):
                    found = peaks_of((labels == cls).astype(int), free, axis, footprint)
                    assert all(p is None or p[0] == 0 for p in found)
                assert brute.free_positions(np.take(free, number, axis), footprint)[start]
                fallbacks += 1
            else:
                peak = peaks_of((labels == region.cls).astype(int), free, axis, footprint)[number]
                assert region.score == peak[0] > 0 and start in peak[1]
            taken = [*taken, region]
        if len(chosen) < 8:
            free = brute.free_pixels(labels.shape, taken)
            assert all(p is None for p in peaks_of(labels.astype(int), free, axis, footprint))
            fewer += 1
    assert fewer > 3


def test_uncertain_regions_are_the_best_of_all_slices_jointly():
    rng = np.random.default_rng(1)
    for _ in range(50):
        labels, _, axis, window, taken = random_volume(rng)
        values = rng.integers(0, int(rng.choice([2, 256])), labels.shape)
        chosen = uncertain_regions(values.astype(np.uint8), 6, window, taken, axis)
        for region in chosen:
            free = brute.free_pixels(labels.shape, taken)
            rest = [i for i in range(3) if i != axis]
            options = []
            for number, peak in enumerate(peaks_of(values, free, axis, np.ones(window, bool))):
                if peak is not None:
                    start = [number] * 3
                    start[rest[0]], start[rest[1]] = peak[1][0]
                    options.append((-peak[0], tuple(start)))
            assert region.start == min(options)[1]
            assert region.score == -min(options)[0] / np.prod(window)
            taken = [*taken, region]


def test_equals_go_to_the_first_in_the_order_of_the_array():
    flat = np.zeros((3, 2, 4), np.uint8)
    starts = [r.start for r in uncertain_regions(flat, 9, (3, 2), axis=1)]
    assert starts == [(0, 0, 0), (0, 0, 2), (0, 1, 0), (0, 1, 2)]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("gap", [0, 1, 2, 3])
def test_slice_gap_keeps_windows_apart(axis, gap):
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[5] = 1
    start = [0, 0, 0]
    start[axis] = 6
    earlier = Region(tuple(start), (1, 1, 1))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        chosen = decomp_regions(labels, [1, 1], 30, (3, 3), rng, [earlier], axis, min_slice_gap=gap)
        slices = [r.start[axis] for r in chosen] + [6]
        if gap == 0:
            assert len(set(slices)) < len(slices)
        else:
            assert np.diff(sorted(slices)).min() >= gap
            # full: every slice is closer than the gap to a chosen one
            assert all(min(abs(s - c) for c in slices) < gap for s in range(12))


def test_slices_are_drawn_uniformly_among_those_with_the_class():
    labels = np.zeros((6, 5, 5), np.uint8)
    for number, pixels in ((0, 1), (2, 25), (3, 4), (5, 9)):
        labels[number].flat[:pixels] = 1
    drawn = [
        decomp_regions(labels, [0, 1], 1, (2, 2), np.random.default_rng(s), axis=0)[0].start[0]
        for s in range(300)
    ]
    counts = np.bincount(drawn, minlength=6)
    assert counts[[1, 4]].tolist() == [0, 0]
    assert chisquare(counts[[0, 2, 3, 5]]).pvalue > 1e-4


def test_footprint_in_slices():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, (5, 9, 8)).astype(np.uint8)
    footprint = np.array([[0, 1, 1], [1, 0, 1]], bool)
    for region in decomp_regions(labels, [0, 1], 3, footprint, rng, axis=2, min_slice_gap=1):
        plane = labels[:, :, region.start[2]]
        most, starts = brute.equals((plane == 1).astype(int), footprint, np.ones(plane.shape, bool))
        assert region.score == most and region.start[:2] in starts
        assert region.size == (2, 3, 1)
