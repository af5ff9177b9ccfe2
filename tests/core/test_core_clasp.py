"""ClaSP PE: candidates against slow searches, noise against its closed form, quotas."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import Region
from decomp_core.clasp import beta_schedule, clasp_candidates, clasp_merge, clasp_quotas
from tests.core import brute
from tests.core.test_core_best_first import all_noise

LEAST = 1e-4


def random_case(rng):
    """Probabilities, and arguments that fit them, in one to three axes."""
    ndim = int(rng.integers(1, 4))
    shape = tuple(int(n) for n in rng.integers(1, [25, 10, 6][ndim - 1], ndim))
    n_classes = int(rng.integers(1, 5))
    logits = rng.normal(size=(n_classes, *shape)) * 2
    softmax = np.exp(logits) / np.exp(logits).sum(axis=0)
    patch = tuple(int(rng.integers(1, max(1, n // 2) + 1)) for n in shape)
    classes = [int(c) for c in rng.permutation(n_classes)[: int(rng.integers(0, n_classes + 1))]]
    taken = [
        Region(tuple(rng.integers(0, n) for n in shape), tuple(rng.integers(1, 4) for _ in shape))
        for _ in range(rng.integers(0, 3))
    ]
    stride = tuple(int(rng.integers(1, 4)) for _ in shape)
    return softmax, patch, classes, taken, stride


def slow_means(values, patch, stride):
    """Mean of the patch at every start on the grid, summed voxel by voxel."""
    means = {}
    for start in np.ndindex(*(n - k + 1 for n, k in zip(values.shape, patch, strict=True))):
        if any(a % s for a, s in zip(start, stride, strict=True)):
            continue
        total = 0.0
        for offset in np.ndindex(*patch):
            total += float(values[tuple(a + o for a, o in zip(start, offset, strict=True))])
        means[start] = total / math.prod(patch)
    return means


def slow_picks(scores, patch, used, count, given):
    """The best one after the other; of equals the one that was ``given``, if it is one."""
    chosen = []
    while len(chosen) < count:
        free = [
            (score, start)
            for start, score in scores.items()
            if not any(Region(start, patch).overlaps(r) for r in [*used, *chosen])
        ]
        if not free:
            break
        hint = given[len(chosen)].start if len(chosen) < len(given) else None
        chosen.append(Region(max(free, key=lambda item: (item[0], item[1] == hint))[1], patch))
    return chosen


def slow_entropy(softmax):
    return sum(-p * np.log(p) for p in softmax)


def test_candidates_match_a_slow_greedy_search():
    for round_ in range(80):
        rng = np.random.default_rng(round_)
        softmax, patch, classes, taken, stride = random_case(rng)
        amount = rng.random(softmax.shape[1:]) if round_ % 3 == 0 else None
        n, per_image = int(rng.integers(0, 12)), int(rng.integers(1, 20))
        share, beta = float(rng.choice([0, 0.33, 0.66, 1])), [None, 0.3, 1.0, 40.0][round_ % 4]
        given = {"taken": taken, "stride": stride, "uncertainty": amount, "per_image": per_image}
        given |= {"rng": np.random.default_rng(7), "beta": beta, "share": share}
        shown = brute.disguised(softmax, rng)
        candidates, reserve = clasp_candidates(shown, patch, n, classes, **given)
        again = np.random.default_rng(7)  # a seed for each map, then the order of the maps
        maps = [*sorted(classes), None]
        seeds = dict(zip(maps, again.integers(2**63, size=len(maps)).tolist(), strict=True))
        base = slow_entropy(softmax) if amount is None else amount
        share = Fraction(str(share))
        cap = max(1, int(per_image * share / (len(classes) + 1)))
        cap_all = max(1, int(per_image * (1 - share))) if classes else per_image
        expected, logs, ranked = [], {}, {}
        for cls in [maps[place] for place in again.permutation(len(maps)).tolist()]:
            means = slow_means(base if cls is None else base * softmax[cls], patch, stride)
            noise = np.zeros(len(means))
            if beta is not None:
                noise = all_noise(len(means), beta, seeds[cls])
            for (start, mean), more in zip(means.items(), noise.tolist(), strict=True):
                logs[cls, start] = math.log(max(mean, 1e-30)) + more
            ranked[cls] = means if beta is None else {s: logs[cls, s] for s in means}
            most = cap_all if cls is None else cap
            given = candidates[len(expected) :]
            found = slow_picks(ranked[cls], patch, [*taken, *expected], most, given)
            expected += [Region(r.start, patch, cls) for r in found]
        assert [(r.start, r.size, r.cls) for r in candidates] == [
            (r.start, r.size, r.cls) for r in expected
        ]
        missing = n - len(expected)
        more = slow_picks(ranked[None], patch, [*taken, *expected], missing, reserve)
        assert [r.start for r in reserve] == [r.start for r in more]
        for region in [*candidates, *reserve]:
            expected = logs[region.cls, region.start]
            assert region.score == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("classes", "per_image", "share", "caps"),
    [
        ([1, 2, 3], 20, 0.66, {1: 3, 2: 3, 3: 3, None: 6}),
        ([2], 20, 0.7, {2: 7, None: 6}),  # 20 * 0.3 is a little below 6
        ([1, 2], 3, 0.66, {1: 1, 2: 1, None: 1}),
        ([], 20, 0.66, {None: 20}),
    ],
)
def test_patches_per_image_are_capped(classes, per_image, share, caps):
    softmax, rng = np.full((4, 12, 12), 0.25, np.float32), np.random.default_rng(0)
    given = {"share": share, "per_image": per_image}
    candidates, reserve = clasp_candidates(softmax, (1, 1), 90, classes, rng, **given)
    assert Counter(r.cls for r in candidates) == caps
    assert len(candidates) + len(reserve) == 90 and {r.cls for r in reserve} == {None}


@pytest.mark.parametrize("beta", [None, 1.0])
def test_zeros_rank_last_in_random_order(beta):
    certain = np.zeros((2, 1, 6), np.float32)
    certain[0] = 1
    certain[:, 0, 4] = 0.5
    drawn = Counter()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        (first, last), _ = clasp_candidates(certain, (1, 1), 0, [], rng, beta=beta, per_image=2)
        assert first.start == (0, 4)
        assert beta or last.score == pytest.approx(math.log(1e-30), rel=1e-6)
        drawn[last.start[1]] += 1
    assert set(drawn) == {0, 1, 2, 3, 5} and chisquare(list(drawn.values())).pvalue > LEAST


def test_beta_grows_geometrically():
    betas = [beta_schedule(step, 5) for step in range(7)]
    assert betas == pytest.approx([1, 10**0.5, 10, 10**1.5, 100, 100, 100])
    assert betas[0] == 1 and betas[4] == 100
    assert beta_schedule(0, 1) == 1 and beta_schedule(0, 1, 7, 9) == 7
    assert beta_schedule(1, 3, 2, 32) == pytest.approx(8)
    assert beta_schedule(2, 3, 5, 5) == 5
    for last in np.random.default_rng(0).uniform(0.1, 50, 50):
        assert beta_schedule(4, 5, 0.7, last) == last


def test_quotas_are_even_and_round_as_decimals_do():
    rng = np.random.default_rng(3)
    for n in (*range(0, 201, 7), 100):  # 100 * 0.57 is a little below 57
        for share in ("0", "0.07", "0.33", "0.57", "0.66", "1"):
            classes = rng.permutation(9)[: int(rng.integers(1, 6))].tolist()
            quotas = clasp_quotas(n, classes, float(share), rng)
            total = int(n * Fraction(share))
            strata = [quotas[c] for c in classes]
            assert sum(strata) == total and max(strata) - min(strata) <= 1
            assert quotas[None] == n - total and len(quotas) == len(classes) + 1
    assert clasp_quotas(7, [], 0.66, rng) == {None: 7}


def random_found(rng):
    """Candidates and reserves of some images, with ties between and within images."""
    found = {}
    for key in rng.permutation(int(rng.integers(0, 5))).tolist():
        starts = rng.permutation(12)[: int(rng.integers(0, 13))].tolist()
        regions = [
            Region((s,), (1,), [1, 2, None][int(rng.integers(3))], float(rng.integers(0, 4)))
            for s in starts
        ]
        cut = int(rng.integers(0, len(regions) + 1))
        found[f"case{key}"] = (
            regions[:cut],
            [Region(r.start, r.size, None, r.score) for r in regions[cut:]],
        )
    return found


def slow_merge(found, n, quotas):
    pools = [[(k, r) for k in sorted(found) for r in found[k][part]] for part in (0, 1)]
    chosen = []

    def best(items):
        items = [item for item in items if item not in chosen]
        return min(items, key=lambda i: (-i[1].score, i[0], i[1].start), default=None)

    for cls in [*sorted(c for c in quotas if c is not None), None]:
        for _ in range(quotas.get(cls, 0)):
            item = best([i for i in pools[0] if i[1].cls == cls])
            chosen += [item] if item else []
    for pool in pools:
        while len(chosen) < n and (item := best(pool)):
            chosen.append(item)
    return chosen[:n]


def test_merge_matches_a_slow_one():
    rng = np.random.default_rng(4)
    for _ in range(60):
        found = random_found(rng)
        n = int(rng.integers(0, 25))
        quotas = {1: int(rng.integers(0, 8)), 2: int(rng.integers(0, 8)), None: 3}
        if rng.random() < 0.5:
            quotas = clasp_quotas(n, [1, 2], 0.66, rng)
        chosen = clasp_merge(found, n, quotas)
        assert chosen == slow_merge(found, n, quotas)
        assert len({(k, r.start) for k, r in chosen}) == len(chosen)
        available = sum(len(c) + len(r) for c, r in found.values())
        assert len(chosen) == min(n, available)


def test_a_region_given_twice_is_chosen_once():
    region, other = Region((0,), (1,), 1, 2.0), Region((5,), (1,), None, 1.0)
    again = Region((0,), (1,), None, 2.0)
    found = {0: ([region, other], [again])}
    assert clasp_merge(found, 3, {1: 1, None: 1}) == [(0, region), (0, other)]
