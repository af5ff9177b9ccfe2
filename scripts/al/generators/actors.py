"""Vehicles and people of a street scene."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas

# Expected number per scene.
MEANS = {
    "car": 3.2,
    "truck": 0.15,
    "bus": 0.15,
    "train": 0.1,
    "person": 2.2,
    "motorcycle": 0.2,
    "bicycle": 0.9,
}
SIZES = {"car": (0.2, 0.13), "truck": (0.24, 0.25), "bus": (0.34, 0.26), "train": (0.5, 0.25)}
PAINTS = [(60, 62, 66), (120, 122, 126), (185, 186, 188), (120, 62, 58), (66, 80, 120)]
# Buses and trains of a town look alike, though some cars have their colours.
LIVERIES = {"bus": [(170, 150, 70), (175, 160, 90)], "train": [(120, 62, 58), (185, 186, 188)]}
CLOTHES = [(55, 55, 62), (95, 88, 84), (70, 78, 105), (130, 92, 84), (150, 146, 140)]
RIDDEN = 0.6


def draw(canvas: Canvas, name: str, near: float, horizon: float) -> None:
    """Draw one actor; ``near`` is 0 at the horizon and 1 close by."""
    rng = canvas.rng
    scale = canvas.height * (0.45 + 1.2 * near)
    foot = horizon + canvas.height * (0.05 + 0.36 * near)
    if name in SIZES:
        x = rng.uniform(0.05, 0.95) * canvas.width
        draw_vehicle(canvas, name, x, foot, scale)
        return
    x = rng.choice([rng.uniform(0.0, 0.4), rng.uniform(0.6, 1.0)]) * canvas.width
    if name == "person":
        draw_person(canvas, "person", x, foot, scale * 0.28)
        return
    draw_bike(canvas, name, x, foot, scale * 0.15)
    if rng.random() < RIDDEN:
        draw_person(canvas, "rider", x, foot - scale * 0.05, scale * 0.2)


def draw_vehicle(canvas: Canvas, name: str, x: float, foot: float, scale: float) -> None:
    """A body with windows and wheels; what differs is size and the place of the windows."""
    rng = canvas.rng
    wide, tall = (side * scale * rng.uniform(0.85, 1.15) for side in SIZES[name])
    paints = LIVERIES.get(name, PAINTS)
    body = canvas.colour(paints[rng.integers(len(paints))], 12)
    glass = canvas.colour((70, 78, 86), 10)
    x0, x1, top = x - wide / 2, x + wide / 2, foot - tall
    if name == "car":
        canvas.paint(canvas.box(x0, foot - tall * 0.6, x1, foot - tall * 0.08), "car", body, 5)
        cabin = [(0.15, 0.6), (0.3, 1.0), (0.75, 1.0), (0.9, 0.6)]
        canvas.paint(
            canvas.polygon([(x0 + wide * u, foot - tall * v) for u, v in cabin]), "car", glass, 5
        )
    elif name == "truck":
        canvas.paint(canvas.box(x0, top, x1 - wide * 0.28, foot - tall * 0.1), "truck", body, 6)
        cabin = canvas.box(x1 - wide * 0.25, foot - tall * 0.75, x1, foot - tall * 0.1)
        canvas.paint(cabin, "truck", canvas.colour(PAINTS[rng.integers(len(PAINTS))], 12), 5)
        pane = canvas.box(x1 - wide * 0.2, foot - tall * 0.68, x1, foot - tall * 0.45)
        canvas.paint(pane, None, glass, 4)
    else:
        canvas.paint(canvas.box(x0, top, x1, foot - tall * 0.07), name, body, 5)
        high = 0.85 if name == "bus" else 0.75
        unit = canvas.unit
        band = canvas.box(x0 + unit, foot - tall * high, x1 - unit, foot - tall * (high - 0.3))
        posts = np.arange(canvas.width)[None] // unit % (5 if name == "bus" else 8) > 0
        canvas.paint(band & posts, None, glass, 5)
        if name == "train":
            canvas.paint(canvas.box(x0, top, x1, top + 1.5 * unit), None, (150, 60, 55))
    if name != "train":
        for place in (0.2, 0.8):
            wheel = canvas.ellipse(
                x0 + wide * place, foot - tall * 0.08, scale * 0.025, scale * 0.028
            )
            canvas.paint(wheel, name, (38, 38, 40), 4)


def draw_person(canvas: Canvas, name: str, x: float, foot: float, tall: float) -> None:
    """Head, trunk, legs; a rider leans and has no legs on the ground."""
    rng = canvas.rng
    lean = tall * 0.12 if name == "rider" else 0.0
    coat = canvas.colour(CLOTHES[rng.integers(len(CLOTHES))], 10)
    legs = canvas.colour((62, 62, 74), 12)
    trunk = canvas.ellipse(x + lean / 2, foot - tall * 0.62, tall * 0.13, tall * 0.24)
    if name == "person":
        canvas.paint(
            canvas.box(x - tall * 0.09, foot - tall * 0.45, x + tall * 0.09, foot), name, legs
        )
    else:
        canvas.paint(canvas.ellipse(x, foot - tall * 0.33, tall * 0.14, tall * 0.16), name, legs)
    canvas.paint(trunk, name, coat, 6)
    head = canvas.ellipse(x + lean, foot - tall * 0.92, tall * 0.08, tall * 0.09)
    canvas.paint(head, name, canvas.colour((165, 130, 112), 14), 5)


def draw_bike(canvas: Canvas, name: str, x: float, foot: float, tall: float) -> None:
    """Two wheels and a frame; a motorcycle has a body instead of the frame."""
    rng = canvas.rng
    wide = tall * (1.7 if name == "bicycle" else 1.9)
    dark = canvas.colour((58, 58, 60), 10)
    for place in (-0.35, 0.35):
        wheel = canvas.ellipse(x + wide * place, foot - tall * 0.3, tall * 0.32, tall * 0.32)
        canvas.paint(wheel, name, dark, 8)
    if name == "bicycle":
        frame = [(-0.35, 0.3), (0.0, 0.75), (0.35, 0.3), (0.25, 0.8), (-0.25, 0.8)]
        corners = [(x + wide * u, foot - tall * v) for u, v in frame]
        canvas.paint(canvas.polygon(corners), name, canvas.colour((95, 95, 98), 18), 9)
    else:
        body = canvas.ellipse(x, foot - tall * 0.55, wide * 0.4, tall * 0.28)
        canvas.paint(body, name, canvas.colour(PAINTS[rng.integers(len(PAINTS))], 12), 7)
