"""Points and views with made-up scores, and what is read off figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from al.report.curves import Point
from al.report.view import View

Scores = Mapping[tuple[str, int], Sequence[float | None]]
COLOURS = {"random": "#0072B2", "decomp": "#D55E00", "full": "#000000"}


def point(strategy: str, seed: int, cycle: int, score: float, **more: Any) -> Point:
    """A row of ``curves.csv``, any field replaced; its costs grow with the cycle."""
    costs = {"area_percent": 2.0 * cycle, "regions": 10.0 * cycle, "images": 4.0 * cycle}
    made = Point("run", "2x3", strategy, seed, cycle, "2d", "mIoU", score, costs, {"road": score})
    return replace(made, **more)


def points(scores: Scores, **more: Any) -> list[Point]:
    """Points of each strategy and seed by cycle; None is missing."""
    return [
        point(name, seed, cycle, score, **more)
        for (name, seed), values in scores.items()
        for cycle, score in enumerate(values, 1)
        if score is not None
    ]


def grid(names: Sequence[str], seeds: int, cycles: int) -> dict[tuple[str, int], list[Any]]:
    """Scores that differ by strategy, seed and cycle."""
    return {
        (name, seed): [0.1 * c + 0.01 * seed + 0.02 * place for c in range(1, cycles + 1)]
        for place, name in enumerate(names)
        for seed in range(seeds)
    }


def view(held: Sequence[Point], **more: Any) -> View:
    """A view of one budget."""
    names = list(dict.fromkeys(p.strategy for p in held if not p.strategy.startswith("full")))
    given = {"budget": "2x3", "x": "area_percent", "strategies": names, "definitions": {}}
    given |= {"classes": ["road", "pole"], "colours": COLOURS, "known": ["random", "decomp"]}
    return View(points=held, **(given | more))


def make_view(scores: Scores, full: Sequence[float] = (0.78, 0.82), **more: Any) -> View:
    """The same of scores, with the reference's by seed."""
    return view([*(point("full", s, 0, f) for s, f in enumerate(full)), *points(scores)], **more)


def rows(chart: Any, **match: Any) -> list[dict[str, Any]]:
    """Rows of all data of a chart, in their order, with these values."""
    found = []
    if isinstance(chart, dict):
        data = chart.get("data", {}).get("values", [])
        found += json.loads(data) if isinstance(data, str) else data
        found += [row for k, part in chart.items() if k != "data" for row in rows(part)]
    elif isinstance(chart, list):
        found += [row for part in chart for row in rows(part)]
    return [row for row in found if all(row.get(k, _NONE) == v for k, v in match.items())]


_NONE = object()


def said(chart: Any, key: str = "") -> str:
    """All that is written in a chart: legends, notes, cells and titles."""
    if isinstance(chart, dict):
        texts = [row["text"] for row in rows(chart) if "text" in row] if not key else []
        own = [text.replace("\n", " ") for text in texts]
        return " ".join([*own, *(said(v, k) for k, v in chart.items() if k != "data")])
    if isinstance(chart, list):
        return " ".join(said(part, key) for part in chart)
    return str(chart) if key in ("text", "subtitle", "labelExpr", "domain") else ""


def axes(chart: Any, channel: str) -> list[dict[str, Any]]:
    """The definitions of an encoding channel, all through a chart."""
    if isinstance(chart, list):
        return [found for part in chart for found in axes(part, channel)]
    if not isinstance(chart, dict):
        return []
    own = [chart["encoding"][channel]] if channel in chart.get("encoding", {}) else []
    return own + [
        f for k, v in chart.items() if k not in ("data", "encoding") for f in axes(v, channel)
    ]
