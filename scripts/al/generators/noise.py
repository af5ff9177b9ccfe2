"""Smooth random fields, the texture of everything generated, and the noise of a camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter


def _linear(n: int, cells: int) -> np.ndarray:
    """Return the (n, cells + 1) weights that interpolate ``cells + 1`` knots at n places."""
    place = np.linspace(0, cells, n)
    knots = np.arange(cells + 1)
    return np.clip(1 - np.abs(place[:, None] - knots[None]), 0, None)


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], cell: float) -> np.ndarray:
    """Return noise of mean 0 and standard deviation 1, float32, smooth over ``cell`` pixels."""
    cells = [max(1, round(side / cell)) for side in shape]
    field = rng.normal(size=[count + 1 for count in cells])
    for axis, (side, count) in enumerate(zip(shape, cells, strict=True)):
        field = np.moveaxis(np.tensordot(_linear(side, count), field, (1, axis)), 0, axis)
    spread = field.std()
    return ((field - field.mean()) / (spread if spread > 0 else 1)).astype(np.float32)


def texture(
    rng: np.random.Generator, shape: Sequence[int], cells: Sequence[float] = (2, 6, 20)
) -> np.ndarray:
    """Return a sum of smooth noises of several cell sizes, standard deviation about 1."""
    fields = [smooth_noise(rng, shape, cell) for cell in cells]
    return np.sum(fields, axis=0) / np.sqrt(len(fields))


def photographed(
    rng: np.random.Generator, colours: np.ndarray, blur: float, noise: float
) -> np.ndarray:
    """Turn colours (H, W, 3) float into a photo, uint8, of that blur and noise."""
    photo = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    blurred = np.asarray(photo.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    return np.clip(blurred + rng.normal(0, noise, colours.shape), 0, 255).astype(np.uint8)
