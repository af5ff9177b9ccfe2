"""Scores against costs: rows of means, seeds and references, and the layers that draw them.

The figures of curves and the chart of the page are made of the same rows and layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from .charts import (
    COLUMN,
    PAGE,
    TEXT,
    Chart,
    Rows,
    data_of,
    layered,
    legend_below,
    looks_by,
    titled,
)
from .curves import FULL, FULL_SAME_STEPS, Curve, Point, reference
from .statistics import band
from .style import INK, RULE, SOLID, Style, class_score_name, cost_label
from .view import View

# A t-interval of three seeds is four standard errors each way and hides the curves.
ENOUGH = 5
# Bands of more strategies than this cover each other and the lines.
MOST_BANDS = 6
# Of a line alone, and of all lines of a figure.
MOST_MARKERS, ALL_MARKERS = 15, 800
LOOSE = alt.Scale(zero=False, nice=False, padding=5)


@dataclass(frozen=True)
class Line:
    """One line: its name in the legend, one curve per seed, and how it is drawn."""

    strategy: str
    name: str
    curves: Sequence[Curve]
    style: Style


@dataclass(frozen=True)
class Level:
    """A score that a panel marks all across: a reference."""

    name: str
    score: float
    style: Style


@dataclass(frozen=True)
class Panel:
    """Lines and levels of one panel; ``x`` is their cost."""

    title: str
    x: str
    lines: Sequence[Line]
    levels: Sequence[Level]


def score_label(name: str) -> str:
    """Title of the axis of a score on the test split."""
    return f"test {name} (0 to 1)"


def levels(view: View, points: Sequence[Point] | None = None) -> list[Level]:
    """Full annotation, the share of it that is asked for, and training as long as a cycle.

    ``points``: whose scores count, such as those of one class; by default the view's.
    """
    points = view.points if points is None else points
    wanted = [
        (FULL, "full annotation", 1.0, SOLID),
        (FULL, f"{view.share * 100:g} % of full annotation", view.share, (4.0, 2.0)),
        (FULL_SAME_STEPS, "full annotation, same steps", 1.0, (1.0, 1.5)),
    ]
    return [
        Level(text, factor * float(scores.mean()), Style(view.colours.get(name, INK), RULE, dash))
        for name, text, factor, dash in wanted
        if len(scores := reference(points, view.budget, name))
    ]


def line_rows(name: str, curves: Sequence[Curve], view: View) -> Rows:
    """Rows of kind ``mean``, one per cycle, and of kind ``seed``, one per curve and cycle.

    A mean of fewer seeds than planned is ``open``; of ``ENOUGH`` it has the ends of its interval;
    ``piece`` says which unbroken part of the line it is in, as a line ends where a cycle is
    missing. Seeds are ``few`` where their mean has no interval.
    """
    mean = band(curves, view.fold_ratio)
    pieces = np.cumsum(np.diff(mean.cycle, prepend=mean.cycle[0]) > 1)
    seeds = dict(zip(mean.cycle.tolist(), mean.seeds.tolist(), strict=True))
    rows: Rows = []
    for i, (cycle, n) in enumerate(seeds.items()):
        row = {"kind": "mean", "name": name, "cycle": cycle, "seeds": n}
        row |= {"open": n < len(view.seeds), "piece": int(pieces[i])}
        row |= {"x": _short(mean.x[i]), "y": _short(mean.mean[i])}
        row |= {"low": _short(mean.low[i]), "high": _short(mean.high[i])} if n >= ENOUGH else {}
        rows.append(row)
    return rows + [
        {"kind": "seed", "name": name, "cycle": int(cycle), "seed": curve.seed}
        | {"x": _short(x), "y": _short(score), "few": seeds[int(cycle)] < ENOUGH}
        for curve in curves
        for cycle, x, score in zip(curve.cycle, curve.x, curve.score, strict=True)
    ]


def level_rows(found: Sequence[Level]) -> Rows:
    """Rows of kind ``level``, one each."""
    return [{"kind": "level", "name": v.name, "y": _short(v.score)} for v in found]


def _short(value: float) -> float:
    """Five digits: neither screen nor paper shows more."""
    return float(f"{value:.5g}")


def curve_layers(
    looks: Mapping[str, Style], legend: alt.Legend, x: alt.X, y_title: str, pen: float
) -> list[alt.Chart]:
    """Levels, bands, seeds, lines and markers for such rows, the later above the earlier.

    Args:
        looks: of each name.
        legend: that tells them.
        x: channel of the costs.
        y_title: name of the scores, with a unit.
        pen: how bold all is, 1 for a figure one column wide.
    """
    y, low = (alt.Y(f"{end}:Q", title=y_title, scale=LOOSE) for end in ("y", "low"))
    colour, dash, marked = looks_by("name", looks, legend)
    level = _where("datum.kind == 'level'").mark_rule(strokeWidth=0.9 * pen)
    area = _where("isValid(datum.low)").mark_area(opacity=0.16)
    seed = _where("datum.kind == 'seed'").mark_circle(size=6 * pen**2, opacity=0.45)
    line = _where("datum.kind == 'mean'").mark_line(strokeWidth=1.3 * pen)
    marker = _where("datum.kind == 'mean' && !datum.bare").mark_point(
        size=17 * pen**2, strokeWidth=0.8 * pen, opacity=1
    )
    return [
        level.encode(y, colour, dash),
        area.encode(x, low, alt.Y2("high"), colour, detail="piece:N"),
        seed.encode(x, y, colour),
        line.encode(x, y, colour, dash, detail="piece:N", order="cycle:Q"),
        marker.encode(x, y, **marked),
    ]


def _where(condition: str) -> alt.Chart:
    """A layer of the rows for which a condition holds."""
    return alt.Chart().transform_filter(condition)


def draw(
    view: View, panels: Sequence[Panel], *, x_titles: bool = False, of_classes: bool = False
) -> Chart | None:
    """A figure of panels with one legend below them; ``None`` without panels.

    Args:
        view: whose title the figure has.
        panels: all of the same height.
        x_titles: whether the titles of the panels are those of their horizontal axes.
        of_classes: whether each shows the scores of a class, and has vertical limits of its own.
    """
    if not panels:
        return None
    most = max(len(panel.lines) for panel in panels)
    columns, width, inner, height = _sizes(len(panels), most)
    rows = _rows(view, panels)
    banded = most <= MOST_BANDS and any("low" in row for row in rows)
    dotted = most <= MOST_BANDS and any(row["kind"] == "seed" for row in rows)
    looks = {li.name: li.style for panel in panels for li in panel.lines}
    looks |= {level.name: level.style for panel in panels for level in panel.levels}
    x_title = None if x_titles else cost_label(panels[0].x, view.task)
    axis = alt.Axis(tickCount=max(3, inner // 40))
    x = alt.X("x:Q", title=x_title, scale=LOOSE, axis=axis)
    score = class_score_name(view.score_name) if of_classes else view.score_name
    level, bands, seeds, lines, markers = curve_layers(
        looks, legend_below(looks, width), x, score_label(score), 1 if columns == 1 else 0.8
    )
    layers = [level, *[bands] * banded, *[seeds] * dotted, lines, markers]
    titles = json.dumps([panel.title for panel in panels])
    header = {
        "title": None,
        "labelExpr": f"{titles}[datum.value]",
        "labelOrient": "bottom" if x_titles else "top",
        "labelFontSize": TEXT,
        "labelPadding": 3,
    }
    apart = {c: "independent" for c, own in (("x", x_titles), ("y", of_classes)) if own}
    chart = {
        "data": data_of(rows),
        "facet": {"field": "panel", "type": "ordinal", "header": header},
        "spec": layered(*layers, width=inner, height=height),
        "columns": columns,
        "spacing": 10,
        "resolve": {"scale": apart, "axis": {"x": "independent"}},
    }
    return titled(chart, view.title, [_how(view, rows, banded, dotted)], width)


def _sizes(panels: int, lines: int) -> tuple[int, int, int, int]:
    """Columns; pixels of the figure's width, and of the width and height of a panel."""
    if panels == 1:
        return (1, COLUMN, COLUMN - 52, 150) if lines <= MOST_BANDS else (1, PAGE, PAGE - 52, 240)
    columns = 2 if panels in (2, 4) else 3 if panels <= 9 else 4
    return columns, PAGE, PAGE // columns - 50, {2: 140, 3: 110, 4: 80}[columns]


def _rows(view: View, panels: Sequence[Panel]) -> Rows:
    """All rows of a figure, with the place of their panel; few markers, and few single seeds."""
    lines = sum(len(panel.lines) for panel in panels)
    markers = max(1, min(MOST_MARKERS, ALL_MARKERS // max(1, lines)))
    found = []
    for place, panel in enumerate(panels):
        rows = level_rows(panel.levels)
        for i, line in enumerate(panel.lines):
            own = line_rows(line.name, line.curves, view)
            means = [row for row in own if row["kind"] == "mean"]
            _thin_out(means, i, markers)
            rows += means + [row for row in own if row.get("few")]
        found += [row | {"panel": place} for row in rows]
    return found


def _thin_out(rows: Rows, place: int, most: int) -> None:
    """Take markers from points, others than from those of the line before.

    Ends of pieces keep theirs: a point between two gaps has no line.
    """
    step = -(-len(rows) // most)
    for i, row in enumerate(rows):
        near = {other["piece"] for other in rows[max(0, i - 1) : i + 2]}
        row["bare"] = i % step != place % step and len(near) == 1


def _how(view: View, rows: Rows, banded: bool, dotted: bool) -> str:
    """How to read lines and what is around them."""
    unit, planned = view.unit, f"{len(view.seeds)} " if view.seeds else ""
    parts = [f"Lines: means over {planned}{unit}s"]
    if banded:
        parts.append("bands: their 95 % intervals")
    if dotted:
        parts.append(f"dots: single {unit}s")
    if any(row.get("open") for row in rows):
        parts.append(f"open markers: fewer than {len(view.seeds)} {unit}s")
    return "; ".join(parts)
