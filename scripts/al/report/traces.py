"""Traces of the interactive main curve, as plotly reads them.

Names go into plotly's text escaped: it reads some HTML there.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from al.paths import REFERENCES

from .curves import FULL, FULL_SAME_STEPS, Curve, Point, curves_of, reference
from .panels import ENOUGH, MOST_BANDS, seeds_planned
from .statistics import Band, band
from .style import INK, Style
from .view import View

SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
    "*": "star",
}
LINE_WIDTH = 2.0
# The later cover the earlier.
ROLES = ("band", "seeds", "mean", "reference")
# A trace without its x values, and these by cost.
Drawn = tuple[dict[str, Any], dict[str, list[Any]]]


def text(words: str) -> str:
    """Words as plotly shows them letter by letter."""
    return html.escape(words, quote=False)


def learned(view: View) -> list[Point]:
    """Points of the learning curves of the budget."""
    return [p for p in view.points if p.budget == view.budget and p.strategy not in REFERENCES]


def budget_data(view: View, costs: Sequence[str]) -> dict[str, Any]:
    """Traces of one budget, the x values of each by cost, and what is to be said below.

    A strategy is left out of a cost that one of its models lacks.

    Raises:
        DataError: a cost falls from one cycle to the next.
    """
    points = learned(view)
    names = view.order(list(dict.fromkeys(p.strategy for p in points)))
    planned = seeds_planned(view)
    drawn: list[Drawn] = []
    lacking: dict[str, list[str]] = {c: [] for c in costs}
    hollow = False
    for name in names:
        own = [p for p in points if p.strategy == name]
        curves = {
            c: curves_of(own, view.budget, c) for c in costs if all(c in p.costs for p in own)
        }
        for c in costs:
            lacking[c] += [] if c in curves else [name]
        if curves:
            bands = {c: band(held, view.fold_ratio) for c, held in curves.items()}
            drawn += _strategy(view, name, curves, bands, planned)
            hollow = hollow or any((b.seeds < planned).any() for b in bands.values())
    drawn += _references(view, drawn, costs)
    drawn.sort(key=lambda d: ROLES.index(d[0]["meta"]["role"]))
    return {
        "name": view.budget,
        "score": text(view.score_name),
        "traces": [trace for trace, _ in drawn],
        "x": {c: [x.get(c, []) for _, x in drawn] for c in costs},
        "spread": len(names) <= MOST_BANDS,
        "hint": f"Hollow: mean of fewer than {planned} {view.unit}s." if hollow else "",
        "lacking": {
            c: f"Not drawn, as this cost is not known of each of its models: {', '.join(held)}."
            for c, held in lacking.items()
            if held
        },
    }


def _strategy(
    view: View,
    name: str,
    curves: Mapping[str, Sequence[Curve]],
    bands: Mapping[str, Band],
    planned: int,
) -> list[Drawn]:
    """Mean, points and band of one strategy; their heights are the same for every cost."""
    style = view.styles[name]
    mean, first = next(iter(bands.values())), next(iter(curves.values()))
    made = [
        (
            _mean_trace(view, name, style, mean, planned),
            {c: broken(b.x, b.cycle) for c, b in bands.items()},
        )
    ]
    if len(first) > 1:
        xs = {c: [_short(v) for curve in held for v in curve.x] for c, held in curves.items()}
        made.append((_seed_trace(view, name, style, first), xs))
    if (mean.seeds >= ENOUGH).any():
        look = {
            "mode": "lines",
            "y": _outline(mean, mean.low, mean.high),
            "fill": "toself",
            "fillcolor": _faint(style.colour),
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
        xs = {c: _outline(b, b.x, b.x) for c, b in bands.items()}
        made.append((_trace(name, "band", look), xs))
    return made


def _mean_trace(view: View, name: str, style: Style, mean: Band, planned: int) -> dict[str, Any]:
    symbol = SYMBOLS[style.marker]
    symbols = [f"{symbol}-open" if n < planned else symbol for n in mean.seeds]
    told = list(zip(mean.cycle.tolist(), mean.seeds.tolist(), strict=True))
    look = {
        "mode": "lines+markers",
        "y": broken(mean.mean, mean.cycle),
        "name": _legend(view, name, mean.seeds, planned),
        "line": {"color": style.colour, "width": LINE_WIDTH, "dash": dash(style)},
        "marker": {
            "size": 7,
            "color": style.colour,
            "symbol": broken(symbols, mean.cycle, symbol),
        },
        "customdata": broken(told, mean.cycle, (0, 0)),
        "hovertemplate": f"<b>{text(name)}</b>, mean<br>cycle %{{customdata[0]}}, "
        f"{view.unit}s: %{{customdata[1]}}<br>{_place(view)}",
    }
    return _trace(name, "mean", look)


def _seed_trace(view: View, name: str, style: Style, curves: Sequence[Curve]) -> dict[str, Any]:
    look = {
        "mode": "markers",
        "y": [_short(v) for c in curves for v in c.score],
        "marker": {
            "size": 5,
            "color": style.colour,
            "opacity": 0.5,
            "symbol": SYMBOLS[style.marker],
        },
        "customdata": [(c.seed, int(k)) for c in curves for k in c.cycle],
        "hovertemplate": f"<b>{text(name)}</b>, {view.unit} %{{customdata[0]}}<br>"
        f"cycle %{{customdata[1]}}<br>{_place(view)}",
    }
    return _trace(name, "seeds", look)


def _place(view: View) -> str:
    """Cost and score of a point; the script puts in the name of the cost."""
    return f"{{cost}}: %{{x:.4~g}}<br>{text(view.score_name)}: %{{y:.3f}}<extra></extra>"


def _trace(name: str, role: str, more: dict[str, Any]) -> dict[str, Any]:
    """A scatter trace, checked by plotly; the script reads its role and strategy in ``meta``."""
    from plotly.graph_objects import Scatter

    head = {"meta": {"role": role, "strategy": name}}
    made: dict[str, Any] = Scatter(
        **head, showlegend=role in ("mean", "reference"), **more
    ).to_plotly_json()
    return made


def broken(values: Any, cycle: np.ndarray, gap: Any = None) -> list[Any]:
    """Values per cycle, with ``gap`` between two that do not follow each other."""
    listed: list[Any] = []
    for i, value in enumerate(values):
        if i and cycle[i] - cycle[i - 1] > 1:
            listed.append(gap)
        listed.append(_short(value) if isinstance(value, float) else value)
    return listed


def _outline(mean: Band, low: np.ndarray, high: np.ndarray) -> list[Any]:
    """Round a band along ``low`` and back along ``high``, piece by piece where seeds are enough."""
    known = np.flatnonzero(mean.seeds >= ENOUGH)
    outline: list[Any] = []
    for piece in np.split(known, np.flatnonzero(np.diff(mean.cycle[known]) > 1) + 1):
        if len(piece):
            there = [_short(low[i]) for i in piece]
            back = [_short(high[i]) for i in piece[::-1]]
            outline += [*([None] if outline else []), *there, *back, there[0]]
    return outline


def _short(value: float) -> float | None:
    """Six digits, which no screen shows; ``None`` for NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _legend(view: View, name: str, seeds: np.ndarray, planned: int) -> str:
    few, most = int(seeds.min()), int(seeds.max())
    said = f"{most} {view.unit}" + ("s" if most > 1 else "")
    if few != most:
        said = f"{few} to {most} of {planned} {view.unit}s"
    elif most < planned:
        said = f"{most} of {planned} {view.unit}s"
    note = view.notes.get(name, "")
    return text(f"{name} ({said}{'; ' if note else ''}{note})")


def dash(style: Style) -> str:
    """A Matplotlib line style as plotly writes it: lengths in pixels."""
    if isinstance(style.line, str):
        return {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}[style.line]
    return ",".join(f"{length * LINE_WIDTH:g}px" for length in style.line[1])


def _faint(colour: str) -> str:
    from matplotlib.colors import to_rgb

    return f"rgba({','.join(str(round(255 * c)) for c in to_rgb(colour))},0.16)"


def _references(view: View, drawn: Sequence[Drawn], costs: Sequence[str]) -> list[Drawn]:
    """Level lines over all costs: the share of full annotation, and as many steps as a cycle."""
    spans = {}
    for cost in costs:
        values = [v for _, x in drawn for v in x.get(cost, []) if v is not None]
        if values:
            room = 0.02 * (max(values) - min(values)) or 0.5
            spans[cost] = [_short(min(values) - room), _short(max(values) + room)]
    made = []
    share = f"{view.share * 100:g} % of full annotation"
    for kind, factor, words, line in (
        (FULL, view.share, share, "dash"),
        (FULL_SAME_STEPS, 1.0, "full annotation, same steps", "dot"),
    ):
        scores = reference(view.points, view.budget, kind)
        if len(scores):
            level = factor * float(scores.mean())
            look = {
                "mode": "lines",
                "y": [_short(level)] * 2,
                "name": f"{words} ({level:.3f})",
                "line": {"color": view.colours.get(kind, INK), "width": 1.5, "dash": line},
                "hovertemplate": f"{words}: %{{y:.3f}}<extra></extra>",
            }
            made.append((_trace(kind, "reference", look), spans))
    return made
