"""Points, views and what is read off figures, for the tests of figures of curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from al.report.curves import Point
from al.report.view import View

Scores = Mapping[tuple[str, int], Sequence[float | None]]
COLOURS = {"random": "#0072B2", "decomp": "#D55E00", "full": "#000000"}


def view(held: list[Point], **more: Any) -> View:
    names = list(dict.fromkeys(p.strategy for p in held if not p.strategy.startswith("full")))
    given = {"x": "area_percent", "strategies": names, "definitions": {}, "colours": COLOURS}
    return View(points=held, **{"budget": "2x3", "classes": ["road", "pole"], **given, **more})


def points(
    scores: dict[tuple[str, int, int], float], per_class: dict[str, float] | None = None
) -> list[Point]:
    """Points by strategy, seed and cycle; the cost in area is the cycle, or 10 times regions."""
    return [
        Point(
            *("toy", "2x3", name, seed, cycle, "2d", "mIoU", score),
            {"area_percent": float(cycle), "regions": 10.0 * cycle, "images": 2.0 * cycle},
            {"road": score} if per_class is None else per_class,
        )
        for (name, seed, cycle), score in scores.items()
    ]


def grid(names: list[str], seeds: int, cycles: int) -> dict[tuple[str, int, int], float]:
    return {
        (name, seed, cycle): 0.1 * cycle + 0.01 * seed + 0.02 * place
        for place, name in enumerate(names)
        for seed in range(seeds)
        for cycle in range(1, cycles + 1)
    }


def panels(figure: Figure) -> list[Any]:
    """Axes that can be seen."""
    return [axes for axes in figure.axes if axes.get_visible()]


def texts(figure: Figure) -> list[str]:
    """Texts of the legend, one line each."""
    return [t.get_text().replace("\n", " ") for t in figure.legends[0].get_texts()]


def notes(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.texts).replace("\n", " ")


def lines(axes: Any) -> dict[str, Any]:
    """Lines that the legend names."""
    held = {line.get_label(): line for line in axes.get_lines()}
    return {label: line for label, line in held.items() if not label.startswith("_")}


def make_view(scores: Scores, full: Sequence[float] = (0.78, 0.82), **more: object) -> View:
    """A view: the scores of each strategy and seed by cycle, cost 2 a cycle; None is missing."""
    points = [
        Point("run", "2x3", "full", s, 0, "2d", "mIoU", f, {"area_percent": 100.0}, {})
        for s, f in enumerate(full)
    ]
    for (name, seed), values in scores.items():
        for cycle, score in enumerate(values, 1):
            if score is not None:
                costs = {"area_percent": 2.0 * cycle}
                points.append(
                    Point("run", "2x3", name, seed, cycle, "2d", "mIoU", score, costs, {})
                )
    names = list(dict.fromkeys(name for name, _ in scores))
    return View(points, "2x3", "area_percent", names, {}, [], known=["random", "decomp"], **more)
