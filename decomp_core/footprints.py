"""Shapes of windows other than boxes: (h, w) boolean footprints, True where a pixel belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import checks

KINDS = ("square", "disc", "annulus")
_MOST = 1 << 15  # squares of products of sides stay within int64


def disc(diameter: int) -> np.ndarray:
    """Return a filled circle that touches the sides of its box.

    Args:
        diameter: in pixels, even or odd, 1 to 32768.

    Returns:
        (diameter, diameter) bool, True where the pixel's centre lies in the circle or on it.

    >>> disc(4).astype(int)
    array([[0, 1, 1, 0],
           [1, 1, 1, 1],
           [1, 1, 1, 1],
           [0, 1, 1, 0]])
    """
    diameter = checks.integer("diameter", diameter, 1, _MOST)
    return footprint("disc", (diameter, diameter))


def footprint(kind: str, size: Sequence[int], **options: float) -> np.ndarray:
    """Return the footprint of a kind that fills a box.

    Args:
        kind: "square" (the whole box), "disc" (an ellipse where h and w differ) or "annulus".
        size: (h, w) of the box, each 1 to 32768.
        **options: of an annulus ``hole``, diameter of the hole as a share of the whole, at least 0
            and below 1, 0.5 by default.

    Returns:
        (h, w) bool, True where the pixel's centre lies in the shape.

    Raises:
        ValueError: another kind or option, a value out of range, or a ring without any pixel.

    >>> footprint("disc", (3, 5)).astype(int)
    array([[0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0]])
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    height, width = _sides(size)
    hole = options.pop("hole", 0.5) if kind == "annulus" else 0.0
    if options:
        allowed = "hole" if kind == "annulus" else "none"
        raise ValueError(f"options holds {sorted(options)}; allowed for {kind}: {allowed}")
    hole = checks.real("hole", hole, 0, np.nextafter(1, 0))
    if kind == "square":
        return np.ones((height, width), bool)
    squares = _squares((height, width))
    found = (squares <= (height * width) ** 2) & (squares >= (hole * height * width) ** 2)
    if not found.any():
        raise ValueError(f"hole is {hole}; it leaves no pixel of a box of {(height, width)}")
    return found


def _sides(size: Any) -> tuple[int, int]:
    if not isinstance(size, Sequence | np.ndarray) or isinstance(size, str) or len(size) != 2:
        raise ValueError(f"size is {size!r}; it must be 2 integers")
    height, width = (checks.integer(f"size[{i}]", v, 1, _MOST) for i, v in enumerate(size))
    return height, width


def _squares(size: tuple[int, int]) -> np.ndarray:
    """(h, w) int64 squared distance of each pixel's centre from the box's, 1 at half a side.

    In units of 1 / (h w), squared; integers, so that centres on the circle are told exactly.
    """
    height, width = size
    y, x = 2 * np.arange(height) - height + 1, 2 * np.arange(width) - width + 1
    return (y[:, None] * width) ** 2 + (x * height) ** 2
