"""Foreground efficiency against exact curves and a search over a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.curves import Point
from al.report.efficiency import (
    efficiency_by_seed,
    efficiency_by_strategy,
    efficiency_rows,
    fit_efficiency,
)
from al.report.view import View


def _curve(x: np.ndarray, b: float, a: float = 0.5, c: float = 0.8) -> np.ndarray:
    return c - a * np.exp(-b * (x - x.min()))


@pytest.mark.parametrize("b", [0.05, 17.5, 3000.0])
def test_an_exact_curve_gives_its_decay(b: float) -> None:
    x = np.linspace(0.001, 0.011, 6)
    fit = fit_efficiency(x, _curve(x, b), 0.8)
    assert fit.b == pytest.approx(b, rel=1e-6)
    assert (fit.a, fit.c, fit.x0, fit.points) == (pytest.approx(0.5), 0.8, 0.001, 6)
    assert fit.note == ""


def _grid_search(x: np.ndarray, y: np.ndarray, full: float) -> float:
    """Independent and slow: the b of the smallest squared error, refined ten times."""
    start = y[x == x.min()].mean()
    low, high = 0.0, 40 / (x.max() - x.min())
    for _ in range(10):
        grid = np.linspace(low, high, 4001)
        curves = full - (full - start) * np.exp(-grid[:, None] * (x - x.min()))
        at = int(np.argmin(((curves - y) ** 2).sum(axis=1)))
        low, high = grid[max(0, at - 1)], grid[min(4000, at + 1)]
    return float(grid[at])


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000))
def test_noisy_curves_against_a_grid_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = 0.01 + np.cumsum(rng.uniform(0.005, 0.02, 8))
    y = _curve(x, rng.uniform(5, 60)) + rng.normal(0, 0.01, 8)
    assert fit_efficiency(x, y, 0.8).b == pytest.approx(_grid_search(x, y, 0.8), rel=1e-4)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-0.3, 0.3))
def test_scale_of_the_cost_and_shift_of_the_scores(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.01, 0.2, 6))
    y = _curve(x, 20) + rng.normal(0, 0.01, 6)
    b = fit_efficiency(x, y, 0.8).b
    assert fit_efficiency(x * scale, y, 0.8).b * scale == pytest.approx(b, rel=1e-5)
    assert fit_efficiency(x, y + shift, 0.8 + shift).b == pytest.approx(b, rel=1e-5)
    order = rng.permutation(6)
    assert fit_efficiency(x[order], y[order], 0.8).b == pytest.approx(b, rel=1e-6)


def test_constant_and_falling_scores_have_no_decay() -> None:
    x = np.array([0.1, 0.2, 0.3])
    for y in ([0.4, 0.4, 0.4], [0.4, 0.3, 0.2]):
        fit = fit_efficiency(x, np.array(y), 0.8)
        assert fit.b == 0.0 and "lower bound" in fit.note


def test_scores_above_full_annotation() -> None:
    x = np.array([0.1, 0.2, 0.3])
    fit = fit_efficiency(x, np.array([0.9, 0.95, 0.99]), 0.8)
    assert math.isnan(fit.b) and "no gap to close" in fit.note
    fit = fit_efficiency(x, np.array([0.8, 0.7, 0.9]), 0.8)
    assert math.isnan(fit.b), "the gap is 0"
    fit = fit_efficiency(x, np.array([0.4, 0.85, 0.9]), 0.8)
    assert fit.b == math.inf and "no upper bound" in fit.note
    fit = fit_efficiency(x, np.array([0.4, 0.79, 0.81]), 0.8)
    assert math.isfinite(fit.b), "one score above is no reason"


def test_nothing_to_fit() -> None:
    for x in ([0.1], [0.1, 0.1]):
        fit = fit_efficiency(np.array(x), np.full(len(x), 0.4), 0.8)
        assert math.isnan(fit.b) and "single share" in fit.note
    fit = fit_efficiency(np.array([0.1, 0.2]), np.array([0.3, 0.4]), math.nan)
    assert math.isnan(fit.b) and "no reference" in fit.note
    with pytest.raises(ValueError, match=r"x is \(2,\) and y is \(1,\)"):
        fit_efficiency(np.array([0.1, 0.2]), np.array([0.3]), 0.8)


def _point(name: str, seed: int, cycle: int, score: float, percent: float | None) -> Point:
    costs = {"area_percent": float(cycle)}
    costs |= {} if percent is None else {"foreground_percent": percent}
    return Point("run", "2x3", name, seed, cycle, "3d", "mean Dice", score, costs, {})


def test_fits_of_a_view_are_per_share_and_have_a_common_start() -> None:
    points = [_point("full", 0, 0, 0.8, 100.0)]
    for seed, start in ((0, 0.4), (1, 0.2)):
        gap = 0.8 - start
        for name, b in (("random", 10.0), ("decomp", 30.0)):
            for cycle, percent in ((1, 1.0), (2, 3.0), (3, 8.0)):
                score = 0.8 - gap * math.exp(-b * (percent - 1) / 100)
                points.append(_point(name, seed, cycle, score, percent))
    # Its first cycle is missing: the start is known from the other strategy.
    lost = [p for p in points if (p.strategy, p.seed, p.cycle) != ("decomp", 1, 1)]
    for given_points in (points, lost):
        view = View(given_points, "2x3", "area_percent", ["random", "decomp"], {}, [])
        fits = efficiency_by_seed(view)
        assert fits["random", 0].b == pytest.approx(10)
        assert fits["decomp", 0].b == pytest.approx(30)
        assert fits["decomp", 1].b == pytest.approx(30)
        assert fits["decomp", 1].a == pytest.approx(0.6)
    fits = efficiency_by_strategy(View(points, "2x3", "area_percent", [], {}, []))
    assert fits["random"].points == 6 and fits["random"].a == pytest.approx(0.5)
    x = np.array([0.01, 0.03, 0.08] * 2)
    y = np.array([p.score for p in points if p.strategy == "decomp"])
    assert fits["decomp"].b == pytest.approx(_grid_search(x, y, 0.8), rel=1e-5)


def test_rows_are_the_fits_of_strategies_in_the_order_of_legends() -> None:
    points = [_point("full", 0, 0, 0.8, 100.0)]
    # idle never annotates foreground, so that all its scores are at the start, x = 0.
    for seed in (0, 1):
        for cycle, score in ((1, 0.4), (2, 0.6)):
            points.append(_point("decomp", seed, cycle, score, 10.0 * (cycle - 1)))
            points.append(_point("idle", seed, cycle, score, 0.0))
    view = View(points, "2x3", "area_percent", ["idle", "decomp"], {}, [])
    idle, decomp = efficiency_rows(view)
    assert list(idle) == ["budget", "strategy", "b", "a", "c", "x0", "points", "note"]
    assert (decomp["budget"], decomp["strategy"], decomp["points"]) == ("2x3", "decomp", 4)
    # The mean at x = 0 is (4 * 0.4 + 2 * 0.6) / 6 = 0.8 - 1 / 3; at x = 0.1 the gap is 0.2.
    assert decomp["b"] == pytest.approx(math.log(5 / 3) / 0.1)
    assert (decomp["a"], decomp["c"], decomp["x0"]) == (pytest.approx(1 / 3), 0.8, 0.0)
    assert idle["strategy"] == "idle" and math.isnan(idle["b"])
    assert "single share of the foreground" in idle["note"]
    unknown = [_point("random", 0, c, 0.3 + 0.1 * c, None) for c in (1, 2)]
    assert efficiency_rows(View(unknown, "2x3", "area_percent", [], {}, [])) == []
