"""Made-up label maps and uncertainty maps."""

from __future__ import annotations

import numpy as np


def label_map(height: int, width: int, classes: int, noise: float, seed: int) -> np.ndarray:
    """Return (H, W) uint8: cells around random points, a share ``noise`` of the pixels redrawn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    labels = np.zeros((height, width), np.uint8)
    nearest = np.full((height, width), np.inf, np.float32)
    for y, x in zip(rng.integers(height, size=60), rng.integers(width, size=60), strict=True):
        distance = np.square(rows - y, dtype=np.float32) + np.square(columns - x, dtype=np.float32)
        closer = distance < nearest
        labels[closer], nearest[closer] = rng.integers(classes), distance[closer]
    if noise:
        changed = rng.random(labels.shape, np.float32) < noise
        labels[changed] = rng.integers(classes, size=int(changed.sum()), dtype=np.uint8)
    return labels


def borders(height: int, width: int, seed: int) -> np.ndarray:
    """Return (H, W) uint8 uncertainty as networks give it: high at smooth, crooked borders."""
    rng = np.random.default_rng(seed)
    field = np.zeros((height, width), np.float32)
    rows, columns = np.ogrid[:height, :width]
    for _ in range(12):
        down, right = rng.normal(0, 0.02, 2).astype(np.float32)
        phase = np.float32(rng.random() * 2 * np.pi)
        field += np.sin(down * rows.astype(np.float32) + right * columns + phase)
    sharp = 255 * np.exp(-np.square(2 * field))
    return (sharp * rng.random((height, width), np.float32)).astype(np.uint8)
