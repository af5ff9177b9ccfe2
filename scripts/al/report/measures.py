"""One number per strategy and seed: what the comparisons of a report compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np

from al.paths import INITIAL

from .curves import Curve
from .efficiency import efficiency_fits
from .statistics import common_range, cost_to_reach, mean_height
from .view import View, once

SHARES = (0.90, 0.95, 0.99)
REACH = "reach_"


@dataclass(frozen=True)
class Measure:
    """What a number of a seed says: its label, whether more of it is better, its unit."""

    label: str
    higher_better: bool
    unit: str


@dataclass(frozen=True)
class Summary:
    """One number of one strategy and seed.

    Attributes:
        run, budget, strategy, seed: whose it is.
        measure: a key of ``MEASURES``, or ``reach_PERCENT``.
        value: NaN where there is none.
        censored: whether the score was not reached; the value is NaN, and worse than any cost.
        at_most: whether the score was there from the first cycle on: the cost is at most ``value``.
        ended: of an unfinished curve that has not reached the score, its last cost: what is
            missing may still reach it beyond. NaN otherwise.
    """

    run: str
    budget: str
    strategy: str
    seed: int
    measure: str
    value: float
    censored: bool = False
    at_most: bool = False
    ended: float = nan

    @property
    def unfinished(self) -> bool:
        """Whether the curve ended early without the score, and may still reach it."""
        return self.ended == self.ended

    @property
    def missing(self) -> bool:
        """Whether there is nothing to compare."""
        return self.value != self.value and not self.censored

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which numbers the true one lies; infinite is beyond all costs."""
        if self.censored:
            return (self.ended if self.unfinished else inf), inf
        return (0.0 if self.at_most else self.value), self.value


def reach_name(share: float) -> str:
    """Name of the cost to reach a share of full annotation: ``reach_95``."""
    return f"{REACH}{share * 100:g}"


MEASURES: dict[str, Measure] = {
    "area": Measure("area under the score-cost curve (mean height)", True, "score"),
    "final": Measure("score after the last cycle", True, "score"),
    "efficiency": Measure("foreground efficiency", True, "per share of the foreground"),
}


def measure_of(name: str) -> Measure:
    """Label, direction and unit of a measure.

    Raises:
        KeyError: no such measure.
    """
    if name.startswith(REACH):
        label = f"cost to reach {name.removeprefix(REACH)} % of full annotation"
        return Measure(label, False, "cost")
    return MEASURES[name]


def short_label(name: str) -> str:
    """The same in a word or two, for columns and axes."""
    if name.startswith(REACH):
        return f"cost to {name.removeprefix(REACH)} %"
    return {"area": "mean height", "final": "final score"}.get(name, name)


@once
def seed_curves(view: View) -> list[Curve]:
    """Curves of the budget in the order of legends.

    The shared first cycle is no strategy's, and left out where others are to come.
    """
    held = view.curves().items()
    return [c for name, own in held if name != INITIAL or view.cycles == 1 for c in own]


def final_cycle(curves: Sequence[Curve]) -> int:
    """The cycle that most curves end at; of several, the latest."""
    ends = Counter(int(c.cycle[-1]) for c in curves)
    return max(ends, key=lambda cycle: (ends[cycle], cycle))


@once
def summaries(view: View) -> list[Summary]:
    """Every measure of every strategy and seed of the budget of a view.

    ``area``: mean height of the piecewise linear curve over the costs that all curves span; a
    missing cycle is read between its neighbours. ``final``: score after ``final_cycle``.
    ``reach_PERCENT``: cost at which the curve, made monotone, reaches that share of the mean score
    of full annotation (``statistics.cost_to_reach``), for ``SHARES`` and the share of the view;
    left out where there is no such reference. ``efficiency``: foreground efficiency
    (``efficiency.Fit``).

    Raises:
        DataError: the cost ``view.x`` is not known of a cycle.
    """
    curves = seed_curves(view)
    if not curves:
        return []
    low, high = common_range(curves)
    found = [_summary(view, c, "area", mean_height(c, low, high)) for c in curves]
    last = final_cycle(curves)
    found += [_summary(view, c, "final", _score_at(c, last)) for c in curves]
    if view.full == view.full:
        planned = max(view.cycles, *(int(c.cycle[-1]) for c in curves), 0)
        for share in sorted({*SHARES, view.share}):
            found += [_reached(view, c, share, planned) for c in curves]
    fits = {seed: efficiency_fits(view, seed) for seed in {c.seed for c in curves}}
    return found + [_summary(view, c, "efficiency", fits[c.seed][c.strategy].b) for c in curves]


def _summary(view: View, c: Curve, measure: str, value: float) -> Summary:
    return Summary(view.points[0].run, view.budget, c.strategy, c.seed, measure, value)


def _score_at(c: Curve, cycle: int) -> float:
    at = np.flatnonzero(c.cycle == cycle)
    return float(c.score[at[0]]) if len(at) else nan


def _reached(view: View, c: Curve, share: float, planned: int) -> Summary:
    """The cost to reach a share of full annotation, or that it was not reached."""
    cost = cost_to_reach(c, share * view.full)
    found = _summary(view, c, reach_name(share), cost)
    if cost == cost:
        return replace(found, at_most=cost == float(c.x[0]))
    ended = float(c.x[-1]) if c.cycle[-1] < planned else nan
    return replace(found, censored=True, ended=ended)
