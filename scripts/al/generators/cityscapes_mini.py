"""Street-like scenes in the layout of Cityscapes: labelIds, ego vehicle and other void included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .canvas import unit_of
from .noise import photographed, smooth_noise
from .street import draw_scene

CITIES = {"train": ("linden", "ahorn", "birke", "erle"), "val": ("esche", "ulme")}
# So that every split has every class, also the rare ones.
GUESTS = (("truck",), (), ("bus",), (), ("train",), (), ("motorcycle",), ("bicycle",))


def photograph(rng: np.random.Generator, colours: np.ndarray) -> Image.Image:
    """Turn painted colours (H, W, 3) float into a photo: shading, colour cast, blur, noise."""
    height, width, _ = colours.shape
    shade = 1 + 0.13 * smooth_noise(rng, (height, width), 40 * unit_of(height))[..., None]
    cast = rng.normal(1, 0.035, 3) * rng.uniform(0.75, 1.15)
    photo = (colours - 110) * rng.uniform(0.75, 1.1) + 110
    return Image.fromarray(photographed(rng, photo * shade * cast, blur=0.5, noise=6))


def write(
    root: Path, seed: int, train: int = 40, val: int = 16, height: int = 96, width: int = 192
) -> None:
    """Write ``train`` and ``val`` scenes of ``height`` x ``width`` pixels."""
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            rng = np.random.default_rng([seed, len(split), number])
            colours, ids = draw_scene(rng, height, width, GUESTS[number % len(GUESTS)])
            city = CITIES[split][number % len(CITIES[split])]
            name = f"{city}_{number:06d}_000019"
            folders = root / "leftImg8bit" / split / city, root / "gtFine" / split / city
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            photograph(rng, colours).save(folders[0] / f"{name}_leftImg8bit.png")
            Image.fromarray(ids).save(folders[1] / f"{name}_gtFine_labelIds.png")
