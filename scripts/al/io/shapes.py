"""Regions that are no boxes: which of a window's pixels are annotated.

No later region is placed in the box of one, so that its other pixels can no longer be chosen:
counts and mean uncertainty leave the whole box out (ours).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .tables import PoolRow, RegionRow


def pixels_of(region: RegionRow, row: PoolRow, shape: str) -> np.ndarray | None:
    """Return the annotated pixels of a window's box, bool in its size; ``None``: all of them.

    Args:
        region: a placed region; patches and RoIs are always annotated whole.
        row: its image.
        shape: ``square``, ``disc`` or ``annulus``, which fill the window.
    """
    if region.kind not in ("window", "slice_window"):
        return None
    return mask_of(region.region.size, row.axis, shape)


def mask_of(size: Sequence[int], axis: int | None, shape: str) -> np.ndarray | None:
    """Return the pixels of a box of ``size`` that a shape fills; ``None``: all of them.

    ``axis``: slice axis of a volume.
    """
    from decomp_core import footprint

    if shape == "square":
        return None
    mask = footprint(shape, tuple(n for a, n in enumerate(size) if a != axis))
    return mask if axis is None else np.expand_dims(mask, axis)
