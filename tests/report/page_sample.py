"""A run to show on a page: curves of two budgets, and pictures with boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from al.report.curves import FULL, FULL_SAME_STEPS, Point
from al.report.pictures import Box, Picture
from al.report.view import View

from .curve_sample import grid, point, points, view

STRATEGIES = ("random", "uncertainty", "decomp")
CLASSES = ("road", "car", "pole")
RGB = [(1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 1.0)]
COLOURS = {
    "random": "#7f7f7f",
    "uncertainty": "#0072B2",
    "decomp": "#D55E00",
    "full": "#000000",
    "full_same_steps": "#555555",
}
COSTS = ("area_percent", "images", "regions")
CYCLES = {"2x3": 6, "5x15": 4}  # by budget


def run_points() -> list[Point]:
    """All results of a run with five seeds."""
    made = [points(grid(STRATEGIES, 5, n), budget=budget) for budget, n in CYCLES.items()]
    references = [point(FULL, s, 0, 0.74 + 0.01 * s, budget="") for s in range(2)]
    return [*made[0], *made[1], *references, point(FULL_SAME_STEPS, 0, 0, 0.7, budget="")]


def views(held: Sequence[Point], **more: object) -> list[View]:
    """A view per budget."""
    given = {"known": (), "colours": COLOURS, "classes": CLASSES, "seeds": range(5), "cycles": 6}
    first = view(held, **(given | more))
    return [first.at(budget) for budget in first.budgets]


def picture(title: str, strategies: Sequence[str] = STRATEGIES, side: int = 240) -> Picture:
    """A picture twice as wide as high with two boxes per strategy and cycle, three cycles."""
    generator = np.random.default_rng(len(title))
    pixels = generator.integers(0, 256, (side, 2 * side, 3), np.uint8)
    boxes = []
    for name in strategies:
        for cycle in (1, 2, 3):
            for order in (0, 1):
                top, left = map(float, generator.integers(0, side - 40, 2))
                cls = None if cycle == 1 or name == "random" else int(generator.integers(3))
                boxes.append(Box(name, cycle, order, cls, (top, 2 * left, 40.0, 60.0), "window"))
    return Picture(title, title, pixels, tuple(boxes))
