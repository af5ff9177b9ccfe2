"""Charts per class: how common each is, what was annotated of it, and what models say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np

from al.paths import INITIAL

from .charts import (
    CHARACTER,
    COLUMN,
    PAGE,
    SMALL,
    Chart,
    Rows,
    joined,
    layered,
    legend_below,
    looks_by,
    names_axis,
    panel_title,
    text_in,
    titled,
    values,
)
from .confidence import rank_correlations
from .curve_charts import learnt
from .lines import score_label
from .style import INK, class_score_name
from .view import View

UNITS = {"2d": "pixels", "3d": "voxels", "roi": "RoIs"}
WHOLE = "whole pool"
# Pixels of a row per class.
ROW, MOST_ROW = 11, 24
# Of more classes than this numbers stand in place of names.
MOST_NAMES = 12


def imbalance(view: View) -> Chart | None:
    """Share of each class in the training pool, and of it what each strategy annotated (Fig. 9).

    Left: ground truth, the largest class first, on a logarithmic axis where the shares span more
    than two decades. Right: percent of the class annotated after the last cycle, means over seeds;
    the row of the whole pool is what a strategy blind to classes has.

    Args:
        view: of one budget.

    Returns:
        ``None`` without counts and without shares.
    """
    shares, pooled = _annotated(view), sum(view.truth.values())
    if not (shares or pooled):
        return None
    rows = [WHOLE, *sorted(view.classes, key=lambda name: -view.truth.get(name, 0))]
    names = view.order({row["strategy"] for row in shares})
    width = PAGE if shares and pooled else COLUMN
    edge = max(map(len, rows)) * CHARACTER + 32
    size = (width - edge) / (1 + bool(shares and pooled)) - 10
    step = min(MOST_ROW, max(ROW, 2 * len(names)))
    legend = legend_below(names, width - edge)
    panels = [_pool(view, rows, size, step)] if pooled else []
    panels += [_shares(view, shares, rows, legend, size, step)] if shares else []
    some = any(row["open"] for row in shares)
    notes = [f"Open markers: means of fewer than {len(view.seeds)} {view.unit}s."] if some else []
    return titled(joined(panels, 2, 12, shared=True), view.title, notes, width)


def _pool(view: View, classes: Sequence[str], width: float, step: float) -> Chart:
    """A bar per class, and its share beside it."""
    total, colours = sum(view.truth.values()), view.class_colours
    shares = {name: 100 * n / total for name, n in view.truth.items() if n}
    rows = [
        {"class": name, "share": share, "colour": colours[name]}
        | {"text": f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"}
        for name, share in shares.items()
    ]
    low, high = min(shares.values()), max(shares.values())
    log = high > 100 * low
    # Room for the values, which stand right of the bars.
    ends = (low / 2, high * (high / low) ** 0.3) if log else (0.0, 1.3 * high)
    title = f"training pool (% of {UNITS[view.task]}{', logarithmic' * log})"
    scale = alt.Scale(type="log" if log else "linear", domain=list(ends), nice=False)
    x = alt.X("share:Q", title=title, scale=scale, axis=alt.Axis(format=".3~g", tickCount=4))
    y = names_axis(alt.Y, "class", classes)
    bar = values(rows).mark_bar(stroke=INK, strokeWidth=0.4, size=0.7 * step, orient="horizontal")
    return layered(
        bar.encode(x, y, x2=alt.X2Datum(ends[0]), color=alt.Color("colour:N", scale=None)),
        text_in(rows, align="left", dx=3).encode(x, y, text="text:N"),
        width=width,
        height={"step": step},
    )


def _annotated(view: View) -> Rows:
    """Percent of each class annotated after the last cycle: mean over seeds."""
    own = learnt(view)
    last = max((p.cycle for p in own), default=0)
    cells: dict[tuple[str, str], list[float]] = {}
    for p in own:
        if p.cycle == last and p.annotated and p.strategy != INITIAL:
            whole = [p.costs[c] for c in ("area_percent", "rois_percent") if c in p.costs][:1]
            for name, value in [*((WHOLE, v) for v in whole), *p.annotated.items()]:
                cells.setdefault((p.strategy, name), []).append(value)
    return [
        {"strategy": strategy, "class": name, "share": float(np.mean(found))}
        | {"open": len(found) < len(view.seeds)}
        for (strategy, name), found in cells.items()
    ]


def _shares(
    view: View, rows: Rows, classes: Sequence[str], legend: alt.Legend, width: float, step: float
) -> Chart:
    """A point per class and strategy, the strategies a little below each other."""
    names = view.order({row["strategy"] for row in rows})
    *_, marked = looks_by("strategy", {name: view.styles[name] for name in names}, legend)
    dots = values(rows).mark_point(size=16, strokeWidth=0.8, opacity=1)
    made = dots.encode(
        alt.X("share:Q", title="annotated (% of the class)", axis=alt.Axis(tickCount=5)),
        names_axis(alt.Y, "class", classes, labels=not any(view.truth.values())),
        yOffset=alt.YOffset("strategy:N", scale=alt.Scale(domain=names, padding=0.5)),
        **marked,
    )
    return layered(made, width=width, height={"step": step, "for": "position"})


def agreement(view: View) -> Chart | None:
    """Class confidence against test score of the same model, after the first and the last cycle.

    A point per class, the mean over seeds; of many classes numbers stand for names, with a key. The
    number in a title is the mean over seeds of Spearman's rank correlation over the classes: a
    description, no test. Confidence is DECOMP's, else that of the first strategy that has most.

    Returns:
        ``None`` without class confidence, or where no class has both numbers.
    """
    cycles: dict[str, set[int]] = {}
    for r in view.confidence:
        if r.budget == view.budget:
            cycles.setdefault(r.strategy, set()).add(r.cycle)
    # The first cycle is every strategy's: those that read predictions have more of them.
    names = view.order(cycles)
    strategy = max(names, key=lambda n: (n == "decomp", n != INITIAL, len(cycles[n])), default="")
    found = {cycle: _pairs(view, strategy, cycle) for cycle in sorted(cycles.get(strategy, ()))}
    drawn = [cycle for cycle, pairs in found.items() if pairs]
    if not drawn:
        return None
    ends = list(dict.fromkeys([drawn[0], drawn[-1]]))
    panels = [_scatter(view, strategy, cycle, found[cycle]) for cycle in ends]
    notes = ["\u03c1: Spearman's rank correlation over the classes, the mean over seeds."]
    if len(view.classes) > MOST_NAMES:
        notes.append(", ".join(f"{i} {name}" for i, name in enumerate(view.classes, 1)))
    width = PAGE if len(panels) > 1 else COLUMN
    return titled(joined(panels, 2, 16), view.title, notes, width)


def _scatter(view: View, strategy: str, cycle: int, pairs: dict[str, tuple[float, float]]) -> Chart:
    """A point per class, its name or number beside it."""
    score = score_label(class_score_name(view.score_name))
    colours, many = view.class_colours, len(view.classes) > MOST_NAMES
    rows = [
        {"class": n, "x": a, "y": b, "colour": colours[n]}
        | {"text": str(view.classes.index(n) + 1) if many else n}
        for n, (a, b) in pairs.items()
    ]
    confidences, scores = zip(*pairs.values(), strict=True)
    # Room for what stands right of the last point.
    across, up = _ends(confidences, 0.1 if many else 0.35), _ends(scores, 0.06)
    axis = alt.Axis(tickCount=5)
    x = alt.X("x:Q", title=f"confidence of {strategy} (0 to 1)", axis=axis, scale=across)
    y = alt.Y("y:Q", title=score, axis=axis, scale=up)
    dots = values(rows).mark_circle(size=28, stroke=INK, strokeWidth=0.5, opacity=1)
    named = text_in(rows, align="left", dx=5, fontSize=SMALL)
    return layered(
        dots.encode(x, y, color=alt.Color("colour:N", scale=None)),
        named.encode(x, y, text="text:N"),
        width=COLUMN - 50,
        height=150,
        title=panel_title(_title(view, strategy, cycle)),
    )


def _ends(found: Sequence[float], room: float) -> alt.Scale:
    """What values span, and some room, which is a share of that, above them."""
    span = max(max(found) - min(found), 0.02)
    ends = [min(found) - 0.06 * span, max(found) + room * span]
    return alt.Scale(domain=ends, nice=False)


def _pairs(view: View, strategy: str, cycle: int) -> dict[str, tuple[float, float]]:
    """Confidence and score of each class, means over the seeds that have both."""
    scores = {(p.seed, p.strategy): p for p in learnt(view) if p.cycle == cycle}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in view.classes}
    for r in view.confidence:
        if (r.budget, r.strategy, r.cycle) == (view.budget, strategy, cycle) and r.predicted:
            # Before any strategy has gone on from it, the first model has a name of its own.
            point = scores.get((r.seed, strategy)) or scores.get((r.seed, INITIAL))
            if point and r.cls in point.per_class:
                found[r.cls].append((r.rate, point.per_class[r.cls]))
    means = {name: np.mean(pairs, axis=0) for name, pairs in found.items() if pairs}
    return {name: (float(x), float(y)) for name, (x, y) in means.items()}


def _title(view: View, strategy: str, cycle: int) -> str:
    """Cycle and rank correlation, the mean over seeds."""
    wanted = (view.budget, strategy, cycle)
    own = [c for c in rank_correlations(view) if (c.budget, c.strategy, c.cycle) == wanted]
    rhos = [c.rho for c in own if not math.isnan(c.rho)]
    said = f"\u03c1 = {np.mean(rhos):.2f}" if rhos else "no rank correlation"
    return f"after cycle {cycle}: {said}"
