"""Strategies against each other: the matrix of paired comparisons."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from .comparisons import RESAMPLED, UNREACHED, Comparison, compare, fewest_of, smallest_possible
from .style import INK, cost_label, new_figure
from .summaries import REACH, measure_of, reach_name, summaries
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
    is_open = any(s.unfinished and s.measure in panels for s in numbers)
    plan = _plan(names, len(panels))
    text = wrapped(_explanation(shown, bool(view.folds), is_open), plan.width)
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
    name = short_name(comparisons[0].measure)
    title = (f"{name}: {unit}, {which}", f"{name}\n{unit}, {which}", f"{name}\n{unit}\n{which}")
    axes.set_title(title[plan.title_lines - 1], fontsize=8, pad=4)


def short_name(measure: str) -> str:
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
    count, fewest = counted(most, unit), min(c.seeds for c in shown if c.seeds)
    if most < fewest_of(unit == "fold"):
        return f"{too_few(count, unit)}."
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


def counted(n: int, unit: str) -> str:
    """A number of seeds or folds."""
    return f"{n} {unit}{'s' * (n != 1)}"


def too_few(count: str, unit: str) -> str:
    """What so few seeds or folds cannot say."""
    # The t-test of folds could be, on the word of very few of them.
    rule = "no test can be significant" if unit == "seed" else "no test is made"
    return f"{count}: {rule} below {fewest_of(unit == 'fold')}"


def wrapped(lines: Sequence[str], width: float) -> str:
    """Lines for a figure of ``width`` inches, at 7 points."""
    characters = int(width / 0.053)
    return "\n".join(part for line in lines for part in textwrap.wrap(line, characters))
