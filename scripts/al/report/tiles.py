"""Pictures side by side, with words around and boxes on them: the figures that show images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np

from al.io.thumbnails import fitted, jpeg_uri, resized

from .catalogue import Look
from .charts import LINE, PAGE, SMALL, Chart, Rows, legend_below, pixel, text_in, titled, values
from .charts import wrapped as fitting
from .style import INK, named_colours

GAP = 6
SHARP = 2  # pixels of a picture per pixel of a chart, which is a point of print
LARGEST = 256  # pixels of the longer side of a picture in a figure
TALLEST = 1.3  # of a picture, in its widths
Place = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True)
class Box:
    """A region in a picture.

    Attributes:
        owner: budget and strategy that chose it.
        cycle, order: of the region.
        cls, colour: name of the class behind the choice, and how that is shown.
        place: left, top, width and height, as shares of the picture.
    """

    owner: tuple[str, str]
    cycle: int
    order: int
    cls: str
    colour: str
    place: Place

    def row(self, picture: Place) -> dict[str, Any]:
        """What ``outlined`` draws of it in a picture at that place, in pixels of the chart."""
        left, top, width, height = picture
        x, y, w, h = self.place
        dark = (
            np.dot(rgb_of(self.colour), (0.299, 0.587, 0.114)) < 115
        )  # black would not set it off
        look = {"colour": self.colour, "rim": "white" if dark else "black"}
        here = corners((left + x * width, top + y * height, w * width, h * height))
        return {"cycle": self.cycle} | look | here


@dataclass(frozen=True)
class Tile:
    """A picture (H, W, 3) uint8 with boxes on it, texts above it and texts in a colour below."""

    head: Sequence[str]
    pixels: np.ndarray
    foot: Sequence[tuple[str, str]] = ()
    boxes: Sequence[Box] = ()


@dataclass
class Sheet:
    """A figure of tiles that is filled from top to bottom; ``top`` is where it ends, in pixels."""

    top: float = 0
    images: Rows = field(default_factory=list)
    boxes: Rows = field(default_factory=list)
    texts: Rows = field(default_factory=list)
    headings: Rows = field(default_factory=list)

    def heading(self, text: str) -> None:
        """A bold line, set off from what is above."""
        self.headings.append({"x": 0, "y": self.top + GAP + LINE / 2, "text": text, "colour": INK})
        self.top += GAP + LINE + 2

    def _write(self, lines: Sequence[str], left: float, top: float, colour: str = INK) -> float:
        """Lines of small text; returns where they end."""
        for i, line in enumerate(lines):
            row = {"x": left, "y": top + (i + 0.5) * LINE, "text": line, "colour": colour}
            self.texts.append(row)
        return top + len(lines) * LINE

    def line(self, tiles: Sequence[Tile], across: int, tallest: float = TALLEST) -> None:
        """Tiles beside each other, in as many lines as they take."""
        width = width_of(across)
        for first in range(0, len(tiles), across):
            some = tiles[first : first + across]
            heads = [[line for text in t.head for line in wrapped(text, width)] for t in some]
            top = self.top + LINE * max(map(len, heads))
            ends = []
            for i, (tile, head) in enumerate(zip(some, heads, strict=True)):
                left = i * (width + GAP)
                self._write(head, left, top - LINE * len(head))
                place = within(tile.pixels, (left, top, width, tallest * width))
                self.images.append(corners(place) | {"url": jpeg_uri(tile.pixels)})
                self.boxes += [box.row(place) for box in tile.boxes]
                ends.append(top + place[3])
                for text, colour in tile.foot:
                    ends[-1] = self._write(wrapped(text, width), left, ends[-1], colour)
            self.top = max(ends) + GAP

    def composed(
        self, look: Look, budget: str, classes: Iterable[str], notes: Iterable[str]
    ) -> Chart:
        """The figure, with a legend of some classes."""
        x, y, x2, y2 = placed()
        layers = [values(self.images).mark_image(aspect=False).encode(x, x2, y, y2, url="url:N")]
        layers += outlined(values(self.boxes), alt.value(1.4), 2.8, SMALL) if self.boxes else []
        for weight, rows in (("normal", self.texts), ("bold", self.headings)):
            mark = text_in(rows, align="left", baseline="middle", fontWeight=weight)
            layers.append(mark.encode(x, y, text="text:N", color=alt.Color("colour:N", scale=None)))
        shown = set(classes)
        if used := {name: c for name, c in colours_of(look).items() if name in shown}:
            # Invisible: there for its legend.
            key = values([{"class": name} for name in used]).mark_square(opacity=0)
            layers.append(key.encode(fill=class_fill(used, legend_below(used, PAGE))))
        title = f"{look['dataset']}, {look['learner']}, {budget} per cycle"
        chart = alt.layer(*layers).properties(width=PAGE, height=self.top)
        return titled(chart, title, notes, PAGE)


def outlined(boxes: alt.Chart, thickness: Any, rim: float, size: float) -> list[alt.Chart]:
    """Layers of boxes, each with its cycle in its top left corner, all on rims to be seen."""
    x, y, x2, y2 = placed()
    line = {"filled": False, "opacity": 1}
    below, colour = (alt.Stroke(f"{name}:N", scale=None) for name in ("rim", "colour"))
    rims = boxes.mark_rect(strokeWidth=rim, **line).encode(x, x2, y, y2, below)
    lines = boxes.mark_rect(**line).encode(x, x2, y, y2, colour, strokeWidth=thickness)
    number = {"align": "left", "baseline": "top", "dx": 3, "dy": 3, "fontSize": size}
    halo = boxes.mark_text(stroke="black", strokeWidth=2, strokeJoin="round", **number)
    white = boxes.mark_text(color="white", **number)
    return [rims, lines, *(mark.encode(x, y, text="cycle:N") for mark in (halo, white))]


def class_fill(colours: Mapping[str, str], legend: alt.Legend) -> alt.Fill:
    """Fill by the field ``class``; a white one is seen in the legend, too."""
    legend.symbolType, legend.symbolStrokeColor = "square", "#404040"
    legend.symbolOpacity, legend.symbolStrokeWidth = 1, 0.7
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Fill("class:N", scale=scale, legend=legend)


def mosaic(rows: Sequence[Sequence[np.ndarray]], width: float) -> np.ndarray:
    """Pictures (H, W, 3) uint8 of one size in rows and columns, parted by white.

    Args:
        rows: the pictures of each row.
        width: of all in the chart, in pixels.
    """
    size = fitted(rows[0][0].shape[:2], side_of(width / len(rows[0])))
    gap = max(1, max(size) // 40)
    edge = ((0, gap), (0, gap), (0, 0))
    small = [[np.pad(resized(p, size), edge, constant_values=255) for p in row] for row in rows]
    return np.vstack([np.hstack(row) for row in small])[:-gap, :-gap]


def width_of(across: int) -> float:
    """Width of one of several tiles beside each other, in pixels of the chart."""
    return (PAGE - (across - 1) * GAP) / across


def side_of(width: float) -> int:
    """Pixels of the longer side of a picture that is so many pixels of the chart wide."""
    return min(LARGEST, round(SHARP * width))


def within(pixels: np.ndarray, most: Place) -> Place:
    """The largest place for a picture within another one, in its top left corner."""
    left, top, width, height = most
    rows, columns = pixels.shape[:2]
    scale = min(width / columns, height / rows)
    return left, top, scale * columns, scale * rows


def corners(place: Place) -> dict[str, float]:
    """A place as a row of data for ``placed``."""
    left, top, width, height = place
    ends = {"x": left, "x2": left + width, "y": top, "y2": top + height}
    return {name: round(value, 1) for name, value in ends.items()}


def placed() -> tuple[alt.X, alt.Y, alt.X2, alt.Y2]:
    """Channels of the corners of rows."""
    return pixel(alt.X, "x"), pixel(alt.Y, "y"), alt.X2("x2"), alt.Y2("y2")


def wrapped(text: str, width: float) -> list[str]:
    """Lines of a text that are at most so many pixels wide; names are parted at underscores."""
    return [line.replace("_ ", "_") for line in fitting(text.replace("_", "_ "), width)]


def colours_of(look: Look) -> dict[str, str]:
    """Colour of each class: the dataset's, else ours, in which the background is quiet."""
    return named_colours(look["classes"], look["class_colours"] or (), look["background"])


def rgb_of(colour: str) -> list[int]:
    """Red, green and blue of ``#rrggbb``."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
