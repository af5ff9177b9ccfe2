"""Means, intervals, reach and area against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from al.report.curves import Curve
from al.report.statistics import (
    band,
    common_range,
    cost_to_reach,
    fold_ratio,
    interval,
    mean_height,
)


def _curve(x: list[float], score: list[float], seed: int = 0) -> Curve:
    cycles = np.arange(1, 1 + len(x))
    return Curve("s", seed, cycles, np.array(x, float), np.array(score, float))


def test_intervals() -> None:
    # sd = 1, t(0.975, 2) = 4.302653: half = 4.302653 / sqrt(3)
    assert interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2.484138), abs=1e-6)
    # A tenth is tested on, nine tenths trained on: 1/3 + 1/9 in place of 1/3.
    found = interval(np.array([1.0, 2.0, 3.0]), fold_ratio(0.1))
    assert found == pytest.approx((2, 4.302653 * (4 / 9) ** 0.5), abs=1e-6)
    folds = band([_curve([1], [v], seed=i) for i, v in enumerate((1.0, 2.0, 3.0))], 1 / 9)
    assert folds.high[0] - 2 == pytest.approx(found[1])
    assert math.isnan(interval(np.array([0.4]), 0.25)[1])
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="allowed is between 0 and 1"):
            fold_ratio(share)


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
        ([3], [0.5], 0.5, 3.0),
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
    assert mean_height(curves[1], 5, 15) == pytest.approx(0.2)
    assert math.isnan(mean_height(curves[0], 15, 15))
