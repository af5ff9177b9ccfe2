"""Where random windows of a volume may be centred."""

from __future__ import annotations

from typing import Any

import numpy as np

from al.io.tables import PoolRow

from .query import Open


def centres_from(layout: dict[str, Any], limits: dict[str, float] | None) -> Open:
    """Return a function that opens a volume and masks its body; without limits, no mask."""
    if limits is None:
        return lambda row: None

    def centres(row: PoolRow) -> np.ndarray | None:
        from al.layouts import get_layout

        volume = get_layout(**layout).open_image(row)
        return body_mask(volume, limits["low"], limits["high"])

    return centres


def body_mask(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the largest connected component of the voxels within [low, high].

    Ours: the DECOMP paper only says that foreground was detected. All true where no voxel lies
    within the limits.

    Args:
        volume: (D, H, W) intensities (Hounsfield units in CT).
        low: smallest intensity of the body.
        high: largest.

    Returns:
        (D, H, W) bool.
    """
    from scipy.ndimage import label

    inside = (volume >= low) & (volume <= high)
    if not inside.any():
        return np.ones(volume.shape, bool)
    components, _ = label(inside)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return components == sizes.argmax()
