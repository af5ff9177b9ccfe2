"""Learning curves: one figure per budget, and one panel per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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

# A t-interval of three seeds is four standard errors each way and hides the curves.
ENOUGH = 5
# Bands of more strategies than this cover each other and the lines.
MOST_BANDS = 6
# Legends, in font sizes: width of a character, of a handle with its padding, height of a line.
CHARACTER, HANDLE, LINE = 0.56, 5.2, 1.75


def plot_curves(
    curves: Path,
    png: Path,
    pdf: Path | None,
    x: str,
    budget: str,
    colours: Mapping[str, str],
    title: str = "",
    share: float = 0.95,
    notes: Mapping[str, str] | None = None,
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
        notes: strategy -> what the legend says of it, such as ``reads ground truth``.

    The dashed line is ``share`` of the mean score of full annotation, the dotted one is full
    annotation trained as long as a cycle. Of more than ``MOST_BANDS`` strategies only the means
    are drawn, and the legend says so.

    Raises:
        DataError: no curve of this budget, or a cost the table does not have.
    """
    points = _points(curves, budget)
    drawn = curves_of(points, budget, x)
    labels = _labels(drawn, notes or {}, seeds=True)
    figure = new_figure(*_size(labels.values()))
    axes = figure.add_subplot()
    _draw_strategies(axes, drawn, colours, labels, small=False)
    _draw_references(axes, points, budget, colours, share)
    axes.set_xlabel(cost_label(x, points[0].task))
    axes.set_ylabel(points[0].score_name)
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    _tidy(axes)
    _frame(axes, 0.15)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize=9,
        handlelength=3.2,
    )
    save(figure, png, pdf)


def _size(labels: Iterable[str]) -> tuple[float, float]:
    """Width and height (inches) that leave the axes their room beside a legend of 9 points."""
    labels = ["full annotation, same steps", *labels]
    width = (CHARACTER * max(map(len, labels)) + HANDLE) * 9 / 72
    # three more lines: the other reference, the interval and the padding
    across = 4.6 if len(labels) <= MOST_BANDS + 1 else 6.2
    return across + width, max(4.4, 0.6 + LINE * 9 / 72 * (len(labels) + 3))


def plot_per_class(
    curves: Path,
    png: Path,
    pdf: Path | None,
    x: str,
    budget: str,
    colours: Mapping[str, str],
    title: str = "",
    share: float = 0.95,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Draw one panel per class, as ``plot_curves``; each panel has its own vertical scale.

    A class that no model has a score for gets no panel.
    """
    points = _points(curves, budget)
    classes = list(dict.fromkeys(name for p in points for name in p.per_class))
    if not classes:
        raise DataError(f"{curves}: no score per class")
    labels = _labels(curves_of(points, budget, x), notes or {}, seeds=False)
    rows = -(-len(classes) // (5 if len(classes) > 9 else 3))
    columns = -(-len(classes) // rows)
    larger = 1.25 if len(labels) > MOST_BANDS else 1
    larger *= 1.25 if len(labels) > MOST_BANDS and columns < 4 else 1
    wide, high = 2.4 * larger, 1.9 * larger
    figure = new_figure(max(wide * columns + 0.6, 4.0), high * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, name in zip(panels.flat, classes, strict=False):
        own = of_class(points, name)
        _draw_strategies(axes, curves_of(own, budget, x), colours, labels, small=True)
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


def _labels(curves: Sequence[Curve], notes: Mapping[str, str], seeds: bool) -> dict[str, str]:
    """Legend entry of each strategy: its name, its seeds if asked for, its note if it has one."""
    labels = {}
    for name in {c.strategy for c in curves}:
        own = band([c for c in curves if c.strategy == name])
        parts = [_seeds(own.seeds)] if seeds else []
        parts += [notes[name]] if notes.get(name) else []
        labels[name] = f"{name} ({'; '.join(parts)})" if parts else name
    return labels


def _draw_strategies(
    axes: Any,
    curves: Sequence[Curve],
    colours: Mapping[str, str],
    labels: Mapping[str, str],
    small: bool,
) -> None:
    """Draw a line per strategy of ``labels`` that has curves here, and the spread of a few."""
    styles = strategy_styles(labels, colours)
    many = len(labels) > MOST_BANDS
    for place, name in enumerate(strategy_order({c.strategy for c in curves}, colours)):
        own = [c for c in curves if c.strategy == name]
        mean = band(own)
        style = styles[name]
        if not many:
            _draw_spread(axes, own, mean, style.colour)
        every = max(1, len(mean.x) // 15)
        axes.plot(
            mean.x,
            mean.mean,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=(2.5 if small else 4) * (1.4 if style.marker == "*" else 1),
            markevery=(place % every, every),
            linewidth=(1.0 if many else 1.2) if small else (1.4 if many else 1.8),
            label=labels[name],
        )
    _explain_spread(axes, curves, len(labels) if many else 0)


def _explain_spread(axes: Any, curves: Sequence[Curve], left_out: int) -> None:
    """Say in the legend what the bands are, or of how many strategies they are left out."""
    seeds = Counter(c.strategy for c in curves)
    most = max(seeds.values(), default=0)
    if left_out and most > 1:
        what = "bands" if most >= ENOUGH else "points of single seeds"
        axes.plot([], [], linestyle="none", label=f"{what} left out: {left_out} strategies")
    elif most >= ENOUGH:
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
    """One legend for all panels, below them; the figure grows by its height."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    size = 8 / 72
    width = (CHARACTER * max(map(len, entries)) + HANDLE) * size
    columns = max(1, min(len(entries), int(figure.get_figwidth() / width)))
    lines = -(-len(entries) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * size * lines + 0.1)
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handlelength=3.2,
    )
