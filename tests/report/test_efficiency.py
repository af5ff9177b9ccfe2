"""Foreground efficiency against exact curves and against scipy from many starts."""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.efficiency import Fit, efficiency_fits, efficiency_rows, fit_efficiency

from .curve_sample import point, view


def _curve(x: np.ndarray, b: float, a: float = 0.5, c: float = 0.8) -> np.ndarray:
    return c - a * np.exp(-b * (x - x.min()))


def _fit(x: np.ndarray, y: np.ndarray, full: float) -> Fit:
    """Of one strategy alone."""
    return fit_efficiency(x, y, full, float(x.min()), float(y[x == x.min()].mean()))


@pytest.mark.parametrize("b", [-200.0, -0.7, 0.05, 17.5, 3000.0])
def test_an_exact_curve_gives_its_decay(b: float) -> None:
    x = np.linspace(0.001, 0.011, 6)
    fit = _fit(x, _curve(x, b), 0.8)
    assert fit.b == pytest.approx(b, rel=1e-6) and bool(fit.note) == (b < 0)
    assert (fit.a, fit.c, fit.x0, fit.points) == (pytest.approx(0.5), 0.8, 0.001, 6)


def _by_scipy(x: np.ndarray, y: np.ndarray, full: float) -> tuple[float, float]:
    """Independent and slow: the best b of nnActive's ``curve_fit`` from many starts; its error."""
    from scipy.optimize import OptimizeWarning, curve_fit

    start, low = y[x == x.min()].mean(), x.min()

    def curve(at: np.ndarray, b: float) -> np.ndarray:
        return full - (full - start) * np.exp(np.clip(-b * (at - low), None, 700))

    found = []
    for first in (-300, -100, -30, -10, -1, 0.1, 1, 10, 30, 100, 300, 1000):
        with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
            warnings.simplefilter("ignore", OptimizeWarning)
            (b,), _ = curve_fit(curve, x, y, p0=first, ftol=1e-14, xtol=1e-14, maxfev=5000)
            found.append((float(((curve(x, b) - y) ** 2).sum()), float(b)))
    error, best = min(found)
    return best, error


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-0.3, 0.3), st.floats(-40, 60))
def test_noisy_curves_against_scipy(seed: int, scale: float, shift: float, decay: float) -> None:
    """Whatever the order of the points, the scale of the cost and the height of the scores."""
    rng = np.random.default_rng(seed)
    x = 0.01 + np.cumsum(rng.uniform(0.002, 0.01, 8))
    y = _curve(x, decay) + rng.normal(0, 0.01, 8)
    b, error = _by_scipy(x, y, 0.8)
    order = rng.permutation(8)
    found = _fit(x[order] * scale, y[order] + shift, 0.8 + shift).b * scale
    left = 0.8 - (0.8 - y[0]) * np.exp(-found * (x - x.min()))
    assert ((left - y) ** 2).sum() <= error + 1e-12
    assert found == pytest.approx(b, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "full", "b", "said"),
    [
        ([0.1, 0.2, 0.3], [0.9, 0.95, 0.99], 0.8, math.nan, "no gap to close"),
        ([0.1, 0.2, 0.3], [0.4, 0.85, 0.9], 0.8, math.inf, "no upper bound"),
        ([0.1, 0.1], [0.4, 0.4], 0.8, math.nan, "single share"),
        ([0.1, 0.2], [0.3, 0.4], math.nan, math.nan, "no reference"),
    ],
)
def test_without_a_decay_it_says_why(x: list, y: list, full: float, b: float, said: str) -> None:
    fit = _fit(np.array(x), np.array(y), full)
    assert fit.b == pytest.approx(b, nan_ok=True) and said in fit.note


def _points(name: str, seed: int, scores: dict[float, float]) -> list[Any]:
    """By percent of the foreground; the first is cycle 1."""
    return [
        point(
            name, seed, cycle, score, costs={"area_percent": cycle, "foreground_percent": percent}
        )
        for cycle, (percent, score) in enumerate(scores.items(), 1)
    ]


def test_fits_of_a_view_are_per_share_and_have_a_common_start() -> None:
    points = [point("full", 0, 0, 0.8)]
    for seed, gap in ((0, 0.4), (1, 0.6)):
        for name, b in (("random", 10.0), ("decomp", 30.0)):
            scores = {p: 0.8 - gap * math.exp(-b * (p - 1) / 100) for p in (1.0, 3.0, 8.0)}
            points += _points(name, seed, scores)
    # Where its first cycle is missing, the start is known from the other strategy.
    lost = [p for p in points if (p.strategy, p.seed, p.cycle) != ("decomp", 1, 1)]
    for held in (points, lost):
        fits = [efficiency_fits(view(held), seed) for seed in (0, 1)]
        assert fits[0]["random"].b == pytest.approx(10)
        assert (fits[0]["decomp"].b, fits[1]["decomp"].b) == pytest.approx((30, 30))
        assert fits[1]["decomp"].a == pytest.approx(0.6)


def test_rows_are_the_fits_of_strategies_in_the_order_of_legends() -> None:
    points = [point("full", 0, 0, 0.8)]
    for seed in (0, 1):
        points += _points("decomp", seed, {0.0: 0.4, 10.0: 0.6})
        # idle never annotates foreground, so that all its scores are at the start, x = 0.
        points += _points("idle", seed, {0.0: 0.4}) + [
            point("idle", seed, 2, 0.6, costs={"area_percent": 2.0, "foreground_percent": 0.0})
        ]
    idle, decomp = efficiency_rows(view(points, known=["idle", "decomp"]))
    assert (decomp["budget"], decomp["strategy"], decomp["points"]) == ("2x3", "decomp", 4)
    # The mean at x = 0 is (4 * 0.4 + 2 * 0.6) / 6 = 0.8 - 1 / 3; at x = 0.1 the gap is 0.2.
    assert decomp["b"] == pytest.approx(math.log(5 / 3) / 0.1)
    assert (decomp["a"], decomp["c"], decomp["x0"]) == (pytest.approx(1 / 3), 0.8, 0.0)
    assert idle["strategy"] == "idle" and math.isnan(idle["b"]) and "single share" in idle["note"]
    assert efficiency_rows(view([point("random", 0, c, 0.3) for c in (1, 2)])) == []
