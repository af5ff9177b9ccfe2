"""Strategies against each other: the matrix of paired comparisons, and the seeds behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from .comparisons import RESAMPLED, UNREACHED, Comparison, compare, fewest_of, smallest_possible
from .style import INK, cost_label, new_figure
from .summaries import REACH, Summary, measure_of, reach_name, summaries
from .view import View

# Tints of blue and orange that stay apart for all kinds of colour vision and leave ink legible;
# the pale ones are of what is not significant.
BETTER, WORSE, NEITHER, EMPTY = "#6BAED6", "#F4A261", "#E9E9E9", "#FFFFFF"
PALE = {BETTER: "#D3E6F5", WORSE: "#FCE5D2"}
LEVEL = 0.05
# Inches of a printed page, of cells, and per line and character of 7 points.
WIDEST = 7.0
CELL_WIDTH, CELL_HEIGHT = 0.62, 0.255
NARROWEST, ROOMY, TITLE = 0.46, 0.7, 1.7
LINE, CHARACTER = 0.12, 0.06
GREY, NOTES = "#8A8A8A", 6


def draw_comparisons(view: View) -> Any:
    """Matrix of all pairs of strategies, a panel each for area, final score and cost to reach.

    A cell gives the mean over seeds of row minus column (the median where values were not
    reached), an arrow that points at the name of the better one, how many seeds each side wins,
    and a star where p after Holm's correction is below 0.05. Colour says who is better: full with
    a star, pale without, grey where the number rounds to 0 or the wins do not agree with it. Up
    to 8 strategies fit a page of 7 x 9.5 inches.

    Returns:
        A Matplotlib figure; ``None`` with fewer than two strategies.
    """
    numbers = summaries(view)
    found = compare(numbers, bool(view.folds), view.test_share)
    names = view.order({n for c in found for n in (c.first, c.second)})
    wanted = ("area", "final", reach_name(view.share))
    panels = [m for m in wanted if any(c.measure == m and c.seeds for c in found)]
    if len(names) < 2 or not panels:
        return None
    shown = [c for c in found if c.measure in panels]
    is_open = any(_open(s) and s.measure in panels for s in numbers)
    plan = _plan(names, len(panels))
    text = _wrapped(_explanation(shown, bool(view.folds), is_open), plan.width)
    height = plan.height + LINE * (text.count("\n") + 2) + 0.15 * bool(view.title)
    figure = new_figure(plan.width, height)
    grid = figure.subplots(-(-len(panels) // plan.across), plan.across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for place, (axes, measure) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_panel(axes, names, [c for c in shown if c.measure == measure], view, plan)
        _name_axes(axes, plan, rows_named=place % plan.across == 0)
    figure.supxlabel(text, fontsize=7, x=0.01, ha="left", color=INK)
    if view.title:
        figure.suptitle(view.title, fontsize=9)
    return figure


class _Plan(NamedTuple):
    """Panels beside each other, names broken into lines, inches without the text below."""

    across: int
    rows: list[str]
    columns: list[str]
    upright: bool
    width: float
    height: float
    title_lines: int


def _plan(names: list[str], panels: int) -> _Plan:
    """As many panels beside each other as a page is wide enough for."""
    n = len(names)
    rows = [_broken(name, max(14, len(name) // 2 + 3)) for name in names]
    label = max(1.0, CHARACTER * max(len(p) for r in rows for p in r.split("\n")) + 0.1)
    space = WIDEST - label - 0.1
    wide = [k for k in range(1, panels + 1) if k * (max(TITLE, n * CELL_WIDTH) + 0.1) <= space]
    across = max(wide, default=1)
    cell = max(NARROWEST, min(ROOMY, (space / across - 0.1) / n))
    upright = cell < CELL_WIDTH
    columns = rows if upright else [_broken(name, int(cell / 0.0515)) for name in names]
    lines = [c.split("\n") for c in columns]
    top = CHARACTER * max(len(p) for own in lines for p in own) if upright else 0
    top = top or LINE * max(map(len, lines))
    panel = max(TITLE, n * cell)
    title_lines = 1 if panel >= 4 else 2 if panel >= 2.3 else 3
    height = CELL_HEIGHT * n + top + 0.135 * title_lines + 0.19
    width = max(4.4, label + 0.1 + across * (panel + 0.1))
    return _Plan(across, rows, columns, upright, width, -(-panels // across) * height, title_lines)


def _broken(name: str, characters: int) -> str:
    """A name in lines of at most so many characters, before an underscore where possible."""
    parts = textwrap.wrap(name.replace("_", " _"), characters)
    return "\n".join(part.replace(" _", "_") for part in parts)


class _Cell(NamedTuple):
    """A row's strategy against a column's; ``better`` is 1, -1 or 0 for neither."""

    number: float
    median: bool
    better: int
    wins: int
    losses: int
    starred: bool

    @property
    def colour(self) -> str:
        """Full only with a star."""
        full = (NEITHER, BETTER, WORSE)[self.better]
        return full if self.starred else PALE.get(full, full)


def _cell(c: Comparison, row: str, digits: int) -> _Cell:
    """What the cell of ``row`` (one of the two) against the other one shows.

    One is better only where the number as shown and the seeds won both say so.
    """
    sign = 1 if row == c.first else -1
    median = c.difference != c.difference
    number = sign * (c.median if median else c.difference)
    wins = (c.first_better, c.second_better)[::sign]
    more = int(np.sign(wins[0] - wins[1]))
    if isfinite(number) and not float(f"{number:.{digits}f}"):
        number = 0.0  # without a minus
    upwards = 1 if measure_of(c.measure).higher_better else -1
    # Where the middle is open, the wins alone tell.
    better = int(np.sign(number)) * upwards if number == number else more
    return _Cell(number, median, better if better == more else 0, *wins, c.p_holm < LEVEL)


def _draw_panel(
    axes: Any, names: list[str], comparisons: list[Comparison], view: View, plan: _Plan
) -> None:
    from matplotlib.patches import Rectangle

    of_pair = {frozenset((c.first, c.second)): c for c in comparisons if c.seeds}
    measure = measure_of(comparisons[0].measure)
    scores = measure.unit == "score"
    digits = 3 if scores else _digits([v for c in comparisons for v in (c.difference, c.median)])
    for y, row in enumerate(names):
        for x, column in enumerate(names):
            c = of_pair.get(frozenset((row, column))) if x != y else None
            cell = _cell(c, row, digits) if c else None
            colour = cell.colour if cell else EMPTY
            box = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white")
            axes.add_patch(box)
            if cell:
                _write_cell(axes, x, y, cell, digits)
            elif x != y:
                axes.text(x, y, "no pair", ha="center", va="center", fontsize=7, color=GREY)
    axes.plot([-0.5, len(names) - 0.5], [-0.5, len(names) - 0.5], color="#CCCCCC", lw=0.7)
    unit = view.score_name if scores else cost_label(view.x, view.task)
    which = "higher is better" if measure.higher_better else "lower is better"
    name = _short(comparisons[0].measure)
    title = (f"{name}: {unit}, {which}", f"{name}\n{unit}, {which}", f"{name}\n{unit}\n{which}")
    axes.set_title(title[plan.title_lines - 1], fontsize=8, pad=4)


def _short(measure: str) -> str:
    """Title of a panel."""
    if measure.startswith(REACH):
        return f"cost to reach {measure[len(REACH) :]} % of full"
    named = {"area": "area under the curve", "final": "final score"}
    return named.get(measure) or measure_of(measure).label


def _write_cell(axes: Any, x: int, y: int, cell: _Cell, digits: int) -> None:
    sign = "+" if cell.number else ""
    number = f"{cell.number:{sign}.{digits}f}".replace("inf", "∞").replace("+nan", "open")
    number = number.replace("-", "−")
    number = (f"({number})" if cell.median else number) + "*" * cell.starred
    weight = "bold" if cell.starred else "normal"
    axes.text(x, y - 0.2, number, ha="center", va="center", fontsize=7, weight=weight, color=INK)
    arrow = {1: "◂ ", -1: "▴ ", 0: ""}[cell.better]
    wins = f"{arrow}{cell.wins}:{cell.losses}"
    axes.text(x, y + 0.23, wins, ha="center", va="center", fontsize=7, color=INK)


def _digits(numbers: Sequence[float]) -> int:
    """Decimals that leave two significant digits of the median size, three at most."""
    sizes = [abs(n) for n in numbers if isfinite(n) and n]
    if not sizes:
        return 1
    return min(3, max(1, 1 - int(np.floor(np.log10(np.median(sizes))))))


def _name_axes(axes: Any, plan: _Plan, rows_named: bool) -> None:
    n = len(plan.rows)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    # Above, where the arrow of a better column points.
    axes.xaxis.tick_top()
    axes.set_xticks(range(n), plan.columns, fontsize=7, rotation=90 if plan.upright else 0)
    axes.set_yticks(range(n), plan.rows if rows_named else [""] * n, fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if rows_named:
        axes.annotate(
            "row − column:", (0, 1), xytext=(-3.5, 3.5), xycoords="axes fraction",
            textcoords="offset points", fontsize=7, ha="right", va="bottom", style="italic",
        )  # fmt: skip


def _explanation(shown: list[Comparison], folds: bool, is_open: bool) -> list[str]:
    """What stands under the matrix: how to read it, and what was tested."""
    unit = "fold" if folds else "seed"
    lines = [
        f"Number: row minus column, mean over {unit}s. Below it: {unit}s won by the row : by the "
        "column. Blue, ◂: the row's strategy is better than the column's; orange, ▴: the column's "
        "is better; pale: not significant or not tested. Grey: neither; the number rounds to 0, or "
        f"most {unit}s do not agree with it."
    ]
    # A median stands where a mean does not exist.
    if any(c.seeds and c.difference != c.difference for c in shown):
        ties = "both not reached is a tie" + is_open * ", as is what unfinished curves leave open"
        lines.append(
            "In brackets: the median, where a value was not reached; ∞: one of the two does not "
            f"reach it; open: it cannot be said; {ties}."
        )
    return [*lines, _tested(shown, unit)]


def _tested(shown: list[Comparison], unit: str) -> str:
    """Which test the stars are of, or why there are none."""
    most = max(c.seeds for c in shown)
    count, fewest = _count(most, unit), min(c.seeds for c in shown if c.seeds)
    if most < fewest_of(unit == "fold"):
        return f"{_too_few(count, unit)}."
    tested = [c for c in shown if c.p == c.p]
    if not tested:
        reasons = sorted({c.test.removeprefix("none: ") for c in shown if c.seeds})
        return f"{count}, no test: {'; '.join(reasons)}."
    family = max(sum(c.measure == m for c in tested) for m in {c.measure for c in tested})
    names = " and ".join(sorted({c.test for c in tested}))
    said = f"*, full colour: p < {LEVEL} in the {names}, after Holm's correction over the "
    said += f"{family} pairs of a panel; " if family > 1 else "one pair of a panel; "
    said += count if fewest == most else f"{fewest} to {most} {unit}s"
    least = smallest_possible(most, family)
    if RESAMPLED not in names and least >= LEVEL:
        said += f". No star is possible: of {count}, the smallest p after Holm's correction is "
        said += f"{least:.2g}"
    if any(c.test == UNREACHED for c in shown):
        said += ". Costs that not all reach have no test here"
    return f"{said}."


def _count(n: int, unit: str) -> str:
    return f"{n} {unit}{'s' * (n != 1)}"


def _too_few(count: str, unit: str) -> str:
    # The t-test of folds could be, on the word of very few of them.
    rule = "no test can be significant" if unit == "seed" else "no test is made"
    return f"{count}: {rule} below {fewest_of(unit == 'fold')}"


def _wrapped(lines: Sequence[str], width: float) -> str:
    """Lines for a figure of ``width`` inches, at 7 points."""
    characters = int(width / 0.053)
    return "\n".join(part for line in lines for part in textwrap.wrap(line, characters))


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
    text = _wrapped(_seed_lines(found, names, view, set(wanted)), width)
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
    raised = 0.24 * any(map(_open, found))  # what may still be reached is above it
    beyond = any(not s.missing and not isfinite(s.value) for s in found)
    at = {(s.seed, s.strategy): s for s in found if not s.missing}
    for seed in sorted({s.seed for s in found}):
        own = [(x, at[seed, n]) for x, n in enumerate(names) if (seed, n) in at]
        heights = [s.value if isfinite(s.value) else top + 0.2 * span * _open(s) for _, s in own]
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
    axes.set_title(_short(found[0].measure), fontsize=8)
    unit = measure_of(found[0].measure).unit
    label = {"score": view.score_name, "cost": cost_label(view.x, view.task)}.get(
        unit, "b (per share of foreground)"
    )
    axes.set_ylabel(label, fontsize=8)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _open(s: Summary) -> bool:
    """Whether the curve is unfinished and may still reach the score."""
    return s.ended == s.ended


def _draw_point(axes: Any, x: float, y: float, s: Summary, view: View) -> None:
    style = view.styles[s.strategy]
    fill = "left" if _open(s) else "full"
    axes.plot(
        [x], [y], marker=style.marker, color=style.colour, fillstyle=fill, linestyle="none",
        markersize=7 if style.marker == "*" else 5, markerfacecoloralt="white", zorder=2,
        markerfacecolor=style.colour if isfinite(s.value) or _open(s) else "white",
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
    count = _count(len(seeds), unit)
    count = _too_few(count, unit) if len(seeds) < fewest_of(bool(view.folds)) else count
    lines = [f"A point is one {unit}; lines join the same {unit}. {count}."]
    if any(s.censored and not _open(s) for s in found):
        lines.append("Open markers: the score was not reached, at no cost of the curve.")
    if any(map(_open, found)):
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
            lines.append(f"Missing in {_short(measure)}: {_listed(who)}.")
    return lines


def _listed(items: Sequence[str]) -> str:
    more = len(items) - NOTES
    return "; ".join(items[:NOTES]) + (f"; and {more} more" if more > 0 else "")
