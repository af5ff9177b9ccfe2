"""Regions that are no boxes: which of a window's pixels are annotated.

No later region is placed in the box of one, so that its other pixels can no longer be chosen:
counts and mean uncertainty leave the whole box out (ours).
"""

from __future__ import annotations

import numpy as np

from .tables import PoolRow, RegionRow


def pixels_of(region: RegionRow, row: PoolRow, shape: str) -> np.ndarray | None:
    """Return the annotated pixels of a window's box, bool in its size; ``None``: all of them.

    Args:
        region: a placed region; patches and RoIs are always annotated whole.
        row: its image.
        shape: ``square``, ``disc`` or ``annulus``, which fill the window.
    """
    from decomp_core import footprint

    if shape == "square" or region.kind not in ("window", "slice_window"):
        return None
    size = region.region.size
    mask = footprint(shape, tuple(n for a, n in enumerate(size) if a != row.axis))
    return mask if row.axis is None else np.expand_dims(mask, row.axis)
