"""One number per strategy and seed: what the comparisons of a report compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from al.paths import INITIAL

from .curves import Curve
from .efficiency import efficiency_by_seed
from .statistics import common_range, cost_to_reach, mean_height
from .style import cost_label
from .view import View

SHARES = (0.90, 0.95, 0.99)
REACH = "reach_"
NAN = float("nan")


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
        note: over which costs it was taken, and what is missing; a sentence fragment.
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
    censored: bool
    note: str
    at_most: bool = False
    ended: float = NAN

    @property
    def unfinished(self) -> bool:
        """Whether the curve ended early without the score, and may still reach it."""
        return self.ended == self.ended

    @property
    def missing(self) -> bool:
        """Whether there is nothing to compare."""
        return self.value != self.value and not self.censored


def reach_name(share: float) -> str:
    """Name of the cost to reach a share of full annotation: ``reach_95``."""
    return f"{REACH}{share * 100:g}"


def _reach(share: float) -> Measure:
    return Measure(f"cost to reach {share * 100:g} % of full annotation", False, "cost")


MEASURES: dict[str, Measure] = {
    "area": Measure("area under the score-cost curve (mean height)", True, "score"),
    "final": Measure("score after the last cycle", True, "score"),
    **{reach_name(share): _reach(share) for share in SHARES},
    "efficiency": Measure("foreground efficiency", True, "per share of the foreground"),
}


def measure_of(name: str) -> Measure:
    """Label, direction and unit of a measure.

    Raises:
        KeyError: no such measure.
    """
    if name not in MEASURES and name.startswith(REACH):
        return _reach(float(name[len(REACH) :]) / 100)
    return MEASURES[name]


def seed_curves(view: View) -> list[Curve]:
    """Curves of the budget in the order of legends; those that are no strategy's left out."""
    return [c for name, own in view.curves().items() if name != INITIAL for c in own]


def area_range(view: View) -> tuple[float, float]:
    """Costs that all strategies and seeds of the budget span; (NaN, NaN) without curves."""
    curves = seed_curves(view)
    return common_range(curves) if curves else (NAN, NAN)


def final_cycle(curves: Sequence[Curve]) -> int:
    """The cycle that most curves end at; of several, the latest."""
    ends = Counter(int(c.cycle[-1]) for c in curves)
    return max(ends, key=lambda cycle: (ends[cycle], cycle))


def summaries(view: View) -> list[Summary]:
    """Every measure of every strategy and seed of the budget of a view.

    ``area``: mean height of the piecewise linear curve over ``area_range``. ``final``: score after
    ``final_cycle``. ``reach_PERCENT``: cost at which the curve, made monotone, reaches that share
    of the mean score of full annotation (``statistics.cost_to_reach``), for ``SHARES`` and the
    share of the view; left out where there is no such reference. ``efficiency``: foreground
    efficiency (``efficiency.Fit``). A missing cycle is read between its neighbours, and the note
    says so.

    Raises:
        DataError: the cost ``view.x`` is not known of a cycle.
    """
    curves = seed_curves(view)
    if not curves:
        return []
    found = _areas(view, curves) + _finals(view, curves)
    if view.full() == view.full():
        for share in sorted({*SHARES, view.share}):
            found += [_reached(view, curve, share, curves) for curve in curves]
    return found + _efficiencies(view, curves)


def _summary(view: View, c: Curve, measure: str, value: float, *notes: str) -> Summary:
    note = "; ".join(n for n in notes if n)
    return Summary(view.points[0].run, view.budget, c.strategy, c.seed, measure, value, False, note)


def _gaps(curve: Curve) -> str:
    """Say which cycles are missing before the last."""
    have = set(curve.cycle.tolist())
    lost = [c for c in range(1, int(curve.cycle[-1])) if c not in have]
    before = [c for c in lost if c < curve.cycle[0]]
    notes = [f"starts at cycle {curve.cycle[0]}"] if before else []
    if inside := [str(c) for c in lost if c not in before]:
        some = f"cycle {inside[0]} is" if len(inside) == 1 else f"cycles {', '.join(inside)} are"
        notes.append(f"{some} missing: read between the neighbours")
    return "; ".join(notes)


def _name(curve: Curve) -> str:
    return f"{curve.strategy}, seed {curve.seed}"


def _areas(view: View, curves: list[Curve]) -> list[Summary]:
    low, high = common_range(curves)
    label = cost_label(view.x, view.task)
    over = f"over {low:.4g} to {high:.4g} {label}"
    if low >= high:
        late = max(curves, key=lambda c: c.x[0])
        early = min(curves, key=lambda c: c.x[-1])
        over = (
            f"the curves share no range of {label}: {_name(late)} starts at {low:.4g}, "
            f"{_name(early)} ends at {high:.4g}"
        )
    return [_summary(view, c, "area", mean_height(c, low, high), over, _gaps(c)) for c in curves]


def _finals(view: View, curves: list[Curve]) -> list[Summary]:
    last = final_cycle(curves)
    found = []
    for c in curves:
        at, end = np.flatnonzero(c.cycle == last), int(c.cycle[-1])
        value = float(c.score[at[0]]) if len(at) else NAN
        notes = [f"after cycle {last}"]
        if not len(at):
            notes = [f"cycle {last} is missing"]
        if end < last:
            notes = [f"ends at cycle {end}, not comparable with cycle {last}"]
        if end > last:
            notes.append(f"most curves end there, this one at cycle {end}")
        found.append(_summary(view, c, "final", value, *notes))
    return found


def _reached(view: View, curve: Curve, share: float, curves: list[Curve]) -> Summary:
    """The cost to reach a share of full annotation, or that it was not reached."""
    threshold = share * view.full()
    cost = cost_to_reach(curve, threshold)
    head = (view.points[0].run, view.budget, curve.strategy, curve.seed, reach_name(share))
    notes = [f"{threshold:.4g} {view.score_name}"]
    planned = max(view.cycles, *(int(c.cycle[-1]) for c in curves), 0)
    ended = NAN
    at_most = cost == float(curve.x[0])
    if cost != cost:
        notes.append(f"not reached up to {curve.x[-1]:.4g}")
        if curve.cycle[-1] < planned:
            ended = float(curve.x[-1])
            notes.append(f"ends at cycle {curve.cycle[-1]} of {planned}: may still be reached")
    elif at_most:
        notes.append("above it from the first cycle on: at most its first cost")
    notes.append(_gaps(curve))
    note = "; ".join(n for n in notes if n)
    return Summary(*head, cost, cost != cost, note, at_most, ended)


def _efficiencies(view: View, curves: list[Curve]) -> list[Summary]:
    fits = efficiency_by_seed(view)
    found = []
    for c in curves:
        fit = fits[c.strategy, c.seed]
        said = f"fit over {fit.points} cycles" if fit.b == fit.b else ""
        gaps = _gaps(c).replace(": read between the neighbours", "")
        found.append(_summary(view, c, "efficiency", fit.b, said, fit.note, gaps))
    return found
