"""Made-up label maps and uncertainty maps."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


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
    return redrawn(labels, classes, noise, rng)


def redrawn(labels: np.ndarray, classes: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the pixels anew, in place."""
    if noise:
        changed = rng.random(labels.shape, np.float32) < noise
        labels[changed] = rng.integers(classes, size=int(changed.sum()), dtype=np.uint8)
    return labels


def cells(
    shape: tuple[int, ...], classes: int, noise: float, seed: int, points: int | None = None
) -> np.ndarray:
    """Return a uint8 map of any size, quickly: cells around at least as many points as classes.

    Borders go in steps of 5 pixels; a volume holds one plane, shifted with depth. By default there
    are four cells for each class where the map is large enough.
    """
    grain = 5
    rng = np.random.default_rng(seed)
    height, width = (-(-n // grain) for n in shape[-2:])
    points = max(classes, points or min(4 * classes, height * width // 64), 4)
    owners = np.concatenate([np.arange(classes), rng.integers(classes, size=points - classes)])
    tree = cKDTree(rng.random((points, 2)) * (height, width))
    small = owners[tree.query(np.argwhere(np.ones((height, width), bool)))[1]].astype(np.uint8)
    plane = small.reshape(height, width).repeat(grain, 0).repeat(grain, 1)
    plane = np.ascontiguousarray(plane[: shape[-2], : shape[-1]])
    if len(shape) == 2:
        return redrawn(plane, classes, noise, rng)
    volume = np.empty(shape, np.uint8)
    for z in range(shape[0]):
        volume[z] = np.roll(plane, 3 * z, axis=z % 2)
        redrawn(volume[z], classes, noise, rng)
    return volume


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
