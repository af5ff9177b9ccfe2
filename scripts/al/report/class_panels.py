"""What the figures per class share: rows of classes, columns of cycles, and what is said below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from al.paths import INITIAL, REFERENCES

from .confidence import untested
from .curves import FULL
from .panels import COLUMN, PAGE, SMALL, styles_of
from .style import INK
from .view import View

# Single seeds of more strategies than this cover the means.
MOST_SEEDED = 6
SHARED = "first cycle (shared)"
# (strategy, cycle, class) -> seed -> value
Cells = dict[tuple[str, int, str], dict[int, float]]


def class_order(view: View) -> list[str]:
    """Classes by their size in the training pool, the largest first; as they are without counts."""
    return sorted(view.classes, key=lambda name: -view.truth.get(name, 0))


def strategies_of(view: View) -> list[str]:
    """Strategies that have results of the budget, as all legends list them."""
    left_out = (INITIAL, *REFERENCES)
    found = {p.strategy for p in view.points if p.budget == view.budget}
    return view.order([name for name in found if name not in left_out])


def score_cells(view: View) -> Cells:
    """Test score of each class; classes that are not in the test set are left out."""
    absent = untested(view.points)
    return _cells(
        (p.strategy, p.cycle, name, p.seed, value)
        for p in view.points
        if p.budget == view.budget and p.strategy not in REFERENCES
        for name, value in p.per_class.items()
        if name not in absent.get(p.seed, ())
    )


def share_cells(view: View) -> Cells:
    """Percent of each class that is annotated; classes that the pool lacks are left out."""
    return _cells(
        (p.strategy, p.cycle, name, p.seed, value)
        for p in view.points
        if p.budget == view.budget and p.strategy not in REFERENCES
        for name, value in p.annotated.items()
    )


def confidence_cells(view: View) -> Cells:
    """Confidence of each class, 0 to 1; classes that a model never predicts are left out."""
    return _cells(
        (r.strategy, r.cycle, r.cls, r.seed, r.rate)
        for r in view.confidence
        if r.budget == view.budget and r.predicted
    )


def _cells(rows: Iterable[tuple[str, int, str, int, float]]) -> Cells:
    cells: Cells = {}
    for strategy, cycle, name, seed, value in rows:
        cells.setdefault((strategy, cycle, name), {})[seed] = value
    return cells


def full_scores(view: View) -> dict[str, float]:
    """Mean test score of full annotation by class; of this budget, else of any."""
    found = [p for p in view.points if p.strategy == FULL]
    found = [p for p in found if p.budget == view.budget] or found
    absent = untested(view.points)
    values: dict[str, list[float]] = {}
    for p in found:
        for name in p.per_class.keys() - absent.get(p.seed, set()):
            values.setdefault(name, []).append(p.per_class[name])
    return {name: float(np.mean(v)) for name, v in values.items()}


def confident_strategy(view: View) -> str | None:
    """Whose class confidence is shown: DECOMP's, else that of the first strategy that has most.

    The first cycle is every strategy's, so those that read predictions have more cycles of it.
    """
    cycles: dict[str, set[int]] = {}
    for r in view.confidence:
        if r.budget == view.budget:
            cycles.setdefault(r.strategy, set()).add(r.cycle)
    if "decomp" in cycles or not cycles:
        return "decomp" if cycles else None
    names = view.order([name for name in cycles if name != INITIAL]) or [INITIAL]
    return max(names, key=lambda name: len(cycles[name]))


def shown_cycles(view: View, most: int = 4) -> list[int]:
    """A few cycles from the first to the last, closer together early on, where more changes.

    Of the cycles whose class confidence is known; of all that have results, where none is.
    """
    name = confident_strategy(view)
    found = {r.cycle for r in view.confidence if (r.budget, r.strategy) == (view.budget, name)}
    return _few(found or _cycles(view), most)


def share_cycles(view: View, most: int = 4) -> list[int]:
    """The cycles after those of ``shown_cycles``: what was annotated as their models proposed.

    As in the columns of Fig. 9. The first cycle is shown only where there is no other: all
    strategies share it.
    """
    there = _cycles(view)
    after = [cycle + 1 for cycle in shown_cycles(view, most) if cycle + 1 in there]
    if any(r.budget == view.budget for r in view.confidence) and after:
        return after
    return _few(there - {1} or there, most)


def _cycles(view: View) -> set[int]:
    points = (p for p in view.points if p.strategy not in REFERENCES)
    return {p.cycle for p in points if p.budget == view.budget}


def _few(found: Iterable[int], most: int) -> list[int]:
    cycles = sorted(found)
    if len(cycles) <= most:
        return cycles
    places = np.geomspace(1, len(cycles), most).round().astype(int) - 1
    return [cycles[i] for i in np.unique(places)]


def figure_width(columns: int) -> float:
    """Width (inches) of a figure with so many columns of cycles, a page at most."""
    return min(PAGE, max(COLUMN, 1.0 + 1.55 * columns))


def panel_height(rows: Sequence[str], marks: int) -> float:
    """Height (inches) of a panel with one row per class and so many marks in each."""
    return max(0.6, (0.15 + 0.014 * max(0, marks - 3)) * len(rows))


def ordered(handles: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Handles of a legend in the order of the strategies, what they lack at the end."""
    first = {name: handles[name] for name in names if name in handles}
    return first | {name: h for name, h in handles.items() if name not in first}


def prepare_rows(axes: Any, rows: Sequence[str], named: bool) -> None:
    """Make one row per class, the first on top, every other one shaded to follow it across."""
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows if named else [""] * len(rows))
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=SMALL, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    for i in range(0, len(rows), 2):
        axes.axhspan(i - 0.5, i + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def say_in_row(axes: Any, row: int, text: str) -> None:
    """Write in the row of a class why there is no value; never a value of 0."""
    axes.annotate(
        text,
        (0, row),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=SMALL,
        color="#707070",
        style="italic",
    ).set_in_layout(False)


def draw_dots(
    axes: Any, view: View, cells: Cells, cycle: int, rows: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    """Draw one dot per class and strategy: the mean over seeds, and each seed faintly.

    The first cycle is the same model for all strategies: it has one dot per class.

    Returns:
        handles of a legend by label, in the order of ``names``.
    """
    handles: dict[str, Any] = {}
    styles = styles_of(view, names)
    shared = cycle == 1 and len(names) != 1
    step = 0.72 / max(1, len(names))
    for i, name in enumerate([SHARED] if shared else names):
        offset = 0.0 if shared else (i - (len(names) - 1) / 2) * step
        own = _shared_cells(cells) if shared else cells
        found = {r: own[name, cycle, c] for r, c in enumerate(rows) if (name, cycle, c) in own}
        if not found:
            continue
        colour, marker = (INK, "o") if shared else styles[name][:2]
        if len(names) <= MOST_SEEDED and any(len(v) > 1 for v in found.values()):
            each = [(v, r + offset) for r, values in found.items() for v in values.values()]
            x, y = zip(*each, strict=True)
            axes.scatter(x, y, s=7, color=colour, alpha=0.35, linewidths=0, zorder=2)
        means = [float(np.mean(list(values.values()))) for values in found.values()]
        (handles[name],) = axes.plot(
            means,
            [r + offset for r in found],
            color=colour,
            marker=marker,
            markersize=5 if marker == "*" else 3.6,
            markeredgecolor="white",
            markeredgewidth=0.3,
            linestyle="none",
            label=name,
            zorder=3,
        )
    return handles


def _shared_cells(cells: Cells) -> Cells:
    """The first cycle under one name, whichever strategies it was given to."""
    merged: Cells = {}
    for (_, cycle, cls), values in cells.items():
        if cycle == 1:
            merged.setdefault((SHARED, 1, cls), {}).update(values)
    return merged


def missing_notes(view: View, cycles: Sequence[int]) -> list[str]:
    """Say which strategies lack results or seeds in the cycles shown."""
    seeds: dict[tuple[str, int], set[int]] = {}
    for p in view.points:
        if p.budget == view.budget and p.strategy not in (INITIAL, *REFERENCES):
            seeds.setdefault((p.strategy, p.cycle), set()).add(p.seed)
    planned = len(view.seeds) or max(map(len, seeds.values()), default=0)
    none, fewer = [], []
    for name in view.order({*view.strategies, *(n for n, _ in seeds)}):
        counts = {c: len(seeds.get((name, c), ())) for c in cycles}
        if lacking := [c for c, n in counts.items() if not n]:
            none.append(f"{name}, {listed(lacking)}")
        fewer += [f"{name}, cycle {c} ({n})" for c, n in counts.items() if 0 < n < planned]
    notes = [f"No results: {'; '.join(none)}."] if none else []
    return notes + ([f"Fewer than {planned} seeds: {'; '.join(fewer)}."] if fewer else [])


def listed(cycles: Sequence[int]) -> str:
    """Cycles as a text: ``cycle 3`` or ``cycles 3, 5``."""
    return f"cycle{'s' if len(cycles) > 1 else ''} {', '.join(map(str, cycles))}"


def mean_note(tables: Sequence[Cells], cycles: Sequence[int], strategies: int) -> str:
    """Say what the marks are: means of how many seeds, and whether each is drawn."""
    counts = {len(v) for cells in tables for key, v in cells.items() if key[1] in cycles}
    if not counts or max(counts) == 1:
        return "One seed."
    low, high = min(counts), max(counts)
    single = "faint: single seeds" if strategies <= MOST_SEEDED else "single seeds left out"
    return f"Means over {high if low == high else f'{low} to {high}'} seeds; {single}."
