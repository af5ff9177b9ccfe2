"""Foreground efficiency: how fast a strategy closes the gap to full annotation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from al.paths import INITIAL, REFERENCES

from .curves import Point
from .view import View

FOREGROUND = "foreground_percent"
# Scores of 0..1 and sums of their squared errors closer than this are equal.
EQUAL = 1e-12


@dataclass(frozen=True)
class Fit:
    """One curve y = c - a exp(-b (x - x0)).

    Attributes:
        b: foreground efficiency, per unit of x, where x = 1 is all foreground of the pool: with
            b = 100 each percent of the foreground divides the gap by e. At least 0; infinite
            where the scores leave it without an upper bound; NaN where there is no fit.
        a: gap to full annotation at ``x0``; NaN where there is no fit.
        c: mean score of full annotation.
        x0: smallest share of the foreground annotated, 0 to 1.
        points: how many scores were fitted.
        note: why there is no fit, or what is to be known of it; empty otherwise.
    """

    b: float
    a: float
    c: float
    x0: float
    points: int
    note: str = ""


def fit_efficiency(
    x: np.ndarray, y: np.ndarray, full: float, start: tuple[float, float] | None = None
) -> Fit:
    """Fit b >= 0 of y = c - a exp(-b (x - x0)) by least squares; a, c and x0 are given.

    Foreground efficiency of nnActive (Lüth et al. 2025): c is the score of full annotation with
    the same trainer, x0 the smallest x, a = c minus the mean score there. Percentages are taken
    as shares, as in their code, so that b compares with the published figures.

    Args:
        x: share of the foreground of the pool that was annotated, (K,), 0 to 1.
        y: scores, (K,).
        full: mean score of full annotation.
        start: x0 and the mean score there; the smallest x of ``x`` if not given.

    Raises:
        ValueError: ``x`` and ``y`` differ in shape, or are empty.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"x is {x.shape} and y is {y.shape}, allowed is (K,) for both, K > 0")
    x0, y0 = start or (float(x.min()), float(y[x == x.min()].mean()))
    a = full - y0
    nan = float("nan")
    span = float((x - x0).max())
    if full != full:
        return Fit(nan, nan, full, x0, len(x), "no reference of full annotation")
    if a <= EQUAL:
        why = f"starts at {y0:.3g}, not below full annotation ({full:.3g}): no gap to close"
        return Fit(nan, a, full, x0, len(x), why)
    if span <= 0:
        return Fit(nan, a, full, x0, len(x), "a single share of the foreground: nothing to fit")
    b, note = _decay((x - x0) / span, (y - full) / a)
    return Fit(b / span, a, full, x0, len(x), note)


def _decay(z: np.ndarray, gap: np.ndarray) -> tuple[float, str]:
    """Fit -exp(-b z), b >= 0, to ``gap``; z from 0 to 1. Of several minima the deepest."""
    from scipy.optimize import least_squares

    def off(b: np.ndarray) -> np.ndarray:
        return gap + np.exp(-b[0] * z)

    def error(b: float) -> float:
        return float(np.sum(off(np.array([b])) ** 2))

    # From no decay at all to one that is over before the second z.
    grid = np.concatenate([[0], np.geomspace(1e-4, 50 / z[z > 0].min(), 400)])
    at = int(np.argmin([error(b) for b in grid]))
    low, high = grid[max(0, at - 1)], grid[min(len(grid) - 1, at + 1)]
    exact = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    found = least_squares(off, [(low + high) / 2], bounds=([low], [high]), **exact)
    best = float(min([grid[at], found.x[0]], key=error))
    at_once = float(np.sum((gap + (z == 0)) ** 2))
    if error(0.0) <= error(best) + EQUAL:
        return 0.0, "does not come closer to full annotation: b is 0, its lower bound"
    if at_once <= error(best) + EQUAL:
        return float(
            "inf"
        ), "the best fit is at full annotation right after the start: no upper bound"
    return best, ""


def efficiency_by_strategy(view: View) -> dict[str, Fit]:
    """One fit per strategy of the budget, over the scores of all its seeds.

    x0 and a are those of all strategies together, as in nnActive: they share their start.
    """
    return _fits(view, lambda p: "", lambda p: p.strategy)


def efficiency_rows(view: View) -> list[dict[str, Any]]:
    """Foreground efficiency of each strategy of the budget, over all its seeds, as table rows.

    Keys ``budget``, ``strategy`` and those of ``Fit``, in the order of legends. ``b`` is NaN where
    ``note`` says why there is no fit, and infinite where it has no upper bound. No row of budgets
    where no point knows its cost in foreground.
    """
    fits = efficiency_by_strategy(view)
    if not any(fit.points for fit in fits.values()):
        return []
    head = {"budget": view.budget}
    return [{**head, "strategy": n, **asdict(fits[n])} for n in view.order(fits)]


def efficiency_by_seed(view: View) -> dict[tuple[str, int], Fit]:
    """One fit per strategy and seed of the budget; x0 and a are the seed's, of all strategies."""
    return _fits(view, lambda p: p.seed, lambda p: (p.strategy, p.seed))


def _fits(view: View, group: Callable[[Point], Hashable], key: Callable[[Point], Hashable]) -> dict:
    """Fit what has the same ``key``; what has the same ``group`` shares its start."""
    others = (INITIAL, *REFERENCES)
    mine = [p for p in view.points if p.budget == view.budget and p.strategy not in others]
    full, nan = view.full(), float("nan")
    fits: dict[Hashable, Fit] = {
        key(p): Fit(nan, nan, full, nan, 0, "the cost in foreground is not known") for p in mine
    }
    known = [p for p in mine if np.isfinite(p.costs.get(FOREGROUND, nan))]
    starts = {g: _start([p for p in known if group(p) == g]) for g in {group(p) for p in known}}
    for name in {key(p): None for p in known}:
        own = [p for p in known if key(p) == name]
        x, y = _shares(own), np.array([p.score for p in own])
        fits[name] = fit_efficiency(x, y, full, starts[group(own[0])])
    return fits


def _shares(points: list[Point]) -> np.ndarray:
    return np.array([p.costs[FOREGROUND] / 100 for p in points], float)


def _start(points: list[Point]) -> tuple[float, float]:
    """Smallest share of the foreground, and the mean score there."""
    x, y = _shares(points), np.array([p.score for p in points])
    return float(x.min()), float(y[x == x.min()].mean())
