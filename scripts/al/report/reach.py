"""The table "annotated to reach 95 % of full annotation", made from the numbers of every seed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor, inf, isfinite, log10, nan
from typing import Any, NamedTuple

import numpy as np

from al.io.errors import DataError
from al.paths import REFERENCES

from .curves import FULL, reference
from .markdown import grid, marks
from .style import cost_label
from .summaries import Summary, area_range, final_cycle, reach_name, seed_curves, summaries
from .view import View

WIDTH = 98
NOT_REACHED = "not reached"
NO_STRATEGY = "No strategy has results after the shared first cycle yet."
HOW = (
    "Median cost: what a seed's curve, made monotone by isotonic regression, takes to reach the "
    "score, read between its first and last cycle only; the median is over all seeds, and one "
    "that does not reach the score counts as beyond all costs. Final and mean height: mean ± "
    "sample standard deviation over the seeds that have them."
)


class Cost(NamedTuple):
    """Between which costs a true one lies; equal where it is known, infinite beyond all costs."""

    low: float
    high: float

    @property
    def value(self) -> float:
        """The cost, or the bound of one that is at most this; NaN where there is no such number."""
        known = isfinite(self.high) and self.low in (self.high, 0)
        return self.high if known else nan

    def text(self, digits: int) -> str:
        """For a reader; ``≤`` of a score that was there from the first cycle on."""
        if self.high != self.high:
            return "-"
        if self.low == inf:
            return NOT_REACHED
        if self.low == self.high:
            return f"{self.high:.{digits}f}"
        if self.high == inf:
            return f"≥ {self.low:.{digits}f}"
        if self.low == 0:
            return f"≤ {self.high:.{digits}f}"
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}"


UNKNOWN = Cost(nan, nan)


@dataclass(frozen=True)
class Reach:
    """One row of the table: a strategy at one budget, or a reference.

    Attributes:
        run, budget, strategy: whose it is.
        x: the cost.
        threshold: the score to reach; NaN without full annotation.
        seeds: that have a curve, or models of the reference.
        reached, unfinished: of them, those that reach the score, and those whose curve has ended
            before without it: what is missing may still reach it.
        median, lowest, highest: costs over all seeds, as far as they are certain; unknown of a
            reference and without full annotation.
        final_mean, final_sd: of the scores after ``final_cycle``, over the ``final_seeds`` that
            have it; NaN where there is nothing to average. No cycle (0) of a reference.
        area_mean, area_sd: of the mean height over the costs that all curves of the budget span.
        note: what is missing, and what the numbers do not say; empty if nothing.
    """

    run: str
    budget: str
    strategy: str
    x: str
    threshold: float
    seeds: int
    reached: int
    unfinished: int
    median: Cost
    lowest: Cost
    highest: Cost
    final_mean: float
    final_sd: float
    final_seeds: int
    final_cycle: int
    area_mean: float
    area_sd: float
    note: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether it is a reference, which has no curve."""
        return self.strategy in REFERENCES


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if len(values) else nan
    return mean, float(values.std(ddof=1)) if len(values) > 1 else nan


def _certain(summary: Summary) -> Cost:
    """Between which costs that of a seed lies."""
    if summary.censored:
        return Cost(summary.ended if summary.ended == summary.ended else inf, inf)
    return Cost(0.0 if summary.at_most else summary.value, summary.value)


def cost_over(costs: Sequence[Cost], middle: Callable[[np.ndarray], Any]) -> Cost:
    """Median, minimum or maximum of costs: between which costs it lies.

    All three rise with each of the costs, so that their ends follow from the ends of the costs.
    """
    if not costs:
        return UNKNOWN
    # Halfway between a number and infinity is infinity.
    return Cost(*(float(middle(np.array(ends, float))) for ends in zip(*costs, strict=True)))


def _strategy_row(view: View, name: str, found: Sequence[Summary], limit: float) -> Reach:
    own: dict[str, list[Summary]] = {}
    for s in found:
        if s.strategy == name:
            own.setdefault(s.measure, []).append(s)
    reach = own.get(reach_name(view.share), [])
    final, area = ([s.value for s in own[m]] for m in ("final", "area"))
    costs = [_certain(s) for s in reach]
    return _noted(
        view,
        Reach(
            found[0].run,
            view.budget,
            name,
            view.x,
            limit,
            len(area),
            sum(not s.censored for s in reach),
            sum(s.ended == s.ended for s in reach),
            *(cost_over(costs, middle) for middle in (np.median, np.min, np.max)),
            *_mean_sd(np.array(final)),
            sum(v == v for v in final),
            final_cycle(seed_curves(view)),
            *_mean_sd(np.array(area)),
        ),
    )


def _noted(view: View, row: Reach) -> Reach:
    """The same with its note."""
    notes = []
    if (planned := len(view.seeds)) > row.seeds:
        notes.append(f"{planned - row.seeds} of {planned} seeds missing")
    if row.unfinished:
        notes.append(f"{row.unfinished} unfinished, neither reached nor not")
    if row.final_seeds < row.seeds:
        notes.append(f"final of {row.final_seeds} of {row.seeds} seeds")
    if row.area_mean != row.area_mean:
        notes.append("no range of costs that all curves share")
    return replace(row, note="; ".join(notes))


def _budget_rows(view: View) -> list[Reach]:
    found = summaries(view)
    limit = view.share * view.full(FULL)
    names = view.order({s.strategy for s in found})
    rows = [_strategy_row(view, name, found, limit) for name in names]
    for name in REFERENCES:
        scores = reference(view.points, view.budget, name)
        if len(scores):
            head = (view.points[0].run, view.budget, name, view.x, limit, len(scores), 0, 0)
            final = (*_mean_sd(scores), len(scores), 0)
            rows.append(Reach(*head, UNKNOWN, UNKNOWN, UNKNOWN, *final, nan, nan))
    return rows


def reach_rows(view: View) -> list[Reach]:
    """Rows of the table for every budget of a run: strategies in the order of legends, references.

    Costs, final scores and mean heights are those of ``summaries.summaries``; the shared first
    cycle alone is no row.

    Args:
        view: of the whole run; its ``share`` of the mean score of full annotation is asked for.

    Raises:
        ValueError: the share is out of range.
        DataError: the cost ``view.x`` is not known of a cycle.
    """
    if not 0 < view.share <= 1:
        raise ValueError(f"share is {view.share}, allowed is above 0 and up to 1")
    return [row for budget in view.budgets for row in _budget_rows(view.at(budget))]


def _ends(row: Reach) -> dict[str, Cost]:
    return {"median": row.median, "lowest": row.lowest, "highest": row.highest}


def table_row(row: Reach) -> dict[str, Any]:
    """A row for CSV and LaTeX: costs as numbers, and in the note what is none or only a bound."""
    digits = _digits([row])
    said = [
        f"{name} {cost.text(digits)}"
        for name, cost in _ends(row).items()
        if cost.high == cost.high and (cost.low == inf or cost.low != cost.high)
    ]
    numbers = {name: cost.value for name, cost in _ends(row).items()}
    counted = not row.is_reference and row.threshold == row.threshold
    return {
        **vars(row),
        **numbers,
        "reached": row.reached if counted else None,
        "final_cycle": row.final_cycle or None,
        "note": "; ".join(said + ([row.note] if row.note else [])),
    }


def brief_row(row: Reach, digits: int) -> dict[str, Any]:
    """A row for a page: costs as a reader takes them."""
    costs = {name: cost.text(digits) for name, cost in _ends(row).items()}
    return {**table_row(row), **costs, "note": row.note}


def brief_rows(rows: Sequence[Reach]) -> list[dict[str, Any]]:
    """Rows for a page, costs with the digits that the smallest of their budget needs."""
    found = []
    for row in rows:
        found.append(brief_row(row, _digits([r for r in rows if r.budget == row.budget])))
    return found


def _digits(rows: Sequence[Reach]) -> int:
    """Digits that leave two significant ones of the smallest cost of the rows."""
    ends = [v for r in rows for cost in _ends(r).values() for v in cost if isfinite(v) and v > 0]
    return max(1, 1 - floor(log10(min(ends)))) if ends else 1


def _plus_minus(mean: float, sd: float) -> str:
    if mean != mean:
        return "-"
    return f"{mean:.3f}" + ("" if sd != sd else f" ± {sd:.3f}")


def _cells(row: Reach, digits: int) -> list[str]:
    """What stands behind the name of the strategy."""
    final, area = _plus_minus(row.final_mean, row.final_sd), _plus_minus(row.area_mean, row.area_sd)
    if row.is_reference:
        return ["", f"{row.seeds} seed{'s' * (row.seeds != 1)}", "", final, ""]
    if row.threshold != row.threshold:
        return ["no full reference", f"- of {row.seeds}", "-", final, area]
    return [
        row.median.text(digits),
        f"{row.reached} of {row.seeds}",
        _span(row, digits),
        final,
        area,
    ]


def _span(row: Reach, digits: int) -> str:
    """Lowest and highest cost; a dash where they say no more than the median."""
    if row.seeds == 1 or row.lowest.high == inf:
        return "-"
    low = row.lowest
    if low.low < low.high:  # there from the first cycle on, or an unfinished curve may be below
        low = Cost(0, low.high)
    return f"{low.text(digits)} to {row.highest.text(digits)}"


def reach_markdown(rows: Sequence[Reach], view: View, remark: str = "") -> str:
    """The table as Markdown that also reads well in a terminal.

    Per strategy: the median over all seeds of the cost at which the score reaches the share of the
    mean full reference, how many seeds get there, the lowest and highest cost, the score after the
    last common cycle, and the mean height of the curve over the costs that all curves span.

    Args:
        rows: of ``reach_rows``.
        view: that they were made from.
        remark: what is to be known of all of them, such as what stopped the trainings.

    Raises:
        DataError: there is no row.
    """
    if not rows:
        raise DataError(f"no learning curves, only {sorted({p.strategy for p in view.points})}")
    lines: list[str] = []
    for budget in dict.fromkeys(r.budget for r in rows):
        mine = [r for r in rows if r.budget == budget]
        lines += _budget_lines(mine, view.at(budget), remark)
    return "\n".join([*lines, *textwrap.wrap(HOW, WIDTH)]) + "\n"


def _budget_lines(rows: Sequence[Reach], view: View, remark: str) -> list[str]:
    score, label, share = view.score_name, cost_label(view.x, view.task), f"{view.share * 100:g} %"
    lines = [f"### {rows[0].run}, budget {view.budget}: annotated to reach {share} of full", ""]
    limit = rows[0].threshold
    if limit == limit:
        full = f"{share} of the {score} of full annotation is {limit:.3f}"
        lines += [f"{full} (mean {limit / view.share:.3f}). Cost: {label}.", ""]
    head = ["strategy", "median cost", "reached", "lowest to highest", f"final {score}"]
    digits = _digits(rows)
    marked, footnotes = marks([r.strategy for r in rows], view.notes)
    cells = [[marked[r.strategy], *_cells(r, digits)] for r in rows]
    lines += grid([[*head, "mean height"], *cells])
    lines += ["", *footnotes] if footnotes else []
    if noted := [f"{r.strategy}: {r.note}." for r in rows if r.note]:
        lines += ["", *(part for text in noted for part in textwrap.wrap(text, WIDTH))]
    lines += ["", f"{remark[0].upper()}{remark[1:]}."] if remark else []
    return [*lines, "", *textwrap.wrap(_meaning(rows, view), WIDTH), ""]


def _meaning(rows: Sequence[Reach], view: View) -> str:
    """What the final score and the mean height are taken over."""
    strategies = [r for r in rows if not r.is_reference]
    if not strategies:
        return NO_STRATEGY
    low, high = area_range(view)
    label = cost_label(view.x, view.task)
    over = f"over {low:.3g} to {high:.3g} {label}" if low < high else "not defined here"
    return (
        f"Final: after cycle {strategies[0].final_cycle}, of those that have it. Mean height: area "
        f"under the curve {over}, per unit of cost."
    )
