"""Strategies against each other: the matrix of paired comparisons, and the seeds behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from .comparisons import FEWEST, RESAMPLED, UNREACHED, Comparison, compare, smallest_possible
from .style import INK, cost_label, new_figure
from .summaries import REACH, Summary, measure_of, reach_name, summaries
from .view import View

# Tints of blue and orange that stay apart for all kinds of colour vision and leave ink legible.
BETTER, WORSE, NEITHER, EMPTY = "#6BAED6", "#F4A261", "#F7F7F7", "#FFFFFF"
LEVEL = 0.05
CELL_WIDTH, CELL_HEIGHT, CHARACTER = 0.58, 0.4, 0.062
# A panel is at least as wide as its title.
TITLE = 1.75
WIDEST = 7.3
GREY = "#9A9A9A"
NOTES = 6


def draw_comparisons(view: View) -> Any:
    """Matrix of all pairs of strategies, a panel each for area, final score and cost to reach.

    A cell gives the mean over seeds of row minus column (the median where values were not
    reached), an arrow that points at the name of the better one, how many seeds each side wins,
    and a star where p after Holm's correction is below 0.05. Colour says who is better.

    Returns:
        A Matplotlib figure; ``None`` with fewer than two strategies.
    """
    found = compare(summaries(view), bool(view.folds), view.test_share)
    names = view.order({n for c in found for n in (c.first, c.second)})
    wanted = ("area", "final", reach_name(view.share))
    panels = [m for m in wanted if any(c.measure == m and c.seeds for c in found)]
    if len(names) < 2 or not panels:
        return None
    shown = [c for c in found if c.measure in panels]
    label = CHARACTER * max(map(len, names)) + 0.25
    wide, high = max(TITLE, CELL_WIDTH * len(names)), CELL_HEIGHT * len(names)
    beside = label + len(panels) * (wide + 0.2) <= WIDEST
    width = max(4.4, label + (len(panels) if beside else 1) * (wide + 0.2))
    text = _wrapped(_explanation(shown, bool(view.folds)), width)
    rows = 1 if beside else len(panels)
    height = rows * (high + label + 0.7) + 0.15 * (text.count("\n") + 2)
    figure = new_figure(width, height)
    grid = figure.subplots(rows, len(panels) // rows, squeeze=False)
    for place, (axes, measure) in enumerate(zip(grid.flat, panels, strict=True)):
        _draw_panel(axes, names, [c for c in shown if c.measure == measure], view)
        _name_axes(axes, names, rows_named=not beside or place == 0)
    figure.supxlabel(text, fontsize=7.5, x=0.01, ha="left", color=INK)
    if view.title:
        figure.suptitle(view.title, fontsize=9)
    return figure


class _Cell(NamedTuple):
    """A row's strategy against a column's; ``better`` is 1, -1 or 0 for neither."""

    number: float
    median: bool
    better: int
    wins: int
    losses: int
    starred: bool


def _cell(c: Comparison, row: str) -> _Cell:
    """What the cell of ``row`` (one of the two) against the other one shows."""
    sign = 1 if row == c.first else -1
    median = c.difference != c.difference
    number = sign * (c.median if median else c.difference)
    number = number + 0.0  # no minus before zero
    wins = (c.first_better, c.second_better)[::sign]
    better = int(np.sign(number)) if number == number else 0
    better *= 1 if measure_of(c.measure).higher_better else -1
    if median and not better:  # most are ties
        better = int(np.sign(wins[0] - wins[1]))
    return _Cell(number, median, better, *wins, c.p_holm < LEVEL)


def _draw_panel(axes: Any, names: list[str], comparisons: list[Comparison], view: View) -> None:
    from matplotlib.patches import Rectangle

    of_pair = {frozenset((c.first, c.second)): c for c in comparisons if c.seeds}
    measure = measure_of(comparisons[0].measure)
    scores = measure.unit == "score"
    digits = 3 if scores else _digits([v for c in comparisons for v in (c.difference, c.median)])
    for y, row in enumerate(names):
        for x, column in enumerate(names):
            c = of_pair.get(frozenset((row, column))) if x != y else None
            cell = _cell(c, row) if c else None
            colour = (NEITHER, BETTER, WORSE)[cell.better] if cell else EMPTY
            box = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white")
            axes.add_patch(box)
            if cell:
                _write_cell(axes, x, y, cell, digits)
            else:
                text = "" if x == y else "no pair"
                axes.text(x, y, text, ha="center", va="center", fontsize=7, color=GREY)
                if x == y:
                    axes.plot([x - 0.5, x + 0.5], [y - 0.5, y + 0.5], color="#CCCCCC", lw=0.7)
    unit = view.score_name if scores else cost_label(view.x, view.task)
    which = "higher" if measure.higher_better else "lower"
    name = _short(comparisons[0].measure)
    axes.set_title(f"{name}\n{unit}\n{which} is better", fontsize=8, pad=8)


def _short(measure: str) -> str:
    """Title of a panel."""
    if measure.startswith(REACH):
        return f"cost to reach {measure[len(REACH) :]} % of full"
    named = {
        "area": "area under the curve",
        "final": "final score",
        "efficiency": "foreground efficiency",
    }
    return named[measure]


def _write_cell(axes: Any, x: int, y: int, cell: _Cell, digits: int) -> None:
    number = f"{cell.number:+.{digits}f}" if isfinite(cell.number) else _infinite(cell.number)
    if not cell.number:
        number = f"{0:.{digits}f}"
    number = number.replace("-", "−")
    number = (f"({number})" if cell.median else number) + "*" * cell.starred
    weight = "bold" if cell.starred else "normal"
    axes.text(x, y - 0.19, number, ha="center", va="center", fontsize=7.5, weight=weight, color=INK)
    arrow = {1: "◂ ", -1: "▴ ", 0: ""}[cell.better]
    wins = f"{arrow}{cell.wins}:{cell.losses}"
    axes.text(x, y + 0.22, wins, ha="center", va="center", fontsize=7.5, color=INK)


def _infinite(number: float) -> str:
    return "open" if number != number else ("+∞" if number > 0 else "-∞")


def _digits(numbers: Sequence[float]) -> int:
    """Decimals that leave two significant digits of the median size, three at most."""
    sizes = [abs(n) for n in numbers if isfinite(n) and n]
    if not sizes:
        return 1
    return min(3, max(1, 1 - int(np.floor(np.log10(np.median(sizes))))))


def _name_axes(axes: Any, names: list[str], rows_named: bool) -> None:
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    # Above, where the arrow of a better column points.
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), [f"− {n}" for n in names], fontsize=8, rotation=90)
    axes.set_yticks(range(len(names)), names if rows_named else [""] * len(names), fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _explanation(shown: list[Comparison], folds: bool) -> list[str]:
    """What stands under the matrix: how to read it, and what was tested."""
    unit = "fold" if folds else "seed"
    lines = [
        f"Number: row minus column, mean over {unit}s. Blue, ◂: the row's strategy is better than "
        "the column's; orange, ▴: the column's is better. "
        f"Below: {unit}s in which the row : the column is better."
    ]
    # A median stands where a mean does not exist.
    if any(c.seeds and c.difference != c.difference for c in shown):
        lines.append(
            "In brackets: the median, where a value was not reached; ∞: there one of the two does "
            "not reach it, open: it cannot be said; both not reached is a tie."
        )
    return [*lines, _tested(shown, unit)]


def _tested(shown: list[Comparison], unit: str) -> str:
    """Which test the stars are of, or why there are none."""
    most = max(c.seeds for c in shown)
    fewest = min(c.seeds for c in shown if c.seeds)
    count = f"{most} {unit}{'s' * (most != 1)}"
    if most < FEWEST:
        return f"{_too_few(count, unit)}."
    family = max(sum(c.measure == m for c in shown) for m in {c.measure for c in shown})
    names = " and ".join(sorted({c.test for c in shown if c.p == c.p}))
    said = f"*: p < {LEVEL} in the {names}, after Holm's correction over the "
    said += f"{family} pairs of a panel; " if family > 1 else "one pair of a panel; "
    said += count if fewest == most else f"{fewest} to {most} {unit}s"
    least = smallest_possible(most, family)
    if RESAMPLED not in names and least >= LEVEL:
        said += f". No star is possible: of {count}, the smallest p after Holm's correction is "
        said += f"{least:.2g}"
    if any(c.test == UNREACHED for c in shown):
        said += ". Costs that not all reach have no test here"
    return f"{said}."


def _too_few(count: str, unit: str) -> str:
    # The t-test of folds could be, on the word of very few of them.
    rule = "no test can be significant" if unit == "seed" else "no test is made"
    return f"{count}: {rule} below {FEWEST}"


def _wrapped(lines: Sequence[str], width: float) -> str:
    """Lines for a figure of ``width`` inches, at 7.5 points."""
    characters = int(width / 0.0575)
    return "\n".join(part for line in lines for part in textwrap.wrap(line, characters))


def draw_seeds(view: View) -> Any:
    """A point per seed and strategy, a panel per measure; lines join the same seed.

    A score that was not reached is an open marker on a line above all costs. A panel is left out
    where there is no number and nothing that was not reached.

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
    text = _wrapped(_seed_lines(found, names, view, set(wanted)), width)
    height = rows * (1.75 + 0.3) + label + 0.3 + 0.15 * (text.count("\n") + 1)
    figure = new_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for place, (axes, measure) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_seed_panel(axes, names, [s for s in found if s.measure == measure], view)
        below = place + columns < len(panels)
        axes.set_xticks(range(len(names)), [""] * len(names) if below else names)
        axes.tick_params(labelsize=7.5)
        axes.tick_params(axis="x", rotation=90)
    figure.supxlabel(text, fontsize=7.5, x=0.01, ha="left", color=INK)
    if view.title:
        figure.suptitle(view.title, fontsize=9)
    return figure


def _draw_seed_panel(axes: Any, names: list[str], found: list[Summary], view: View) -> None:
    finite = [s.value for s in found if isfinite(s.value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    span = (high - low) or max(abs(high), 1.0) * 0.1
    top = high + 0.22 * span  # where there is no number
    beyond = any(not s.missing and not isfinite(s.value) for s in found)
    at = {(s.seed, s.strategy): s for s in found if not s.missing}
    for seed in sorted({s.seed for s in found}):
        own = [(x, at[seed, n]) for x, n in enumerate(names) if (seed, n) in at]
        heights = [s.value if isfinite(s.value) else top for _, s in own]
        axes.plot([x for x, _ in own], heights, color="#BBBBBB", lw=0.7, zorder=1)
        for (x, s), height in zip(own, heights, strict=True):
            _draw_point(axes, x, height, s, view)
    if beyond:
        word = "not reached" if any(s.censored for s in found) else "no upper bound"
        axes.axhline(high + 0.11 * span, color=GREY, lw=0.6, linestyle=(0, (3, 2)), zorder=0)
        axes.annotate(
            word,
            (0.99, high + 0.27 * span),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            ha="right",
            va="bottom",
            color=INK,
        )
    axes.set_ylim(low - 0.1 * span, high + (0.46 if beyond else 0.1) * span)
    ticks = [t for t in axes.get_yticks() if low - 0.1 * span <= t <= high + 0.1 * span]
    axes.set_yticks(ticks if finite else [])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_title(_short(found[0].measure), fontsize=8)
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
    axes.plot(
        [x],
        [y],
        marker=style.marker,
        color=style.colour,
        markersize=7 if style.marker == "*" else 5,
        markerfacecolor=style.colour if isfinite(s.value) else "white",
        linestyle="none",
        zorder=2,
    )
    if s.at_most:
        axes.annotate(
            "≤", (x, y), xytext=(-5, 0), textcoords="offset points", fontsize=8, ha="right",
            va="center",
        )  # fmt: skip


def _seed_lines(found: list[Summary], names: list[str], view: View, named: set[str]) -> list[str]:
    """What stands under the points: how many seeds, what a test could say, what is missing."""
    unit = "fold" if view.folds else "seed"
    seeds = sorted({s.seed for s in found} | set(view.seeds))
    count = f"{len(seeds)} {unit}{'s' * (len(seeds) != 1)}"
    lines = [f"A point is one {unit}; lines join the same {unit}. {count}."]
    if len(seeds) < FEWEST:
        lines[0] = f"{lines[0].removesuffix(f'{count}.')}{_too_few(count, unit)}."
    if any(s.censored for s in found):
        lines.append("Open markers: the score was not reached, at no cost of the curve.")
    if any(s.at_most for s in found):
        lines.append("≤: above the score from the first cycle on.")
    have = {(s.strategy, s.seed) for s in found}
    lost = [f"{n}, {unit} {k}" for n in names for k in seeds if (n, k) not in have]
    lines += [f"No results yet: {_listed(lost)}."] if lost else []
    for measure in sorted({s.measure for s in found if s.measure in named}):
        gone = [s for s in found if s.measure == measure and s.missing]
        if gone and len(gone) < sum(s.measure == measure for s in found):
            who = [f"{s.strategy}, {unit} {s.seed} ({s.note})" for s in gone]
            lines.append(f"Missing in {_short(measure)}: {_listed(who)}.")
    return lines


def _listed(items: Sequence[str]) -> str:
    more = len(items) - NOTES
    return "; ".join(items[:NOTES]) + (f"; and {more} more" if more > 0 else "")
