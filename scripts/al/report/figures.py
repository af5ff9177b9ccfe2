"""Learning curves: of one budget, of each class, and against every cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from al.paths import REFERENCES

from .confidence import untested
from .curves import Curve, Point, of_class
from .panels import (
    COLUMN,
    MOST_BANDS,
    PAGE,
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
    lacks,
    panels_of,
    styles_of,
    tidy,
    unstarted,
)
from .style import class_score_name, cost_order, new_figure
from .view import View


def draw_curves(view: View) -> Any:
    """Draw score against cost: mean and 95 % t-interval over seeds, one line per strategy.

    Of folds the interval has the corrected variance of Nadeau and Bengio (2003).

    Figs. 2-4 and 10 of the paper. The dashed line is ``view.share`` of the mean score of full
    annotation, the dotted one is full annotation trained as long as a cycle. Of fewer than
    ``ENOUGH`` seeds the seeds stand in place of the interval; of more than ``MOST_BANDS``
    strategies only the means are drawn. The legend says so, and what each strategy lacks.

    Returns:
        a figure one column wide, two for many strategies; ``None`` if there are no results.

    Raises:
        DataError: no curve of this budget, several runs, or a cost that the points do not have.
    """
    check(view)
    curves = view.curves()
    if not curves:
        return None
    lines = _lines(view, curves, seeds=True)
    many = len(lines) > MOST_BANDS + 1
    figure = new_figure(PAGE if many else COLUMN, 3.6 if many else 2.4)
    axes = figure.add_subplot()
    draw_lines(axes, lines, view, spread := len(lines) <= MOST_BANDS)
    draw_references(axes, view, view.points)
    axes.set_ylabel(view.score_name, fontsize=TEXT)
    tidy(axes)
    frame([axes], 0.15)
    label_costs([axes], view)
    entries = entries_of([axes]) | explain(lines, view, spread, f"{len(lines)} strategies")
    finish(figure, view.title, entries, unstarted(view, curves))
    return figure


def draw_classes(view: View) -> Any:
    """Draw one panel per class, as ``draw_curves``; each panel has its own vertical scale.

    A class that the test set lacks has no panel, and a note says so; where it is in the test set of
    some seeds only (folds), the panel's title says of how many.

    Returns:
        a figure two columns wide; ``None`` if there are no results or no scores per class.

    Raises:
        DataError: as ``draw_curves``.
    """
    check(view)
    absent = untested(view.points)
    points = [_tested(p, absent.get(p.seed, set())) for p in view.points]
    own = [p for p in points if p.budget == view.budget and p.strategy not in REFERENCES]
    scored = {name for p in own for name in p.per_class}
    classes = [n for n in dict.fromkeys([*view.classes, *sorted(scored)]) if n in scored]
    if not classes:
        return None
    lines = _lines(view, view.curves(points), seeds=False)
    figure, panels = panels_of(len(classes), sharex=True)
    spread, seeds = len(lines) <= MOST_BANDS, {p.seed for p in own}
    for axes, name in zip(panels, classes, strict=True):
        of_this = of_class(points, name)
        found = view.curves(of_this)
        shown = [replace(li, curves=c) for li in lines if (c := found.get(_name(li)))]
        draw_lines(axes, shown, view, spread, small=True)
        draw_references(axes, view, of_this)
        tested = {c.seed for curves in found.values() for c in curves}
        few = f" ({len(tested)} of {len(seeds)} {view.unit}s)" if len(tested) < len(seeds) else ""
        axes.set_title(name + few, fontsize=TEXT, pad=3)
        tidy(axes)
        frame([axes], 0.3)
    label_costs(panels, view)
    figure.supylabel(class_score_name(view.score_name), fontsize=TEXT)
    entries = entries_of(panels) | explain(lines, view, spread, f"{len(lines)} strategies")
    notes = [*_absent(view, scored), *unstarted(view, view.curves())]
    finish(figure, view.title, entries, notes)
    return figure


def draw_costs(view: View) -> Any:
    """Draw the score against every cost that all points have, one panel each.

    Costs that do not grow, such as validation images where none are annotated, are left out.

    Returns:
        a figure two columns wide; ``None`` if there are no results or no such cost.

    Raises:
        DataError: as ``draw_curves``.
    """
    check(view)
    own = [p for p in view.points if p.budget == view.budget and p.strategy not in REFERENCES]
    known = set.intersection(*(set(p.costs) for p in own)) if own else set()
    costs = [x for x in cost_order(known) if len({p.costs[x] for p in own}) > 1]
    if not costs:
        return None
    lines = _lines(view, replace(view, x=costs[0]).curves(), seeds=True)
    figure, panels = panels_of(len(costs), sharey=True)
    spread = len(lines) <= MOST_BANDS
    for axes, x in zip(panels, costs, strict=True):
        seen = replace(view, x=x)
        found = seen.curves()
        shown = [replace(li, curves=found[_name(li)]) for li in lines]
        draw_lines(axes, shown, seen, spread, small=True)
        draw_references(axes, seen, view.points)
        tidy(axes)
        label_costs([axes], seen)
    frame(panels, 0.15)
    figure.supylabel(view.score_name, fontsize=TEXT)
    found_names = [_name(line) for line in lines]
    entries = entries_of(panels) | explain(lines, view, spread, f"{len(lines)} strategies")
    finish(figure, view.title, entries, unstarted(view, found_names))
    return figure


def _lines(view: View, curves: Mapping[str, Sequence[Curve]], seeds: bool) -> list[Line]:
    """A line per strategy; its label says how many seeds it has (if asked) and what it lacks."""
    styles = styles_of(view, curves)
    lines = []
    for name, own in curves.items():
        parts = lacks(view, own)
        if seeds and not any(part.endswith(f"{view.unit}s") for part in parts):
            parts.insert(0, f"{len(own)} {view.unit}{'s' * (len(own) > 1)}")
        parts += [view.notes[name]] if view.notes.get(name) else []
        label = f"{name} ({'; '.join(parts)})" if parts else name
        lines.append(Line(label, own, styles[name]))
    return lines


def _name(line: Line) -> str:
    return line.curves[0].strategy


def _tested(point: Point, absent: set[str]) -> Point:
    """The same point without the scores of classes that the test set lacks."""
    return replace(point, per_class={n: v for n, v in point.per_class.items() if n not in absent})


def _absent(view: View, scored: set[str]) -> list[str]:
    """A note on classes without a panel; Dice of volumes has groups of classes, and all of them."""
    if view.task == "3d" or not scored <= set(view.classes):
        return []
    background = set() if view.background is None else {view.classes[view.background]}
    missing = [n for n in view.classes if n not in scored | background]
    return [f"Not in the test set, so without a panel: {', '.join(missing)}."] if missing else []
