"""A run to show on a page: curves with gaps, pictures with boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from al.report.curves import FULL, FULL_SAME_STEPS, Point
from al.report.pictures import Box, Picture
from al.report.view import View

STRATEGIES = ("random", "uncertainty", "decomp")
CLASSES = ("road", "car", "pole")
COLOURS = {
    "random": "#7f7f7f",
    "uncertainty": "#0072B2",
    "decomp": "#D55E00",
    "full": "#000000",
    "full_same_steps": "#555555",
}
COSTS = ("area_percent", "images", "regions")
BUDGETS = ("2x3", "5x15")
CYCLES = 6


def point(strategy: str, seed: int, cycle: int, score: float, budget: str, **costs: float) -> Point:
    """A row of ``curves.csv``."""
    return Point("run", budget, strategy, seed, cycle, "2d", "mIoU", score, costs, {})


def points(
    seeds: int = 5, strategies: Sequence[str] = STRATEGIES, budgets: Sequence[str] = BUDGETS
) -> list[Point]:
    """All results of a run."""
    generator = np.random.default_rng(3)
    made = []
    for b, budget in enumerate(budgets):
        for place, name in enumerate(strategies):
            for seed in range(seeds):
                for cycle in range(1, CYCLES + 1):
                    share = 1 - np.exp(-(0.25 + 0.1 * place + 0.1 * b) * cycle)
                    score = 0.3 + 0.45 * share + 0.012 * generator.normal()
                    costs = {
                        "area_percent": 0.4 * cycle * (1 + b),
                        "images": 2.0 * cycle * (1 + b),
                        "regions": 6.0 * cycle * (1 + b),
                    }
                    made.append(point(name, seed, cycle, float(score), budget, **costs))
    made += [point(FULL, s, 0, 0.74 + 0.01 * s, "", area_percent=100.0) for s in range(2)]
    made.append(point(FULL_SAME_STEPS, 0, 0, 0.7, "", area_percent=100.0))
    return made


def views(held: Sequence[Point], seeds: int = 5, **more: object) -> list[View]:
    """A view per budget."""
    names = [n for n in dict.fromkeys(p.strategy for p in held) if n not in COLOURS]
    settings = {
        "strategies": [*STRATEGIES, *names],
        "colours": COLOURS,
        "seeds": list(range(seeds)),
        "cycles": CYCLES,
    } | more
    first = View(
        points=held, budget="", x="area_percent", definitions={}, classes=CLASSES, **settings
    )  # type: ignore[arg-type]
    return [first.at(budget) for budget in first.budgets]


def picture(title: str, strategies: Sequence[str] = STRATEGIES, side: int = 240) -> Picture:
    """A picture twice as wide as high with two boxes per strategy and cycle, three cycles."""
    generator = np.random.default_rng(len(title))
    rows, columns = np.mgrid[0:side, 0 : 2 * side]
    pixels = np.stack([rows % 256, columns // 2 % 256, (rows + columns) // 3 + 9 * len(title)], -1)
    shared = [tuple(map(float, generator.integers(0, side - 40, 2))) for _ in range(2)]
    boxes = []
    for name in strategies:
        for cycle in range(1, 4):
            for order in range(2):
                top, left = (
                    shared[order] if cycle == 1 else map(float, generator.integers(0, side - 40, 2))
                )
                cls = None if cycle == 1 or name == "random" else int(generator.integers(3))
                where = (top, 2 * left, 40.0, 60.0)
                boxes.append(Box(name, cycle, order, cls, where, "window"))
    return Picture(title, title, (pixels % 256).astype(np.uint8), tuple(boxes))
