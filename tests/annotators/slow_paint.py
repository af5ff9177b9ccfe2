"""What the page's tools paint, pixel by pixel and slowly: independent of the page's own code."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy import ndimage

Pixel = Sequence[int]  # row, column


def brushed(shape: tuple[int, int], corners: Sequence[Pixel], diameter: int) -> np.ndarray:
    """Pixels whose centre is nearer to a line through ``corners`` than half the diameter."""
    found = np.zeros(shape, bool)
    for y, x in np.ndindex(shape):
        found[y, x] = any(
            4 * _distance(y, x, a, b) < diameter**2
            for a, b in zip(corners, corners[1:] or corners, strict=False)
        )
    return found


def _distance(y: int, x: int, a: Pixel, b: Pixel) -> Fraction:
    """Square of the distance of a point from a segment."""
    v, w = (b[0] - a[0], b[1] - a[1]), (y - a[0], x - a[1])
    length = v[0] ** 2 + v[1] ** 2
    part = Fraction(v[0] * w[0] + v[1] * w[1], length or 1)
    part = min(max(part, Fraction(0)), Fraction(1))
    return (w[0] - part * v[0]) ** 2 + (w[1] - part * v[1]) ** 2


def enclosed(shape: tuple[int, int], corners: Sequence[Pixel]) -> np.ndarray:
    """Pixels inside a polygon (even-odd) or on the thin line around it."""
    found = brushed(shape, [*corners, corners[0]], 1)
    for y, x in np.ndindex(shape):
        inside = False
        for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (a[0] <= y) != (b[0] <= y):
                inside ^= x < a[1] + Fraction((y - a[0]) * (b[1] - a[1]), b[0] - a[0])
        found[y, x] |= inside
    return found


def joined(belongs: np.ndarray, at: Pixel) -> np.ndarray:
    """Pixels of ``belongs`` that hang together with one of them by their sides."""
    parts, _ = ndimage.label(belongs)
    part = parts[tuple(at)]
    return (parts == part) & bool(part)


def alike(image: np.ndarray, at: Pixel, tolerance: int) -> np.ndarray:
    """Pixels of a (H, W, 3) image that are, or whose 3 x 3 mean is, near the 3 x 3 mean there."""
    found = np.zeros(image.shape[:2], bool)
    wanted = _mean(image, *at)
    for y, x in np.ndindex(found.shape):
        found[y, x] = any(
            all(abs(m - w) <= tolerance for m, w in zip(value, wanted, strict=True))
            for value in ([Fraction(int(v)) for v in image[y, x]], _mean(image, y, x))
        )
    return found


def _mean(image: np.ndarray, y: int, x: int) -> list[Fraction]:
    around = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3)
    return [Fraction(int(total), len(around)) for total in around.astype(int).sum(0)]
