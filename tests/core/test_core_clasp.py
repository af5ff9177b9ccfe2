"""ClaSP PE: candidates against slow searches, noise against its closed form, quotas."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from decomp_core import Region
from decomp_core.clasp import beta_schedule, clasp_candidates, clasp_merge, clasp_quotas

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


def slow_picks(means, patch, used, count):
    chosen = []
    while len(chosen) < count:
        free = [
            (mean, start)
            for start, mean in means.items()
            if not any(Region(start, patch).overlaps(r) for r in [*used, *chosen])
        ]
        if not free:
            break
        chosen.append(Region(max(free, key=lambda item: item[0])[1], patch))
    return chosen


def slow_entropy(softmax):
    return sum(-p * np.log(p) for p in softmax)


def test_noiseless_candidates_match_a_slow_greedy_search():
    rng = np.random.default_rng(0)
    for round_ in range(50):
        softmax, patch, classes, taken, stride = random_case(rng)
        amount = rng.random(softmax.shape[1:]) if round_ % 3 == 0 else None
        n, per_image = int(rng.integers(0, 12)), int(rng.integers(1, 20))
        share = float(rng.choice([0, 0.33, 0.66, 1]))
        given = {"taken": taken, "stride": stride, "uncertainty": amount}
        candidates, reserve = clasp_candidates(
            softmax, patch, n, classes, rng, beta=None, share=share, per_image=per_image, **given
        )
        base = slow_entropy(softmax) if amount is None else amount
        order = list(dict.fromkeys(r.cls for r in candidates if r.cls is not None))
        share = Fraction(str(share))
        cap = max(1, int(per_image * share / (len(classes) + 1)))
        cap_all = max(1, int(per_image * (1 - share))) if classes else per_image
        expected, every = [], {}
        for cls in [*order, None]:
            every[cls] = slow_means(base if cls is None else base * softmax[cls], patch, stride)
            found = slow_picks(
                every[cls], patch, [*taken, *expected], cap_all if cls is None else cap
            )
            expected += [Region(r.start, patch, cls) for r in found]
        assert [(r.start, r.size, r.cls) for r in candidates] == [
            (r.start, r.size, r.cls) for r in expected
        ]
        more = slow_picks(every[None], patch, [*taken, *expected], n - len(expected))
        assert [r.start for r in reserve] == [r.start for r in more]
        for region in [*candidates, *reserve]:
            log = math.log(max(every[region.cls][region.start], 1e-30))
            assert region.score == pytest.approx(log, rel=1e-9, abs=1e-9)
        if len(order) < len(classes):
            assert not slow_picks(every[None], patch, [*taken, *expected], 1)


@pytest.mark.parametrize(
    ("classes", "per_image", "share", "caps"),
    [
        ([1, 2, 3], 20, 0.66, {1: 3, 2: 3, 3: 3, None: 6}),
        ([1, 2, 3], 20, 0.33, {1: 1, 2: 1, 3: 1, None: 13}),
        ([2], 20, 0.7, {2: 7, None: 6}),
        ([1, 2], 3, 0.66, {1: 1, 2: 1, None: 1}),
        ([1], 50, 0.66, {1: 16, None: 17}),
        ([1], 5, 0, {1: 1, None: 5}),
        ([1], 5, 1, {1: 2, None: 1}),
        ([], 20, 0.66, {None: 20}),
    ],
)
def test_patches_per_image_are_capped(classes, per_image, share, caps):
    softmax = np.full((4, 12, 12), 0.25, np.float32)
    candidates, reserve = clasp_candidates(
        softmax, (1, 1), 90, classes, np.random.default_rng(0), share=share, per_image=per_image
    )
    assert Counter(r.cls for r in candidates) == caps
    assert len(candidates) + len(reserve) == 90
    assert {r.cls for r in reserve} == {None}


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("classes", [[], [1]])
def test_noise_draws_in_proportion_to_powers_of_the_mean(beta, classes):
    amount = np.array([[0.1, 0.3, 0.2, 0.6], [0.4, 0.0, 0.2, 0.2]])
    softmax = np.array([[[0.5, 0.2, 0.1, 0.9]] * 2, [[0.5, 0.8, 0.9, 0.1]] * 2])
    values = amount * softmax[1] if classes else amount
    means = (values[:, :-1] + values[:, 1:]) / 2
    counts = np.zeros(means.shape)
    for seed in range(400):
        candidates, _ = clasp_candidates(
            softmax,
            (1, 2),
            0,
            classes,
            np.random.default_rng(seed),
            beta=beta,
            uncertainty=amount,
        )
        counts[candidates[0].start] += 1
    expected = means**beta / (means**beta).sum() * counts.sum()
    assert chisquare(counts.ravel(), expected.ravel()).pvalue > LEAST


def test_every_map_has_noise_of_its_own():
    softmax = np.full((2, 1, 3), 0.5)
    ahead = []
    for seed in range(300):
        found, _ = clasp_candidates(
            softmax, (1, 1), 0, [1], np.random.default_rng(seed), per_image=1
        )
        of_class, of_all = found
        gain = of_all.score - math.log(math.log(2)) - (of_class.score - math.log(math.log(2) / 2))
        ahead.append(gain > 0)
    # the greatest of 3 draws against the greatest of 2 others; one draw for both never gains
    assert 0.3 < np.mean(ahead) < 0.5


def test_classes_come_in_random_order_and_before_all():
    softmax = np.full((4, 2, 5), 0.25)
    orders = Counter()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found, _ = clasp_candidates(softmax, (1, 1), 0, [1, 2, 3], rng, per_image=1, beta=None)
        orders[tuple(r.cls for r in found[:-1])] += 1
        assert found[-1].cls is None
    assert set(orders) == set(permutations([1, 2, 3]))
    assert chisquare(list(orders.values())).pvalue > LEAST


def test_equal_means_go_to_the_first_position_without_noise():
    softmax = np.full((3, 4, 4), 1 / 3, np.float32)
    (first, second), reserve = clasp_candidates(
        softmax, (2, 2), 4, [], np.random.default_rng(0), beta=None, per_image=2
    )
    assert [first.start, second.start] == [(0, 0), (0, 2)]
    assert [r.start for r in reserve] == [(2, 0), (2, 2)]
    assert first.score == pytest.approx(math.log(math.log(3)), rel=1e-6)


def test_zeros_rank_last_and_noise_orders_them():
    certain = np.zeros((2, 1, 6), np.float32)
    certain[0] = 1
    certain[:, 0, 4] = 0.5
    (first, last), _ = clasp_candidates(
        certain, (1, 1), 0, [], np.random.default_rng(0), beta=None, per_image=2
    )
    assert first.start == (0, 4)
    assert last.start == (0, 0) and last.score == pytest.approx(math.log(1e-30), rel=1e-6)
    drawn = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        (first, last), _ = clasp_candidates(certain, (1, 1), 0, [], rng, beta=1.0, per_image=2)
        assert first.start == (0, 4)
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
    for _ in range(100):
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


RNG = np.random.default_rng(0)
SOFTMAX = np.full((2, 4, 5), 0.5, np.float32)
NAN = float("nan")
REFUSED = [
    (beta_schedule, (-1, 5), {}, "step is -1.*at least 0"),
    (beta_schedule, (0, 0), {}, "steps is 0.*at least 1"),
    (beta_schedule, (0, 5, 0.0), {}, "first is 0.0"),
    (beta_schedule, (0, 5, 1.0, NAN), {}, "last is nan"),
    (clasp_quotas, (-1, [1], 0.5, RNG), {}, "n is -1"),
    (clasp_quotas, (1, [1, 1], 0.5, RNG), {}, r"classes is \[1, 1\].*once"),
    (clasp_quotas, (1, [255], 0.5, RNG), {}, r"classes\[0\] is 255.*at most 254"),
    (clasp_quotas, (1, [1], 1.5, RNG), {}, "share is 1.5.*0 to 1"),
    (clasp_quotas, (1, [1], 0.5, 0), {}, "rng is 0.*Generator"),
    (clasp_candidates, (SOFTMAX[0, 0], (1,), 1, [], RNG), {}, r"probabilities has shape \(5,\)"),
    (clasp_candidates, (SOFTMAX[:, :0], (1, 1), 1, [], RNG), {}, r"shape \(2, 0, 5\)"),
    (clasp_candidates, (SOFTMAX + 1, (1, 1), 1, [], RNG), {}, r"probabilities\[0, 0, 0\] is 1.5"),
    (clasp_candidates, (SOFTMAX.astype(int), (1, 1), 1, [], RNG), {}, "dtype int64"),
    (clasp_candidates, (SOFTMAX, (5, 5), 1, [], RNG), {}, r"patch\[0\] is 5.*at most 4"),
    (clasp_candidates, (SOFTMAX, (1,), 1, [], RNG), {}, "patch is.*2 integers"),
    (clasp_candidates, (SOFTMAX, (1, 1), -1, [], RNG), {}, "n is -1"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [2], RNG), {}, r"classes\[0\] is 2.*at most 1"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], None), {}, "rng is None"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], RNG), {"beta": 0.0}, "beta is 0.0"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], RNG), {"share": -0.1}, "share is -0.1"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], RNG), {"per_image": 0}, "per_image is 0"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], RNG), {"stride": 0}, r"stride\[0\] is 0"),
    (clasp_candidates, (SOFTMAX, (1, 1), 1, [], RNG), {"taken": [1]}, r"taken\[0\] is 1"),
    (
        clasp_candidates,
        (SOFTMAX, (1, 1), 1, [], RNG),
        {"uncertainty": np.full((4, 5), NAN)},
        r"uncertainty\[0, 0\] is nan",
    ),
    (
        clasp_candidates,
        (SOFTMAX, (1, 1), 1, [], RNG),
        {"uncertainty": np.ones((5, 4))},
        r"uncertainty has shape \(5, 4\)",
    ),
    (clasp_merge, ({}, -1, {}), {}, "n is -1"),
    (clasp_merge, ({}, 1, {1: -1}), {}, r"quotas\[1\] is -1"),
    (clasp_merge, ({}, 1, {"a": 1}), {}, "is 'a'"),
    (clasp_merge, ({0: ([Region((0,), (1,))], [])}, 1, {}), {}, r"found\[0\] holds.*score"),
]


@pytest.mark.parametrize(("function", "arguments", "named", "message"), REFUSED)
def test_refused_with_a_message(function, arguments, named, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments, **named)
