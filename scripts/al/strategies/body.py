"""The body in a volume, from its intensities."""

from __future__ import annotations

import numpy as np


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
