"""A canvas of colours and labelIds that are painted together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .noise import texture

ID = {
    "ego vehicle": 1,
    "out of roi": 3,
    "static": 4,
    "ground": 6,
    "road": 7,
    "sidewalk": 8,
    "parking": 9,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
Point = tuple[float, float]


GRAINS = ((2, 5), (3, 9, 25))
DRAWN_FOR = 96


def unit_of(height: int) -> int:
    """Return how many pixels stand for one of a scene of ``DRAWN_FOR`` pixels' height, from 1."""
    return max(1, round(height / DRAWN_FOR))


class Canvas:
    """Colours (H, W, 3) float and ids (H, W) uint8, painted together.

    ``unit`` scales what is drawn in pixels, such as windows, poles and grain: large scenes show
    what small ones show, with finer grain besides.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng = rng
        self.height, self.width = height, width
        self.colours = np.zeros((height, width, 3), np.float32)
        self.ids = np.zeros((height, width), np.uint8)
        self.unit = unit_of(height)
        self.grain = [
            texture(rng, (height, width), sorted({*cells, *(self.unit * c for c in cells)}))
            for cells in GRAINS
        ]

    def polygon(self, points: Sequence[Point]) -> np.ndarray:
        """Return the mask of a polygon of (x, y) corners."""
        image = Image.new("1", (self.width, self.height))
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=1)
        return np.asarray(image)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
        """Return the mask of a box, at least one pixel wide and high."""
        mask = np.zeros((self.height, self.width), bool)
        rows = slice(max(0, round(y0)), max(0, round(y0) + max(1, round(y1 - y0))))
        columns = slice(max(0, round(x0)), max(0, round(x0) + max(1, round(x1 - x0))))
        mask[rows, columns] = True
        return mask

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        """Return the mask of an ellipse."""
        rows, columns = np.ogrid[: self.height, : self.width]
        rx, ry = max(rx, 0.7), max(ry, 0.7)
        return ((columns - x) / rx) ** 2 + ((rows - y) / ry) ** 2 <= 1

    def paint(
        self,
        mask: np.ndarray,
        name: str | None,
        colour: Sequence[float],
        rough: float = 8,
        coarse: bool = False,
    ) -> None:
        """Paint a mask in a colour with grain; ``name=None`` leaves the ids (windows, wheels)."""
        grain = self.grain[int(coarse)][mask][:, None]
        self.colours[mask] = np.asarray(colour, np.float32) + rough * grain
        if name is not None:
            self.ids[mask] = ID[name]

    def colour(self, base: Sequence[float], spread: float) -> np.ndarray:
        """Return a colour near ``base``: brightness varies most."""
        return np.asarray(base) + self.rng.normal(0, spread) + self.rng.normal(0, spread / 3, 3)
