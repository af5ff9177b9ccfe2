"""Draws and saves the figures of a run."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from .catalogue import Look, figures_of
from .style import INK, new_figure, save
from .view import View

# Each takes a view and returns a figure, or None where there is nothing to draw.
WHERE = {
    "curves": "figures:draw_curves",
    "classes": "figures:draw_classes",
    "costs": "figures:draw_costs",
    "ablations": "pair_figures:draw_ablations",
    "dense_sparse": "pair_figures:draw_dense_sparse",
    "thresholds": "pair_figures:draw_thresholds",
    "budgets": "budget_figures:draw_budgets",
    "comparisons": "matrix:draw_comparisons",
    "seeds": "seeds:draw_seeds",
    "imbalance": "class_figures:draw_imbalance",
    "shares": "class_figures:draw_shares",
    "growth": "class_figures:draw_share_curves",
    "confidence": "confidence_figures:draw_confidence",
    "agreement": "confidence_figures:draw_confidence_scatter",
}


def draw(name: str, view: View) -> Any:
    """Return a figure by its name in the catalogue, or ``None`` where there is nothing to draw."""
    module, function = WHERE[name].split(":")
    return getattr(import_module(f"al.report.{module}"), function)(view)


def save_figures(view: View, look: Look, folder: Path, only: Iterable[str] = ()) -> list[str]:
    """Write the figures of a run as PNG and PDF, by rename.

    A figure without anything to draw says so in the place of its axes, so that every file that was
    announced is there.

    Args:
        view: of the whole run.
        look: as ``gather.look_of``; tells which figures there are.
        folder: ``results/{run}/report``.
        only: names of figures; default: all.

    Returns:
        stems of the figures that had nothing to draw.
    """
    empty, chosen = [], set(only)
    for entry, stem, budget in figures_of(look):
        if chosen and entry.name not in chosen:
            continue
        known = budget in view.budgets if budget else bool(view.budgets)
        figure = draw(entry.name, view.at(budget)) if known else None
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
