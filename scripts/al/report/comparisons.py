"""Strategies compared in pairs over seeds, with Holm's correction within a stated family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from math import inf, isfinite, nan

import numpy as np

from .statistics import fold_ratio, interval
from .summaries import Summary, measure_of, seed_curves
from .view import View

# The exact two-sided signed-rank test of n pairs goes down to 2 / 2^n: 0.0625 for 5, 0.03125 for 6.
FEWEST = 6
# The t-test of folds is made from the usual five on.
FEWEST_FOLDS = 5
WILCOXON = "exact Wilcoxon signed-rank test"
RESAMPLED = "corrected resampled t-test (Nadeau and Bengio)"
UNREACHED = "none: values not reached, and no corrected test by rank"
# Of more pairs with ties, random sign flips stand for all 2^n.
MOST_EXACT, FLIPS = 12, 9_999
FLIPPED = f"Wilcoxon signed-rank test with {FLIPS} random sign flips"
# The first cycle is the same model for all strategies.
SHARED_CYCLE = 1


@dataclass(frozen=True)
class Comparison:
    """Two strategies in one measure, paired over the seeds that both have.

    Attributes:
        budget, measure, first, second: what is compared.
        seeds: pairs.
        difference, low, high: mean of first - second and its 95 % t-interval (with the corrected
            variance for folds). NaN where a value is censored or infinite, or with one pair.
        p, p_holm: two-sided, and corrected within the family. NaN where there is no test.
        first_better, second_better, ties: pairs by who is better; a pair that censoring leaves
            open counts as a tie.
        test: which one, or why there is none.
        family: what Holm's correction runs over.
        median: of the differences, where one against ``not reached`` is infinite.
        run: the run.
        note: which seeds are in no pair, and why; empty if none.
    """

    budget: str
    measure: str
    first: str
    second: str
    seeds: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    first_better: int
    second_better: int
    ties: int
    test: str
    family: str
    median: float = nan
    run: str = ""
    note: str = ""


@dataclass(frozen=True)
class CycleDifference:
    """Mean of first - second after one cycle and its 95 % interval; no test, a description."""

    budget: str
    cycle: int
    first: str
    second: str
    seeds: int
    difference: float
    low: float
    high: float


def fewest_of(folds: bool) -> int:
    """Pairs from which on there is a test."""
    return FEWEST_FOLDS if folds else FEWEST


def smallest_possible(seeds: int, comparisons: int = 1) -> float:
    """Smallest p after Holm that the signed-rank test can give one of ``comparisons`` pairs.

    With n seeds the exact two-sided p is at least 2 / 2^n; Holm multiplies the smallest of m by m.
    """
    return min(1.0, comparisons * 2.0 / 2.0**seeds) if seeds else 1.0


def compare(
    summaries: Sequence[Summary],
    folds: bool = False,
    test_share: float | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Compare all pairs of strategies, in the order they appear in, by run, budget and measure.

    These pairs of one run, budget and measure are a family of Holm's correction. A pair that has
    no test is no member. Values that were not reached are compared by rank: reached is better,
    both not reached is a tie, and where an unfinished curve leaves it open it is a tie as well.

    Seeds: Wilcoxon's signed-rank test, exact also with ties and zeros (Pratt's ranks, all sign
    flips). Folds: the t-test with the variance of Nadeau and Bengio (2003), 1 / n + n_test /
    n_train in place of 1 / n, from ``FEWEST_FOLDS`` pairs on; none where a value is not a number.
    Seeds: from ``FEWEST`` pairs on. A seed of which one side has no value is in no pair, and the
    note says so; a strategy without any value is still listed, with 0 pairs, if another has one.

    Args:
        summaries: one number per strategy and seed, of any number of measures.
        folds: whether seed k holds out fold k of the same cases.
        test_share: share of the cases in a fold; 1 / (number of seeds found) if not given.
        seed: of the sign flips, where there are more than ``MOST_EXACT`` pairs with ties.

    Raises:
        ValueError: ``test_share`` is not between 0 and 1, or a seed has two values.
    """
    if test_share is not None and not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}, allowed is between 0 and 1")
    found: list[Comparison] = []
    for key in dict.fromkeys((s.run, s.budget, s.measure) for s in summaries):
        table = _by_strategy(s for s in summaries if (s.run, s.budget, s.measure) == key)
        with_value = {s.seed for own in table.values() for s in own.values() if not s.missing}
        if not with_value:
            continue
        ratio = _ratio(test_share, with_value) if folds else 0.0
        pairs = [
            _compare_pair(key, table, pair, folds, ratio, seed) for pair in combinations(table, 2)
        ]
        found += _with_family(pairs, key)
    return found


def by_cycle(view: View, test_share: float | None = None) -> list[CycleDifference]:
    """Mean paired difference in score after each cycle but the shared first; all pairs.

    Args:
        view: of one budget; for folds the interval has the corrected variance.
        test_share: as in ``compare``.
    """
    table: dict[str, dict[int, dict[int, float]]] = {}
    for c in seed_curves(view):
        scores = dict(zip(c.cycle.tolist(), c.score.tolist(), strict=True))
        table.setdefault(c.strategy, {})[c.seed] = scores
    cycles = sorted({c for own in table.values() for s in own.values() for c in s})
    ratio = _ratio(test_share, {s for own in table.values() for s in own}) if view.folds else 0.0
    found = []
    for first, second in combinations(table, 2):
        both = sorted(set(table[first]) & set(table[second]))
        for cycle in (c for c in cycles if c != SHARED_CYCLE):
            pairs = [(table[first][s].get(cycle), table[second][s].get(cycle)) for s in both]
            d = np.array([a - b for a, b in pairs if a is not None and b is not None])
            if len(d):
                ends = corrected_interval(d, ratio)
                found.append(CycleDifference(view.budget, cycle, first, second, len(d), *ends))
    return found


def corrected_interval(differences: np.ndarray, ratio: float) -> tuple[float, float, float]:
    """Mean, lower and upper end of its 95 % t-interval with the variance factor 1 / n + ``ratio``.

    Args:
        differences: (n,).
        ratio: cases tested on over cases trained on (Nadeau and Bengio 2003); 0 is the plain
            interval of independent values.

    Returns:
        Three NaN of no value, two for the ends of one.
    """
    if not len(differences):
        return nan, nan, nan
    mean, half = interval(differences, ratio)
    return mean, mean - half, mean + half


def signed_rank(differences: np.ndarray, seed: int = 0) -> float:
    """Exact two-sided p of Wilcoxon's signed-rank test, with Pratt's ranks for zeros and ties.

    Args:
        differences: (n,), infinite where one side has no value and is worse for it: their rank is
            above all others.
        seed: of the sign flips for more than ``MOST_EXACT`` differences with ties or zeros.
    """
    from scipy.stats import rankdata

    d = _by_rank(np.asarray(differences, float))
    return _signed_rank(tuple((np.sign(d) * rankdata(np.abs(d))).tolist()), seed)


@lru_cache(maxsize=4096)
def _signed_rank(ranks: tuple[float, ...], seed: int) -> float:
    """The same of signed ranks, of which few seeds have few kinds; zeros are 0."""
    from scipy.stats import PermutationMethod, wilcoxon

    if not any(ranks):
        return 1.0
    method: object = "exact"
    if _tied(ranks):
        flips = 2 ** len(ranks) if len(ranks) <= MOST_EXACT else FLIPS
        method = PermutationMethod(n_resamples=flips, rng=np.random.default_rng(seed))
    return float(wilcoxon(ranks, zero_method="pratt", method=method).pvalue)


def _tied(differences: Iterable[float]) -> bool:
    """Whether there are ties or zeros: scipy's ``exact`` is for neither."""
    sizes = np.abs(np.array(list(differences)))
    return not sizes.all() or len(np.unique(sizes)) < len(sizes)


def resampled_t(differences: np.ndarray, ratio: float) -> float:
    """Two-sided p of the corrected resampled t-test, n - 1 degrees of freedom.

    NaN where the differences do not vary, unless all are 0.
    """
    from scipy.stats import t

    n, mean = len(differences), float(np.mean(differences))
    se = float(np.std(differences, ddof=1)) * float(np.sqrt(1 / n + ratio))
    if se <= 1e-12 * max(1.0, abs(mean)):
        return 1.0 if abs(mean) <= 1e-12 else nan
    return float(2 * t.sf(abs(mean) / se, n - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction over the p that are numbers; NaN stays NaN and does not count."""
    from statsmodels.stats.multitest import multipletests

    values = np.array(p, float)
    tested = np.isfinite(values)
    if tested.any():
        values[tested] = multipletests(values[tested], method="holm")[1]
    return values.tolist()


def paired_difference(first: Summary, second: Summary) -> float:
    """``first`` minus ``second`` as far as it is certain.

    Infinite where one was not reached and the other was, 0 where neither was or where an
    unfinished curve, or a score that was there from the start, leaves the order open.
    """
    (low, high), (other_low, other_high) = _range(first), _range(second)
    if high < other_low:
        return high - other_low
    return low - other_high if low > other_high else 0.0


def _range(s: Summary) -> tuple[float, float]:
    """Between which numbers the true one lies."""
    if s.censored:
        return (s.ended if s.ended == s.ended else inf), inf
    return (-inf if s.at_most else s.value), s.value


def _by_strategy(summaries: Iterable[Summary]) -> dict[str, dict[int, Summary]]:
    table: dict[str, dict[int, Summary]] = {}
    for s in summaries:
        own = table.setdefault(s.strategy, {})
        if s.seed in own:
            raise ValueError(f"{s.budget}, {s.measure}: two values of {s.strategy}, seed {s.seed}")
        own[s.seed] = s
    return table


def _ratio(test_share: float | None, seeds: set[int]) -> float:
    """Cases tested on over cases trained on."""
    return fold_ratio(test_share if test_share is not None else 1 / max(2, len(seeds)))


def _rounded(values: np.ndarray, size: float) -> np.ndarray:
    """Differences without the rounding error of values of ``size``, so that ties are ties."""
    digits = 11 - int(np.ceil(np.log10(size))) if size > 0 else 11
    return np.round(values, min(digits, 15))


def _by_rank(d: np.ndarray) -> np.ndarray:
    """Infinite differences made larger than all finite ones."""
    finite = np.abs(d[np.isfinite(d)])
    beyond = (finite.max() if len(finite) else 0.0) + 1
    return np.where(np.isfinite(d), d, np.sign(d) * beyond)


def _compare_pair(
    key: tuple[str, str, str],
    table: dict[str, dict[int, Summary]],
    pair: tuple[str, str],
    folds: bool,
    ratio: float,
    seed: int,
) -> Comparison:
    run, budget, measure = key
    first, second = (table[name] for name in pair)
    either = sorted(set(first) | set(second))
    both = [s for s in either if not _lacking(s, first, second)]
    values = [v for s in both for v in (first[s].value, second[s].value) if isfinite(v)]
    raw = np.array([paired_difference(first[s], second[s]) for s in both], float)
    d = _rounded(raw, max(map(abs, values), default=0.0))
    numbers = all(_is_number(x[s]) for s in both for x in (first, second))
    better = np.sign(d) * (1 if measure_of(measure).higher_better else -1)
    p, test = _test(d, numbers, folds, ratio, seed)
    return Comparison(
        budget,
        measure,
        *pair,
        len(both),
        *(corrected_interval(d, ratio) if numbers else (nan, nan, nan)),
        p,
        nan,
        int((better > 0).sum()),
        int((better < 0).sum()),
        int((better == 0).sum()),
        test,
        "",
        _median(d),
        run,
        _unpaired(either, table, pair, "fold" if folds else "seed"),
    )


def _lacking(seed: int, *sides: dict[int, Summary]) -> list[int]:
    """Places of the sides that have no value of a seed."""
    return [i for i, own in enumerate(sides) if seed not in own or own[seed].missing]


def _unpaired(
    seeds: Sequence[int],
    table: dict[str, dict[int, Summary]],
    pair: tuple[str, str],
    unit: str,
) -> str:
    """How many of ``seeds`` are in a pair, and what the others lack; empty if all are."""
    lost: dict[tuple[str, str], list[int]] = {}
    sides = [table[name] for name in pair]
    for k in seeds:
        for i in _lacking(k, *sides):
            reason = (sides[i][k].note if k in sides[i] else "no results") or "no value"
            lost.setdefault((pair[i], reason), []).append(k)
    if not lost:
        return ""
    paired = len(set(seeds) - {k for own in lost.values() for k in own})
    said = [
        f"{name}, {unit}{'s' * (len(own) > 1)} {', '.join(map(str, own))}: {reason}"
        for (name, reason), own in lost.items()
    ]
    return f"{paired} of {len(seeds)} {unit}s paired; {'; '.join(said)}"


def _is_number(s: Summary) -> bool:
    return isfinite(s.value) and not s.at_most


def _median(d: np.ndarray) -> float:
    """Median; of an infinite and a finite middle, or of opposite infinite ones, NaN."""
    if not len(d):
        return nan
    middle = np.sort(d)[[(len(d) - 1) // 2, len(d) // 2]]
    if middle[0] == middle[1]:
        return float(middle[0])
    return float(middle.mean()) if np.isfinite(middle).all() else nan


def _test(d: np.ndarray, numbers: bool, folds: bool, ratio: float, seed: int) -> tuple[float, str]:
    """p and the name of the test, or why there is none."""
    if len(d) < fewest_of(folds):
        return nan, f"none: fewer than {fewest_of(folds)} {'folds' if folds else 'seeds'}"
    if not folds:
        random = len(d) > MOST_EXACT and _tied(_by_rank(d))
        return signed_rank(d, seed), FLIPPED if random else WILCOXON
    if not numbers:
        return nan, UNREACHED
    p = resampled_t(d, ratio)
    return p, RESAMPLED if p == p else "none: the differences do not vary"


def _with_family(pairs: list[Comparison], key: tuple[str, str, str]) -> list[Comparison]:
    """Correct the p of the pairs of one family, and state it."""
    _, budget, measure = key
    names = {name for c in pairs for name in (c.first, c.second)}
    tested = sum(c.p == c.p for c in pairs)
    text = f"{len(pairs)} pairs of {len(names)} strategies"
    if len(pairs) == 1:
        text = "1 pair of strategies"
    text += f" in {measure_of(measure).label}, budget {budget}"
    if 0 < tested < len(pairs):
        text += f", of which {tested} have a test"
    adjusted = holm([c.p for c in pairs])
    return [replace(c, p_holm=p, family=text) for c, p in zip(pairs, adjusted, strict=True)]
