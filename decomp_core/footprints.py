"""Shapes of windows other than boxes: (h, w) boolean footprints, True where a pixel belongs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import checks

KINDS = ("square", "disc", "annulus")
_MOST = 1 << 15  # squares of products of sides stay within int64


def footprint(kind: str, size: Sequence[int], **options: float) -> np.ndarray:
    """Return the footprint of a kind that fills a box.

    Args:
        kind: "square" (the whole box), "disc" (an ellipse where h and w differ) or "annulus".
        size: (h, w) of the box, each 1 to 32768.
        **options: of an annulus ``hole``, diameter of the hole as a share of the whole, at least 0
            and below 1, 0.5 by default.

    Returns:
        (h, w) bool, True where the pixel's centre lies in the shape or on its edge.

    Raises:
        ValueError: another kind or option, a value out of range, or a ring without any pixel.

    >>> footprint("disc", (3, 5)).astype(int)
    array([[0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0]])
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    height, width = checks.sizes("size", size, (2,), _MOST)
    hole = options.pop("hole", 0.5) if kind == "annulus" else 0.0
    if options:
        allowed = "hole" if kind == "annulus" else "none"
        raise ValueError(f"options holds {sorted(options)}; allowed for {kind}: {allowed}")
    hole = checks.real("hole", hole, 0, np.nextafter(1, 0))
    if kind == "square":
        return np.ones((height, width), bool)
    # squared distance of pixels' centres from the box's, 1 at half a side, in units of 1 / (h w)^2:
    # integers, so that centres on the edge are told exactly
    y, x = 2 * np.arange(height) - height + 1, 2 * np.arange(width) - width + 1
    squares = (y[:, None] * width) ** 2 + (x * height) ** 2
    found = (squares <= (height * width) ** 2) & (squares >= (hole * height * width) ** 2)
    if not found.any():
        raise ValueError(f"hole is {hole}; it leaves no pixel of a box of {(height, width)}")
    return found
