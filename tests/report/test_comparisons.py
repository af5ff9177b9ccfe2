"""Paired comparisons against enumeration, formulas by hand, and what must not change them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from al.report.comparisons import (
    RESAMPLED,
    WILCOXON,
    compare,
    paired_difference,
    penalties,
    seeds_needed,
)
from al.report.measures import Summary
from al.report.statistics import holm, interval, paired_t, signed_rank

from .curve_sample import make_view

NEVER = "never"


def _summaries(values: Mapping[str, Sequence[object]], measure: str = "final") -> list[Summary]:
    """Summaries by strategy; the place is the seed, NEVER is not reached, None is no such seed."""
    return [
        Summary("run", "2x3", name, seed, measure, math.nan if v == NEVER else v, v == NEVER)
        for name, own in values.items()
        for seed, v in enumerate(own)
        if v is not None
    ]


def test_worked_example_of_two_strategies() -> None:
    d = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    (c,) = compare(_summaries({"decomp": [0.3 + v for v in d], "random": [0.3] * 6}))
    assert (c.budget, c.measure, c.first, c.second) == ("2x3", "final", "decomp", "random")
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (6, 6, 0, 0)
    # sd 0.1870829, t(0.975, 5) = 2.570582: half = 2.570582 * 0.1870829 / sqrt(6) = 0.196331
    assert c.high - c.difference == pytest.approx(0.196331, abs=1e-6)
    assert (c.p, c.p_holm, c.test) == (pytest.approx(2 / 64), pytest.approx(2 / 64), WILCOXON)
    assert (c.difference, c.median) == pytest.approx((0.35, 0.35))
    (five,) = compare(_summaries({"a": d[:5], "b": [0] * 5}))
    assert math.isnan(five.p) and math.isnan(five.p_holm) and "fewer than 6 seeds" in five.test
    assert five.low > 0, "the interval is there"


def test_family_is_the_pairs_of_a_measure() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6], "b": [2, 4, 6, 8, 10, 12], "c": [3, 1, 5, 3, 7, 5]}
    both = compare(_summaries(values) + _summaries(values, "area"))
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    assert [(c.first, c.second) for c in both] == pairs * 2
    for family in (both[:3], both[3:]):
        assert [c.p_holm for c in family] == holm([c.p for c in family])


def test_pairs_are_the_seeds_that_both_have() -> None:
    values = {"a": [1, 2, 3, 4, 5, 6, 7], "b": [0, None, 0, 0, 0, 0, 0], "c": [None] * 6 + [1]}
    ab, ac, bc = compare(_summaries(values))
    assert (ab.seeds, ac.seeds, bc.seeds) == (6, 1, 1)
    assert ab.difference == pytest.approx(26 / 6)
    assert ab.p_holm == ab.p == pytest.approx(2 / 64), "pairs without a test are no members"
    lost = [
        replace(s, value=math.nan) if (s.strategy, s.seed) == ("a", 0) else s
        for s in _summaries(values)
    ]
    ab, *_ = compare(lost)
    assert ab.seeds == 5 and math.isnan(ab.p)
    assert compare([replace(s, value=math.nan) for s in lost]) == [] == compare([])


def test_not_reached_is_compared_by_rank() -> None:
    values = {"decomp": [3, 3, 4, 5, 6, 7, NEVER], "random": [4, NEVER, 6, NEVER, 6, 9, NEVER]}
    (c,) = compare(_summaries(values, "reach_95"))
    # differences -1, -inf, -2, -inf, 0, -2, 0: lower is better
    assert (c.seeds, c.first_better, c.second_better, c.ties) == (7, 5, 0, 2)
    assert math.isnan(c.difference) and math.isnan(c.low) and c.median == -2
    assert c.p == signed_rank(np.array([-1, -9, -2, -9, 0, -2, 0])) == 2 / 32
    assert c.neither == 1
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


def test_folds_have_the_corrected_test_and_interval() -> None:
    d = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    values = _summaries({"a": 0.5 + d, "b": [0.5] * 5})
    (c,) = compare(values, 1 / 4)  # five folds: one is tested on, four trained on
    assert c.test == RESAMPLED and c.p == pytest.approx(paired_t(d, 1 / 4))
    assert (c.difference, c.high - c.difference) == pytest.approx(interval(d, 1 / 4))
    assert math.isnan(c.p_t)
    unreached = {"a": [1, 2, 3, 4, NEVER], "b": [2, 3, 4, 5, 6]}
    for none in (
        [v for v in values if v.seed < 4],
        _summaries(unreached, "reach_95"),
        _summaries({"a": [0.5] * 6, "b": [0.25] * 6}),
    ):
        (c,) = compare(none, 1 / 4)
        assert math.isnan(c.p) and c.test.startswith("none")


def test_the_paired_t_test_speaks_from_four_seeds_on() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(5)
    values = {name: rng.normal(0.5 + 0.05 * i, 0.02, 5).tolist() for i, name in enumerate("abc")}
    found = compare(_summaries(values) + _summaries(values, "reach_95"))
    assert all(math.isnan(c.p) for c in found), "five seeds have no exact test"
    for c in found[:3]:
        assert c.p_t == pytest.approx(ttest_rel(values[c.first], values[c.second]).pvalue)
    assert [c.p_t_holm for c in found[:3]] == holm([c.p_t for c in found[:3]])
    assert all(math.isnan(c.p_t) for c in found[3:]), "on scores alone"
    (three,) = compare(_summaries({n: values[n][:3] for n in "ab"}))
    assert math.isnan(three.p_t)


def test_what_is_needed_for_significance() -> None:
    assert [seeds_needed(pairs) for pairs in (1, 2, 3, 21)] == [6, 7, 7, 10]


def _penalties_slowly(scores: Mapping, first: str, second: str, cycles: int) -> tuple[float, int]:
    """As published: over cycles after the first, how often a paired t-test finds first better."""
    from scipy.stats import ttest_rel

    wins = tested = 0
    for cycle in range(1, cycles):
        held = [(scores[first, s][cycle], scores[second, s][cycle]) for s in range(6)]
        a, b = np.array([pair for pair in held if None not in pair], float).reshape(-1, 2).T
        if len(a) >= 4:
            tested += 1
            wins += ttest_rel(a, b).pvalue < 0.05 and a.mean() > b.mean()
    return wins, tested


def test_penalties_against_scipy() -> None:
    rng, names, cycles = np.random.default_rng(2), ("random", "decomp", "third"), 9
    scores: dict[tuple[str, int], list[float | None]] = {
        (name, seed): [0.2, *rng.normal(0.5 + 0.012 * i, 0.02, cycles - 1)]
        for i, name in enumerate(names)
        for seed in range(6)
    }
    for seed, cycle in ((0, 3), (1, 3), (2, 3), (4, 5)):  # cycle 4 has too few, 6 one less
        scores["third", seed][cycle] = None
    found = penalties(make_view(scores, known=names))
    assert [(e.first, e.second) for e in found] == list(permutations(names, 2))
    for e in found:
        wins, tested = _penalties_slowly(scores, e.first, e.second, cycles)
        assert (e.share, e.n) == (pytest.approx(wins / tested), tested)
    assert {e.n for e in found} == {7, 8} and 0 < max(e.share for e in found) < 1


def test_penalties_of_few_seeds_and_of_folds() -> None:
    scores = {
        (name, seed): [0.2, 0.5 + 0.01 * i + 0.001 * seed * i]
        for i, name in enumerate(("random", "decomp"))
        for seed in range(5)
    }
    won = {(e.first, e.second): e.share for e in penalties(make_view(scores))}
    assert won == {("decomp", "random"): 1, ("random", "decomp"): 0}
    three = {key: values for key, values in scores.items() if key[1] < 3}
    assert penalties(make_view(three)) == [] == penalties(make_view({}))
    four = {key: values for key, values in scores.items() if key[1] < 4}
    assert penalties(make_view(four)) and penalties(make_view(four, folds=4)) == []
    assert penalties(make_view(scores, folds=5))
