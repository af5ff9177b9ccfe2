"""Learning curves: of one budget, of each class, against every cost, and in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from al.paths import REFERENCES

from . import groups
from .charts import Chart
from .curves import Curve, Point, of_class
from .lines import Line, Panel, draw, levels
from .style import SHAPES, Style, cost_label, cost_order, sequential_colours
from .view import View


def curves(view: View) -> Chart | None:
    """Score against cost: mean and 95 % t-interval over seeds, one line per strategy.

    Figs. 2-4 and 10 of the paper. Of folds the interval has the corrected variance of Nadeau and
    Bengio (2003). Of fewer than ``ENOUGH`` seeds the seeds stand in place of the interval; of more
    than ``MOST_BANDS`` strategies only the means are drawn. The legend names strategies that lack
    seeds, full annotation and ``view.share`` of it.

    Returns:
        a figure one column wide, two for many strategies; ``None`` if there are no results.

    Raises:
        DataError: a cost that the points do not have.
    """
    found = view.curves()
    panels = [Panel("", view.x, _lines(view, found), levels(view))] if found else []
    return draw(view, panels)


def costs(view: View) -> Chart | None:
    """The score against every cost that all points have and that varies, a panel each.

    Returns:
        ``None`` if there are no results or no such cost.
    """
    own = learnt(view)
    varying = [x for x in shared_costs(own) if len({p.costs[x] for p in own}) > 1]
    panels = [
        Panel(cost_label(x, view.task), x, _lines(view, replace(view, x=x).curves()), levels(view))
        for x in varying
    ]
    return draw(view, panels, x_titles=True)


def classes(view: View) -> Chart | None:
    """One panel per class that has scores, as ``curves``, each with its own vertical scale.

    Returns:
        ``None`` if there are no results or no scores per class.
    """
    scored = {name for p in learnt(view) for name in p.per_class}
    names = [n for n in dict.fromkeys([*view.classes, *sorted(scored)]) if n in scored]
    lines, panels = _lines(view, view.curves()), []
    for name in names:
        points = of_class(view.points, name)
        found = view.curves(points)
        own = [replace(li, curves=found[li.strategy]) for li in lines if li.strategy in found]
        panels.append(Panel(name, view.x, own, levels(view, points)))
    return draw(view, panels, of_classes=True)


def learnt(view: View) -> list[Point]:
    """Points of the view's budget, references left out."""
    return [p for p in view.points if p.budget == view.budget and p.strategy not in REFERENCES]


def shared_costs(points: Sequence[Point]) -> list[str]:
    """Costs that all points have, in the order of figures."""
    return cost_order(set.intersection(*(set(p.costs) for p in points)) if points else set())


def _lines(view: View, found: Mapping[str, Sequence[Curve]]) -> list[Line]:
    """A line per strategy; its name says which seeds it lacks, and what is to be noted of it."""
    lines, planned = [], len(view.seeds)
    for name, own in found.items():
        said = [f"{len(own)} of {planned} {view.unit}s"] if len(own) < planned else []
        said += [view.notes[name]] if view.notes.get(name) else []
        full = f"{name} ({'; '.join(said)})" if said else name
        lines.append(Line(name, full, own, view.styles[name]))
    return lines


def grouped(view: View, kind: str) -> Chart | None:
    """A panel per group of curves that differ in one thing, all of the same height.

    Strategies have their own look; budgets go from dark to light.

    Args:
        view: of one budget, or of the whole run with an empty ``budget``.
        kind: as ``groups.groups_of``.

    Returns:
        ``None`` where there is nothing to compare.

    Raises:
        DataError: as ``curves``.
    """
    found = {b: view.at(b).curves() for b in ([view.budget] if view.budget else view.budgets)}
    held = {budget: list(curves) for budget, curves in found.items()}
    made = groups.groups_of(kind, view.definitions, held)
    return draw(view, [_group_panel(view, group, found) for group in made])


def _group_panel(
    view: View, group: groups.Group, found: Mapping[str, Mapping[str, Sequence[Curve]]]
) -> Panel:
    shown = [levels(view.at(budget)) for budget in {m.budget: None for m in group.members}]
    # One level for all budgets, or none.
    same = shown[0] if shown.count(shown[0]) == len(shown) else []
    lines = []
    for m in group.members:
        style, place = view.styles[m.strategy], list(found).index(m.budget)
        if group.of_budgets:
            style = Style(sequential_colours(len(found))[place], SHAPES[place % len(SHAPES)])
        lines.append(Line(m.strategy, m.name, found[m.budget][m.strategy], style))
    return Panel(group.title, view.x, lines, same)
