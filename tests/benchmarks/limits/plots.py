"""The two plots: times faster than the alternatives, and cost against work."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .harness import Row, shown

WIDTH = 7.2  # inches
# Okabe and Ito's colours, which colour-blind readers tell apart
SPEED, SIZE, GREY = "#0072B2", "#E69F00", "#595959"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
SECONDS = {"ms": 1e-3, "s": 1.0, "µs": 1e-6}
BYTES = {"bytes": 1.0, "kB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30}
AXES = {
    "image area": "pixels of the image, 10 windows of 32²",
    "windows": "windows of 64² on 1024 x 2048 pixels",
    "classes": "classes, 10 windows of 128² on 1024 x 2048",
    "pool size": "images in the pool",
    "volume": "voxels, 15 windows of 32² in slices",
}
# The same curve looks the same in every panel.
KNOWN = ("DECOMP, smooth", "DECOMP, 10 % random", "uncertain")
STYLE = {
    "font.size": 7.5, "axes.labelsize": 7.5, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "savefig.dpi": 220, "pdf.fonttype": 42, "font.family": "DejaVu Sans",
}  # fmt: skip


def is_ratio(row: Row) -> bool:
    """Whether the aim is to cost no more than so many times the alternative: no bar shows that."""
    return row.aim_factor is None and re.search(r"under [\d.]+ times", row.aim) is not None


def aimed_at(row: Row) -> float | None:
    """Return the factor that an aim asks for, from its number or from its words."""
    if row.aim_factor is not None:
        return row.aim_factor
    if found := re.search(r"under ([\d.]+) times", row.aim):
        return 1 / float(found[1])
    if found := re.search(r"([\d.]+) times", row.aim):
        return float(found[1])
    if row.alternative and (found := re.search(r"under ([\d.]+) ?(\S*)", row.aim)):
        for units in (SECONDS, BYTES):
            if row.unit in units and found[2] in units:
                return row.alternative * units[row.unit] / (float(found[1]) * units[found[2]])
        same = found[2] in ("", row.unit.split()[0])
        return row.alternative / float(found[1]) if same else None
    return None


def plot_limits(rows: Sequence[Row], path: Path) -> None:
    """Draw one bar per row with an alternative and an aim, marked on it; not of aims in ratios."""
    rows = [r for r in rows if not r.panel and r.factor is not None and r.factor > 0]
    rows = [row for row in rows if aimed_at(row) is not None and not is_ratio(row)]
    labels = [_label(row) for row in rows]
    lines = [label.count("\n") + 1.8 for label in labels]
    ends = [sum(lines[: i + 1]) for i in range(len(lines))]
    middles = [end - tall / 2 for end, tall in zip(ends, lines, strict=True)]
    with plt.rc_context(STYLE):
        height = 0.105 * sum(lines) + 1.0
        figure, axes = plt.subplots(figsize=(WIDTH, height))
        figure.subplots_adjust(left=0.565, right=0.95, bottom=0.75 / height, top=1 - 0.08 / height)
        for row, y in zip(rows, middles, strict=True):
            _bar(axes, row, y)
        axes.set_xscale("log")
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_ylim(max(ends, default=1), 0)
        axes.set_yticks(middles, labels)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
        low, high = axes.get_xlim()
        low, high = min(low, 0.8), high * 2.2
        axes.set_xlim(low, high)
        for row, y in zip(rows, middles, strict=True):
            _figure(axes, row, y, (high / low) ** 0.17)
        axes.set_xlabel("times faster, or smaller, than the alternative")
        _legend(figure)
        figure.savefig(path)
        plt.close(figure)


def _label(row: Row) -> str:
    """Return the work and, on lines of its own, the alternative."""
    parts = (row.work, f"against {row.alternative_name}")
    return "\n".join(textwrap.fill(part.replace("`", ""), 74) for part in parts)


def _bar(axes: Axes, row: Row, y: float) -> None:
    factor, aim = row.factor or 1.0, aimed_at(row)
    colour = SPEED if row.unit in SECONDS else SIZE
    missed = row.reached is False
    look = {"facecolor": "white", "hatch": "//////"} if missed else {"facecolor": colour}
    axes.barh(
        y, factor - 1, left=1, height=1.5, edgecolor=colour, linewidth=0.7, **look
    )  # fmt: skip
    if aim:
        axes.plot([aim, aim], [y - 1.05, y + 1.05], color="black", linewidth=1.6)


def _figure(axes: Axes, row: Row, y: float, wide: float) -> None:
    """Write the factor beside its bar, or beside an aim that stands within ``wide`` times of it."""
    factor, aim = row.factor or 1.0, aimed_at(row) or 0.0
    end = max(factor, 1.0)
    place = aim if end < aim < end * wide else end
    text = f"{shown(factor)}×"
    axes.annotate(text, (place, y), (4, 0), textcoords="offset points", va="center", fontsize=7)


def _legend(figure: plt.Figure) -> None:
    held = [
        Patch(facecolor=SPEED, label="time"),
        Patch(facecolor=SIZE, label="memory or storage"),
        Patch(facecolor="white", edgecolor=GREY, hatch="//////", label="aim missed"),
        Line2D([], [], color="black", linewidth=1.6, label="aim"),
    ]
    figure.legend(handles=held, loc="lower left", ncols=2, frameon=False, bbox_to_anchor=(0.01, 0))


def plot_growth(rows: Sequence[Row], path: Path) -> None:
    """Draw one small plot per panel, log-log, the alternative dashed."""
    rows = [row for row in rows if row.panel and row.x is not None and row.ours > 0]
    panels = list(dict.fromkeys(row.panel for row in rows))
    panels.sort(key=lambda p: list(AXES).index(p) if p in AXES else len(AXES))
    down = max(1, -(-len(panels) // 2))
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(down, 2, figsize=(WIDTH, 2.8 * down), squeeze=False)
        edges = {"left": 0.075, "right": 0.985, "wspace": 0.24, "hspace": 0.58}
        figure.subplots_adjust(**edges, bottom=0.42 / 2.8 / down, top=1 - 0.6 / 2.8 / down)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel, [row for row in rows if row.panel == panel])
        figure.savefig(path)
        plt.close(figure)


def _panel(axes: Axes, panel: str, rows: Sequence[Row]) -> None:
    for i, name in enumerate(dict.fromkeys(row.series for row in rows)):
        held = sorted((row for row in rows if row.series == name), key=lambda row: row.x or 0)
        place = KNOWN.index(name) if name in KNOWN else i
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        axes.plot(
            [r.x for r in held], [r.ours for r in held], color=colour, marker=marker,
            markersize=3.2, linewidth=1.1, label=name,
        )  # fmt: skip
    beside = sorted((r for r in rows if r.alternative), key=lambda row: row.x or 0)
    if beside:
        axes.plot(
            [r.x for r in beside], [r.alternative for r in beside], color=GREY, marker="s",
            markersize=2.5, linewidth=1.0, linestyle=(0, (4, 2)),
            label=textwrap.fill(beside[0].alternative_name, 22),
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylabel=f"{rows[0].unit}, one core")
    axes.set_xlabel(AXES.get(panel, panel))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=9))
        axis.set_major_formatter(FuncFormatter(_power))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E3E3E3", linewidth=0.5)
    low, high = axes.get_ylim()
    if high / low < 100:  # a flat curve shall look flat
        axes.set_ylim(low / 3, high * 3)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, borderpad=0.1,
        columnspacing=1.0, handlelength=1.8, labelspacing=0.25,
    )  # fmt: skip


def _power(value: float, _: object) -> str:
    """Return 0.1, 1, 1000, and powers of ten from 10 000 on."""
    return f"$10^{{{round(math.log10(value))}}}$" if value > 5e3 else f"{value:g}"
