"""Painting of a region of stained breast tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import photographed, smooth_noise, texture

CODES = ("N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC")
STROMA, EPITHELIUM, LUMEN, NECROSIS = (
    (224, 168, 196),
    (198, 142, 184),
    (242, 236, 240),
    (205, 120, 150),
)


@dataclass(frozen=True)
class Look:
    """How a class looks on average.

    Attributes:
        ducts: number of ducts.
        duct: radius of a duct, pixels.
        filled: share of the duct's radius that cells fill, from the wall inwards.
        nucleus: radius of a nucleus, pixels.
        dark: darkness of the nuclei, 0 to 1.
        uneven: spread of size and darkness of the nuclei.
        holes: small lumens inside the cells.
        necrosis: chance of dead tissue in the middle.
        stray: nuclei in the stroma per 1000 pixels.
    """

    ducts: float
    duct: float
    filled: float
    nucleus: float
    dark: float
    uneven: float
    holes: float
    necrosis: float
    stray: float


LOOKS = {
    "N": Look(3.0, 12, 0.35, 1.7, 0.50, 0.15, 0.0, 0.0, 1.5),
    "PB": Look(3.0, 15, 0.45, 1.8, 0.52, 0.20, 0.3, 0.0, 3.0),
    "UDH": Look(2.0, 19, 0.80, 2.0, 0.55, 0.35, 2.5, 0.0, 2.0),
    "FEA": Look(2.5, 18, 0.40, 2.3, 0.60, 0.15, 0.3, 0.0, 1.5),
    "ADH": Look(2.0, 20, 0.85, 2.3, 0.62, 0.12, 3.0, 0.0, 1.5),
    "DCIS": Look(1.5, 27, 0.85, 2.8, 0.70, 0.25, 1.5, 0.6, 2.0),
    "IC": Look(0.8, 9, 0.90, 2.6, 0.68, 0.35, 0.2, 0.1, 14.0),
}


def varied(rng: np.random.Generator, mean: float, share: float = 0.18) -> float:
    """Return a value around ``mean``, never negative: neighbouring classes overlap."""
    return float(max(0, mean * (1 + share * rng.normal())))


class Slide:
    """A region being painted: float colours (H, W, 3) and where nuclei may go."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng = rng
        self.shape = height, width
        self.rows, self.columns = np.mgrid[:height, :width]
        grain = texture(rng, self.shape, (2, 5, 14))[..., None]
        self.colours = np.array(STROMA, np.float32) + grain * np.array((6, 12, 8))
        self.free = np.ones(self.shape, bool)

    def blob(self, y: float, x: float, radius: float, rough: float = 0.12) -> np.ndarray:
        """Return the mask of an uneven disc."""
        dy, dx = self.rows - y, self.columns - x
        angle = np.arctan2(dy, dx)
        waves = sum(
            self.rng.normal(0, rough) * np.cos(k * angle + self.rng.uniform(0, 6.3)) / k
            for k in (1, 2, 3, 5)
        )
        return np.hypot(dy, dx) <= radius * (1 + waves)

    def fill(self, mask: np.ndarray, colour: tuple[int, int, int], rough: float) -> None:
        """Fill a mask with a tissue colour."""
        grain = smooth_noise(self.rng, self.shape, 3)[mask][:, None]
        self.colours[mask] = np.array(colour) + rough * grain

    def nuclei(self, places: np.ndarray, look: Look) -> None:
        """Draw a nucleus, an uneven ellipse, at each place (N, 2)."""
        for y, x in places:
            size = varied(self.rng, look.nucleus, look.uneven)
            turn, long = self.rng.uniform(0, np.pi), self.rng.uniform(1, 1.5)
            reach = int(2 * size) + 2
            rows = slice(max(0, int(y) - reach), int(y) + reach + 1)
            columns = slice(max(0, int(x) - reach), int(x) + reach + 1)
            dy, dx = self.rows[rows, columns] - y, self.columns[rows, columns] - x
            u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
            inside = (u / long) ** 2 + v**2 <= max(size, 0.8) ** 2
            dark = np.clip(varied(self.rng, look.dark, look.uneven * 0.6), 0.2, 0.95)
            patch = self.colours[rows, columns]
            ink = np.array((88, 52, 132)) + self.rng.normal(0, 8)
            patch[inside] = patch[inside] * (1 - dark) + ink * dark


def spread(rng: np.random.Generator, mask: np.ndarray, gap: float) -> np.ndarray:
    """Return places (N, 2) inside a mask, on a shaken grid about ``gap`` pixels wide."""
    height, width = mask.shape
    y, x = np.mgrid[0:height:gap, 0:width:gap]
    x = x + (np.arange(len(y)) % 2)[:, None] * gap / 2
    places = np.stack([y, x], -1).reshape(-1, 2)
    places = places + rng.uniform(-0.35, 0.35, places.shape) * gap
    inside = (places.round() < (height, width)).all(1) & (places.round() >= 0).all(1)
    places = places[inside]
    at = places.round().astype(int)
    return places[mask[at[:, 0], at[:, 1]]]


def draw_duct(slide: Slide, look: Look, y: float, x: float) -> None:
    """Draw one duct: wall of cells, lumen, holes, dead tissue."""
    rng = slide.rng
    radius = max(5.0, varied(rng, look.duct, 0.25))
    filled = min(1.0, varied(rng, look.filled, 0.2))
    duct = slide.blob(y, x, radius) & slide.free
    lumen = slide.blob(y, x, radius * (1 - filled), 0.25) & duct
    slide.fill(duct, EPITHELIUM, 9)
    cells = duct & ~lumen
    for _ in range(rng.poisson(look.holes)):
        angle, far = rng.uniform(0, 6.3), rng.uniform(0.2, 0.7) * radius
        hole = (
            slide.blob(y + far * np.sin(angle), x + far * np.cos(angle), radius * 0.16, 0.3) & duct
        )
        slide.fill(hole, LUMEN, 3)
        cells &= ~hole
    slide.fill(lumen, LUMEN, 3)
    if rng.random() < look.necrosis:
        dead = slide.blob(y, x, radius * rng.uniform(0.25, 0.45), 0.3) & duct
        slide.fill(dead, NECROSIS, 20)
        cells &= ~dead
    slide.nuclei(spread(rng, cells, look.nucleus * rng.uniform(1.5, 2.0)), look)
    slide.free &= ~slide.blob(y, x, radius + 2, 0)


def draw_roi(rng: np.random.Generator, cls: int, stain: np.ndarray) -> np.ndarray:
    """Return one RoI, (H, W, 3) uint8, 64 to 96 pixels a side.

    Args:
        rng: source of everything random.
        cls: position in ``CODES``.
        stain: (4,) standard normal values, the same for all RoIs of a slide.
    """
    height, width = (int(side) for side in rng.integers(64, 97, 2))
    look = LOOKS[CODES[cls]]
    slide = Slide(rng, height, width)
    for _ in range(max(1 if look.ducts >= 1 else 0, round(varied(rng, look.ducts, 0.35)))):
        draw_duct(slide, look, rng.uniform(0.15, 0.85) * height, rng.uniform(0.15, 0.85) * width)
    count = rng.poisson(varied(rng, look.stray, 0.4) * slide.free.sum() / 1000)
    places = np.argwhere(slide.free)
    if len(places):
        slide.nuclei(places[rng.integers(0, len(places), count)], look)
    colours = slide.colours * (1 + 0.04 * stain[:3]) + 9 * stain[3]
    colours = colours * rng.normal(1, 0.03) + 5 * smooth_noise(rng, slide.shape, 20)[..., None]
    return photographed(rng, colours, blur=rng.uniform(0.4, 0.9), noise=5)
