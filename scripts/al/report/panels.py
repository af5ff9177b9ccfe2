"""What all figures of scores against costs share: lines, intervals, references, limits, legends."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.paths import REFERENCES

from .curves import FULL, FULL_SAME_STEPS, Curve, Point, reference
from .shortfalls import shortfalls
from .statistics import Band, band
from .style import INK, Style, cost_label, new_figure
from .view import View

# Inches: one column of a page and both. Figures are drawn as large as they are printed.
COLUMN, PAGE = 3.4, 7.0
# Points.
TEXT, SMALL = 8, 7
# A t-interval of three seeds is four standard errors each way and hides the curves.
ENOUGH = 5
# Bands of more strategies than this cover each other and the lines.
MOST_BANDS = 6
# Curves that differ by less are one height.
EQUAL = 1e-9
# More notes than this below a figure are summed up.
MOST_NOTES = 8


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Attributes:
        label: in the legend; empty for a line that it does not name.
        curves: one per seed.
        style: how it is drawn.
    """

    label: str
    curves: Sequence[Curve]
    style: Style


def check(view: View) -> None:
    """Refuse what no figure can be drawn of.

    Raises:
        DataError: several runs, or a budget that has no curves.
    """
    if len(runs := sorted({p.run for p in view.points})) > 1:
        raise DataError(f"one run per figure, found {', '.join(runs)}")
    if view.budget and view.budget not in view.budgets:
        raise DataError(f"no curves of budget {view.budget!r}, there are {view.budgets}")


def styles_of(view: View, names: Iterable[str]) -> dict[str, Style]:
    """Looks of strategies; those that the view does not know come after all that it knows."""
    return view.styles if view.styles.keys() >= {*names} else view.styles_with(names)


def seeds_planned(view: View) -> int:
    """Seeds behind a mean that lacks none: those planned, else the most that a strategy has."""
    found: dict[tuple[str, str], set[int]] = {}
    for p in view.points:
        if p.strategy not in REFERENCES and view.budget in ("", p.budget):
            found.setdefault((p.budget, p.strategy), set()).add(p.seed)
    return len(view.seeds) or max(map(len, found.values()), default=0)


def grid(figures: int) -> tuple[int, int, float, float]:
    """Rows, columns, width and height (inches, without legend) of so many panels."""
    columns = 3 if figures <= 9 else 4 if figures <= 16 else 5
    columns = 2 if figures == 4 else min(columns, figures)
    rows = -(-figures // columns)
    high = {1: 2.4, 2: 2.4, 3: 1.9, 4: 1.65, 5: 1.5}[columns]
    return rows, columns, COLUMN if columns == 1 else PAGE, high * rows


def panels_of(count: int, **shared: bool) -> tuple[Any, list[Any]]:
    """A figure with so many panels, and these; ``shared``: of ``Figure.subplots``."""
    rows, columns, width, height = grid(count)
    figure = new_figure(width, height)
    panels = list(figure.subplots(rows, columns, squeeze=False, **shared).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    # Where the last row is not full, the panels above its gap are the lowest of their columns.
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, panels[:count]


def label_costs(panels: Sequence[Any], view: View) -> None:
    """Name the horizontal axis under the lowest panel of each column."""
    columns = panels[0].get_subplotspec().get_gridspec().ncols
    for axes in panels[-columns:]:
        axes.set_xlabel(cost_label(view.x, view.task), fontsize=TEXT)


def draw_lines(
    axes: Any, lines: Sequence[Line], view: View, spread: bool, small: bool = False
) -> None:
    """Draw the mean of each line over its seeds, and how the seeds spread.

    Each mean is over the seeds that have the cycle. A point that fewer seeds stand behind than
    ``seeds_planned`` is open; the line is broken where a cycle is missing altogether.
    """
    planned = seeds_planned(view)
    for place, line in enumerate(lines):
        mean = band(line.curves, view.fold_ratio)
        if spread:
            _draw_spread(axes, line, mean)
        width = (0.9 if small else 1.3) if spread else 0.9
        _draw_mean(axes, line, mean, mean.seeds >= planned, place, width, small)
    _say_equal(axes, lines)


def _say_equal(axes: Any, lines: Sequence[Line]) -> None:
    """Write that a panel's curves are all one height, which may be that of its axis."""
    scores = np.concatenate([c.score for line in lines for c in line.curves] or [np.zeros(0)])
    grown = any(len(c.score) > 1 for line in lines for c in line.curves)
    if len(scores) and np.ptp(scores) < EQUAL and (grown or not scores.any()):
        text = f"all scores are {scores[0]:.3g}"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=SMALL)


def _draw_mean(
    axes: Any, line: Line, mean: Band, whole: np.ndarray, place: int, width: float, small: bool
) -> None:
    """One line; ``whole`` says of which of its points no seed is missing."""
    colour, marker, dashes = line.style
    size = (2.6 if small else 3.2) * (1.5 if marker == "*" else 1)
    every = max(1, len(mean.x) // 15)
    breaks = _breaks(mean)
    # The ends of a gap have markers: a point between two gaps has no line.
    marked = np.arange(len(mean.x)) % every == place % every
    marked[breaks] = marked[breaks - 1] = True
    if whole.any():
        marked |= ~whole
    look = {"marker": marker, "markersize": size}
    # Where all are open, so is the marker in the legend.
    filled = marked & (whole if whole.any() else True)
    axes.plot(
        np.insert(mean.x, breaks, np.nan),
        np.insert(mean.mean, breaks, np.nan),
        color=colour,
        linestyle=dashes,
        linewidth=width,
        markerfacecolor=colour if whole.any() else "white",
        markevery=np.flatnonzero(np.insert(filled, breaks, False)).tolist(),
        label=line.label or "_unnamed",
        **look,
    )
    if (rest := marked & ~filled).any():
        open_look = {"markerfacecolor": "white", "markeredgecolor": colour, **look}
        x, y = mean.x[rest], mean.mean[rest]
        axes.plot(x, y, linestyle="none", label="_fewer seeds", **open_look)


def _breaks(mean: Band) -> np.ndarray:
    """Before which of its points a cycle is missing."""
    return np.flatnonzero(np.diff(mean.cycle) > 1) + 1


def _draw_spread(axes: Any, line: Line, mean: Band) -> None:
    """The interval of the mean; of fewer than ``ENOUGH`` seeds, each seed's points instead."""
    enough = mean.seeds >= ENOUGH
    colour = line.style.colour
    if enough.any():
        ends = (mean.x, np.where(enough, mean.low, np.nan), np.where(enough, mean.high, np.nan))
        pieces = [np.insert(values, _breaks(mean), np.nan) for values in ends]
        axes.fill_between(*pieces, color=colour, alpha=0.16, linewidth=0)
    if not _has_dots(line):
        return
    for curve in line.curves:
        few = np.isin(curve.cycle, mean.cycle[~enough])
        axes.scatter(curve.x[few], curve.score[few], s=5, color=colour, alpha=0.5, linewidths=0)


def _has_dots(line: Line) -> bool:
    """Whether some of its points are of too few seeds for an interval, but of more than one."""
    return len(line.curves) > 1 and bool((band(line.curves).seeds < ENOUGH).any())


def explain(lines: Sequence[Line], view: View, spread: bool, many: str = "") -> dict[str, Any]:
    """Legend entries of what intervals, points and open markers are, by their text.

    ``many``: for the sake of what they are left out, where not ``spread``.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dot = {"linestyle": "none", "marker": "o"}
    seeds = [band(line.curves).seeds for line in lines]
    entries: dict[str, Any] = {}
    if any((n >= ENOUGH).any() for n in seeds):
        patch = Patch(color="#808080", alpha=0.3, linewidth=0)
        entries[f"95 % interval over {view.unit}s"] = patch
    if any(map(_has_dots, lines)):
        entries[f"single {view.unit}s"] = Line2D([], [], color="#808080", markersize=2, **dot)
    if entries and not spread:
        kinds = [f"points of {t}" if t.startswith("single") else "bands" for t in entries]
        text = f"{' and '.join(kinds)} left out" + (f": {many}" if many else "")
        entries = {text: Line2D([], [], linestyle="none")}
    planned = seeds_planned(view)
    if any((n < planned).any() for n in seeds):
        looks = {"color": "#808080", "markerfacecolor": "white", "markersize": 3.2}
        entries[f"mean of fewer than {planned} {view.unit}s"] = Line2D([], [], **looks, **dot)
    return entries


def draw_references(axes: Any, view: View, points: Sequence[Point], same: bool = True) -> None:
    """Draw the share of full annotation asked for and, if ``same``, training as long as a cycle."""
    labels = {FULL: f"{view.share * 100:g} % of full annotation"}
    if same:
        labels[FULL_SAME_STEPS] = "full annotation, same steps"
    for name, dashes in ((FULL, "--"), (FULL_SAME_STEPS, ":")):
        scores = reference(points, view.budget, name)
        if name in labels and len(scores):
            axes.axhline(
                scores.mean() * (view.share if name == FULL else 1),
                color=view.colours.get(name, INK),
                linestyle=dashes,
                linewidth=0.9,
                label=labels[name],
            )


def tidy(axes: Any) -> None:
    """Give a panel light grid lines and numbers of the size of small text."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, length=2.5, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(4 if axes.get_figure().get_figwidth() > 4 else 6))


def frame(panels: Sequence[Any], margin: float) -> None:
    """Give panels common vertical limits: of lines, points, intervals, and ``margin`` of the span.

    Ticks stay within 0 and 1, and the limits within a little more, so that a line of zeros is not
    hidden by the axis.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.ticker import MaxNLocator

    heights_of = [line.get_ydata() for axes in panels for line in axes.get_lines()]
    heights_of += [
        held.get_offsets()[:, 1]
        for axes in panels
        for held in axes.collections
        if isinstance(held, PathCollection)
    ]
    heights_of += [
        path.vertices[:, 1]
        for axes in panels
        for held in axes.collections
        if not isinstance(held, PathCollection)
        for path in held.get_paths()
    ]
    values = np.concatenate([np.asarray(y, float) for y in heights_of])
    low, high = np.nanmin(values), np.nanmax(values)
    pad = margin * max(high - low, 0.02) if high - low > EQUAL else 0.05
    bottom, top = low - pad, high + pad
    room = 0.05 * (top - low)
    bottom, top = max(bottom, -room), min(top, 1 + room)
    ticks = [t for t in MaxNLocator(5).tick_values(bottom, top) if max(0, bottom) <= t <= 1 + EQUAL]
    for axes in panels:
        axes.set_ylim(bottom, top)
        axes.set_yticks([t for t in ticks if t <= top])
        heights = [(np.nanmean(line.get_ydata()) - bottom) / (top - bottom) for line in axes.lines]
        for text in axes.texts:  # where no line is near
            text.set_y(max((0.25, 0.5, 0.75), key=lambda y: min(abs(y - h) for h in heights)))


def lacks(view: View, curves: Sequence[Curve]) -> list[str]:
    """What the curves of a strategy lack of what was planned."""
    return shortfalls(curves, view.seeds, view.cycles, view.unit)


def unstarted(view: View, found: Iterable[str]) -> list[str]:
    """A note on the strategies of the run that have no results, if there are any."""
    missing = [n for n in view.order(list(view.strategies)) if n not in set(found)]
    return [f"No results yet: {', '.join(missing)}."] if missing else []


def notes_on(view: View, drawn: Mapping[str, Sequence[Curve]]) -> list[str]:
    """Notes on lines that lack something, by their names."""
    said = [
        f"{name}: {'; '.join(short)}." for name, c in drawn.items() if (short := lacks(view, c))
    ]
    more = len(said) - MOST_NOTES
    return said if more <= 0 else [*said[:MOST_NOTES], f"{more} more are not complete."]


def entries_of(panels: Iterable[Any]) -> dict[str, Any]:
    """Legend entries of panels, each text once, if possible with a marker that is filled."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in entries or _is_open(entries[label]):
                entries[label] = handle
    return entries


def _is_open(handle: Any) -> bool:
    return getattr(handle, "get_markerfacecolor", str)() == "white"


def finish(figure: Any, title: str, entries: Mapping[str, Any], notes: Iterable[str] = ()) -> None:
    """Put title, legend and notes outside the panels; the figure grows by their height."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.get_size_inches()
    if title:
        lines = [wrapped(line, width, TEXT) for line in title.splitlines()]
        heading = figure.suptitle("\n".join(lines), fontsize=TEXT)
        height += heading.get_window_extent(renderer).height / figure.dpi + 0.03
    foot = figure.text(
        0.05 / width,
        0,
        "\n".join(wrapped(note, width - 0.1, SMALL) for note in notes),
        fontsize=SMALL,
        va="bottom",
        color=INK,
    )
    below = foot.get_window_extent(renderer).height / figure.dpi + 0.05 if foot.get_text() else 0.0
    legend, tall = _legend(figure, entries, renderer)
    total = height + below + tall
    figure.set_size_inches(width, total)
    foot.set_position((0.05 / width, 0.03 / total))
    if legend is not None:
        legend.set_bbox_to_anchor((0, below / total, 1, tall / total), figure.transFigure)
    bottom = (below + tall) / total
    figure.get_layout_engine().set(rect=(0, bottom, 1, 1 - bottom))


def _legend(figure: Any, entries: Mapping[str, Any], renderer: Any) -> tuple[Any, float]:
    """The legend with as many columns as there is room for, and its height in inches."""
    if not entries:
        return None, 0.0
    width = figure.get_figwidth()
    labels = [wrapped(text, width - 0.5, SMALL) for text in entries]
    for columns in range(min(len(labels), 6), 0, -1):
        legend = figure.legend(
            entries.values(),
            labels,
            loc="center",
            ncols=columns,
            frameon=False,
            fontsize=SMALL,
            handlelength=2.6,
            columnspacing=1.2,
            borderaxespad=0,
        )
        box = legend.get_window_extent(renderer)
        if box.width <= figure.bbox.width or columns == 1:
            return legend, box.height / figure.dpi
        legend.remove()
    raise AssertionError("one column is always taken")


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines of so many inches at a size in points."""
    return textwrap.fill(text, max(20, int(width * 72 / (0.56 * size))))
