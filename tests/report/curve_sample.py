"""Points and views with made-up scores, and what is read off figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

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


def panels(figure: Figure) -> list[Any]:
    """Axes that can be seen."""
    return [axes for axes in figure.axes if axes.get_visible()]


def texts(figure: Figure) -> list[str]:
    """Texts of the legend, one line each."""
    return [t.get_text().replace("\n", " ") for t in figure.legends[0].get_texts()]


def notes(figure: Figure) -> str:
    """What is written outside the axes."""
    return " ".join(" ".join(t.get_text() for t in figure.texts).split())


def lines(axes: Any) -> dict[str, Any]:
    """Lines that the legend names."""
    held = {line.get_label(): line for line in axes.get_lines()}
    return {label: line for label, line in held.items() if not label.startswith("_")}
