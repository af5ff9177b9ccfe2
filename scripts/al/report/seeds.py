"""The seeds behind the comparisons: one point per seed and strategy."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from .comparisons import fewest_of
from .matrix import CHARACTER, GREY, NOTES, counted, short_name, too_few, wrapped
from .style import INK, cost_label, new_figure
from .summaries import REACH, Summary, measure_of, reach_name, summaries
from .view import View


def draw_seeds(view: View) -> Any:
    """A point per seed and strategy, a panel per measure; lines join the same seed.

    A score that was not reached is an open marker above all costs, half-filled and higher up where
    the curve is unfinished and may still reach it. A panel is left out where there is no number
    and nothing that was not reached.

    Returns:
        A Matplotlib figure; ``None`` without results.
    """
    found = summaries(view)
    wanted = ("area", "final", reach_name(view.share), "efficiency")
    reaches = [s.measure for s in found if s.measure.startswith(REACH)]
    order = ["area", "final", *dict.fromkeys(reaches), "efficiency"]
    panels = [m for m in order if any(s.measure == m and not s.missing for s in found)]
    if not panels:
        return None
    names = view.order({s.strategy for s in found})
    columns = min(len(panels), 3 if len(names) <= 6 else 2)
    rows = -(-len(panels) // columns)
    label = CHARACTER * max(map(len, names))
    width = 7.2 if columns > 1 else 4.4
    text = wrapped(_seed_lines(found, names, view, set(wanted)), width)
    height = rows * (1.75 + 0.3) + label + 0.3 + 0.15 * (text.count("\n") + 1)
    figure = new_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for place, (axes, measure) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_seed_panel(axes, names, [s for s in found if s.measure == measure], view)
        below = place + columns < len(panels)
        hanging = not below and place // columns < rows - 1 and label < 1.8
        axes.set_xticks(range(len(names)), [""] * len(names) if below or hanging else names)
        axes.tick_params(labelsize=7.5)
        axes.tick_params(axis="x", rotation=90)
        for x, name in enumerate(names if hanging else ()):  # into the empty place below
            at = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top"}
            axes.text(x, -0.05, name, rotation=90, fontsize=7.5, **at).set_in_layout(False)
    figure.supxlabel(text, fontsize=7.5, x=0.01, ha="left", color=INK)
    if view.title:
        figure.suptitle(view.title, fontsize=9)
    return figure


def _draw_seed_panel(axes: Any, names: list[str], found: list[Summary], view: View) -> None:
    finite = [s.value for s in found if isfinite(s.value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    span = (high - low) or max(abs(high), 1.0) * 0.1
    top = high + 0.22 * span  # where there is no number
    raised = 0.24 * any(s.unfinished for s in found)  # what may still be reached is above it
    beyond = any(not s.missing and not isfinite(s.value) for s in found)
    at = {(s.seed, s.strategy): s for s in found if not s.missing}
    for seed in sorted({s.seed for s in found}):
        own = [(x, at[seed, n]) for x, n in enumerate(names) if (seed, n) in at]
        heights = [
            s.value if isfinite(s.value) else top + 0.2 * span * s.unfinished for _, s in own
        ]
        axes.plot([x for x, _ in own], heights, color="#BBBBBB", lw=0.7, zorder=1)
        for (x, s), height in zip(own, heights, strict=True):
            _draw_point(axes, x, height, s, view)
    _mark_at_most(axes, names, found, 0.06 * span)
    if beyond:
        word = "not reached" if any(s.censored for s in found) else "no upper bound"
        axes.axhline(high + 0.11 * span, color=GREY, lw=0.6, linestyle=(0, (3, 2)), zorder=0)
        axes.annotate(
            word, (0.99, top + (0.05 + raised) * span), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", color=INK, fontsize=7,
        )  # fmt: skip
    axes.set_ylim(low - 0.1 * span, high + (0.46 + raised if beyond else 0.1) * span)
    ticks = [t for t in axes.get_yticks() if low - 0.1 * span <= t <= high + 0.1 * span]
    axes.set_yticks(ticks if finite else [])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_title(short_name(found[0].measure), fontsize=8)
    unit = measure_of(found[0].measure).unit
    label = {"score": view.score_name, "cost": cost_label(view.x, view.task)}.get(
        unit, "b (per share of foreground)"
    )
    axes.set_ylabel(label, fontsize=8)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_point(axes: Any, x: float, y: float, s: Summary, view: View) -> None:
    style = view.styles[s.strategy]
    fill = "left" if s.unfinished else "full"
    axes.plot(
        [x], [y], marker=style.marker, color=style.colour, fillstyle=fill, linestyle="none",
        markersize=7 if style.marker == "*" else 5, markerfacecoloralt="white", zorder=2,
        markerfacecolor=style.colour if isfinite(s.value) or s.unfinished else "white",
    )  # fmt: skip


def _mark_at_most(axes: Any, names: list[str], found: list[Summary], apart: float) -> None:
    """Mark costs that are upper bounds; points of a strategy that nearly coincide share a mark."""
    for x, name in enumerate(names):
        last = float("-inf")
        for y in sorted(s.value for s in found if s.strategy == name and s.at_most):
            if y - last < apart:
                continue
            last = y
            axes.annotate(
                "≤", (x, y), xytext=(-5, 0), textcoords="offset points", fontsize=8, ha="right",
                va="center",
            )  # fmt: skip


def _seed_lines(found: list[Summary], names: list[str], view: View, named: set[str]) -> list[str]:
    """What stands under the points: how many seeds, what a test could say, what is missing."""
    unit = "fold" if view.folds else "seed"
    seeds = sorted({s.seed for s in found} | set(view.seeds))
    count = counted(len(seeds), unit)
    count = too_few(count, unit) if len(seeds) < fewest_of(bool(view.folds)) else count
    lines = [f"A point is one {unit}; lines join the same {unit}. {count}."]
    if any(s.censored and not s.unfinished for s in found):
        lines.append("Open markers: the score was not reached, at no cost of the curve.")
    if any(s.unfinished for s in found):
        lines.append("Half-filled markers: unfinished, not reached so far; may still be reached.")
    if any(s.at_most for s in found):
        lines.append("≤: above the score from the first cycle on.")
    have = {(s.strategy, s.seed) for s in found}
    lost = [f"{n}, {unit} {k}" for n in names for k in seeds if (n, k) not in have]
    lines += [f"No results yet: {_listed(lost)}."] if lost else []
    for measure in sorted({s.measure for s in found if s.measure in named}):
        gone = [s for s in found if s.measure == measure and s.missing]
        if gone and len(gone) < sum(s.measure == measure for s in found):
            who = [f"{s.strategy}, {unit} {s.seed} ({s.note})" for s in gone]
            lines.append(f"Missing in {short_name(measure)}: {_listed(who)}.")
    return lines


def _listed(items: Sequence[str]) -> str:
    more = len(items) - NOTES
    return "; ".join(items[:NOTES]) + (f"; and {more} more" if more > 0 else "")
