"""Paired comparisons against enumeration, formulas by hand, and what must not change them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.comparisons import (
    FEWEST,
    FEWEST_FOLDS,
    FLIPPED,
    RESAMPLED,
    WILCOXON,
    Comparison,
    by_cycle,
    compare,
    corrected_interval,
    fewest_of,
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
        Summary(
            "run",
            "2x3",
            name,
            seed,
            measure,
            math.nan if v == NEVER else float(v),  # type: ignore[arg-type]
            v == NEVER,
            "",
        )
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
def test_signed_rank_against_enumeration(d: list[float]) -> None:
    assert signed_rank(np.array(d, float)) == pytest.approx(_enumerated(d))


def test_many_pairs_with_ties_are_the_same_each_time() -> None:
    d = np.array([1, 1, 2, -1, 3, 0, 4, -2, 2, 5, 1, 2, 3, -1, 1, 2, 3, 1.0])
    (once,) = compare(_summaries({"a": d, "b": [0] * 18}), seed=3)
    assert once.p == signed_rank(d, 3) and once.test == FLIPPED
    # All sign flips, by how many of them give each sum of doubled ranks.
    size = np.abs(d)
    ranks = [int(2 * (size < v).sum() + (size == v).sum() + 1) for v in size]
    ways = {0: 1}
    for rank in (r for r, v in zip(ranks, d, strict=True) if v):
        moved = {total + rank: count for total, count in ways.items()}
        ways = {k: ways.get(k, 0) + moved.get(k, 0) for k in ways | moved}
    plus = sum(r for r, v in zip(ranks, d, strict=True) if v > 0)
    exact = 2 * sum(count for total, count in ways.items() if total >= plus) / sum(ways.values())
    assert once.p == pytest.approx(exact, abs=0.005)


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
        "run", "2x3", "final", "decomp", "random",
    )  # fmt: skip
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (6, 6, 0, 0)
    assert c.difference == pytest.approx(0.35)
    # sd 0.1870829, t(0.975, 5) = 2.570582: half = 2.570582 * 0.1870829 / sqrt(6) = 0.196331
    assert c.high - c.difference == pytest.approx(0.196331, abs=1e-6)
    assert (c.p, c.p_holm, c.test) == (pytest.approx(2 / 64), pytest.approx(2 / 64), WILCOXON)
    assert c.median == pytest.approx(0.35)


def test_family_is_the_pairs_of_a_measure_and_budget() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6], "b": [2, 4, 6, 8, 10, 12], "c": [3, 1, 5, 3, 7, 5]}
    one = _summaries(values)
    both = compare(one + _summaries(values, "area") + [replace(s, budget="9x9") for s in one])
    assert [(c.first, c.second) for c in both[:3]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(both) == 9 and {c.measure for c in both} == {"final", "area"}
    for family in (both[:3], both[3:6], both[6:]):
        p = [c.p for c in family]
        assert p[0] == pytest.approx(2 / 64)
        ranked = sorted(p)
        by_hand = [
            max(min(1, (3 - i) * q) for i, q in enumerate(ranked[: k + 1])) for k in range(3)
        ]
        assert sorted(c.p_holm for c in family) == pytest.approx(by_hand)
    assert "3 pairs" in both[6].family and "9x9" in both[6].family


def test_below_six_seeds_there_is_no_test() -> None:
    (c,) = compare(_summaries({"a": [1, 2, 3, 4, 5], "b": [0, 0, 0, 0, 0]}))
    assert math.isnan(c.p) and math.isnan(c.p_holm) and c.test == "none: fewer than 6 seeds"
    assert (c.seeds, c.first_better) == (5, 5)
    assert c.difference == pytest.approx(3) and c.low > 0, "the interval is there"
    (c,) = compare(_summaries({"a": [1], "b": [0]}))
    assert c.difference == 1 and math.isnan(c.low) and math.isnan(c.high)


def test_pairs_are_the_seeds_that_both_have() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6, 7], "b": [0, None, 0, 0, 0, 0, 0], "c": [None] * 6 + [1]}
    ab, ac, bc = compare(_summaries(values))
    assert (ab.seeds, ac.seeds, bc.seeds) == (6, 1, 1)
    assert ab.difference == pytest.approx(26 / 6)
    assert ab.p_holm == ab.p == pytest.approx(2 / 64), "pairs without a test are no members"
    missing = [replace(s, value=math.nan) if s.seed == 0 else s for s in _summaries(values)]
    assert compare(missing)[0].seeds == 5
    alone = compare(_summaries({"a": [1, None], "b": [None, 1]}))[0]
    assert alone.seeds == 0 and math.isnan(alone.difference) and math.isnan(alone.median)


def test_not_reached_is_compared_by_rank() -> None:
    values = {"decomp": [3, 3, 4, 5, 6, 7, NEVER], "random": [4, NEVER, 6, NEVER, 6, 9, NEVER]}
    (c,) = compare(_summaries(values, "reach_95"))
    # differences -1, -inf, -2, -inf, 0, -2, 0: lower is better
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (7, 5, 0, 2)
    assert math.isnan(c.difference) and math.isnan(c.low)
    assert c.median == -2
    assert c.p == pytest.approx(_enumerated([-1, -9, -2, -9, 0, -2, 0])) == pytest.approx(2 / 32)
    (flipped,) = compare(_summaries(dict(reversed(values.items())), "reach_95"))
    assert (flipped.first_better, flipped.second_better) == (0, 5) and flipped.median == 2
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
    d = np.array([0.01, 0.03, 0.02, 0.05, 0.04, 0.03])
    variance = sum((v - 0.03) ** 2 for v in d) / 5
    ratio = 0.2  # six folds: 1 / 5
    t = 0.03 / math.sqrt((1 / 6 + ratio) * variance)
    # density of t with 5 degrees of freedom, integrated from t on
    grid = np.linspace(t, 2000, 4_000_001)
    density = 8 / (3 * math.pi * math.sqrt(5)) * (1 + grid**2 / 5) ** -3
    by_hand = 2 * float(np.sum((density[1:] + density[:-1]) / 2 * np.diff(grid)))
    assert resampled_t(d, ratio) == pytest.approx(by_hand, rel=1e-4)
    mean, low, high = corrected_interval(d, ratio)
    half = 2.570582 * math.sqrt((1 / 6 + ratio) * variance)
    assert (mean, low, high) == pytest.approx((0.03, 0.03 - half, 0.03 + half), abs=1e-6)
    (c,) = compare(_summaries({"a": 0.5 + d, "b": [0.5] * 6}), folds=True)
    assert c.test == RESAMPLED and c.p == pytest.approx(by_hand, rel=1e-4)
    assert (c.low, c.high) == pytest.approx((low, high))
    (plain,) = compare(_summaries({"a": 0.5 + d, "b": [0.5] * 6}))
    assert plain.high - plain.low < c.high - c.low, "folds share cases: the interval is wider"


def test_folds_of_known_number() -> None:
    d = [0.01, 0.03, 0.02]
    values = _summaries({"a": [0.5 + v for v in d], "b": [0.5] * 3})
    (three,) = compare(values, folds=True)
    (five,) = compare(values, folds=True, test_share=0.2)  # ratio 1 / 4 instead of 1 / 2
    assert math.isnan(three.p) and three.test == "none: fewer than 5 folds"
    wide, narrow = three.high - three.low, five.high - five.low
    assert wide / narrow == pytest.approx(math.sqrt((1 / 3 + 1 / 2) / (1 / 3 + 1 / 4)))


def test_five_folds_have_a_test_and_four_have_none() -> None:
    d = [0.01, 0.03, 0.02, 0.05, 0.04]
    (five,) = compare(_summaries({"a": [0.5 + v for v in d], "b": [0.5] * 5}), folds=True)
    # mean 0.03, variance 0.00025, ratio 1 / 4: t = 0.03 / sqrt(0.45 * 0.00025) = 2.828427.
    # With 4 degrees of freedom p = 1 - s (3 - s^2) / 2 of s = t / sqrt(t^2 + 4) = sqrt(2 / 3).
    s = math.sqrt(2 / 3)
    assert five.p == pytest.approx(1 - s * (3 - s * s) / 2) == pytest.approx(0.0474, abs=1e-4)
    assert five.test == RESAMPLED and fewest_of(True) == FEWEST_FOLDS == 5
    (four,) = compare(_summaries({"a": [0.5 + v for v in d[:4]], "b": [0.5] * 4}), folds=True)
    assert math.isnan(four.p) and four.test == "none: fewer than 5 folds"
    assert fewest_of(False) == FEWEST == 6


def test_seeds_without_a_value_are_counted_and_told() -> None:
    values = _summaries({"a": [1, 2, 3, 4], "b": [2, 2, 2], "c": [1, 1, 1, 1]}, "efficiency")
    lost = "a single share of the foreground: nothing to fit"
    gone = {("a", 0), ("a", 2), *(("c", s) for s in range(4))}
    values = [
        replace(s, value=math.nan, note=lost) if (s.strategy, s.seed) in gone else s for s in values
    ]
    ab, ac, bc = compare(values)
    assert (ab.seeds, ac.seeds, bc.seeds) == (1, 0, 0)
    for part in ("1 of 4", f"a, seeds 0, 2: {lost}", "b, seed 3"):
        assert part in ab.note
    assert math.isnan(bc.p_holm)
    assert compare([s for s in values if s.strategy == "c"]) == []
    assert compare(_summaries({"a": [1, 2], "b": [2, 3]}))[0].note == ""
    none = [replace(s, value=math.nan) for s in values]
    assert compare(none) == [], "nobody has a value: there is nothing to compare"


def test_folds_without_a_test() -> None:
    values = {"a": [1, 2, 3, 4, 5, NEVER], "b": [2, 3, 4, 5, 6, 7]}
    (c,) = compare(_summaries(values, "reach_95"), folds=True)
    assert (
        math.isnan(c.p) and "not reached" in c.test and (c.first_better, c.second_better) == (5, 1)
    )
    (c,) = compare(_summaries({"a": [0.5] * 6, "b": [0.25] * 6}), folds=True)
    assert math.isnan(c.p) and "do not vary" in c.test
    (c,) = compare(_summaries({"a": [0.5] * 6, "b": [0.5] * 6}), folds=True)
    assert c.p == 1.0 and c.ties == 6


def test_refusals() -> None:
    values = _summaries({"a": [1, 2], "b": [2, 3]})
    with pytest.raises(ValueError, match="test_share is 1"):
        compare(values, folds=True, test_share=1)
    with pytest.raises(ValueError, match="two values of a, seed 0"):
        compare([*values, values[0]])
    assert compare([]) == []


VALUES = st.lists(
    st.tuples(*[st.one_of(st.integers(0, 12), st.just(NEVER))] * 3), min_size=1, max_size=8
)


def _numbers(c: Comparison, swapped: bool = False) -> tuple[object, ...]:
    sign = -1 if swapped else 1
    ends = (-c.high, -c.low) if swapped else (c.low, c.high)
    wins = (c.first_better, c.second_better)[::sign]
    found = (sign * c.difference, *ends, sign * c.median, c.p, c.p_holm, *wins, c.ties, c.seeds)
    return tuple(pytest.approx(v, nan_ok=True, abs=1e-9) for v in found)


def _plain(c: Comparison) -> tuple[object, ...]:
    return (
        c.difference, c.low, c.high, c.median, c.p, c.p_holm, c.first_better, c.second_better,
        c.ties, c.seeds,
    )  # fmt: skip


@FEW
@given(VALUES, st.booleans(), st.sampled_from(["final", "reach_95"]))
def test_swapping_mirrors_everything(rows: list[tuple], folds: bool, measure: str) -> None:
    columns = dict(zip("abc", zip(*rows, strict=True), strict=True))
    forward = compare(_summaries(columns, measure), folds)
    backward = compare(_summaries(dict(reversed(columns.items())), measure), folds)
    other = {(c.second, c.first): c for c in backward}
    for c in forward:
        assert _plain(other[c.first, c.second]) == _numbers(c, swapped=True)
        assert c.first_better + c.second_better + c.ties == c.seeds


@FEW
@given(VALUES, st.booleans())
def test_pairs_are_of_one_seed_in_whatever_order(rows: list[tuple], folds: bool) -> None:
    values = _summaries(dict(zip("abc", zip(*rows, strict=True), strict=True)), "reach_95")
    turned = [s for name in "abc" for s in values if s.strategy == name]
    turned.sort(key=lambda s: (s.strategy, -s.seed if s.strategy == "b" else s.seed))
    for c, d in zip(compare(values, folds), compare(turned, folds), strict=True):
        assert _plain(d) == _numbers(c)


@FEW
@given(VALUES, st.floats(0, 50), st.booleans())
def test_a_constant_on_both_changes_nothing(
    rows: list[tuple], constant: float, folds: bool
) -> None:
    def shifted(by: float) -> list[Comparison]:
        scaled = [[v if v == NEVER else 0.1 * v + by for v in row] for row in rows]
        columns = dict(zip("abc", zip(*scaled, strict=True), strict=True))
        return compare(_summaries(columns, "reach_95"), folds)

    for c, d in zip(shifted(0.0), shifted(constant), strict=True):
        assert _plain(d) == _numbers(c)


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
