"""The table "annotated to reach 95 % of full annotation", made from the numbers of every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite, log10, nan
from typing import NamedTuple

import numpy as np

from al.paths import REFERENCES

from .curves import reference
from .measures import Summary, final_cycle, reach_name, seed_curves, summaries
from .style import cost_label
from .view import View, once

NO_STRATEGY = "No strategy has results after the shared first cycle yet."


class Cost(NamedTuple):
    """Between which costs a true one lies; equal where it is known, infinite beyond all costs."""

    low: float
    high: float

    def text(self, digits: int) -> str:
        """For a reader; ``≤`` of a score that was there from the first cycle on."""
        low, high = f"{self.low:.{digits}f}", f"{self.high:.{digits}f}"
        if self.high != self.high:
            return "-"
        if self.high == inf:
            return "not reached" if self.low == inf else f"≥ {low}"
        if self.low == self.high:
            return high
        return f"{low} to {high}" if self.low else f"≤ {high}"


@dataclass(frozen=True)
class Reach:
    """One row of the table: a strategy at one budget, or a reference.

    Attributes:
        budget, strategy: whose it is.
        threshold: the score to reach; NaN without full annotation.
        seeds: that have a curve, or models of the reference.
        final_mean, final_sd: of the scores after ``final_cycle``, over the ``final_seeds`` that
            have it; NaN where there is nothing to average. No cycle (0) of a reference.
        reached, unfinished: of the seeds, those that reach the score, and those whose curve has
            ended before without it: what is missing may still reach it.
        median: cost over all seeds, as far as it is certain; a seed that does not reach the score
            counts as beyond all costs. Unknown (NaN) of a reference and without full annotation.
        final_cost: mean cost of the final cycle.
        area_mean, area_sd: of the mean height over the costs that all curves of the budget span.
    """

    budget: str
    strategy: str
    threshold: float
    seeds: int
    final_mean: float
    final_sd: float
    final_seeds: int
    reached: int | None = None
    unfinished: int = 0
    median: Cost = Cost(nan, nan)
    final_cycle: int = 0
    final_cost: float = nan
    area_mean: float = nan
    area_sd: float = nan

    @property
    def is_reference(self) -> bool:
        """Whether it is a reference, which has no curve."""
        return self.strategy in REFERENCES


@once
def reach_rows(view: View) -> list[Reach]:
    """Rows of the table for one budget: strategies in the order of legends, references.

    Costs, final scores and mean heights are those of ``measures.summaries``; ``view.share`` of the
    mean score of full annotation is asked for.

    Raises:
        DataError: the cost ``view.x`` is not known of a cycle.
    """
    rows = [_row(view, name) for name in view.order({s.strategy for s in summaries(view)})]
    for name in REFERENCES:
        if n := len(scores := reference(view.points, view.budget, name)):
            mean, sd = mean_sd(scores)
            rows.append(Reach(view.budget, name, view.share * view.full, n, mean, sd, n))
    return rows


def _row(view: View, name: str) -> Reach:
    own = [s for s in summaries(view) if s.strategy == name]
    reach = [s for s in own if s.measure == reach_name(view.share)]
    final = np.array([s.value for s in own if s.measure == "final"])
    area_mean, area_sd = mean_sd(np.array([s.value for s in own if s.measure == "area"]))
    final_mean, final_sd = mean_sd(final)
    last = final_cycle(seed_curves(view))
    spent = [c.x[c.cycle == last] for c in seed_curves(view) if c.strategy == name]
    spent = [x for x in spent if len(x)]
    return Reach(
        budget=view.budget,
        strategy=name,
        threshold=view.share * view.full,
        seeds=len(final),
        final_mean=final_mean,
        final_sd=final_sd,
        final_seeds=len(spent),
        reached=sum(not s.censored for s in reach) if reach else None,
        unfinished=sum(s.unfinished for s in reach),
        median=median_cost(reach),
        final_cycle=last,
        final_cost=float(np.mean(spent)) if spent else nan,
        area_mean=area_mean,
        area_sd=area_sd,
    )


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of the numbers in (S,) values; NaN where there is none."""
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if len(values) else nan
    return mean, float(values.std(ddof=1)) if len(values) > 1 else nan


def median_cost(reach: Sequence[Summary]) -> Cost:
    """Between which costs the median over seeds lies; unknown of none.

    It rises with each of the costs, so that its ends follow from theirs. Halfway between a number
    and infinity is infinity.
    """
    if not reach:
        return Cost(nan, nan)
    low, high = np.median([s.bounds for s in reach], axis=0)
    return Cost(float(low), float(high))


def digits_of(rows: Sequence[Reach]) -> int:
    """Digits that leave two significant ones of the smallest cost of the rows."""
    ends = [v for row in rows for v in row.median if isfinite(v) and v > 0]
    return max(1, 1 - floor(log10(min(ends)))) if ends else 1


def plus_minus(mean: float, sd: float) -> str:
    """A mean and its standard deviation as far as they are known."""
    if mean != mean:
        return "-"
    return f"{mean:.3f}" + ("" if sd != sd else f" ± {sd:.3f}")


def reach_head(view: View) -> list[str]:
    """Names of the columns of ``reach_cells``."""
    share = f"reached {view.share * 100:g} %"
    cost = cost_label(view.x, view.task)
    return ["budget", "strategy", cost, share, f"final {view.score_name}", "mean height"]


def reach_cells(view: View) -> list[list[str]]:
    """Rows of one budget as a reader takes them."""
    rows = reach_rows(view)
    digits = digits_of(rows)
    cells = []
    for row in rows:
        cost, reached = row.median.text(digits), f"{row.reached} of {row.seeds}"
        final = plus_minus(row.final_mean, row.final_sd)
        area = plus_minus(row.area_mean, row.area_sd)
        if row.is_reference:
            cost, reached, area = "", f"{row.seeds} {view.unit}{'s' * (row.seeds != 1)}", ""
        elif row.reached is None:
            cost, reached = "no full reference", f"- of {row.seeds}"
        cells.append([row.budget, row.strategy, cost, reached, final, area])
    return cells
