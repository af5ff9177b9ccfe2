"""Painting of a street scene, back to front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import actors
from .canvas import ID, Canvas


def draw_scene(
    rng: np.random.Generator, height: int, width: int, guests: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours (H, W, 3) float32 and labelIds (H, W) uint8 of one street scene.

    ``guests`` are actors that are drawn in any case.
    """
    canvas = Canvas(rng, height, width)
    horizon = height * rng.uniform(0.36, 0.46)
    vanish = width * rng.uniform(0.38, 0.62)
    draw_background(canvas, horizon, vanish)
    draw_ground(canvas, horizon, vanish)
    draw_furniture(canvas, horizon)
    draw_traffic(canvas, horizon, guests)
    draw_void(canvas)
    return canvas.colours, canvas.ids


def draw_background(canvas: Canvas, horizon: float, vanish: float) -> None:
    """Sky, houses on both sides, trees between and before them."""
    rng, width, height, unit = canvas.rng, canvas.width, canvas.height, canvas.unit
    canvas.paint(
        canvas.box(0, 0, width, height), "sky", canvas.colour((190, 200, 210), 18), 4, True
    )
    for side in (0, 1):
        edge = 0.0
        while edge < 0.44:
            near = 1 - edge / 0.5
            step = rng.uniform(0.08, 0.18) * (0.4 + near)
            top = horizon * (1 - near * rng.uniform(0.55, 1.15)) - 2 * unit
            x0, x1 = sorted(abs(side * width - w * width) for w in (edge, min(0.48, edge + step)))
            draw_house(canvas, x0, top, x1, horizon + 5 * unit)
            edge += step if rng.random() < 0.8 else step * 1.6
    for _ in range(rng.integers(2, 6)):
        x = rng.choice([rng.uniform(0, 0.4), rng.uniform(0.6, 1)]) * width
        reach = horizon * rng.uniform(0.2, 0.5)
        y = horizon - reach * rng.uniform(0.3, 1.0)
        colour = canvas.colour((82, 100, 72), 14)
        for _ in range(6):
            dx, dy = rng.normal(0, reach * 0.45, 2)
            blob = canvas.ellipse(x + dx, y + dy, *(reach * rng.uniform(0.35, 0.7, 2)))
            canvas.paint(blob, "vegetation", colour, 17)
        canvas.paint(
            canvas.box(x - unit, y + reach * 0.4, x + unit, horizon + 3 * unit),
            "vegetation",
            (85, 75, 65),
        )
    far = canvas.box(vanish - width * 0.09, horizon - height * 0.08, vanish + width * 0.09, horizon)
    if rng.random() < 0.6:
        canvas.paint(far, "vegetation", canvas.colour((95, 108, 90), 10), 13)


def draw_house(canvas: Canvas, x0: float, y0: float, x1: float, y1: float) -> None:
    """One facade with rows of windows."""
    rng = canvas.rng
    base = [(150, 138, 125), (125, 115, 110), (165, 158, 150), (130, 105, 92)][rng.integers(4)]
    facade = canvas.box(x0, y0, x1, y1)
    canvas.paint(facade, "building", canvas.colour(base, 14), 7, True)
    rows, columns = np.ogrid[: canvas.height, : canvas.width]
    rows, columns = (rows - int(y0)) // canvas.unit, (columns - int(x0)) // canvas.unit
    step = rng.integers(5, 9)
    panes = (rows % step >= step // 2 + 1) & (columns % (step - 1) >= 3)
    canvas.paint(facade & panes, None, canvas.colour((95, 100, 108), 16), 8)


def draw_ground(canvas: Canvas, horizon: float, vanish: float) -> None:
    """Pavement, road with marks, and at the sides terrain, wall, fence or a parking place."""
    rng, width, height = canvas.rng, canvas.width, canvas.height
    ground = canvas.box(0, horizon, width, height)
    pavement = canvas.colour((132, 124, 122), 10)
    canvas.paint(ground, "sidewalk", pavement, 9)
    left, right = rng.uniform(-0.25, 0.1) * width, rng.uniform(0.9, 1.25) * width
    for side in (left, right):
        outer = 0 if side < vanish else width
        if rng.random() < 0.4:
            share = rng.uniform(0.3, 0.7)
            inner = outer + (side - outer) * share * 0.4 + (vanish - outer) * 0.12
            strip = canvas.polygon(
                [(outer, horizon), (vanish, horizon), (inner, height * 0.8), (outer, height * 0.95)]
            )
            kind = "terrain" if rng.random() < 0.75 else "parking"
            colour = (112, 116, 84) if kind == "terrain" else (118, 114, 112)
            canvas.paint(strip, kind, canvas.colour(colour, 12), 13)
        if rng.random() < 0.32:
            draw_barrier(canvas, outer, vanish, horizon)
    far = 3 * canvas.unit
    road = canvas.polygon(
        [(left, height), (vanish - far, horizon), (vanish + far, horizon), (right, height)]
    )
    canvas.paint(road, "road", canvas.colour((104, 102, 106), 9), 6, True)
    for lane in rng.uniform(0.2, 0.8, 2):
        x = left + (right - left) * lane
        for start in np.arange(0.2, 1, 0.25):
            corners = [(start, -0.006), (start + 0.12, -0.01), (start + 0.12, 0.01), (start, 0.006)]
            mark = [
                (vanish + (x - vanish) * t + d * width * t, horizon + (height - horizon) * t)
                for t, d in corners
            ]
            canvas.paint(canvas.polygon(mark) & road, None, (190, 190, 188))


def draw_barrier(canvas: Canvas, outer: float, vanish: float, horizon: float) -> None:
    """A wall, plain, or a fence, with bars, that runs along the pavement."""
    rng = canvas.rng
    length = rng.uniform(0.4, 0.85)
    end = outer + (vanish - outer) * length
    tall = canvas.height * rng.uniform(0.1, 0.2)
    corners = [
        (outer, horizon - tall * 0.6),
        (end, horizon - tall * 0.3 * (1 - length)),
        (end, horizon + 3 * canvas.unit),
        (outer, horizon + tall * 0.7),
    ]
    mask = canvas.polygon(corners)
    if rng.random() < 0.5:
        canvas.paint(mask, "wall", canvas.colour((138, 130, 122), 12), 12)
        return
    canvas.paint(mask, "fence", canvas.colour((112, 108, 104), 10), 8)
    bars = np.arange(canvas.width)[None] // canvas.unit % 3 == 0
    canvas.paint(mask & bars, None, canvas.colour((75, 75, 78), 8), 5)


def draw_furniture(canvas: Canvas, horizon: float) -> None:
    """Poles, some of them with a traffic light or a sign."""
    rng, width, height = canvas.rng, canvas.width, canvas.height
    for _ in range(rng.integers(2, 6)):
        near = rng.uniform(0.15, 1)
        x = rng.choice([rng.uniform(0.02, 0.36), rng.uniform(0.64, 0.98)]) * width
        foot = horizon + near * height * 0.2
        top = foot - height * (0.14 + 0.3 * near)
        thick = (2 if near < 0.6 else 3) * canvas.unit
        canvas.paint(
            canvas.box(x, top, x + thick, foot), "pole", canvas.colour((98, 98, 98), 16), 5
        )
        size = height * (0.03 + 0.035 * near)
        drawn = rng.random()
        if drawn < 0.3:
            lamp = canvas.box(x - size / 2, top, x + size / 2 + canvas.unit, top + size * 2)
            canvas.paint(lamp, "traffic light", canvas.colour((62, 64, 62), 10), 6)
            glow = [(190, 80, 60), (185, 160, 70), (80, 170, 120)][rng.integers(3)]
            light = canvas.ellipse(x, top + size * rng.uniform(0.4, 1.6), canvas.unit, canvas.unit)
            canvas.paint(light & lamp, None, glow)
        elif drawn < 0.7:
            colour = [(170, 90, 85), (90, 110, 165), (190, 185, 120), (195, 195, 195)]
            plate = canvas.ellipse(x + canvas.unit / 2, top + size, size, size)
            canvas.paint(plate, "traffic sign", canvas.colour(colour[rng.integers(4)], 12), 6)


def draw_traffic(canvas: Canvas, horizon: float, guests: Sequence[str]) -> None:
    """Vehicles and people, far ones first; trucks, buses, trains and riders are rare."""
    rng = canvas.rng
    drawn = [(rng.beta(2, 2), name) for name in guests]
    for name, mean in actors.MEANS.items():
        drawn += [(rng.beta(1.2, 2.2), name) for _ in range(rng.poisson(mean))]
    for near, name in sorted(drawn):
        actors.draw(canvas, name, near, horizon)


def draw_void(canvas: Canvas) -> None:
    """What is not evaluated: some litter, the ego vehicle's bonnet, the frame."""
    rng, width, height = canvas.rng, canvas.width, canvas.height
    for _ in range(rng.integers(0, 3)):
        x, y = rng.uniform(0, width), rng.uniform(0.5, 0.75) * height
        heap = canvas.ellipse(x, y, *(canvas.unit * rng.uniform(2, 6, 2)))
        name = "static" if rng.random() < 0.7 else "ground"
        canvas.paint(heap, name, canvas.colour((110, 105, 100), 25), 12)
    bonnet = canvas.ellipse(width / 2, height * 1.08, width * 0.42, height * 0.17)
    canvas.paint(bonnet, "ego vehicle", canvas.colour((60, 62, 66), 8), 4, True)
    frame = canvas.unit
    canvas.ids[:frame] = canvas.ids[-frame:] = ID["out of roi"]
    canvas.ids[:, :frame] = canvas.ids[:, -frame:] = ID["out of roi"]
