"""Learning curves: one figure per budget, and one panel per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glue.errors import DataError

from .curves import (
    FULL,
    FULL_SAME_STEPS,
    Curve,
    Point,
    budgets,
    curves_of,
    of_class,
    read_curves,
    reference,
)
from .statistics import band
from .style import (
    INK,
    class_score_name,
    cost_label,
    new_figure,
    save,
    strategy_order,
    strategy_styles,
)

# A t-interval of two seeds is twelve standard errors wide: it says nothing and hides the curves.
ENOUGH = 3


def plot_curves(
    curves: Path,
    png: Path,
    pdf: Path | None,
    x: str,
    budget: str,
    colours: Mapping[str, str],
    title: str = "",
    share: float = 0.95,
) -> None:
    """Draw score against cost: mean and 95 % t-interval over seeds, one line per strategy.

    Args:
        curves: ``curves.csv`` of one run.
        png, pdf: where the figure goes (``pdf`` may be ``None``).
        x: the cost on the horizontal axis, such as ``area_percent``.
        budget: such as ``5x15``.
        colours: strategy or reference -> colour; also the order of the strategies in the legend.
        title: above the axes.
        share: of full annotation, where the dashed line is drawn.

    The dashed line is ``share`` of the mean score of full annotation, the dotted one is full
    annotation trained as long as a cycle.

    Raises:
        DataError: no curve of this budget, or a cost the table does not have.
    """
    points = _points(curves, budget)
    figure = new_figure(7.4, 4.4)
    axes = figure.add_subplot()
    _draw_strategies(axes, curves_of(points, budget, x), colours, label=True)
    _draw_references(axes, points, budget, colours, share)
    axes.set_xlabel(cost_label(x, points[0].task))
    axes.set_ylabel(points[0].score_name)
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    _tidy(axes)
    _frame(axes, 0.15)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    save(figure, png, pdf)


def plot_per_class(
    curves: Path,
    png: Path,
    pdf: Path | None,
    x: str,
    budget: str,
    colours: Mapping[str, str],
    title: str = "",
    share: float = 0.95,
) -> None:
    """Draw one panel per class, as ``plot_curves``; each panel has its own vertical scale.

    A class that no model has a score for gets no panel.
    """
    points = _points(curves, budget)
    classes = list(dict.fromkeys(name for p in points for name in p.per_class))
    if not classes:
        raise DataError(f"{curves}: no score per class")
    columns = min(5 if len(classes) > 9 else 3, len(classes))
    rows = -(-len(classes) // columns)
    figure = new_figure(2.4 * columns + 0.6, 1.9 * rows + 1.0)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, name in zip(panels.flat, classes, strict=False):
        own = of_class(points, name)
        _draw_strategies(axes, curves_of(own, budget, x), colours, label=False)
        _draw_references(axes, own, budget, colours, share)
        axes.set_title(name, fontsize=9)
        _tidy(axes, small=True)
        _frame(axes, 0.3)
    for axes in panels.flat[len(classes) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(0, len(classes) - columns) : len(classes)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(cost_label(x, points[0].task), fontsize=8)
    _shared_legend(figure, panels.flat[: len(classes)])
    figure.supylabel(class_score_name(points[0].score_name), fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    save(figure, png, pdf)


def _points(curves: Path, budget: str) -> list[Point]:
    points = read_curves(curves)
    if len(runs := sorted({p.run for p in points})) > 1:
        raise DataError(f"{curves}: one run per figure, found {', '.join(runs)}")
    if budget not in (known := budgets(points)):
        raise DataError(f"{curves}: no curves of budget {budget!r}, there are {known}")
    return points


def _draw_strategies(
    axes: Any, curves: Sequence[Curve], colours: Mapping[str, str], label: bool
) -> None:
    names = {c.strategy for c in curves}
    styles = strategy_styles(names, colours)
    for name in strategy_order(names, colours):
        own = [c for c in curves if c.strategy == name]
        mean = band(own)
        colour, marker = styles[name]
        _draw_spread(axes, own, mean, colour)
        axes.plot(
            mean.x,
            mean.mean,
            color=colour,
            marker=marker,
            markersize=4 if label else 2.5,
            markevery=max(1, len(mean.x) // 15),
            linewidth=1.8 if label else 1.2,
            label=f"{name} ({_seeds(mean.seeds)})" if label else name,
        )
    if len({c.seed for c in curves}) >= ENOUGH:
        axes.fill([], [], color="#808080", alpha=0.3, label="95 % interval over seeds")


def _draw_spread(axes: Any, curves: Sequence[Curve], mean: Any, colour: str) -> None:
    """The interval of the mean; of fewer than ``ENOUGH`` seeds, each seed's points instead."""
    if len(curves) >= ENOUGH:
        axes.fill_between(mean.x, mean.low, mean.high, color=colour, alpha=0.16, linewidth=0)
    elif len(curves) > 1:
        for curve in curves:
            axes.scatter(curve.x, curve.score, s=8, color=colour, alpha=0.5, linewidths=0)


def _seeds(seeds: np.ndarray) -> str:
    low, high = int(seeds.min()), int(seeds.max())
    if low != high:
        return f"{low} to {high} seeds"
    return f"{high} seed" + ("s" if high > 1 else "")


def _draw_references(
    axes: Any, points: Sequence[Point], budget: str, colours: Mapping[str, str], share: float
) -> None:
    full = reference(points, budget, FULL)
    if len(full):
        label = f"{share * 100:g} % of full annotation"
        axes.axhline(
            share * full.mean(),
            color=colours.get(FULL, INK),
            linestyle="--",
            linewidth=1.2,
            label=label,
        )
    same = reference(points, budget, FULL_SAME_STEPS)
    if len(same):
        label = "full annotation, same steps"
        axes.axhline(
            same.mean(),
            color=colours.get(FULL_SAME_STEPS, INK),
            linestyle=":",
            linewidth=1.2,
            label=label,
        )


def _tidy(axes: Any, small: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    if small:
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))


def _frame(axes: Any, margin: float) -> None:
    """Fit the vertical limits to the lines, by ``margin`` of their span, within 0 and 1.

    Intervals of two seeds are twelve times their standard error: they are cut at the frame, so
    that the lines can still be told apart.
    """
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()])
    low, high = values.min(), values.max()
    pad = margin * max(high - low, 0.02)
    axes.set_ylim(max(0.0, low - pad), min(1.0, high + pad))


def _shared_legend(figure: Any, panels: Sequence[Any]) -> None:
    """One legend for all panels."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=max(2, min(len(entries), int(figure.get_figwidth() / 2))),
        frameon=False,
        fontsize=8,
    )
