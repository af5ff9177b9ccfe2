"""The curves of a run as one chart that answers to the reader: cost, budget, strategies, spread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt

from .charts import FAINT, FONT, Rows
from .curve_charts import learnt, shared_costs
from .curves import curves_of
from .lines import LOOSE, MOST_BANDS, curve_layers, level_rows, levels, line_rows, score_label
from .style import cost_label
from .view import View

HEIGHT, ENTRY = 380, 15  # pixels of the chart, and of a name in its legend
CONFIG: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {"gridColor": FAINT, "labelFontSize": 12, "titleFontSize": 13}
    | {"titleFontWeight": "normal"},
    "legend": {"labelFontSize": 12, "symbolOpacity": 1, "titleFontWeight": "normal"}
    | {"labelLimit": 0, "symbolLimit": 0, "titleLimit": 0, "symbolOffset": 6, "labelOffset": 10},
}


def explorer(views: Sequence[View]) -> dict[str, Any] | None:
    """Vega-Lite specification of score against cost, to be drawn as wide as its place.

    The layers are those of the figure ``curves``. The reader chooses the cost, of those that all
    models have, the budget where there are several, strategies by clicks on their names (with the
    shift key: several), and whether intervals and single seeds are shown.

    Args:
        views: one per budget, in the order to offer; the cost of the first is shown first.

    Returns:
        the specification with all numbers once; ``None`` where nothing was evaluated yet.

    Raises:
        DataError: a cost falls from one cycle to the next.
    """
    views = [view for view in views if view.points and view.budget in view.budgets]
    costs = shared_costs([p for view in views for p in learnt(view)])
    if not costs:
        return None
    first = views[0]
    rows = [row | {"budget": view.budget} for view in views for row in _rows(view, costs)]
    found = {level.name: level.style for view in views for level in levels(view)}
    names = first.order({row["name"] for row in rows} - found.keys())
    looks = {name: first.styles[name] for name in names} | found
    title = ["Click a name to show it alone,", "shift-click for several"]
    x = alt.X("x:Q", title=None, scale=LOOSE, axis=alt.Axis(tickCount=8))
    known = json.dumps({cost: cost_label(cost, first.task) for cost in costs})
    bands = len(names) <= MOST_BANDS and any("low" in row for row in rows)
    legend, score = alt.Legend(title=title), score_label(first.score_name)
    layers = curve_layers(looks, legend, x, score, 1.6)
    chart = (
        alt.layer(*_answering(layers, first.score_name))
        # No lower than the legend.
        .properties(height=max(HEIGHT, ENTRY * (len(looks) + 3)), width="container")
        .properties(data=alt.NamedData("rows"))
        # An axis cannot be named anew, a title can.
        .properties(title=alt.TitleParams(alt.expr(f"{known}[cost]"), orient="bottom"))
        .transform_filter("datum.budget == budget")
        .transform_calculate(x="datum[cost]")
        .transform_calculate(told=f"{known}[cost] + ': ' + format(datum.x, '.4~g')")
        .add_params(*_choices(views, costs, bands, len(names) <= MOST_BANDS and not bands))
    )
    size = {"autosize": {"type": "fit-x", "contains": "padding"}, "config": CONFIG}
    return {**chart.to_dict(validate=False), "datasets": {"rows": rows}, **size}


def _rows(view: View, costs: Sequence[str]) -> Rows:
    """Means, single seeds and levels of one budget; costs are columns."""
    rows = level_rows(levels(view))
    for name in view.order({p.strategy for p in learnt(view)}):
        own = [p for p in learnt(view) if p.strategy == name]
        drawn = [line_rows(name, curves_of(own, view.budget, cost), view) for cost in costs]
        for same in zip(*drawn, strict=True):
            row = {k: v for k, v in same[0].items() if k not in ("x", "few")}
            rows.append(row | {c: other["x"] for c, other in zip(costs, same, strict=True)})
    return rows


def _answering(layers: Sequence[alt.Chart], score_name: str) -> list[alt.Chart]:
    """The layers with what the reader chooses, and what they tell where they are pointed at."""
    level, bands, seeds, lines, markers = layers
    chosen = alt.selection_point("chosen", fields=["name"], bind="legend")

    def shown(opacity: float) -> Any:
        return alt.when(chosen).then(alt.value(opacity)).otherwise(alt.value(0.04))

    score = alt.Tooltip("y:Q", title=score_name, format=".4f")
    told = ["name:N", "cycle:Q", alt.Tooltip("told:N", title="cost"), score]
    return [
        level.encode(opacity=shown(1), tooltip=["name:N", score]),
        bands.transform_filter("intervals").encode(opacity=shown(0.16)),
        seeds.transform_filter("singles").encode(opacity=shown(0.45), tooltip=[*told, "seed:N"]),
        lines.encode(opacity=shown(1)),
        markers.encode(opacity=shown(1), tooltip=[*told, "seeds:Q"])
        .properties(name="means")
        .add_params(chosen),
    ]


def _choices(
    views: Sequence[View], costs: Sequence[str], bands: bool, singles: bool
) -> list[alt.Parameter]:
    first, budgets = views[0], [view.budget for view in views]
    labels = [cost_label(cost, first.task) for cost in costs]
    named = alt.binding_select(options=list(costs), labels=labels, name="Cost ")
    offered = alt.binding_select(options=budgets, name="Budget per cycle ")
    several = {"bind": offered} if len(budgets) > 1 else {}
    single = alt.binding_checkbox(name=f"Single {first.unit}s ")
    return [
        alt.param("cost", value=first.x if first.x in costs else costs[0], bind=named),
        alt.param("budget", value=budgets[0], **several),
        alt.param("intervals", value=bands, bind=alt.binding_checkbox(name="95 % intervals ")),
        alt.param("singles", value=singles, bind=single),
    ]
