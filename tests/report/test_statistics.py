"""Means, tests, reach and area against values worked out by hand, and against libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from al.report.curves import Curve
from al.report.statistics import (
    band,
    common_range,
    cost_to_reach,
    holm,
    interval,
    mean_height,
    mean_ranks_of,
    monotone,
    paired_t,
    signed_rank,
)

FEW = settings(deadline=None, max_examples=25)


def _curve(x: list[float], score: list[float], seed: int = 0) -> Curve:
    cycles = np.arange(1, 1 + len(x))
    return Curve("s", seed, cycles, np.array(x, float), np.array(score, float))


def test_intervals() -> None:
    # sd = 1, t(0.975, 2) = 4.302653: half = 4.302653 / sqrt(3)
    assert interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2.484138), abs=1e-6)
    # A tenth is tested on, nine tenths trained on: 1/3 + 1/9 in place of 1/3.
    found = interval(np.array([1.0, 2.0, 3.0]), 1 / 9)
    assert found == pytest.approx((2, 4.302653 * (4 / 9) ** 0.5), abs=1e-6)
    assert math.isnan(interval(np.array([0.4]), 0.25)[1])


def test_band_with_a_seed_that_ends_early() -> None:
    found = band([_curve([1, 2, 3], [0.1, 0.2, 0.3]), _curve([1, 4], [0.3, 0.6], seed=1)])
    assert found.cycle.tolist() == [1, 2, 3] and found.x.tolist() == [1, 3, 3]
    assert found.mean.tolist() == pytest.approx([0.2, 0.4, 0.3])
    assert found.seeds.tolist() == [2, 2, 1]
    # sd of (0.1, 0.3) is 0.141421; t(0.975, 1) = 12.706205: half = 1.270620
    assert found.high[0] - found.mean[0] == pytest.approx(1.2706205, abs=1e-6)
    assert found.mean[0] - found.low[0] == pytest.approx(1.2706205, abs=1e-6)
    assert np.isnan(found.low[2]) and np.isnan(found.high[2])


@pytest.mark.parametrize(
    ("x", "score", "threshold", "cost"),
    [
        ([0, 10, 20], [0.2, 0.4, 0.6], 0.5, 15.0),  # halfway between cycles 2 and 3
        ([0, 10, 20], [0.2, 0.4, 0.6], 0.4, 10.0),  # exactly at a cycle
        ([0, 10, 20], [0.2, 0.4, 0.6], 0.6, 20.0),  # exactly at the end
        ([0, 10, 20], [0.2, 0.4, 0.6], 0.1, 0.0),  # from the start: nothing before the first cost
        ([0, 10, 20], [0.2, 0.4, 0.6], 0.61, math.nan),  # never: nothing beyond the last cost
        ([0, 10, 20], [0.2, 0.6, 0.4], 0.55, math.nan),  # a lucky cycle: monotone it ends at 0.5
        ([0, 10, 20], [0.2, 0.6, 0.4], 0.35, 5.0),  # monotone 0.2, 0.5, 0.5: halfway to the second
        ([3, 3, 4], [0.1, 0.5, 0.9], 0.3, 3.0),  # equal costs
    ],
)
def test_cost_to_reach(x: list[float], score: list[float], threshold: float, cost: float) -> None:
    assert cost_to_reach(_curve(x, score), threshold) == pytest.approx(cost, nan_ok=True)


def test_mean_height_over_the_common_range() -> None:
    curves = [_curve([0, 10, 20], [0.0, 0.4, 0.4]), _curve([5, 15], [0.1, 0.3], seed=1)]
    assert common_range(curves) == (5, 15)
    # from 5 (0.2) over 10 (0.4) to 15 (0.4): (0.3 * 5 + 0.4 * 5) / 10
    assert mean_height(curves[0], 5, 15) == pytest.approx(0.35)
    assert math.isnan(mean_height(curves[0], 15, 15))


def _enumerated(d: Sequence[float]) -> float:
    """Two-sided exact p: all sign flips of the ranks of |d|, mean ranks for ties, zeros ranked."""
    size = [abs(v) for v in d]
    ranks = [sum(o < v for o in size) + (size.count(v) + 1) / 2 for v in size]
    plus = sum(r for r, v in zip(ranks, d, strict=True) if v > 0)
    moving = [r for r, v in zip(ranks, d, strict=True) if v]
    sums = [
        sum(r for r, s in zip(moving, signs, strict=True) if s)
        for signs in product((0, 1), repeat=len(moving))
    ]
    above = sum(s >= plus - 1e-9 for s in sums) / len(sums)
    below = sum(s <= plus + 1e-9 for s in sums) / len(sums)
    return min(1.0, 2 * min(above, below))


TIED = st.lists(st.integers(-4, 4), min_size=1, max_size=9)
UNTIED = st.lists(st.floats(-1, 1), min_size=1, max_size=8, unique_by=abs)


@FEW
@given(st.one_of(TIED, UNTIED))
@example([0, 0, 0, -1, -2, -3, 4])
@example([0, 0])
def test_signed_rank_against_enumeration(d: list[float]) -> None:
    assert signed_rank(np.array(d, float)) == pytest.approx(_enumerated(d))


def test_signed_rank_of_many_pairs_against_scipy() -> None:
    from scipy.stats import wilcoxon

    d = np.random.default_rng(0).normal(0.3, 1, 40)
    assert signed_rank(d) == pytest.approx(wilcoxon(d, method="exact").pvalue)
    infinite = np.array([1, 2, 3, -np.inf, np.inf, np.inf])
    assert signed_rank(infinite) == signed_rank(np.array([1, 2, 3, -9, 9, 9]))


@FEW
@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=9))
def test_t_tests_and_ranks_against_scipy(values: list[float]) -> None:
    from scipy.stats import rankdata, ttest_1samp

    d = np.array(values)
    assert mean_ranks_of(d).tolist() == rankdata(d).tolist()
    if np.ptp(d) > 0:
        assert paired_t(d) == pytest.approx(ttest_1samp(d, 0).pvalue)
        _, high = ttest_1samp(d, 0).confidence_interval(0.95)
        assert sum(interval(d)) == pytest.approx(high)


def test_nadeau_and_bengio_by_hand() -> None:
    d = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    # mean 0.03, variance 0.00025, ratio 1 / 4: t = 0.03 / sqrt(0.45 * 0.00025) = 2.828427.
    # With 4 degrees of freedom p = 1 - s (3 - s^2) / 2 of s = t / sqrt(t^2 + 4) = sqrt(2 / 3).
    s = math.sqrt(2 / 3)
    assert paired_t(d, 1 / 4) == pytest.approx(1 - s * (3 - s * s) / 2)
    half = 2.776445 * math.sqrt(0.45 * 0.00025)
    assert interval(d, 1 / 4) == pytest.approx((0.03, half), abs=1e-6)
    assert paired_t(np.zeros(5)) == 1 and math.isnan(paired_t(np.full(5, 0.5)))


def test_holm_against_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm([0.02, math.nan, 0.03])[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(holm([math.nan])[0])
    p = np.random.default_rng(1).random(30) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_isotonic_regression_against_scikit_learn() -> None:
    from sklearn.isotonic import isotonic_regression

    rng = np.random.default_rng(3)
    for n in range(1, 30):
        score = rng.random(n).round(1)
        assert monotone(score) == pytest.approx(isotonic_regression(score))
