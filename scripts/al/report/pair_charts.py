"""Strategies against each other: the matrix of pairs, the seeds behind it, and the penalties."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import altair as alt
import numpy as np

from .charts import (
    CHARACTER,
    COLUMN,
    LINE,
    PAGE,
    Chart,
    Rows,
    joined,
    layered,
    looks_by,
    names_axis,
    panel_title,
    text_in,
    titled,
    values,
)
from .comparisons import LEVEL, Comparison, compared, penalties
from .lines import LOOSE, score_label
from .measures import Summary, measure_of, reach_name, short_label, summaries
from .style import INK, cost_label
from .view import View

# Tints of blue and orange that stay apart for all kinds of colour vision and leave ink legible.
BETTER, WORSE, NEITHER = "#9CC9EA", "#F7B98B", "#EEEEEE"
# Pixels of a cell; narrower ones hold no number.
CELL, NARROWEST, WIDEST = 23, 27, 64
ROW = 14  # pixels of a strategy in a panel of seeds


def comparisons(view: View) -> Chart | None:
    """Matrix of all pairs of strategies, a panel each for area, final score and cost to reach.

    A cell gives the mean over seeds of row minus column (in brackets the median, where a value was
    not reached) and how many seeds each side wins. Only where p after Holm's correction is below
    ``LEVEL`` it has a colour and a star: what does not differ significantly shall not look ranked.

    Returns:
        ``None`` with fewer than two strategies.
    """
    wanted = ("area", "final", reach_name(view.share))
    found = [c for c in compared(view) if c.seeds]
    by_measure = {m: [c for c in found if c.measure == m] for m in wanted}
    panels = [own for own in by_measure.values() if not all(map(_neither, own))]
    if not panels:
        return None
    names = view.order({n for own in panels for c in own for n in (c.first, c.second)})
    left = _edge(names)
    across = max(1, min(len(panels), int((PAGE - left) / (NARROWEST * len(names) + 12))))
    cell = min(WIDEST, ((PAGE - left) / across - 12) / len(names))
    charts = [_matrix(view, names, own, cell, i % across == 0) for i, own in enumerate(panels)]
    width = max(COLUMN, left + across * (cell * len(names) + 12))
    return titled(joined(charts, across, 12), view.title, _notes(view, by_measure, cell), width)


def _edge(names: Sequence[str]) -> float:
    """Pixels of names left of a panel."""
    return max(map(len, names)) * CHARACTER + 32


def _neither(c: Comparison) -> bool:
    """Whether no seed has a side that reached the score."""
    return c.neither == c.seeds


def _notes(view: View, by_measure: dict[str, list[Comparison]], cell: float) -> list[str]:
    """How to read the cells, what was tested, and what came of it."""
    shown = [c for own in by_measure.values() for c in own]
    significant = sum(c.p_holm < LEVEL for c in shown)
    numbers = f"Row minus column, mean over {view.unit}s; below: {view.unit}s won by row : column."
    notes = [numbers if cell >= NARROWEST else "Row against column; the numbers are in pairs.csv."]
    if cell >= NARROWEST and any(c.difference != c.difference for c in shown):
        notes.append("In brackets: the median, \u221e where one of the two did not reach it.")
    notes.append(
        f"Blue (row better) or orange (column better) and *: p < {LEVEL} after Holm's correction: "
        f"{significant} of {len(shown)} pairs. Test: {'; '.join(sorted({c.test for c in shown}))}."
    )
    unreached = [m for m, own in by_measure.items() if own and all(map(_neither, own))]
    return notes + [f"Reached by none: {measure_of(m).label}." for m in unreached]


def _matrix(
    view: View, names: Sequence[str], found: Sequence[Comparison], cell: float, named: bool
) -> Chart:
    measure = measure_of(found[0].measure)
    rows = [_cell(c, row, cell >= NARROWEST) for c in found for row in (c.first, c.second)]
    unit = view.score_name if measure.unit == "score" else cost_label(view.x, view.task)
    better = "higher" if measure.higher_better else "lower"
    title = panel_title([short_label(found[0].measure), f"{unit}, {better} is better"])
    colour, ink = alt.Color("colour:N", scale=None), alt.value(INK)
    grid = _grid(rows, names, cell, CELL, "column strategy", colour, ink, named)
    return {**grid, "title": title}


def _grid(
    rows: Rows,
    names: Sequence[str],
    width: float,
    highest: float,
    title: str,
    colour: alt.Color,
    ink: Any,
    named: bool = True,
) -> Chart:
    """A cell of so many pixels per row and column, below a title, and beside its names."""
    turned = max(map(len, names)) * CHARACTER > width
    top = {"orient": "top", "labelAngle": -90 if turned else 0, "grid": False}
    x = names_axis(alt.X, "column", names, title, **top)
    y = names_axis(alt.Y, "row", names, labels=named, grid=False)
    written = [row for row in rows if row["text"]]
    lines = max((row["text"].count("\n") for row in written), default=0)
    said = text_in(written, lineBreak="\n", lineHeight=LINE, dy=-LINE / 2 * lines)
    return layered(
        values(rows).mark_rect(stroke="white").encode(x, y, color=colour),
        said.encode(x, y, text="text:N", color=ink),
        width=width * len(names),
        height=min(width, highest) * len(names),
    )


def _cell(c: Comparison, row: str, wide: bool) -> dict[str, Any]:
    """What the cell of ``row`` (one of the two) against the other one shows."""
    sign, column = (1, c.second) if row == c.first else (-1, c.first)
    wins = (c.first_better, c.second_better)[::sign]
    significant = c.p_holm < LEVEL and wins[0] != wins[1]
    colour = (BETTER if wins[0] > wins[1] else WORSE) if significant else NEITHER
    star = "*" * significant
    number = "neither\nreached" if _neither(c) else f"{_number(c, sign)}{star}"
    text = number if _neither(c) else f"{number}\n{wins[0]}:{wins[1]}"
    return {"row": row, "column": column, "colour": colour, "text": text if wide else star}


def _number(c: Comparison, sign: int) -> str:
    """Mean difference, or the median in brackets where a value was not reached."""
    median = c.difference != c.difference
    number = sign * (c.median if median else c.difference)
    if number != number:
        return "open"
    digits = 3 if abs(number) < 1 else 1 if abs(number) < 100 else 0
    text = f"{number:+.{digits}f}".replace("inf", "\u221e").replace("-", "\u2212")
    text = text if text.strip("+\u22120.") else text[1:]  # nothing has no sign
    return f"({text})" if median else text


def penalty(view: View) -> Chart | None:
    """Pairwise penalty matrix: share of cycles in which the row beats the column significantly.

    By the paired t-test of the field at 0.05, uncorrected, as BADGE and nnActive publish it. The
    last column and row are means: how often a strategy beats another, and is beaten.

    Returns:
        ``None`` where no cycle could be tested.
    """
    found = [p for p in penalties(view) if p.share == p.share]
    if not found:
        return None
    names = view.order({p.first for p in found} | {p.second for p in found})
    cells: dict[tuple[str, str], list[float]] = {}
    for p in found:
        for place in ((p.first, p.second), (p.first, "mean"), ("mean", p.second)):
            cells.setdefault(place, []).append(p.share)
    ends = [*names, "mean"]
    cell = min(34.0, (PAGE - _edge(ends)) / len(ends))
    rows: Rows = [
        {"row": row, "column": column, "share": float(np.mean(shares))}
        | {"text": f"{np.mean(shares):.2f}" if cell >= 4 * CHARACTER else ""}
        for (row, column), shares in cells.items()
    ]
    shade = alt.Scale(domain=[0, 1], range=["#F3F6FA", "#0B3C6F"])
    colour = alt.Color("share:Q", scale=shade, legend=None)
    ink = alt.when("datum.share > 0.6").then(alt.value("white")).otherwise(alt.value(INK))
    chart = _grid(rows, ends, cell, 20, "is beaten by the row", colour, ink)
    cycles = max(p.n for p in found)
    note = f"Share of {cycles} cycles (0 to 1) in which the row beats the column, paired t-test."
    return titled(chart, view.title, [note], max(COLUMN, _edge(ends) + cell * len(ends)))


def seeds(view: View) -> Chart | None:
    """A point per seed and strategy, a panel per measure; lines join the same seed.

    A score that was not reached is an open marker beyond all costs. A measure that no seed has a
    number of has no panel.

    Returns:
        ``None`` without results.
    """
    found = summaries(view)
    measures = ("area", "final", reach_name(view.share), "efficiency")
    held = {m: [s for s in found if s.measure == m] for m in measures}
    panels = [own for own in held.values() if any(isfinite(s.value) for s in own)]
    if not panels:
        return None
    names = view.order({s.strategy for s in found})
    width = (PAGE - _edge(names)) / len(panels) - 14
    charts = [_seed_panel(view, own, names, width, not i) for i, own in enumerate(panels)]
    notes = [f"A point per {view.unit}; lines join the same {view.unit}."]
    if any(s.censored for own in panels for s in own):
        notes.append("Open: not reached, or not yet.")
    if any(s.value == inf for own in panels for s in own):
        notes.append("Left out: values without an upper bound.")
    return titled(joined(charts, len(charts), 12), view.title, [" ".join(notes)], PAGE)


def _seed_panel(
    view: View, found: Sequence[Summary], names: Sequence[str], width: float, named: bool
) -> Chart:
    known = [s.value for s in found if isfinite(s.value)]
    low, high = min(known), max(known)
    beyond = high + 0.18 * (high - low or abs(high) or 1.0)
    rows = [
        {"strategy": s.strategy, "seed": s.seed, "x": beyond if s.censored else s.value}
        | {"open": s.censored, "place": names.index(s.strategy)}
        for s in found
        if s.censored or isfinite(s.value)
    ]
    measure = measure_of(found[0].measure)
    unit = {"score": score_label(view.score_name), "cost": cost_label(view.x, view.task)}
    # What was not reached has no number.
    label = f"datum.value > {(high + beyond) / 2} ? '' : datum.label"
    axis = alt.Axis(tickCount=3, labelExpr=label, labelFlush=True)
    x = alt.X("x:Q", title=unit.get(measure.unit, measure.unit), scale=LOOSE, axis=axis)
    y = names_axis(alt.Y, "strategy", names, labels=named)
    *_, marked = looks_by("strategy", {name: view.styles[name] for name in names})
    joints = values(rows).mark_line(color="#BBBBBB", strokeWidth=0.6)
    dots = values(rows).mark_point(size=20, strokeWidth=0.9, opacity=1)
    return layered(
        joints.encode(x, y, detail="seed:N", order="place:Q"),
        dots.encode(x, y, **marked),
        width=width,
        height=max(ROW * len(names), 40),
        title=panel_title(short_label(found[0].measure)),
    )
