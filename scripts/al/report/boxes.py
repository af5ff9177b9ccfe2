"""Pictures on a figure: panels of a given place, boxes, and class names where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError

from .pictures import Box, Picture, Rectangle
from .style import INK, class_colours, new_figure, save

FIRST = "#FFFFFF"
FONT_POINTS, TITLE_POINTS = 7.0, 7.5
# Width of a character and height of a line of the default font, in font sizes, with padding.
CHARACTER, LINE = 0.62, 1.5
DASHES = (0, (2, 1))
PNG_DPI = 200
MAX_PIXELS = 20000  # a side of a PNG; what would be longer is drawn more coarsely
# Pixels of all images of a PDF. An indexed pixel takes a byte at most, so the file is below 2 MB.
PDF_PIXELS = 1_600_000

Colour = tuple[float, float, float]
Place = tuple[float, float, float, float]  # left, top, width, height in inches from the top left


@dataclass(frozen=True)
class Look:
    """Class names and colours (0..1) of a figure."""

    classes: Sequence[str]
    colours: Sequence[Colour]

    @classmethod
    def of(cls, classes: Sequence[str], colours: Sequence[Colour] | None) -> Look:
        """Take the given colours, or ours; raises DataError where these are too few."""
        if colours and len(colours) != len(classes):
            raise DataError(
                f"class_colours: {len(colours)} colours; allowed: one for each of the "
                f"{len(classes)} classes"
            )
        return cls(classes, colours or class_colours(len(classes)))

    def colour(self, box: Box) -> Any:
        """Colour of a box; white where no class is behind it."""
        return FIRST if box.cls is None else tuple(self.colours[box.cls])

    def name(self, box: Box) -> str:
        """Class behind a box, or an empty text."""
        return "" if box.cls is None else self.classes[box.cls]


def blank(width: float, height: float) -> Any:
    """An empty figure (inches) in which everything has a place of its own."""
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    return figure


def panel(
    figure: Any,
    picture: Picture,
    place: Place,
    title: str,
    frame: bool = True,
) -> Any:
    """Draw a picture at (left, top, width, height) in inches from the figure's top left corner.

    Data coordinates are the picture's pixels, as those of its boxes. Lines of the title that are
    wider than the panel end in dots. Returns the axes.
    """
    left, top, width, height = place
    title = "\n".join(_shortened(line, width) for line in title.split("\n"))
    across, down = figure.get_size_inches()
    axes = figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )
    rows, columns = picture.pixels.shape[:2]
    axes.imshow(
        picture.pixels,
        extent=(0, columns, rows, 0),
        interpolation="nearest" if max(rows, columns) < 200 else "auto",
    )
    axes.set_title(title, fontsize=TITLE_POINTS, loc="left", pad=2.5, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    if not frame:
        axes.set_axis_off()
    return axes


def write(figure: Any, left: float, top: float, text: str, **options: Any) -> None:
    """Write a line of text at inches from the figure's top left corner."""
    across, down = figure.get_size_inches()
    look = {"fontsize": FONT_POINTS, "color": INK, "va": "top"} | options
    figure.text(left / across, 1 - top / down, text, **look)


def _shortened(text: str, width: float) -> str:
    """Cut a text that is longer than ``width`` inches."""
    most = max(6, int(width * 72 / (TITLE_POINTS * 0.53)))
    return text if len(text) <= most else text[: most - 1] + "…"


def draw_box(
    axes: Any,
    where: Rectangle,
    colour: Any,
    dashed: bool = False,
    shape: str = "square",
    thick: float = 1.7,
    rim: bool = True,
) -> None:
    """Draw (top, left, height, width) in data coordinates, with a rim seen on any picture.

    ``shape``: what fills the box: ``square``, ``disc`` or ``annulus`` (a hole of half its width).
    The rim is black, or white around a dark colour.
    """
    from matplotlib.patches import Ellipse, Patch
    from matplotlib.patches import Rectangle as Square

    y, x, height, width = where
    centre = (x + width / 2, y + height / 2)
    for edge, thickness, line in (
        ("white" if _dark(colour, 0.45) else "black", thick + 1.0, "-"),
        (colour, thick, DASHES if dashed else "-"),
    )[not rim :]:
        look = {"fill": False, "edgecolor": edge, "linewidth": thickness}
        look |= {"linestyle": line, "clip_on": False}  # whole at the picture's edge
        parts: list[Patch] = []
        if shape == "square":
            parts.append(Square((x, y), width, height, **look))
        else:
            parts.append(Ellipse(centre, width, height, **look))
        if shape == "annulus":
            parts.append(Ellipse(centre, width / 2, height / 2, **look))
        for part in parts:
            axes.add_patch(part)


def _dark(colour: Any, below: float = 0.55) -> bool:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue < below


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
    """Data units per point of type, from the size the panel has in the figure."""
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
    axes.text(
        x + width / 2,
        y + height / 2,
        name,
        ha="center",
        va="center",
        fontsize=FONT_POINTS,
        color="white" if _dark(colour) else "black",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
    )


def save_pictures(figure: Any, png: Path | None, pdf: Path | None) -> None:
    """Save a figure of pictures; those in the PDF are coarse enough for less than 2 MB.

    The figure keeps the coarse ones.
    """
    if png is not None:
        save(figure, png, dpi=min(PNG_DPI, int(MAX_PIXELS / max(figure.get_size_inches()))))
    if pdf is not None:
        _coarsen(figure)
        save(figure, pdf)


def _coarsen(figure: Any) -> None:
    """Reduce the images of a figure to ``PDF_PIXELS`` in all, of at most 256 colours each."""
    from PIL import Image

    images = [image for axes in figure.axes for image in axes.images]
    total = sum(image.get_size()[0] * image.get_size()[1] for image in images)
    scale = min(1.0, (PDF_PIXELS / max(1, total)) ** 0.5)
    for image in images:
        pixels = np.asarray(image.get_array())
        if pixels.dtype != np.uint8 or pixels.ndim != 3:
            continue
        size = [max(1, int(n * scale)) for n in pixels.shape[1::-1]]
        small = Image.fromarray(pixels[..., :3]).resize(size, Image.Resampling.BOX)
        palette = small.quantize(256, dither=Image.Dither.NONE)
        image.set_data(np.asarray(palette.convert("RGB")))
        image.set_interpolation("none")  # as it is; else it would be drawn anew at the page's size
