"""Foreground-aware random patches: how often each is drawn, and where."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import Region
from decomp_core.foreground import (
    CHANCES,
    _border,
    random_foreground,
    starting_patches,
)

LEAST = 1e-4


def one_patch(truth, patch, classes, chances, rng, taken=()):
    """One patch of one image, None where nothing is free."""
    chosen = random_foreground(
        lambda image: truth, [truth.shape], 1, [patch], classes, rng, [taken], chances
    )
    return chosen[0][1] if chosen else None


TRUTH = np.uint8([[0, 0, 0, 0, 0, 2], [0, 1, 1, 1, 0, 2], [0, 1, 1, 1, 255, 0], [0, 1, 1, 1, 0, 0]])


def slow_border(truth, cls):
    """Voxels of a class beside another value, voxel by voxel; all its voxels if there are none."""
    voxels = [tuple(p) for p in np.argwhere(truth == cls).tolist()]
    border = []
    for voxel in voxels:
        for axis in range(truth.ndim):
            for step in (-1, 1):
                other = list(voxel)
                other[axis] += step
                if 0 <= other[axis] < truth.shape[axis] and truth[tuple(other)] != cls:
                    border.append(voxel)
    return sorted(set(border)) or voxels


def slow_fit(voxel, patch, shape):
    start = []
    for v, k, n in zip(voxel, patch, shape, strict=True):
        first = v - k // 2
        while first < 0:
            first += 1
        while first + k > n:
            first -= 1
        start.append(first)
    return tuple(start)


def slow_free(shape, patch, taken):
    places = np.ndindex(*(n - k + 1 for n, k in zip(shape, patch, strict=True)))
    return [p for p in places if not any(Region(p, patch).overlaps(t) for t in taken)]


def slow_chances(truth, patch, classes, chances, taken):
    """Probability of every (start, class), draws that overlap ``taken`` set aside."""
    free = slow_free(truth.shape, patch, taken)
    weights = np.array(chances) / sum(chances)
    found = Counter()
    for start in free:
        found[start, None] += weights[0] / len(free)
    present = [c for c in classes if (truth == c).any()]
    for cls in present:
        voxels = [tuple(p) for p in np.argwhere(truth == cls).tolist()]
        for weight, centres in ((weights[1], voxels), (weights[2], slow_border(truth, cls))):
            for voxel in centres:
                start = slow_fit(voxel, patch, truth.shape)
                if start in free:
                    found[start, cls] += weight / len(present) / len(centres)
    total = sum(found.values())
    return {key: chance / total for key, chance in found.items() if chance}


def random_truth(rng, n_classes=4):
    ndim = int(rng.integers(1, 4))
    shape = tuple(int(n) for n in rng.integers(1, [20, 9, 6][ndim - 1], ndim))
    truth = rng.integers(0, n_classes, shape).astype(np.uint8)
    truth[rng.random(shape) < rng.choice([0, 0.2, 1])] = int(rng.integers(0, n_classes))
    truth[rng.random(shape) < rng.choice([0, 0.1])] = 255
    return truth


def random_patch(rng, shape):
    return tuple(int(rng.integers(1, max(1, n // 2) + 1)) for n in shape)


def random_pool(rng, images=5, n_classes=4):
    truths = [random_truth(rng, n_classes) for _ in range(int(rng.integers(1, images + 1)))]
    shapes = [truth.shape for truth in truths]
    return truths, shapes, [random_patch(rng, shape) for shape in shapes]


def expect_apart(chosen, taken, shapes, patches):
    for image in range(len(shapes)):
        mine = [region for i, region in chosen if i == image]
        assert not any(a.overlaps(b) for a, b in combinations(mine, 2))
        assert not any(a.overlaps(b) for a in mine for b in taken[image])
        for region in mine:
            assert region.size == patches[image]
            assert all(b <= n for b, n in zip(region.stop, shapes[image], strict=True))


def expect_full(chosen, taken, shapes, patches):
    for image, (shape, patch) in enumerate(zip(shapes, patches, strict=True)):
        mine = [region for i, region in chosen if i == image]
        assert not slow_free(shape, patch, [*taken[image], *mine])


def test_border_matches_a_slow_search():
    rng = np.random.default_rng(0)
    for _ in range(80):
        truth = random_truth(rng, 3)
        for cls in np.unique(truth[truth != 255]).tolist():
            found = [tuple(p) for p in np.argwhere(_border(truth == cls)).tolist()]
            assert found == slow_border(truth, cls)


@pytest.mark.parametrize("chances", [CHANCES["fg33"], CHANCES["fg66"], (0, 1, 0), (0, 0, 2.5)])
@pytest.mark.parametrize("taken", [[], [Region((2, 0), (2, 2)), Region((0, 5), (1, 1))]])
def test_patches_are_drawn_by_their_chances(chances, taken):
    patch = (2, 3)
    expected = slow_chances(TRUTH, patch, [1, 2, 3], chances, taken)
    counts = Counter()
    for seed in range(500):
        rng = np.random.default_rng(seed)
        region = one_patch(TRUTH, patch, [1, 2, 3], chances, rng, taken)
        assert region.size == patch and region.score is None
        counts[region.start, region.cls] += 1
    assert set(counts) <= set(expected)
    shares = [500 * p for p in expected.values()]
    assert chisquare([counts[k] for k in expected], shares).pvalue > LEAST


def test_without_foreground_or_room_for_it_patches_are_uniform():
    everything = [Region((1, 1), (3, 3))]
    counts = [Counter(), Counter()]
    for seed in range(80):
        rng = np.random.default_rng(seed)
        absent = one_patch(TRUTH, (2, 2), [3, 7], (0, 1, 1), rng)
        blocked = one_patch(TRUTH, (1, 1), [1], (0, 1, 1), rng, everything)
        assert absent.cls is None and blocked.cls is None
        counts[0][absent.start] += 1
        counts[1][blocked.start] += 1
    assert set(counts[0]) == set(slow_free(TRUTH.shape, (2, 2), []))
    assert set(counts[1]) == set(slow_free(TRUTH.shape, (1, 1), everything))
    assert all(chisquare(list(c.values())).pvalue > LEAST for c in counts)
    rng = np.random.default_rng(0)
    assert one_patch(TRUTH, (3, 2), [1], (1, 1, 1), rng, [Region((1, 0), (1, 6))]) is None


def test_images_take_turns_until_the_budget_is_used():
    rng = np.random.default_rng(2)
    for _ in range(40):
        truths, shapes, patches = random_pool(rng)
        taken = [
            [Region(tuple(rng.integers(0, n) for n in shape), random_patch(rng, shape))]
            for shape in shapes
        ]
        before = [list(regions) for regions in taken]
        opened = []

        def truth_of(image, truths=truths, opened=opened):
            opened.append(image)
            return truths[image]

        n = int(rng.integers(0, 40))
        chosen = random_foreground(
            truth_of, shapes, n, patches, [1, 2, 3], rng, taken, CHANCES["fg66"]
        )
        assert taken == before
        # a uniform patch needs no truth; one with a class behind it was looked for
        assert Counter(opened) <= Counter(image for image, _ in chosen)
        assert Counter(opened) >= Counter(i for i, r in chosen if r.cls is not None)
        expect_apart(chosen, taken, shapes, patches)
        for image, region in chosen:
            centres = np.argwhere(truths[image] == region.cls).tolist() if region.cls else []
            starts = [slow_fit(c, region.size, shapes[image]) for c in centres]
            assert region.cls is None or region.start in starts
        assert len(chosen) <= n
        if len(chosen) < n:
            expect_full(chosen, taken, shapes, patches)
        turns = Counter()
        for number, (image, _) in enumerate(chosen):
            turns[image] += 1
            for other in set(range(len(shapes))) - {image}:
                if turns[other] < turns[image] - 1:  # it left, so nothing is free in it
                    mine = [region for i, region in chosen[:number] if i == other]
                    assert not slow_free(shapes[other], patches[other], [*taken[other], *mine])


def test_every_round_has_its_own_order():
    flat, orders = np.zeros((9, 9), np.uint8), Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        given = [(9, 9)] * 3, 12, [(1, 1)] * 3, [1], rng, [[], [], []], (1, 0, 0)
        images = [image for image, _ in random_foreground(lambda image: flat, *given)]
        rounds = [tuple(images[i : i + 3]) for i in range(0, 12, 3)]
        assert all(sorted(r) == [0, 1, 2] for r in rounds)
        orders.update(rounds)
    assert len(orders) == 6 and chisquare(list(orders.values())).pvalue > LEAST


def test_start_has_two_patches_per_label():
    rng = np.random.default_rng(3)
    for _ in range(40):
        truths, shapes, patches = random_pool(rng)
        patches = [(1,) * len(shape) for shape in shapes]
        background = [None, 0, 2][int(rng.integers(3))]
        chosen = starting_patches(truths.__getitem__, shapes, 30, patches, 5, background, rng)
        expect_apart(chosen, [[]] * len(shapes), shapes, patches)
        if len(chosen) < 30:
            expect_full(chosen, [[]] * len(shapes), shapes, patches)
        voxels = {label: sum(int((t == label).sum()) for t in truths) for label in range(5)}
        expected = Counter({label: min(2, count) for label, count in voxels.items() if count})
        first = chosen[: expected.total()]
        assert Counter(region.cls for _, region in first) == expected
        for image, region in chosen:
            assert region.cls is None or truths[image][region.start] == region.cls
        for label in expected:
            holders = [image for image, truth in enumerate(truths) if (truth == label).any()]
            images = {image for image, region in first if region.cls == label}
            assert len(images) == min(2, len(holders), expected[label])
        assert all(
            region.cls is None or region.cls != background for _, region in chosen[len(first) :]
        )


def test_a_small_start_draws_among_the_labels():
    truth = np.uint8([[0, 1, 2]] * 4)
    pairs = Counter()
    for seed in range(450):
        rng = np.random.default_rng(seed)
        chosen = starting_patches(lambda i: truth, [(4, 3)], 2, [(1, 1)], 3, 0, rng)
        pairs[tuple(region.cls for _, region in chosen)] += 1
    # of six tickets two are drawn: equal labels 1 in 15, others 2 in 15
    expected = {(a, b): 450 * (1 if a == b else 2) / 15 for a in range(3) for b in range(3)}
    assert chisquare([pairs[k] for k in expected], list(expected.values())).pvalue > LEAST


def test_a_start_centres_on_any_voxel_with_a_free_patch():
    truth = np.uint8([[0, 0, 1, 1, 1, 1, 0, 0]])
    counts = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        ((_, region),) = starting_patches(lambda i: truth, [(1, 8)], 1, [(1, 5)], 2, None, rng)
        counts[region.cls, region.start[1]] += 1
    # label 1 has voxels 2 to 5, whose patches start at 0, 1, 2, 3; label 0 has 0, 1, 6, 7
    expected = {(1, s): 50 for s in range(4)} | {(0, 0): 100, (0, 3): 100}
    assert chisquare([counts[k] for k in expected], list(expected.values())).pvalue > LEAST


def test_a_start_opens_an_image_to_look_only_once():
    truths = [np.full((3, 3), i % 2, np.uint8) for i in range(6)]
    opened = Counter()

    def truth_of(image):
        opened[image] += 1
        return truths[image]

    rng = np.random.default_rng(0)
    chosen = starting_patches(truth_of, [(3, 3)] * 6, 8, [(1, 1)] * 6, 4, 0, rng)
    assert len(chosen) == 8
    placed = Counter(image for image, _ in chosen)
    assert all(opened[image] <= placed[image] + 1 for image in range(6))
