"""Draws and saves the figures of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .budget_figures import draw_budgets
from .catalogue import Look, figures_of
from .class_figures import draw_imbalance, draw_share_curves, draw_shares
from .confidence_figures import draw_confidence, draw_confidence_scatter
from .figures import draw_classes, draw_costs, draw_curves
from .matrix import draw_comparisons
from .pair_figures import draw_ablations, draw_dense_sparse, draw_thresholds
from .seeds import draw_seeds
from .style import INK, new_figure, save
from .view import View

# Each returns a Matplotlib figure, or None where there is nothing to draw.
DRAW: dict[str, Callable[[View], Any]] = {
    "curves": draw_curves,
    "classes": draw_classes,
    "costs": draw_costs,
    "ablations": draw_ablations,
    "dense_sparse": draw_dense_sparse,
    "thresholds": draw_thresholds,
    "budgets": draw_budgets,
    "comparisons": draw_comparisons,
    "seeds": draw_seeds,
    "imbalance": draw_imbalance,
    "shares": draw_shares,
    "growth": draw_share_curves,
    "confidence": draw_confidence,
    "agreement": draw_confidence_scatter,
}


def save_figures(view: View, look: Look, folder: Path) -> list[str]:
    """Write the figures of a run as PNG and PDF, by rename.

    A figure without anything to draw says so in the place of its axes, so that every file that was
    announced is there.

    Args:
        view: of the whole run.
        look: as ``gather.look_of``; tells which figures there are.
        folder: ``results/{run}/report``.

    Returns:
        stems of the figures that had nothing to draw.
    """
    empty = []
    for entry, stem, budget in figures_of(look):
        known = budget in view.budgets if budget else bool(view.budgets)
        figure = DRAW[entry.name](view.at(budget)) if known else None
        if figure is None:
            empty.append(stem)
            figure = _nothing(entry.title)
        save(figure, folder / f"{stem}.png", folder / f"{stem}.pdf")
    return empty


def _nothing(title: str) -> Any:
    figure = new_figure(3.4, 0.8)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"{title}: nothing to draw yet", ha="center", va="center", color=INK)
    return figure
