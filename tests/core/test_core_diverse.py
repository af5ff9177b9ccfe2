"""Choices from all images of a pool, against a greedy that looks at every position each time."""

from __future__ import annotations

import math
import weakref

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import Region, pool_uncertain, spatially_diverse, spatially_diverse_features
from decomp_core.diverse import _spread
from tests.core import brute

TINY = 1e-9  # penalties are rounded to 2^-40


def crowding(region, chosen, sigma):
    """Sum of the penalties of a region by the definition, axis by axis."""
    total = 0.0
    for other in chosen:
        apart = [
            (a - b) / k for a, b, k in zip(region.start, other.start, region.size, strict=True)
        ]
        total += math.exp(-sum(d * d for d in apart) / (2 * sigma**2))
    return total


def free_boxes(values, size, used):
    """(region, mean) of every free position, in row-major order."""
    free = brute.free_pixels(values.shape, used)
    positions = [n - k + 1 for n, k in zip(values.shape, size, strict=True)]
    boxes = (Region(start, size) for start in np.ndindex(*positions))
    return [(r, values[r.slices].mean(dtype=float)) for r in boxes if free[r.slices].all()]


def options(pool, chosen, weight, sigma):
    """(gain, key, region, mean) of every free position of every image, in order."""
    found = []
    for key in sorted(pool):
        values, size, taken = pool[key]
        mine = [region for k, region in chosen if k == key]
        for region, mean in free_boxes(values, size, [*taken, *mine]):
            penalty = crowding(region, mine, sigma) if weight else 0
            found.append((mean - weight * penalty, key, region, mean))
    return found


def spread_of(pool):
    means = [m for v, size, taken in pool.values() for _, m in free_boxes(v, size, taken)]
    return (max(means) - min(means) if means else 0) or 1.0


def random_image(rng, ndim, kind):
    """Values whose means are exact in float64 unless ``kind`` is "float"."""
    shape = tuple(int(n) for n in rng.integers(1, {1: 30, 2: 12, 3: 6}[ndim], ndim))
    size = tuple(brute.random_side(rng, n) for n in shape)
    values = rng.integers(0, int(rng.choice([1, 3, 256])), shape).astype(np.uint8)
    if kind == "float":
        values = rng.normal(size=shape).astype(rng.choice([np.float32, np.float64]))
    elif kind == "eighths":
        values = values / 8 - 3
    return values, size, brute.random_taken(rng, shape)


def random_pool(rng, kind):
    keys = rng.permutation(list("abcd"))[: rng.integers(1, 5)]
    return {str(key): random_image(rng, int(rng.integers(1, 4)), kind) for key in keys}


def supply(pool, order=None):
    return lambda: ((key, *pool[key]) for key in (order or pool))


@pytest.mark.parametrize("kind", ["uint8", "eighths", "float"])
def test_pool_uncertain_equals_the_plain_greedy(kind):
    rng = np.random.default_rng(0)
    short = 0
    for _ in range(15):
        pool, n = random_pool(rng, kind), int(rng.integers(1, 9))
        chosen = pool_uncertain(supply(pool), n)
        expected = []
        while len(expected) < n and (found := options(pool, expected, 0, 1)):
            expected.append(max(found, key=lambda item: item[0])[1:3])
        short += len(expected) < n
        plain = [(key, Region(region.start, region.size)) for key, region in chosen]
        assert plain == expected
        for key, region in chosen:
            mean = pool[key][0][region.slices].mean(dtype=float)
            assert region.score == pytest.approx(mean, rel=1e-9, abs=1e-12) and region.cls is None
    assert short


@pytest.mark.parametrize("kind", ["uint8", "eighths", "float"])
def test_every_diverse_choice_has_the_highest_gain(kind):
    rng = np.random.default_rng(1)
    sequences = full = 0
    for _ in range(15):
        pool, n = random_pool(rng, kind), int(rng.integers(1, 8))
        weight, sigma = float(rng.choice([0.1, 1, 20])), float(rng.choice([0.3, 1, 4]))
        chosen = spatially_diverse(supply(pool), n, weight, sigma)
        scaled = weight * spread_of(pool)
        assert _spread(supply(pool), lambda key: None) == pytest.approx(spread_of(pool), rel=1e-9)
        for number, (key, region) in enumerate(chosen):
            found = options(pool, chosen[:number], scaled, sigma)
            best = max(item[0] for item in found)
            slack = TINY * max(1, scaled)
            here = (key, region.start)
            gain, mean = next((g, m) for g, k, r, m in found if (k, r.start) == here)
            assert gain >= best - slack
            assert region.score == pytest.approx(mean, rel=1e-9, abs=1e-12)
            if sum(item[0] > best - 2 * slack for item in found) == 1:
                sequences += 1
        if len(chosen) < n:
            assert not options(pool, chosen, 0, 1)
        full += len(chosen) == n
    assert full > 3 and sequences > 15


@pytest.mark.parametrize("weight", [0, 0.7])
def test_the_order_of_the_images_does_not_matter(weight):
    rng = np.random.default_rng(2)
    for _ in range(6):
        pool = random_pool(rng, "uint8")
        first = spatially_diverse(supply(pool), 5, weight)
        assert spatially_diverse(supply(pool, sorted(pool, reverse=True)), 5, weight) == first
        longer = spatially_diverse(supply(pool), 9, weight)
        assert longer[: len(first)] == first


def test_ties_go_to_the_first_key_then_row_major():
    flat = np.full((2, 3), 7, np.uint8)
    pool = {"b": (flat, (1, 2), ()), "a": (flat, (2, 1), ())}
    chosen = pool_uncertain(supply(pool), 9)
    starts = [(key, region.start) for key, region in chosen]
    assert starts == [("a", (0, 0)), ("a", (0, 1)), ("a", (0, 2)), ("b", (0, 0)), ("b", (1, 0))]


def test_a_flat_pool_is_spread_over_its_images():
    flat = np.zeros((8, 8), np.uint8)
    pool = {key: (flat, (2, 2), ()) for key in "cab"}
    chosen = spatially_diverse(supply(pool), 6, 0.5)
    assert [key for key, _ in chosen] == ["a", "b", "c"] * 2
    assert [region.start for _, region in chosen] == [(0, 0)] * 3 + [(6, 6)] * 3


def test_taken_regions_block_but_do_not_repel():
    values = np.uint8([[0, 0, 9, 8, 0, 1]])
    taken = [Region((0, 2), (1, 1))]
    chosen = spatially_diverse(lambda: [("a", values, (1, 1), taken)], 1, 100.0)
    assert chosen[0][1].start == (0, 3)


@pytest.mark.parametrize("weight", [0, 1.0])
def test_one_image_is_held_at_a_time(weight):
    alive = []

    def image(key):
        assert all(reference() is None for reference in alive)
        values = np.random.default_rng(key).random((5, 5))
        alive.append(weakref.ref(values))
        return key, values, (2, 2), ()

    assert len(spatially_diverse(lambda: map(image, range(4)), 6, weight)) == 6
    assert len(alive) == (8 if weight else 4)  # the range of the means is needed for a weight


def test_a_weight_beyond_the_range_of_floats_is_refused():
    huge = [("a", np.array([0.0, 1e60]), (1,), ())]
    with pytest.raises(ValueError, match=r"weight is 1e\+110.*to 1e\+100"):
        spatially_diverse(lambda: huge, 1, 1e50)


def test_nothing_free_or_wanted():
    full = [("a", np.zeros((2, 2)), (1, 1), [Region((0, 0), (2, 2))])]
    assert pool_uncertain(lambda: pytest.fail("not needed"), 0) == []
    for weight in (0, 1):
        assert spatially_diverse(lambda: full, 3, weight) == []
        assert spatially_diverse(list, 3, weight) == []


def random_candidates(rng):
    """Boxes of up to three images, some of them overlapping."""
    group = rng.integers(0, 3, int(rng.integers(1, 14)))
    sizes = [tuple(int(k) for k in rng.integers(1, 4, d)) for d in (2, 2, 2)]
    regions = [
        Region(tuple(int(v) for v in rng.integers(0, 9, len(sizes[g]))), sizes[g]) for g in group
    ]
    return regions, group, rng.normal(size=(len(group), 2))


def test_diverse_features_equal_the_plain_greedy():
    rng = np.random.default_rng(8)
    skipped = 0
    for seed in range(40):
        regions, group, features = random_candidates(rng)
        n, weight, sigma = int(rng.integers(1, 15)), float(rng.choice([0, 0.5, 9])), 1.3
        expected = [int(np.random.default_rng(seed).integers(len(regions)))]
        scale = max(math.dist(f, features[expected[0]]) for f in features) or 1.0
        while len(expected) < n:
            gains = {}
            for i, region in enumerate(regions):
                mine = [regions[j] for j in expected if group[j] == group[i]]
                if i in expected or any(region.overlaps(other) for other in mine):
                    continue
                nearest = min(math.dist(features[i], features[j]) for j in expected)
                gains[i] = nearest / scale - weight * crowding(region, mine, sigma)
            if not gains:
                skipped += len(expected) < len(regions)
                break
            expected.append(max(gains, key=gains.get))
        draw = np.random.default_rng(seed)
        given = spatially_diverse_features(regions, group, features, n, weight, sigma, draw)
        assert given == expected
    assert skipped > 2


def test_one_of_equally_diverse_features_is_drawn_uniformly():
    regions = [Region((0,), (1,))] * 5
    features = np.array([[0.0], [1.0], [-1.0], [1.0], [0.5]])
    drawn = []
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        found = spatially_diverse_features(regions, np.arange(5), features, 2, 1.0, 1.0, rng)
        drawn += found[1:] if found[0] == 0 else []
    counts = np.bincount(drawn, minlength=5)
    assert counts[[0, 4]].sum() == 0 and chisquare(counts[1:4]).pvalue > 1e-4
