"""Strategies compared in pairs over seeds, with Holm's correction within a stated family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from math import floor, isfinite, log2, nan

import numpy as np

from .catalogue import FEWEST_T
from .measures import Summary, measure_of, seed_curves, summaries
from .statistics import holm, interval, paired_t, signed_rank
from .view import View, once

LEVEL = 0.05
# The exact two-sided signed-rank test of n pairs goes down to 2 / 2^n: 0.0625 for 5, 0.03125 for 6.
FEWEST = 6
# The t-test of folds is made from the usual five on.
FEWEST_FOLDS = 5
WILCOXON = "exact Wilcoxon signed-rank test"
RESAMPLED = "corrected resampled t-test (Nadeau and Bengio)"
UNREACHED = "none: values not reached, and no corrected test by rank"
# What the paired t-test of the field is made on.
T_TESTED = ("area", "final")
# The first cycle is the same model for all strategies.
SHARED_CYCLE = 1


@dataclass(frozen=True)
class Comparison:
    """Two strategies in one measure, paired over the seeds that both have a value of.

    Attributes:
        budget, measure, first, second: what is compared.
        seeds: pairs.
        difference, low, high: mean of first - second and its 95 % t-interval (with the corrected
            variance for folds). NaN where a value is censored or infinite, or with one pair.
        median: of the differences, where one against ``not reached`` is infinite.
        first_better, second_better, ties: pairs by who is better; a pair that censoring leaves
            open counts as a tie.
        neither: of the ties, those in which neither reaches the score.
        p, p_holm: two-sided, and corrected within the family. NaN where there is no test.
        test: which one, or why there is none.
        p_t, p_t_holm: of the paired t-test, which takes the differences for normal, on ``T_TESTED``
            from ``FEWEST_T`` seeds on; uncorrected, and corrected within the family. NaN elsewhere.
    """

    budget: str
    measure: str
    first: str
    second: str
    seeds: int
    difference: float
    low: float
    high: float
    median: float
    first_better: int
    second_better: int
    ties: int
    neither: int
    p: float
    test: str
    p_t: float
    p_holm: float = nan
    p_t_holm: float = nan


@dataclass(frozen=True)
class Penalty:
    """One entry of the pairwise penalty matrix: how often ``first`` beats ``second``.

    Attributes:
        budget, first, second: row and column of the matrix.
        share: of the ``n`` cycles, those in which ``first`` is significantly better than
            ``second``; 0 to 1, NaN where no cycle is tested.
        n: cycles tested.
    """

    budget: str
    first: str
    second: str
    share: float
    n: int


def seeds_needed(comparisons: int) -> int:
    """Fewest seeds with which one of so many comparisons can be significant after Holm.

    With n seeds the exact two-sided p is at least 2 / 2^n; Holm multiplies the smallest of m by m.
    """
    return max(FEWEST, floor(log2(2 * comparisons / LEVEL)) + 1)


@once
def compared(view: View) -> list[Comparison]:
    """All pairs of strategies of the budget of a view in every measure, as ``compare``."""
    return compare(summaries(view), view.fold_ratio)


def compare(numbers: Sequence[Summary], ratio: float = 0.0) -> list[Comparison]:
    """Compare all pairs of strategies of one budget, in the order they appear in, by measure.

    The pairs of a measure are a family of Holm's correction; a pair without a test is no member.
    Values that were not reached are compared by rank: reached is better, both not reached is a
    tie, and where an unfinished curve leaves it open it is a tie as well.

    Seeds: Wilcoxon's signed-rank test, exact also with ties and zeros (Pratt's ranks, all sign
    flips), from ``FEWEST`` pairs on. Folds: the t-test with the variance of Nadeau and Bengio
    (2003), 1 / n + n_test / n_train in place of 1 / n, from ``FEWEST_FOLDS`` pairs on; none where
    a value is not a number. A strategy without any value is listed with 0 pairs, if another has
    one.

    Args:
        numbers: one per strategy and seed, of any number of measures.
        ratio: ``View.fold_ratio``; 0 of seeds.
    """
    found: list[Comparison] = []
    for measure in dict.fromkeys(s.measure for s in numbers):
        table: dict[str, dict[int, Summary]] = {}
        for s in numbers:
            if s.measure == measure:
                own = table.setdefault(s.strategy, {})
                own |= {} if s.missing else {s.seed: s}
        if not any(table.values()):
            continue
        budget = numbers[0].budget
        pairs = [_pair(budget, measure, pair, table, ratio) for pair in combinations(table, 2)]
        exact, by_t = holm([c.p for c in pairs]), holm([c.p_t for c in pairs])
        corrected = zip(pairs, exact, by_t, strict=True)
        found += [replace(c, p_holm=p, p_t_holm=p_t) for c, p, p_t in corrected]
    return found


def _pair(
    budget: str,
    measure: str,
    names: tuple[str, str],
    table: Mapping[str, Mapping[int, Summary]],
    ratio: float,
) -> Comparison:
    first, second = (table[name] for name in names)
    both = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    d = _differences(both)
    numbers = all(isfinite(s.value) and not s.at_most for sides in both for s in sides)
    mean, half = interval(d, ratio) if numbers and both else (nan, nan)
    better = np.sign(d) * (1 if measure_of(measure).higher_better else -1)
    p, test = _test(d, numbers, ratio)
    by_t = numbers and measure in T_TESTED and len(d) >= FEWEST_T and not ratio
    with np.errstate(invalid="ignore"):  # between opposite infinities there is no middle
        median = float(np.median(d)) if len(d) else nan
    return Comparison(
        budget=budget,
        measure=measure,
        first=names[0],
        second=names[1],
        seeds=len(both),
        difference=mean,
        low=mean - half,
        high=mean + half,
        median=median,
        first_better=int((better > 0).sum()),
        second_better=int((better < 0).sum()),
        ties=int((better == 0).sum()),
        neither=sum(all(s.censored and not s.unfinished for s in sides) for sides in both),
        p=p,
        test=test,
        p_t=paired_t(d) if by_t else nan,
    )


def _differences(both: Sequence[tuple[Summary, Summary]]) -> np.ndarray:
    """Those of pairs, (n,), without the rounding error of their values, so that ties are ties."""
    size = max((abs(s.value) for pair in both for s in pair if isfinite(s.value)), default=0.0)
    digits = 11 - int(np.ceil(np.log10(size))) if size > 0 else 11
    return np.round(np.array([paired_difference(*pair) for pair in both], float), min(digits, 15))


def paired_difference(first: Summary, second: Summary) -> float:
    """``first`` minus ``second`` as far as it is certain.

    Infinite where one was not reached and the other was, 0 where neither was or where an
    unfinished curve, or a score that was there from the start, leaves the order open.
    """
    (low, high), (other_low, other_high) = first.bounds, second.bounds
    if high < other_low:
        return high - other_low
    return low - other_high if low > other_high else 0.0


def _test(d: np.ndarray, numbers: bool, ratio: float) -> tuple[float, str]:
    """p and the name of the test, or why there is none."""
    fewest, unit = (FEWEST_FOLDS, "folds") if ratio else (FEWEST, "seeds")
    if len(d) < fewest:
        return nan, f"none: fewer than {fewest} {unit}"
    if not ratio:
        return signed_rank(d), WILCOXON
    if not numbers:
        return nan, UNREACHED
    p = paired_t(d, ratio)
    return p, RESAMPLED if p == p else "none: the differences do not vary"


@once
def penalties(view: View) -> list[Penalty]:
    """The pairwise penalty matrix of a budget, row by row in the order of legends.

    As BADGE (Ash et al. 2020) and nnActive (Lüth et al. 2025) publish it: after each cycle the
    scores of two strategies are compared by a paired t-test over seeds, two-sided at 0.05, and
    entry (i, j) counts the cycles in which i beats j, over the cycles tested. The first cycle,
    which all share, is left out; nothing is corrected for the number of tests. Of folds the test
    has the corrected variance. A cycle in which two strategies share fewer seeds than ``FEWEST_T``
    (folds: ``FEWEST_FOLDS``) is not tested; differences that do not vary are not significant.

    Returns:
        an entry for each ordered pair; none where no cycle could be tested.
    """
    table: dict[str, dict[int, dict[int, float]]] = {}
    for c in seed_curves(view):
        for cycle, score in zip(c.cycle.tolist(), c.score.tolist(), strict=True):
            if cycle != SHARED_CYCLE:
                table.setdefault(c.strategy, {}).setdefault(cycle, {})[c.seed] = score
    entries = [_penalty(view, pair, table) for pair in permutations(table, 2)]
    return entries if any(entry.n for entry in entries) else []


def _penalty(
    view: View, names: tuple[str, str], table: Mapping[str, Mapping[int, Mapping[int, float]]]
) -> Penalty:
    """One entry, of scores by strategy, cycle and seed."""
    first, second = (table[name] for name in names)
    fewest = FEWEST_FOLDS if view.folds else FEWEST_T
    tested = []
    for cycle in sorted(first.keys() & second.keys()):
        own, other = first[cycle], second[cycle]
        if len(seeds := sorted(own.keys() & other.keys())) >= fewest:
            tested.append(np.array([own[seed] - other[seed] for seed in seeds]))
    won = sum(d.mean() > 0 and paired_t(d, view.fold_ratio) < LEVEL for d in tested)
    share = won / len(tested) if tested else nan
    return Penalty(view.budget, *names, share, len(tested))
