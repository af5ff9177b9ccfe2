"""Paired comparisons against enumeration, formulas by hand, and what must not change them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from al.report.comparisons import (
    FLIPPED,
    RESAMPLED,
    WILCOXON,
    by_cycle,
    compare,
    corrected_interval,
    holm,
    paired_difference,
    resampled_t,
    signed_rank,
)
from al.report.summaries import Summary

from .curve_sample import make_view

NEVER = "never"
FEW = settings(deadline=None, max_examples=15)


def _summaries(values: Mapping[str, Sequence[object]], measure: str = "final") -> list[Summary]:
    """Summaries by strategy; the place is the seed, NEVER is not reached, None is no such seed."""
    return [
        Summary("run", "2x3", name, seed, measure, math.nan if v == NEVER else v, v == NEVER, "")
        for name, own in values.items()
        for seed, v in enumerate(own)
        if v is not None
    ]


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
def test_signed_rank_against_enumeration(d: list[float]) -> None:
    assert signed_rank(np.array(d, float)) == pytest.approx(_enumerated(d))


def test_many_pairs_with_ties_are_flipped_at_random_the_same_each_time() -> None:
    d = np.array([1, 1, 2, -1, 3, 0, 4, -2, 2, 5, 1, 2, 3.0])
    (once,) = compare(_summaries({"a": d, "b": [0] * 13}), seed=3)
    assert once.p == signed_rank(d, 3) and once.test == FLIPPED
    assert once.p == pytest.approx(_enumerated(d.tolist()), abs=0.005)


def test_holm_by_hand() -> None:
    # sorted 0.01 * 4, 0.015 * 3 = 0.045, 0.03 * 2 = 0.06, 0.04 * 1 -> not below 0.06
    assert holm([0.03, 0.01, 0.04, 0.015]) == pytest.approx([0.06, 0.04, 0.06, 0.045])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02, math.nan, 0.03])[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(holm([math.nan])[0])


def test_worked_example_of_two_strategies() -> None:
    d = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    (c,) = compare(_summaries({"decomp": [0.3 + v for v in d], "random": [0.3] * 6}))
    assert (c.run, c.budget, c.measure, c.first, c.second) == (
        *("run", "2x3", "final", "decomp", "random"),
    )
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (6, 6, 0, 0)
    # sd 0.1870829, t(0.975, 5) = 2.570582: half = 2.570582 * 0.1870829 / sqrt(6) = 0.196331
    assert c.high - c.difference == pytest.approx(0.196331, abs=1e-6)
    assert (c.p, c.p_holm, c.test) == (pytest.approx(2 / 64), pytest.approx(2 / 64), WILCOXON)
    assert (c.difference, c.median) == pytest.approx((0.35, 0.35))
    (five,) = compare(_summaries({"a": d[:5], "b": [0] * 5}))
    assert math.isnan(five.p) and math.isnan(five.p_holm) and "fewer than 6 seeds" in five.test
    assert five.low > 0, "the interval is there"
    (one,) = compare(_summaries({"a": [1], "b": [0]}))
    assert one.difference == 1 and math.isnan(one.low) and math.isnan(one.high)


def test_family_is_the_pairs_of_a_measure_and_budget() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6], "b": [2, 4, 6, 8, 10, 12], "c": [3, 1, 5, 3, 7, 5]}
    one = _summaries(values)
    both = compare(one + _summaries(values, "area") + [replace(s, budget="9x9") for s in one])
    assert [(c.first, c.second) for c in both[:3]] == [("a", "b"), ("a", "c"), ("b", "c")]
    for family in (both[:3], both[3:6], both[6:]):
        assert [c.p_holm for c in family] == holm([c.p for c in family])
    assert len(both) == 9 and "3 pairs" in both[6].family and "9x9" in both[6].family


def test_pairs_are_the_seeds_that_both_have() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6, 7], "b": [0, None, 0, 0, 0, 0, 0], "c": [None] * 6 + [1]}
    ab, ac, bc = compare(_summaries(values))
    assert (ab.seeds, ac.seeds, bc.seeds) == (6, 1, 1)
    assert ab.difference == pytest.approx(26 / 6)
    assert ab.p_holm == ab.p == pytest.approx(2 / 64), "pairs without a test are no members"
    lost = [
        replace(s, value=math.nan, note="nothing to fit") if (s.strategy, s.seed) == ("a", 0) else s
        for s in _summaries(values)
    ]
    ab, *_ = compare(lost)
    assert ab.seeds == 5 and math.isnan(ab.p)
    for part in ("5 of 7", "a, seed 0: nothing to fit", "b, seed 1"):
        assert part in ab.note
    assert compare([replace(s, value=math.nan) for s in lost]) == [] == compare([])
    with pytest.raises(ValueError, match="two values of a, seed 0"):
        compare([*lost, lost[0]])


def test_not_reached_is_compared_by_rank() -> None:
    values = {"decomp": [3, 3, 4, 5, 6, 7, NEVER], "random": [4, NEVER, 6, NEVER, 6, 9, NEVER]}
    (c,) = compare(_summaries(values, "reach_95"))
    # differences -1, -inf, -2, -inf, 0, -2, 0: lower is better
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (7, 5, 0, 2)
    assert math.isnan(c.difference) and math.isnan(c.low) and c.median == -2
    assert c.p == pytest.approx(_enumerated([-1, -9, -2, -9, 0, -2, 0])) == pytest.approx(2 / 32)
    (turned,) = compare(_summaries(dict(reversed(values.items())), "reach_95"))
    assert (turned.first_better, turned.second_better, turned.median) == (0, 5, 2)
    assert turned.p == c.p
    (numbers,) = compare(_summaries({"a": [3, 4], "b": [5, 7]}, "reach_95"))
    assert numbers.difference == pytest.approx(-2.5), "all reached: costs as usual"


def test_what_censoring_leaves_open_is_a_tie() -> None:
    a, b = _summaries({"a": [5], "b": [NEVER]}, "reach_95")
    assert paired_difference(a, b) == -math.inf and paired_difference(b, a) == math.inf
    assert paired_difference(b, b) == 0
    assert paired_difference(a, replace(b, ended=3.0)) == 0, "it may be reached between 3 and 5"
    assert paired_difference(a, replace(b, ended=7.0)) == -2
    start = replace(a, value=2.0, at_most=True)
    assert paired_difference(start, a) == -3
    assert paired_difference(start, replace(a, value=1.0)) == 0
    assert paired_difference(start, replace(start, value=4.0)) == 0


def test_nadeau_and_bengio_by_hand() -> None:
    d = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    # mean 0.03, variance 0.00025, ratio 1 / 4: t = 0.03 / sqrt(0.45 * 0.00025) = 2.828427.
    # With 4 degrees of freedom p = 1 - s (3 - s^2) / 2 of s = t / sqrt(t^2 + 4) = sqrt(2 / 3).
    s = math.sqrt(2 / 3)
    by_hand = pytest.approx(1 - s * (3 - s * s) / 2)
    half = 2.776445 * math.sqrt(0.45 * 0.00025)
    ends = pytest.approx((0.03, 0.03 - half, 0.03 + half), abs=1e-6)
    assert resampled_t(d, 1 / 4) == by_hand and corrected_interval(d, 1 / 4) == ends
    values = _summaries({"a": 0.5 + d, "b": [0.5] * 5})
    for share in (None, 0.2):  # five folds: each is a fifth
        (c,) = compare(values, folds=True, test_share=share)
        assert c.test == RESAMPLED and c.p == by_hand
        assert (c.difference, c.low, c.high) == ends
    (four,) = compare([v for v in values if v.seed < 4], folds=True)
    assert math.isnan(four.p) and "fewer than 5 folds" in four.test


@pytest.mark.parametrize(
    ("values", "measure", "said"),
    [
        ({"a": [1, 2, 3, 4, 5, NEVER], "b": [2, 3, 4, 5, 6, 7]}, "reach_95", "not reached"),
        ({"a": [0.5] * 6, "b": [0.25] * 6}, "final", "do not vary"),
    ],
)
def test_folds_without_a_test(values: dict[str, list], measure: str, said: str) -> None:
    (c,) = compare(_summaries(values, measure), folds=True)
    assert math.isnan(c.p) and said in c.test and c.first_better + c.second_better == 6


def test_by_cycle_describes_and_leaves_out_the_shared_start() -> None:
    view = make_view(
        {
            ("random", 0): (0.2, 0.30, 0.40),
            ("random", 1): (0.2, 0.35, None),
            ("random", 2): (0.2, 0.30, 0.40),
            ("decomp", 0): (0.2, 0.40, 0.70),
            ("decomp", 1): (0.2, 0.40, 0.60),
        }
    )
    found = by_cycle(view)
    assert [(c.cycle, c.first, c.second, c.seeds) for c in found] == [
        (2, "random", "decomp", 2),
        (3, "random", "decomp", 1),
    ]
    assert found[0].difference == pytest.approx(-0.075)
    half = 12.706205 * 0.0353553 / math.sqrt(2)
    assert found[0].high - found[0].difference == pytest.approx(half, abs=1e-5)
    assert found[1].difference == pytest.approx(-0.3) and math.isnan(found[1].low)
    folds = by_cycle(replace(view, folds=True), test_share=0.5)  # variance 1 / 2 + 1
    assert folds[0].high - folds[0].difference == pytest.approx(half * math.sqrt(3), abs=1e-5)
