"""The table "annotated to reach 95 % of full annotation"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glue.errors import DataError

from .curves import FULL, REFERENCES, Curve, Point, budgets, curves_of, reference
from .markdown import grid, marks
from .statistics import common_range, cost_to_reach, mean_height
from .style import cost_label


@dataclass(frozen=True)
class Reach:
    """One row of the table: a strategy at one budget, or a reference.

    ``cost_mean`` runs over the ``reached`` of the ``seeds`` seeds alone; sd is the sample standard
    deviation. NaN where there is nothing to average. ``cycles`` is the number of cycles, as
    ``FEWEST-MOST`` where seeds differ, empty for a reference.
    """

    run: str
    budget: str
    strategy: str
    seeds: int
    cycles: str
    x: str
    threshold: float
    reached: int
    cost_mean: float
    cost_sd: float
    final_mean: float
    final_sd: float
    area_mean: float
    area_sd: float


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if len(values) else float("nan")
    return mean, float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _strategy_row(
    head: tuple[str, str], name: str, curves: list[Curve], x: str, limit: float, span: tuple
) -> Reach:
    costs = np.array([cost_to_reach(c, limit) for c in curves])
    final = np.array([c.score[-1] for c in curves])
    area = np.array([mean_height(c, *span) for c in curves])
    fewest, most = min(len(c.x) for c in curves), max(len(c.x) for c in curves)
    cycles = str(most) if fewest == most else f"{fewest}-{most}"
    reached = int(np.isfinite(costs).sum())
    numbers = (*_mean_sd(costs), *_mean_sd(final), *_mean_sd(area))
    return Reach(*head, name, len(curves), cycles, x, limit, reached, *numbers)


def _budget_rows(points: list[Point], run: str, budget: str, x: str, share: float) -> list[Reach]:
    curves = curves_of(points, budget, x)
    full = reference(points, budget, FULL)
    limit = share * float(full.mean()) if len(full) else float("nan")
    span = common_range(curves)
    by_name: dict[str, list[Curve]] = {}
    for curve in curves:
        by_name.setdefault(curve.strategy, []).append(curve)
    head = (run, budget)
    rows = [_strategy_row(head, name, c, x, limit, span) for name, c in by_name.items()]
    nan = float("nan")
    for name in REFERENCES:
        scores = reference(points, budget, name)
        if len(scores):
            numbers = (nan, nan, *_mean_sd(scores), nan, nan)
            rows.append(Reach(*head, name, len(scores), "", x, limit, 0, *numbers))
    return rows


def reach_rows(points: Sequence[Point], x: str, share: float) -> list[Reach]:
    """Rows of the table for every run and budget: strategies by name, then references.

    Args:
        points: rows of ``curves.csv``.
        x: the cost to report, such as ``area_percent``.
        share: of the mean score of full annotation, in (0, 1]; 0.95 in the papers.

    Raises:
        ValueError: ``share`` out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, allowed is above 0 and up to 1")
    rows = []
    for run in sorted({p.run for p in points}):
        mine = [p for p in points if p.run == run]
        for budget in budgets(mine):
            rows += _budget_rows(mine, run, budget, x, share)
    return rows


def _plus_minus(mean: float, sd: float, digits: int) -> str:
    if mean != mean:
        return "-"
    return f"{mean:.{digits}f}" + ("" if sd != sd else f" ± {sd:.{digits}f}")


def _cost_digits(rows: list[Reach]) -> int:
    """Digits that leave two significant ones of the smallest cost of the table."""
    costs = [r.cost_mean for r in rows if r.cost_mean == r.cost_mean and r.cost_mean > 0]
    return max(1, 1 - int(np.floor(np.log10(min(costs))))) if costs else 1


def _cells(row: Reach, digits: int) -> list[str]:
    """What stands behind the name of the strategy."""
    reach = "not reached" if row.threshold == row.threshold else "no full reference"
    if row.reached:
        reach = _plus_minus(row.cost_mean, row.cost_sd, digits)
    if row.strategy in REFERENCES:
        reach, reached = "", ""
    else:
        reached = f"{row.reached} of {row.seeds}" if row.threshold == row.threshold else "-"
    return [
        reach,
        reached,
        _plus_minus(row.final_mean, row.final_sd, 3),
        "" if row.strategy in REFERENCES else _plus_minus(row.area_mean, row.area_sd, 3),
        str(row.seeds),
        row.cycles,
    ]


def reach_markdown(
    rows: Sequence[Reach],
    points: Sequence[Point],
    share: float = 0.95,
    notes: Mapping[str, str] | None = None,
    remark: str = "",
) -> str:
    """The table as Markdown that also reads well in a terminal.

    Per strategy: the mean cost at which the score reaches ``share`` of the mean full reference
    (``statistics.cost_to_reach``, seed by seed) and how many seeds get there, the score after the
    last cycle, and the mean height of the curve over the costs that all curves of the budget span.

    Args:
        rows: of ``reach_rows``.
        points: that they were made from.
        share: of the mean score of full annotation, in (0, 1].
        notes: strategy -> what a line under the table says of it, such as ``reads ground truth``.
        remark: what is to be known of all of them, such as what stopped the trainings.

    Raises:
        DataError: there is no row.
    """
    if not rows:
        raise DataError(f"no learning curves, only {sorted({p.strategy for p in points})}")
    lines: list[str] = []
    for run, budget in dict.fromkeys((r.run, r.budget) for r in rows):
        mine = [r for r in rows if (r.run, r.budget) == (run, budget)]
        of_run = [p for p in points if p.run == run]
        score, task = of_run[0].score_name, of_run[0].task
        lines += [f"### {run}, budget {budget}: annotated to reach {share * 100:g} % of full", ""]
        limit, x = mine[0].threshold, mine[0].x
        if limit == limit:
            full = f"{share * 100:g} % of the {score} of full annotation is {limit:.3f}"
            lines += [f"{full} (mean {limit / share:.3f}).", ""]
        low, high = common_range(curves_of(of_run, budget, x))
        label = cost_label(x, task)
        head = ["strategy", label, "seeds reaching", f"final {score}", "mean height"]
        digits = _cost_digits(mine)
        marked, footnotes = marks([r.strategy for r in mine], notes or {})
        cells = [[marked[r.strategy], *_cells(r, digits)] for r in mine]
        lines += grid([[*head, "seeds", "cycles"], *cells])
        lines += ["", *footnotes] if footnotes else []
        lines += ["", f"{remark[0].upper()}{remark[1:]}."] if remark else []
        over = f"over {low:.3g} to {high:.3g} {label}" if low < high else "not defined here"
        lines += ["", f"Mean height: area under the curve {over}, per unit of cost.", ""]
    lines += [
        "Mean ± sample standard deviation over seeds. The cost is read off each seed's curve "
        "after isotonic",
        "regression, between its first and last cycle only, and averaged over the seeds that "
        "reach the score.",
    ]
    return "\n".join(lines) + "\n"
