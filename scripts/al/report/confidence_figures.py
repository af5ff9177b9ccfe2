"""Class confidence of the models beside their test scores per class (Fig. 9b, d)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from al.paths import INITIAL

from .class_panels import (
    Cells,
    class_order,
    confidence_cells,
    confident_strategy,
    draw_dots,
    figure_width,
    full_scores,
    listed,
    mean_note,
    missing_notes,
    ordered,
    panel_height,
    prepare_rows,
    say_in_row,
    score_cells,
    shown_cycles,
    strategies_of,
)
from .confidence import Correlation, rank_correlations, untested
from .curves import FULL
from .panels import PAGE, SMALL, TEXT, finish
from .point_names import name_points
from .style import INK, class_score_name, new_figure
from .view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "full annotation"
TICKS, TICK_LABELS = (0, 0.25, 0.5, 0.75, 1), ("0", "", "0.5", "", "1")
RHO = (
    "\u03c1: mean over seeds of Spearman's rank correlation over the classes; descriptive, no test."
)


def draw_confidence(
    view: View, strategy: str | None = None, cycles: Sequence[int] | None = None
) -> Figure | None:
    """Class confidence above, test score per class below, one column per cycle (Fig. 9b, d).

    Args:
        view: of one budget.
        strategy: whose confidence is shown; DECOMP's, else that of the first that has some.
        cycles: of the models; a few spread over the run, if not given.

    Without any confidence only the scores are drawn, and ``None`` without either.
    """
    strategy = strategy or confident_strategy(view)
    cycles = list(cycles or shown_cycles(view))
    confidence, scores = confidence_cells(view), score_cells(view)
    names, rows = strategies_of(view), class_order(view)
    # scores of groups of classes have no confidence beside them
    scored = [*rows, *(n for n in _first_seen(scores) if n not in rows)]
    kinds = [k for k, given in (("confidence", strategy), ("score", scores)) if given]
    if not kinds or not cycles:
        return None
    heights = [
        panel_height(rows, 1) if k == "confidence" else panel_height(scored, len(names))
        for k in kinds
    ]
    figure = new_figure(figure_width(len(cycles)), sum(heights) + 0.55 * len(kinds))
    panels = figure.subplots(len(kinds), len(cycles), squeeze=False, height_ratios=heights)
    handles: dict[str, Any] = {}
    for line, kind in zip(panels, kinds, strict=True):
        for place, (axes, cycle) in enumerate(zip(line, cycles, strict=True)):
            prepare_rows(axes, rows if kind == "confidence" else scored, named=place == 0)
            axes.set_xlim(-0.02, 1.02)
            axes.set_xticks(TICKS, TICK_LABELS)
            axes.set_title(f"cycle {cycle}", fontsize=TEXT)
            if kind == "confidence":
                _draw_rates(axes, view, confidence, strategy or "", cycle, rows)
                axes.set_xlabel(f"confidence ({strategy})", fontsize=SMALL)
            else:
                handles |= draw_dots(axes, view, scores, cycle, scored, names)
                handles |= _draw_full(axes, view, scored)
                _say_unscored(axes, view, scores, scored)
                axes.set_xlabel(f"test {class_score_name(view.score_name)}", fontsize=SMALL)
    notes = [mean_note([scores, confidence], cycles, len(names)), *missing_notes(view, cycles)]
    notes += _partly_tested(view)
    notes += [] if strategy else ["No class confidence: no strategy has read predictions so far."]
    finish(figure, view.title, ordered(handles, names), notes)
    return figure


def _first_seen(cells: Cells) -> list[str]:
    return list(dict.fromkeys(name for _, _, name in cells))


def _draw_rates(
    axes: Any, view: View, cells: Cells, strategy: str, cycle: int, rows: Sequence[str]
) -> None:
    """Draw a bar per class, the mean over seeds, and a faint dot per seed."""
    colours = dict(zip(view.classes, view.class_colours, strict=True))
    predicted = any((strategy, cycle, name) in cells for name in rows)
    for row, name in enumerate(rows):
        values = list(cells.get((strategy, cycle, name), {}).values())
        if not values:
            say_in_row(axes, row, "never predicted" if predicted else "no predictions")
            continue
        mean = float(np.mean(values))
        axes.barh(row, mean, 0.7, color=colours[name], edgecolor=INK, linewidth=0.4)
        if len(values) > 1:
            each = [row] * len(values)
            axes.scatter(values, each, s=6, color=INK, alpha=0.5, linewidths=0, zorder=3)


def _draw_full(axes: Any, view: View, rows: Sequence[str]) -> dict[str, Any]:
    """Mark the score of full annotation in the row of each class."""
    full = full_scores(view)
    found = [(full[name], row) for row, name in enumerate(rows) if name in full]
    if not found:
        return {}
    colour = view.colours.get(FULL, INK)
    x, y = zip(*found, strict=True)
    low, high = [v - 0.4 for v in y], [v + 0.4 for v in y]
    return {REFERENCE: axes.vlines(x, low, high, colour, "--", linewidth=1.0)}


def _say_unscored(axes: Any, view: View, cells: Cells, rows: Sequence[str]) -> None:
    """Say of classes without any score why: Dice has no gaps, so these are not scored alone."""
    scored = {name for _, _, name in cells}
    for row, name in enumerate(rows):
        if name not in scored:
            say_in_row(axes, row, _unscored(view))


def _partly_tested(view: View) -> list[str]:
    """Say which classes are in the test set of some seeds only, as of folds."""
    absent = untested(view.points)
    counts = {n: sum(n not in names for names in absent.values()) for n in class_order(view)}
    few = [f"{n} ({k} of {len(absent)})" for n, k in counts.items() if 0 < k < len(absent)]
    return [f"In the test set of some seeds only: {', '.join(few)}."] if few else []


def _unscored(view: View) -> str:
    return "not scored alone" if view.task == "3d" else "not in the test set"


def draw_confidence_scatter(
    view: View, strategy: str | None = None, cycles: Sequence[int] | None = None
) -> Figure | None:
    """Class confidence against test score of the same model, one panel per cycle.

    Points are means over seeds; the number is the mean over seeds of Spearman's rank correlation
    over the classes. ``None`` without class confidence, or where no class has both numbers.

    Args:
        view: of one budget.
        strategy: whose models; as in ``draw_confidence``.
        cycles: a few spread over the run, if not given.
    """
    strategy = strategy or confident_strategy(view)
    if strategy is None:
        return None
    cycles = list(cycles or shown_cycles(view))
    pairs = {cycle: _pairs(view, strategy, cycle) for cycle in cycles}
    drawn = [cycle for cycle in cycles if pairs[cycle]]
    if not drawn:
        return None
    columns = min(2, len(drawn))
    lines = -(-len(drawn) // columns)
    figure = new_figure(PAGE if columns > 1 else PAGE / 2, 3.2 * lines + 0.3)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in panels[len(drawn) :]:
        axes.set_visible(False)
    for axes, cycle in zip(panels, drawn, strict=False):
        _draw_pairs(axes, view, pairs[cycle])
        axes.set_title(_title(view, strategy, cycle), fontsize=TEXT)
        axes.set_xlabel(f"class confidence ({strategy})", fontsize=SMALL)
        axes.set_ylabel(f"test {class_score_name(view.score_name)}", fontsize=SMALL)
    figure.draw_without_rendering()  # names need to know where the points are
    numbers = {name: i for i, name in enumerate(class_order(view), 1)}
    named = [
        name_points(axes, pairs[cycle], numbers) for axes, cycle in zip(panels, drawn, strict=False)
    ]
    notes = _scatter_notes(view, strategy, cycles) + _key(numbers, named)
    finish(figure, view.title, {}, notes)
    return figure


def _pairs(view: View, strategy: str, cycle: int) -> dict[str, list[tuple[float, float]]]:
    """(confidence, score) of each class, one per seed that has both."""
    confidence, scores = confidence_cells(view), score_cells(view)
    found = {}
    for name in class_order(view):
        rates = confidence.get((strategy, cycle, name), {})
        own = scores.get((strategy, cycle, name), {})
        if cycle == 1:  # before any strategy has gone on from it, it has a name of its own
            own = scores.get((INITIAL, cycle, name), {}) | own
        if both := [(rates[seed], own[seed]) for seed in sorted(rates.keys() & own.keys())]:
            found[name] = both
    return found


def _limits(values: Sequence[list[tuple[float, float]]]) -> tuple[float, float]:
    """Limits of both axes of a panel: what the points span, and room for their names."""
    every = np.concatenate([np.asarray(v, float) for v in values])
    pad = 0.03 + 0.1 * float(np.ptp(every))
    return max(-0.03, float(every.min()) - pad), min(1.03, float(every.max()) + pad)


def _draw_pairs(axes: Any, view: View, pairs: Mapping[str, list[tuple[float, float]]]) -> None:
    """Draw the diagonal, a dot per class at the mean over seeds, and each seed faintly."""
    colours = dict(zip(view.classes, view.class_colours, strict=True))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--", zorder=1)
    for name, values in pairs.items():
        if len(values) > 1:
            axes.scatter(*zip(*values, strict=True), s=6, color=colours[name], alpha=0.4, lw=0)
        x, y = np.mean(values, axis=0)
        axes.scatter(x, y, s=22, color=colours[name], edgecolors=INK, linewidths=0.5, zorder=3)
    low, high = _limits(list(pairs.values()))
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_box_aspect(1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, pad=2)


def _models(view: View, strategy: str, cycles: Sequence[int]) -> list[Correlation]:
    return [
        c
        for c in rank_correlations(view)
        if (c.budget, c.strategy) == (view.budget, strategy) and c.cycle in cycles
    ]


def _title(view: View, strategy: str, cycle: int) -> str:
    """Cycle and rank correlation, the mean over seeds; how many seeds and classes it is over."""
    found = [c for c in _models(view, strategy, [cycle]) if not math.isnan(c.rho)]
    if not found:
        return f"cycle {cycle}: no rank correlation"
    counts = sorted({c.classes for c in found})
    classes = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    seeds = f"{len(found)} seed" + ("s" if len(found) > 1 else "")
    mean = float(np.mean([c.rho for c in found]))
    return f"cycle {cycle}: \u03c1 = {mean:.2f} ({seeds}, {classes} classes)"


def _key(
    numbers: Mapping[str, int], named: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> list[str]:
    """Say which classes the numbers stand for, and which have found no room."""
    numbered = {name for found, _ in named for name in found}
    unnamed = {name for _, left in named for name in left}
    notes = []
    if numbered:
        key = ", ".join(f"{i} {name}" for name, i in numbers.items() if name in numbered)
        notes.append(f"Numbers in a crowd: {key}.")
    if unnamed:
        left = ", ".join(name for name in numbers if name in unnamed)
        notes.append(f"Without a name in one panel or more, for want of room: {left}.")
    return notes


def _scatter_notes(view: View, strategy: str, cycles: Sequence[int]) -> list[str]:
    """Say what the number is, and which classes are left out of it and why."""
    models = _models(view, strategy, cycles)
    notes = [RHO] if any(not c.reason for c in models) else []
    for what, left in (
        ("never predicted", [(n, c.cycle) for c in models for n in c.never_predicted]),
        (_unscored(view), [(n, c.cycle) for c in models if c.classes for n in c.untested]),
    ):
        at: dict[str, set[int]] = {}
        for name, cycle in left:
            at.setdefault(name, set()).add(cycle)
        if at:
            texts = [f"{name} ({listed(sorted(at[name]))})" for name in at]
            notes.append(f"Left out, {what} in one seed or more: {'; '.join(texts)}.")
    for reason in dict.fromkeys(c.reason for c in models if c.reason):
        at_cycles = sorted({c.cycle for c in models if c.reason == reason})
        notes.append(f"No rank correlation in {listed(at_cycles)}: {reason}.")
    return notes
