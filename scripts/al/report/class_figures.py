"""Figures per class: how common each is, and how much of it was annotated (Fig. 9a, c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from al.paths import INITIAL, REFERENCES

from .class_panels import (
    class_order,
    draw_dots,
    figure_width,
    mean_note,
    missing_notes,
    ordered,
    panel_height,
    prepare_rows,
    say_in_row,
    share_cells,
    share_cycles,
    strategies_of,
)
from .confidence_figures import draw_confidence, draw_confidence_scatter
from .panels import COLUMN, PAGE, SMALL, TEXT, finish, styles_of
from .statistics import band
from .style import INK, cost_label, new_figure
from .view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {"2d": "pixels", "3d": "voxels", "roi": "RoIs"}
__all__ = [
    "draw_confidence",
    "draw_confidence_scatter",
    "draw_imbalance",
    "draw_share_curves",
    "draw_shares",
]
# Panels of the curves per class; more are too small to read.
MOST_PANELS = 20


def draw_imbalance(view: View) -> Figure | None:
    """Share of each class in the ground truth of the training pool, the largest first (Fig. 9a).

    The axis is logarithmic where the shares span more than two decades. ``None`` without counts.
    """
    total = sum(view.truth.values())
    if not total:
        return None
    rows = class_order(view)
    shares = {name: 100 * view.truth.get(name, 0) / total for name in rows}
    known = [v for v in shares.values() if v > 0]
    figure = new_figure(COLUMN, 0.165 * len(rows) + 0.5)
    axes = figure.add_subplot()
    prepare_rows(axes, rows, named=True)
    colours = dict(zip(view.classes, view.class_colours, strict=True))
    logarithmic = max(known) > 100 * min(known)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        left = 10 ** np.floor(np.log10(min(known)) - 0.3)
        # room for the values, which stand right of the bars
        axes.set_xlim(left, max(known) * (max(known) / left) ** 0.3)
    else:
        axes.set_xlim(0, max(known) * 1.25)
    for row, name in enumerate(rows):
        if not shares[name]:
            say_in_row(axes, row, "not in the training pool")
            continue
        axes.barh(row, shares[name], 0.7, color=colours[name], edgecolor=INK, linewidth=0.4)
        axes.annotate(
            _percent(shares[name]),
            (shares[name], row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=SMALL,
        )
    scale = ", logarithmic" if logarithmic else ""
    unit = UNITS.get(view.task, "pixels") if view.points else "pixels"
    axes.set_xlabel(f"training pool (% of {unit}{scale})", fontsize=TEXT)
    finish(figure, view.title, {})
    return figure


def _percent(share: float) -> str:
    return f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"


def draw_shares(view: View, cycles: Sequence[int] | None = None) -> Figure | None:
    """Percent of each class annotated up to a cycle, one dot per strategy (Fig. 9c).

    Args:
        view: of one budget.
        cycles: if not given, those that follow the cycles of ``draw_confidence``.

    Each column has its own scale: shares grow by orders of magnitude. ``None`` without shares.
    """
    cycles = list(cycles or share_cycles(view))
    cells, names = share_cells(view), strategies_of(view)
    held = {name for _, _, name in cells}
    rows = [name for name in class_order(view) if name in held]
    if not rows or not cycles:
        return None
    height = panel_height(rows, len(names))
    figure = new_figure(figure_width(len(cycles)), height + 0.55)
    handles = {}
    for place, axes in enumerate(figure.subplots(1, len(cycles), squeeze=False)[0]):
        cycle = cycles[place]
        prepare_rows(axes, rows, named=place == 0)
        handles |= draw_dots(axes, view, cells, cycle, rows, names)
        most = max((max(v.values()) for k, v in cells.items() if k[1] == cycle), default=0)
        axes.set_xlim(-0.03 * (most or 1), 1.06 * (most or 1))
        axes.set_title(f"cycle {cycle}", fontsize=TEXT)
        axes.set_xlabel("annotated (%)", fontsize=SMALL)
    notes = [
        mean_note([cells], cycles, len(names)),
        *_left_out(view, rows),
        *missing_notes(view, cycles),
    ]
    finish(figure, view.title, ordered(handles, names), notes)
    return figure


def _left_out(view: View, rows: Sequence[str]) -> list[str]:
    missing = [name for name in view.classes if name not in rows]
    return [f"Not in the training pool: {', '.join(missing)}."] if missing else []


def draw_share_curves(view: View) -> Figure | None:
    """How the annotated share of each class grows with the cost, one panel per class.

    Lines are means over seeds. Where the cost is a share of the area (RoIs), the dotted line is
    that of a class annotated as fast as the whole pool. Of more than ``MOST_PANELS`` classes the
    rarest are drawn. ``None`` without shares.
    """
    held = {name for _, _, name in share_cells(view)}
    everything = [name for name in class_order(view) if name in held]
    rows = everything[-MOST_PANELS:]
    if not rows:
        return None
    columns = min(len(rows), 5 if len(rows) > 9 else 3)
    lines = -(-len(rows) // columns)
    wide = PAGE if columns > 1 else COLUMN
    high = 1.15 if columns > 3 else 1.5
    figure = new_figure(wide, high * lines + 0.3)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True)
    handles = {}
    for axes, name in zip(panels.flat, rows, strict=False):
        handles |= _draw_growth(axes, view, name)
        axes.set_title(name, fontsize=TEXT, pad=3)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(0, len(rows) - columns) : len(rows)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(cost_label(view.x, view.task), fontsize=SMALL)
    cut = len(everything) - len(rows)
    notes = [f"{cut} more common classes are left out."] if cut else []
    finish(figure, view.title, handles, [*notes, *_left_out(view, everything)])
    _, bottom, _, high = figure.get_layout_engine().get()["rect"]
    figure.supylabel("annotated (% of the class)", y=bottom + high / 2, fontsize=TEXT)
    return figure


def _draw_growth(axes: Any, view: View, cls: str) -> dict[str, Any]:
    """Draw the mean share of one class per strategy; returns the handles of the legend."""
    points = [
        replace(p, score=p.annotated[cls])
        for p in view.points
        if cls in p.annotated and p.strategy not in (INITIAL, *REFERENCES)
    ]
    handles: dict[str, Any] = {}
    found = view.curves(points)
    most, styles = 0.0, styles_of(view, found)
    for place, (name, curves) in enumerate(found.items()):
        mean, style = band(curves), styles[name]
        every = max(1, len(mean.x) // 8)
        (handles[name],) = axes.plot(
            mean.x,
            mean.mean,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            linewidth=1.1,
            markersize=3.5 if style.marker == "*" else 2.5,
            markevery=(place % every, every),
        )
        most = max(most, float(mean.x[-1]))
    if view.x in ("area_percent", "rois_percent"):
        (line,) = axes.plot([0, most], [0, most], color=INK, linestyle=":", linewidth=0.8, zorder=1)
        handles["as the whole pool"] = line
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, pad=2)
    axes.locator_params(nbins=4)
    return handles
