"""Boxes on pictures, and their class names where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rectangle = tuple[float, float, float, float]

FONT_POINTS = 6.5
# Width of a character and height of a line of the default font, in font sizes, with padding.
CHARACTER, LINE = 0.62, 1.5


def draw_box(axes: Any, rectangle: Rectangle, colour: Any, dashed: bool) -> None:
    """Draw (top, left, height, width) in data coordinates, on a dark line seen on any picture."""
    from matplotlib.patches import Rectangle as Patch

    y, x, height, width = rectangle
    for edge, thickness, line in (
        ("black", 2.6, "-"),
        (colour, 1.4, (0, (2, 1)) if dashed else "-"),
    ):
        axes.add_patch(
            Patch(
                (x, y),
                width,
                height,
                fill=False,
                edgecolor=edge,
                linewidth=thickness,
                linestyle=line,
            )
        )


def place_names(
    axes: Any, rectangles: Sequence[Rectangle], names: Sequence[tuple[str, Any]]
) -> list[str]:
    """Write class names beside their boxes, where they cover no other box and no other name.

    Positions are tried above, below, right and left, then inside the box; a name that fits
    nowhere is left out (the legend has its colour). Returns the names written.

    Args:
        axes: with the picture drawn and its limits set.
        rectangles: (top, left, height, width) per box, in data coordinates.
        names: text (empty: none) and colour per box.
    """
    limits = (*sorted(axes.get_ylim()), *sorted(axes.get_xlim()))
    unit = _pixels_per_point(axes, limits)
    busy = [tuple(r) for r in rectangles]
    written = []
    for rectangle, (name, colour) in zip(rectangles, names, strict=True):
        if not name:
            continue
        height, width = (
            LINE * FONT_POINTS * unit,
            (CHARACTER * len(name) + 0.5) * FONT_POINTS * unit,
        )
        for y, x in _positions(rectangle, height, width):
            place = (y, x, height, width)
            inside = _within(place, rectangle)
            others = [b for b in busy if not (inside and b == tuple(rectangle))]
            if _in_picture(place, limits) and not any(_overlap(place, b) for b in others):
                busy.append(place)
                _write(axes, place, name, colour)
                written.append(name)
                break
    return written


def _pixels_per_point(axes: Any, limits: tuple[float, ...]) -> float:
    """Data units per point of type, from the size the panel has in the figure's grid."""
    box = axes.get_position()
    width, height = axes.figure.get_size_inches()
    across = (limits[3] - limits[2]) / (box.width * width * 72)
    down = (limits[1] - limits[0]) / (box.height * height * 72)
    return max(across, down)


def _positions(box: Rectangle, height: float, width: float) -> list[tuple[float, float]]:
    y, x, tall, wide = box
    right = x + wide - width
    gap = 0.25 * height
    return [
        (y - height - gap, x),
        (y - height - gap, right),
        (y + tall + gap, x),
        (y + tall + gap, right),
        (y, x + wide + gap),
        (y, x - width - gap),
        (y + gap, x + gap),
    ]


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _within(a: Rectangle, b: Rectangle) -> bool:
    return (
        a[0] >= b[0] and a[1] >= b[1] and a[0] + a[2] <= b[0] + b[2] and a[1] + a[3] <= b[1] + b[3]
    )


def _in_picture(a: Rectangle, limits: tuple[float, ...]) -> bool:
    top, bottom, left, right = limits
    return a[0] >= top and a[0] + a[2] <= bottom and a[1] >= left and a[1] + a[3] <= right


def _write(axes: Any, place: Rectangle, name: str, colour: Any) -> None:
    y, x, height, width = place
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 0.55
    axes.text(
        x + width / 2,
        y + height / 2,
        name,
        ha="center",
        va="center",
        fontsize=FONT_POINTS,
        color="white" if dark else "black",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
    )
