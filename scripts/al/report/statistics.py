"""Means, intervals, tests, ranks, and costs read off learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from .curves import Curve


@dataclass(frozen=True)
class Band:
    """Mean curve of a strategy over its seeds; every array is (K,), one value per cycle.

    ``low`` and ``high`` bound the 95 % t-interval of the mean and are NaN where only one seed has
    the cycle; ``seeds`` says how many have it.
    """

    cycle: np.ndarray
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: np.ndarray


def interval(values: np.ndarray, ratio: float = 0.0) -> tuple[float, float]:
    """Mean of (S,) values and half the width of its 95 % t-interval (NaN for one value).

    ``ratio``: for folds, cases tested on over cases trained on: the variance of the mean has the
    factor 1 / S + ratio in place of 1 / S (Nadeau and Bengio 2003), as training sets overlap.
    """
    from scipy.special import stdtrit  # the quantile of scipy.stats.t, which imports far longer

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), nan
    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) * np.sqrt(1 / len(values) + ratio)
    return float(values.mean()), float(half)


def band(curves: Sequence[Curve], ratio: float = 0.0) -> Band:
    """Average the curves of one strategy cycle by cycle, over the seeds that have the cycle.

    ``ratio``: as in ``interval``.
    """
    cycles = np.unique(np.concatenate([c.cycle for c in curves]))
    x, scores = np.full((2, len(cycles), len(curves)), nan)
    for seed, c in enumerate(curves):
        rows = np.searchsorted(cycles, c.cycle)
        x[rows, seed], scores[rows, seed] = c.x, c.score
    there = ~np.isnan(scores)
    means = np.array([row[own].mean() for row, own in zip(x, there, strict=True)])
    centre, half = np.array(
        [interval(row[own], ratio) for row, own in zip(scores, there, strict=True)]
    ).T
    return Band(cycles, means, centre, centre - half, centre + half, there.sum(axis=1))


def mean_ranks_of(values: np.ndarray) -> np.ndarray:
    """Ranks of (N,) values from 1, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def signed_rank(differences: np.ndarray) -> float:
    """Exact two-sided p of Wilcoxon's signed-rank test, with Pratt's ranks for zeros and ties.

    The sum of the positive ranks is laid against that of all sign flips, however many.

    Args:
        differences: (n,), infinite where one side has no value and is worse for it: their rank is
            above all others.
    """
    d = np.asarray(differences, float)
    d = np.clip(d, *np.array([-1, 1]) * (1 + np.abs(d[np.isfinite(d)]).max(initial=0.0)))
    doubled = np.rint(2 * mean_ranks_of(np.abs(d))).astype(int)  # ranks of ties end in a half
    chances = np.ones(1)  # of each sum of positive ranks, half of the flips having a rank in it
    for rank in doubled[d != 0]:
        step = np.zeros(rank + 1)
        step[[0, rank]] = 0.5
        chances = np.convolve(chances, step)
    at = int(doubled[d > 0].sum())
    return float(min(1.0, 2 * min(chances[at:].sum(), chances[: at + 1].sum())))


def paired_t(differences: np.ndarray, ratio: float = 0.0) -> float:
    """Two-sided p of the paired t-test on (n,) differences, n > 1, n - 1 degrees of freedom.

    NaN where the differences do not vary, unless all are 0. ``ratio``: as in ``interval``, the
    corrected resampled t-test.
    """
    from scipy.special import stdtr

    n, mean = len(differences), float(np.mean(differences))
    se = float(np.std(differences, ddof=1)) * float(np.sqrt(1 / n + ratio))
    if se <= 1e-12 * max(1.0, abs(mean)):
        return 1.0 if abs(mean) <= 1e-12 else nan
    return float(2 * stdtr(n - 1, -abs(mean) / se))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction over the p that are numbers; NaN stays NaN and does not count."""
    corrected, largest = [nan] * len(p), 0.0
    order = sorted((i for i, v in enumerate(p) if isfinite(v)), key=lambda i: p[i])
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p[i]))
        corrected[i] = largest
    return corrected


def monotone(score: np.ndarray) -> np.ndarray:
    """The non-decreasing values nearest to (K,) scores: isotonic regression in squared error.

    Adjacent violators are pooled. scikit-learn has the same, and takes seconds to import.
    """
    pools: list[tuple[float, int]] = []  # mean and length
    for value in np.asarray(score, float).tolist():
        mean, n = value, 1
        while pools and pools[-1][0] >= mean:
            before, m = pools.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    return np.repeat([mean for mean, _ in pools], [n for _, n in pools])


def cost_to_reach(curve: Curve, threshold: float) -> float:
    """Cost at which a curve reaches ``threshold``; NaN if it never does.

    The curve is first made monotone by isotonic regression, so that one lucky cycle is not taken
    for having reached the score (a running maximum would do that), then read off linearly between
    cycles. Nothing is extrapolated: a curve that starts above the threshold has its first cost.
    """
    score = monotone(curve.score)
    above = np.flatnonzero(score >= threshold - 1e-12)
    if not len(above):
        return nan
    i = int(above[0])
    if i == 0:
        return float(curve.x[0])
    part = min(1.0, (threshold - score[i - 1]) / (score[i] - score[i - 1]))
    return float(curve.x[i - 1] + part * (curve.x[i] - curve.x[i - 1]))


def common_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Costs that all curves span; the first is not below the second where they span none."""
    return max(float(c.x[0]) for c in curves), min(float(c.x[-1]) for c in curves)


def mean_height(curve: Curve, low: float, high: float) -> float:
    """Area under the piecewise linear curve from ``low`` to ``high``, over their distance.

    NaN where ``low >= high``.
    """
    if low >= high:
        return nan
    inside = (curve.x > low) & (curve.x < high)
    x = np.concatenate([[low], curve.x[inside], [high]])
    ends = np.interp([low, high], curve.x, curve.score)
    y = np.concatenate([ends[:1], curve.score[inside], ends[1:]])
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / (high - low))
