"""What is drawn, and how often."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import (
    Region,
    clasp_candidates,
    decomp_regions,
    decomp_rois,
    random_regions,
    random_rois,
    uncertain_regions,
    uncertain_rois,
)
from tests.core import brute


def expect_uniform(drawn, feasible, least=1e-4):
    counts = Counter(drawn)
    assert set(counts) <= set(feasible)
    assert chisquare([counts[f] for f in feasible]).pvalue > least


def test_random_regions_are_inside_and_apart():
    rng = np.random.default_rng(0)
    for _ in range(80):
        labels, _ = brute.random_map(rng, 20)
        footprint = brute.random_footprint(rng, labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        centres = rng.random(labels.shape) < 0.5
        wanted, mask = int(rng.integers(0, 9)), brute.random_annotatable(rng, labels.shape)
        given = footprint, rng, taken, centres
        chosen = random_regions(labels.shape, wanted, *given, annotatable=mask)
        for region in [*chosen, None]:
            free = brute.free_pixels(labels.shape, taken)
            feasible = brute.free_positions(free, footprint, mask)
            for y, x in np.argwhere(feasible):
                feasible[y, x] = centres[y + footprint.shape[0] // 2, x + footprint.shape[1] // 2]
            if region is None:
                assert len(chosen) == wanted or not feasible.any()
            else:
                assert feasible[region.start] and region.size == footprint.shape
                assert region.cls is None and region.score is None
                taken = [*taken, region]


def test_each_draw_is_uniform_over_what_is_feasible_then():
    taken = [Region((0, 2), (1, 1))]
    pairs = [
        tuple(r.start for r in random_regions((3, 5), 2, (2, 2), np.random.default_rng(s), taken))
        for s in range(500)
    ]
    first = [(0, 0), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    expect_uniform([p[0] for p in pairs], first)
    for start in first:
        free = brute.free_pixels((3, 5), [*taken, Region(start, (2, 2))])
        feasible = [tuple(p) for p in np.argwhere(brute.free_positions(free, np.ones((2, 2))))]
        after = [p[1] for p in pairs if p[0] == start and len(p) == 2]
        if feasible:
            expect_uniform(after, feasible)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_weigh_by_their_feasible_positions(axis):
    centres = np.zeros((4, 5, 6), bool)
    centres[1, 2, 3] = centres[2, 2, 3] = centres[2, 3, 3] = centres[3, 2, 4] = True
    size = [3, 3, 3]
    size[axis] = 1
    expected = []
    for point in np.argwhere(centres):
        start = [p - n // 2 for p, n in zip(point, size, strict=True)]
        inside = all(
            s >= 0 and s + n <= m for s, n, m in zip(start, size, centres.shape, strict=True)
        )
        if inside:
            expected.append(tuple(int(s) for s in start))
    drawn = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        (region,) = random_regions((4, 5, 6), 1, (3, 3), rng, centres=centres, axis=axis)
        assert region.size == tuple(size)
        drawn.append(region.start)
    expect_uniform(drawn, expected)


def test_the_fallback_is_uniform_over_free_windows():
    labels = np.full((3, 4), 255, np.uint8)
    drawn = [
        decomp_regions(labels, [0.5, 0.5], 1, (2, 2), np.random.default_rng(s))[0]
        for s in range(500)
    ]
    assert {(r.cls, r.score) for r in drawn} == {(None, None)}
    expect_uniform([r.start for r in drawn], [(y, x) for y in range(2) for x in range(3)])


def blobs():
    """Class 1: two equal blobs and a smaller one. Class 0: one larger. Neither fills its tiles."""
    labels = np.full((40, 52), 255, np.uint8)
    labels[11:20, 12:34] = 0
    labels[3:8, 4:10] = labels[30:35, 40:46] = labels[20:23, 4:10] = 1
    return labels


@pytest.mark.parametrize("cls", [0, 1])
@pytest.mark.parametrize("kind", ["box", "footprint", "whole", "wide"])
def test_one_of_equal_windows_is_drawn_uniformly(kind, cls):
    labels, shape = blobs(), (4, 5)
    if kind == "whole":
        labels[:], shape = cls, (25, 44)
    elif kind == "wide":
        shape = (9, 11)
    footprint = np.ones(shape, bool)
    if kind == "footprint":
        footprint[0, 0] = footprint[2, 2:] = False
    taken = [Region((4, 9), (1, 1)), Region((38, 0), (9, 9))]
    mask = np.zeros(labels.shape, bool)
    mask[::3, ::4] = True
    free = brute.free_pixels(labels.shape, taken)
    _, expected = brute.equals((labels == cls).astype(int), footprint, free, mask)
    asked = footprint if kind == "footprint" else shape
    drawn = []
    for seed in range(300 + 6 * len(expected)):
        given = np.eye(2)[cls], 1, asked, np.random.default_rng(seed), taken
        drawn += [r.start for r in decomp_regions(labels, *given, annotatable=mask)]
    assert len(expected) > 4
    expect_uniform(drawn, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_of_equal_windows_is_drawn_uniformly_whatever_was_chosen_before(axis):
    plane = blobs()[20:, :12]
    labels = np.stack([np.full_like(plane, 9), plane], axis)
    weights = np.eye(10)[1]
    pairs = [
        decomp_regions(labels, weights, 2, (2, 3), np.random.default_rng(s), axis=axis)
        for s in range(2500)
    ]
    window = np.ones((2, 3), bool)
    first = [tuple(np.delete(a.start, axis).tolist()) for a, _ in pairs]
    second = [tuple(np.delete(b.start, axis).tolist()) for _, b in pairs]
    _, expected = brute.equals((plane == 1).astype(int), window, np.ones(plane.shape, bool))
    expect_uniform(first, expected)
    for start in expected:
        free = brute.free_pixels(plane.shape, [Region(start, (2, 3))])
        _, left = brute.equals((plane == 1).astype(int), window, free)
        expect_uniform([b for a, b in zip(first, second, strict=True) if a == start], left)
    again = decomp_regions(labels, weights, 2, (2, 3), np.random.default_rng(7), axis=axis)
    assert again == pairs[7]


def test_one_of_equally_uncertain_windows_is_drawn_uniformly():
    values = np.zeros((40, 41), np.uint8)
    values[3:6, 5:9] = values[33:36, 28:31] = 7
    window, taken = np.ones((2, 2), bool), [Region((3, 5), (1, 1))]
    _, expected = brute.equals(values.astype(int), window, brute.free_pixels(values.shape, taken))
    drawn = [
        uncertain_regions(values, 1, (2, 2), taken, rng=np.random.default_rng(s))[0].start
        for s in range(900)
    ]
    assert len(expected) == 9
    expect_uniform(drawn, expected)
    flat = np.full((1, 30, 20), 0.5)
    certain = [
        clasp_candidates(flat, (7, 6), 0, [], np.random.default_rng(s), beta=None, per_image=1)
        for s in range(2000)
    ]
    starts = [(y, x) for y in range(24) for x in range(15)]
    expect_uniform([found[0].start for found, _ in certain], starts)


def test_one_of_equal_rois_is_drawn_uniformly():
    table, values = [[0.2, 0.8], [0.6, 0.4]] * 4, [1, 2] * 4
    rngs = [np.random.default_rng(s) for s in range(800)]
    pairs = [(a, b) for a in (1, 3, 7) for b in (1, 3, 7) if a != b]
    expect_uniform([tuple(decomp_rois(table, [1, 0], 2, rng, [5])) for rng in rngs], pairs)
    expect_uniform([tuple(uncertain_rois(values, 2, [5], rng=rng)) for rng in rngs], pairs)
    assert uncertain_rois(values, 2, [1]) == [3, 5]


def drawn_classes(labels, weights, n, seeds):
    return [
        [r.cls for r in decomp_regions(labels, weights, n, (1, 1), np.random.default_rng(s))]
        for s in range(seeds)
    ]


@pytest.mark.parametrize(
    ("classes", "weights", "shares"),
    [
        ([0, 1, 2, 3, 4], [0.4, 0.3, 0.0, 0.2, 0.1], [0.4, 0.3, 0, 0.2, 0.1]),
        ([0, 3, 255], [1.0, 50.0, 7.0, 3.0], [0.25, 0, 0, 0.75]),  # of those predicted
        ([0, 1, 2], [0, 0, 0, 1], [1 / 3, 1 / 3, 1 / 3, 0]),  # none predicted has a weight
    ],
)
def test_classes_are_drawn_by_their_weights(classes, weights, shares):
    labels = np.repeat(np.uint8(classes), 8).reshape(-1, 8)
    drawn, shares = drawn_classes(labels, weights, 2, 600), np.array(shares)
    for place in (0, 1):
        counts = np.bincount([d[place] for d in drawn], minlength=len(weights))
        assert (counts[shares == 0] == 0).all()
        assert chisquare(counts[shares > 0], 600 * shares[shares > 0]).pvalue > 1e-4


def test_a_class_that_is_used_up_gives_way_to_the_others():
    labels = np.zeros((1, 6), np.uint8)
    labels[0, 0] = 1
    for drawn in drawn_classes(labels, [1e-12, 1.0], 3, 50):
        assert drawn == [1, 0, 0]
    # weightless classes come only after all others
    for drawn in drawn_classes(np.uint8([[0, 1, 2, 2]]), [0, 0, 1], 4, 50):
        assert drawn[:2] == [2, 2] and sorted(drawn[2:]) == [0, 1]


def test_random_rois_are_uniform_over_the_free_ones():
    drawn = [random_rois(6, 2, np.random.default_rng(s), taken=[1, 4]) for s in range(600)]
    assert all(len(set(d)) == 2 for d in drawn)
    pairs = [(a, b) for a in (0, 2, 3, 5) for b in (0, 2, 3, 5) if a != b]
    expect_uniform([tuple(d) for d in drawn], pairs)


def test_classes_of_rois_are_drawn_by_their_weights():
    table = np.eye(4)[np.repeat([0, 1, 2], 3)]
    weights = np.array([0.2, 0.5, 0.3, 9.0])
    first = [decomp_rois(table, weights, 1, np.random.default_rng(s))[0] for s in range(500)]
    counts = np.bincount(first, minlength=9)
    assert chisquare(counts, np.repeat([100, 250, 150], 3) / 3).pvalue > 1e-4


def test_rois_of_a_class_come_by_probability_until_none_is_left():
    rng = np.random.default_rng(0)
    for _ in range(60):
        table = rng.dirichlet(np.ones(4), int(rng.integers(0, 15))).round(1)
        taken = [i for i in range(len(table)) if rng.random() < 0.3]
        free = set(range(len(table))) - set(taken)
        chosen = decomp_rois(table, rng.random(4), 20, rng, taken)
        assert set(chosen) == free and len(chosen) == len(free)
        for cls in range(4):
            own = [i for i in chosen if int(np.argmax(table[i])) == cls]
            assert all(table[a, cls] >= table[b, cls] for a, b in pairwise(own))
