"""Budgets per cycle against each other, a panel per strategy."""

from __future__ import annotations

from typing import Any

from .curves import FULL, Curve, reference
from .panels import (
    MOST_BANDS,
    TEXT,
    Line,
    check,
    draw_lines,
    draw_references,
    entries_of,
    explain,
    finish,
    frame,
    label_costs,
    notes_on,
    panels_of,
    tidy,
    unstarted,
)
from .style import LINES, MARKERS, Style, sequential_colours
from .view import View


def draw_budgets(view: View) -> Any:
    """Draw the budgets of a run against each other, one panel per strategy, shared axes.

    Colours go from dark (few regions per cycle) to light. The dashed line is ``view.share`` of the
    mean score of full annotation, where that is the same for all budgets.

    Args:
        view: of the whole run; ``view.budget`` is not read.

    Returns:
        a figure two columns wide; ``None`` if there are results of fewer than two budgets.

    Raises:
        DataError: several runs, or a cost that the points do not have.
    """
    whole = view.at("")
    check(whole)
    budgets = view.budgets
    if len(budgets) < 2:
        return None
    curves = {budget: view.at(budget).curves() for budget in budgets}
    names = view.order(list(dict.fromkeys(n for found in curves.values() for n in found)))
    colours = sequential_colours(len(budgets))
    styles = {
        b: Style(colours[i], MARKERS[i % len(MARKERS)], LINES[0]) for i, b in enumerate(budgets)
    }
    figure, panels = panels_of(len(names), sharex=True, sharey=True)
    spread, lines = len(budgets) <= MOST_BANDS, []
    for axes, name in zip(panels, names, strict=True):
        own = [
            Line(f"{b} per cycle", curves[b][name], styles[b]) for b in budgets if name in curves[b]
        ]
        draw_lines(axes, own, whole, spread, small=True)
        if _same_reference(view):
            draw_references(axes, view.at(budgets[0]), view.points, same=False)
        axes.set_title(name, fontsize=TEXT, pad=3)
        tidy(axes)
        lines += own
    frame(panels, 0.15)
    label_costs(panels, view)
    figure.supylabel(view.score_name, fontsize=TEXT)
    drawn: dict[str, list[Curve]] = {
        f"{n}, {b}": curves[b][n] for n in names for b in budgets if n in curves[b]
    }
    finish(
        figure,
        view.title,
        entries_of(panels) | explain(lines, whole, spread),
        [*unstarted(view, names), *notes_on(view, drawn)],
    )
    return figure


def _same_reference(view: View) -> bool:
    """Whether one line stands for full annotation under every budget."""
    scores = [reference(view.points, budget, FULL) for budget in view.budgets]
    return len({round(float(s.mean()), 9) for s in scores if len(s)}) == 1
