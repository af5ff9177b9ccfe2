"""Means, intervals and costs read off learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def fold_ratio(test_share: float) -> float:
    """Cases tested on over cases trained on, of the share that is tested on.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}, allowed is between 0 and 1")
    return test_share / (1 - test_share)


def interval(values: np.ndarray, ratio: float = 0.0) -> tuple[float, float]:
    """Mean of (S,) values and half the width of its 95 % t-interval (NaN for one value).

    ``ratio``: of ``fold_ratio``, for folds: the variance of the mean has the factor 1 / S + ratio
    in place of 1 / S (Nadeau and Bengio 2003), as the folds' training sets overlap.
    """
    from scipy.stats import t

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) * np.sqrt(1 / len(values) + ratio)
    return float(values.mean()), float(half)


def band(curves: Sequence[Curve], ratio: float = 0.0) -> Band:
    """Average the curves of one strategy cycle by cycle, over the seeds that have the cycle.

    ``ratio``: as in ``interval``.
    """
    cycles = np.unique(np.concatenate([c.cycle for c in curves]))
    x, mean, half, seeds = [], [], [], []
    for cycle in cycles:
        at = [(c.x[c.cycle == cycle], c.score[c.cycle == cycle]) for c in curves]
        x.append(float(np.concatenate([a for a, _ in at]).mean()))
        scores = np.concatenate([s for _, s in at])
        centre, width = interval(scores, ratio)
        mean.append(centre)
        half.append(width)
        seeds.append(len(scores))
    centre, width = np.array(mean), np.array(half)
    return Band(cycles, np.array(x), centre, centre - width, centre + width, np.array(seeds))


def cost_to_reach(curve: Curve, threshold: float) -> float:
    """Cost at which a curve reaches ``threshold``; NaN if it never does.

    The curve is first made monotone by isotonic regression, so that one lucky cycle is not taken
    for having reached the score (a running maximum would do that), then read off linearly between
    cycles. Nothing is extrapolated: a curve that starts above the threshold has its first cost.
    """
    from sklearn.isotonic import isotonic_regression

    score = np.asarray(isotonic_regression(curve.score), float)
    above = np.flatnonzero(score >= threshold - 1e-12)
    if not len(above):
        return float("nan")
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
        return float("nan")
    inside = (curve.x > low) & (curve.x < high)
    x = np.concatenate([[low], curve.x[inside], [high]])
    ends = np.interp([low, high], curve.x, curve.score)
    y = np.concatenate([ends[:1], curve.score[inside], ends[1:]])
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / (high - low))
