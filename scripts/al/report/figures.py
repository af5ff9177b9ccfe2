"""The figures of numbers by name, and how those of a run are written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import class_charts, curve_charts, pair_charts
from .catalogue import Look, figures_of
from .charts import Chart, nothing, save_chart
from .groups import KINDS
from .view import View

# Each returns a chart, or None where there is nothing to draw.
DRAW: dict[str, Callable[[View], Chart | None]] = {
    "curves": curve_charts.curves,
    "classes": curve_charts.classes,
    "costs": curve_charts.costs,
    **{kind: partial(curve_charts.grouped, kind=kind) for kind in (*KINDS, "budgets")},
    "comparisons": pair_charts.comparisons,
    "penalty": pair_charts.penalty,
    "seeds": pair_charts.seeds,
    "imbalance": class_charts.imbalance,
    "agreement": class_charts.agreement,
}


def save_figures(view: View, look: Look, folder: Path) -> list[str]:
    """Write the figures of a run as SVG, PDF and PNG, by rename.

    A figure without anything to draw says so in the place of its axes, so that every file that was
    announced is there.

    Args:
        view: of the whole run.
        look: as ``look.look_of``; tells which figures there are.
        folder: ``results/{run}/report``.

    Returns:
        stems of the figures that had nothing to draw.
    """
    empty = []
    for entry, stem, budget in figures_of(look):
        known = budget in view.budgets if budget else bool(view.budgets)
        seen = view.at(budget) if budget else view
        chart = DRAW[entry.name](seen) if known else None
        if chart is None:
            empty.append(stem)
            chart = nothing(entry.title)
        save_chart(chart, folder, stem)
    return empty
