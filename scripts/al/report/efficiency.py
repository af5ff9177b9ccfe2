"""Foreground efficiency: how fast a strategy closes the gap to full annotation."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, nan
from typing import Any

import numpy as np

from al.paths import INITIAL, REFERENCES

from .view import View

FOREGROUND = "foreground_percent"
# Scores of 0..1 and sums of their squared errors closer than this are equal.
EQUAL = 1e-12
# What is left of the gap at the first of the other costs is then below e^-50: nothing.
OVER = 50.0
GRID, ROUNDS = 401, 12


@dataclass(frozen=True)
class Fit:
    """One curve y = c - a exp(-b (x - x0)).

    Attributes:
        b: foreground efficiency, per unit of x, where x = 1 is all foreground of the pool: with
            b = 100 each percent of the foreground divides the gap by e. Negative where the scores
            fall away from full annotation; infinite where they leave it without an upper bound;
            NaN where there is no fit.
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


def fit_efficiency(x: np.ndarray, y: np.ndarray, full: float, x0: float, y0: float) -> Fit:
    """Fit b of y = c - a exp(-b (x - x0)) by least squares; a, c and x0 are given.

    Foreground efficiency of nnActive (Lüth et al. 2025): c is the score of full annotation with
    the same trainer, x0 the smallest x, a = c minus the mean score there. As in their code b may
    have either sign and percentages are taken as shares, so that it compares with the published
    figures. Unlike there the deepest of several minima is found, whatever a search starts from.

    Args:
        x: share of the foreground of the pool that was annotated, (K,), 0 to 1, K > 0.
        y: scores, (K,).
        full: mean score of full annotation.
        x0, y0: the smallest x, and the mean score there.
    """
    a, after = full - y0, x > x0
    b, note = nan, ""
    if full != full:
        a, note = nan, "no reference of full annotation"
    elif a <= EQUAL:
        note = f"starts at {y0:.3g}, not below full annotation ({full:.3g}): no gap to close"
    elif not after.any():
        note = "a single share of the foreground: nothing to fit"
    else:
        b, note = _decay(x[after] - x0, (full - y[after]) / a)
    return Fit(b, a, full, x0, len(x), note)


def _decay(x: np.ndarray, gap: np.ndarray) -> tuple[float, str]:
    """Fit exp(-b x) to the part of the gap that is left, (K,) each, x > 0; a note for the fit.

    For one point alone the best b is -log(gap) / x, infinite where no gap is left, and on either
    side of it the error grows. So the best for all lies between the smallest and the largest of
    these: there are no other bounds. What lies in between may have several minima, so the search
    is over a grid, which is then laid around the best of its places until it is as fine as numbers
    are.
    """
    alone = [-log(g) / at if g > 0 else inf for at, g in zip(x, gap, strict=True)]
    if min(alone) == inf:
        return inf, "at or above full annotation right after the start: no upper bound"
    low, high = min(alone), min(max(alone), max(OVER / x.min(), min(alone)))

    def error(b: np.ndarray) -> np.ndarray:
        return ((np.exp(-b[:, None] * x) - gap) ** 2).sum(axis=1)

    grid = np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), GRID))  # fine about 0
    for _ in range(ROUNDS):
        at = int(np.argmin(error(grid)))
        low, high = grid[max(0, at - 1)], grid[min(GRID - 1, at + 1)]
        best, grid = float(grid[at]), np.linspace(low, high, GRID)
    if max(alone) == inf and (gap**2).sum() <= error(np.array([best]))[0] + EQUAL:
        return inf, "the best fit is at full annotation right after the start: no upper bound"
    return best, "falls away from full annotation" if best < -EQUAL else ""


def efficiency_rows(view: View) -> list[dict[str, Any]]:
    """Foreground efficiency of each strategy of the budget, over all its seeds, as table rows.

    Keys ``budget``, ``strategy`` and those of ``Fit``, in the order of legends. No row of budgets
    where no point knows its cost in foreground.
    """
    fits = efficiency_fits(view)
    if not any(fit.points for fit in fits.values()):
        return []
    return [{"budget": view.budget, "strategy": n, **vars(fits[n])} for n in view.order(fits)]


def efficiency_fits(view: View, seed: int | None = None) -> dict[str, Fit]:
    """One fit per strategy of the budget, over one seed or all.

    x0 and a are those of all strategies together, as in nnActive: they share their start, the mean
    at the smallest x.
    """
    others = REFERENCES if view.cycles == 1 else (INITIAL, *REFERENCES)
    mine = [
        p
        for p in view.points
        if p.budget == view.budget and p.strategy not in others and seed in (None, p.seed)
    ]
    known = [p for p in mine if FOREGROUND in p.costs]
    x = np.array([p.costs[FOREGROUND] / 100 for p in known])
    y = np.array([p.score for p in known])
    x0 = float(x.min(initial=1.0))
    fits = {}
    for name in dict.fromkeys(p.strategy for p in mine):
        own = np.array([p.strategy == name for p in known], bool)
        if own.any():
            fits[name] = fit_efficiency(x[own], y[own], view.full, x0, float(y[x == x0].mean()))
        else:
            why = "the cost in foreground is not known"
            fits[name] = Fit(nan, nan, view.full, nan, 0, why)
    return fits
