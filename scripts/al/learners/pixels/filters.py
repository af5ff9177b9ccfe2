"""Features of pixels without any training: what ilastik and its like compute.

Of each scale: smoothed intensities, gradient magnitude, eigenvalues of the Hessian and of the
structure tensor (the Laplacian is the sum of the former). Colours are those of CIE Lab; edges and
texture are its lightness's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from skimage.color import rgb2lab
from skimage.feature import (
    multiscale_basic_features,
    structure_tensor,
    structure_tensor_eigenvalues,
)
from skimage.transform import downscale_local_mean

from .settings import PixelsSettings, factors_of

LAB = np.float32(0.02)  # brings the range of Lab to that of z-scores
MOST = 6e4  # float16 holds no more
STRIP = 1 << 20  # pixels that are brought to Lab at a time


def features_of(image: np.ndarray, settings: PixelsSettings) -> np.ndarray:
    """Return features of an image or a volume, on a reduced grid.

    Args:
        image: (H, W, 3) uint8, or (D, H, W) float32.
        settings: with the task's defaults filled in.

    Returns:
        (*coarse, F) float16; coarse is the spatial shape over ``factors_of``, rounded up.

    Raises:
        ConfigError: the encoder cannot be used.
    """
    colour = image.dtype == np.uint8
    shape = image.shape[:2] if colour else image.shape
    factors = factors_of(shape, settings)
    planes = lab_of(image, factors) if colour else scores_of(image, factors, settings)
    found = [planes, *_filtered(planes, settings)]
    if settings.position:
        found.append(positions(planes.shape[:-1]))
    if settings.encoder is not None:
        from .encoder import encoded  # imports timm

        shown = reduced(image.astype(np.float32), (*factors, 1)) if colour else planes[..., 0]
        found.append(encoded(shown, colour, settings))
    return np.concatenate(found, -1).clip(-MOST, MOST).astype(np.float16)


def features_of_roi(image: np.ndarray, settings: PixelsSettings) -> np.ndarray:
    """Return features of a RoI, mean and deviation of those of its pixels, (2 F,) float16."""
    found = features_of(image, settings)
    rows = found.reshape(-1, found.shape[-1]).astype(np.float64)
    return np.concatenate([rows.mean(0), rows.std(0)]).astype(np.float16)


def reduced(planes: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Return the means over blocks; the last block of an axis is filled up with its edge."""
    if max(factors) == 1:
        return planes
    short = [(0, -n % f) for n, f in zip(planes.shape, factors, strict=True)]
    return downscale_local_mean(np.pad(planes, short, "edge"), tuple(factors)).astype(np.float32)


def lab_of(image: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Return (H, W, 3) uint8 as CIE Lab, reduced, (h, w, 3) float32."""
    rows = factors[0] * max(1, STRIP // (factors[0] * image.shape[1]))
    strips = (image[top : top + rows] for top in range(0, len(image), rows))
    parts = (rgb2lab(strip.astype(np.float32) / np.float32(255)) * LAB for strip in strips)
    return np.concatenate([reduced(part, (*factors, 1)) for part in parts])


def scores_of(volume: np.ndarray, factors: Sequence[int], settings: PixelsSettings) -> np.ndarray:
    """Return a volume as z-scores after clipping, reduced, (d, h, w, 1) float32."""
    clipped = volume if settings.clip is None else volume.clip(*settings.clip)
    mean, deviation = clipped.mean(dtype=np.float64), clipped.std(dtype=np.float64)
    scores = (clipped - np.float32(mean)) / np.float32(max(deviation, 1e-6))
    return reduced(scores, factors)[..., None]


def _filtered(planes: np.ndarray, settings: PixelsSettings) -> list[np.ndarray]:
    """Return the features of all scales, each (*coarse, several) float32."""
    scales, inside = settings.scales or 1, tuple(slice(n) for n in planes.shape[:-1])
    # Differences need two cells along each axis.
    short = [(0, max(0, 2 - n)) for n in planes.shape[:-1]]
    planes = np.pad(planes, [*short, (0, 0)], "edge")
    several = partial(
        multiscale_basic_features,
        sigma_min=1,
        sigma_max=2 ** (scales - 1),
        num_sigma=scales,
        workers=1,
    )
    light = np.ascontiguousarray(planes[..., 0])
    found = [several(light)]
    if planes.shape[-1] > 1:
        found.append(several(planes[..., 1:], edges=False, texture=False, channel_axis=-1))
    for scale in range(scales):
        tensor = structure_tensor(light, 2**scale, mode="nearest")
        # Of the order of intensities, as the others are
        values = np.sqrt(structure_tensor_eigenvalues(tensor).clip(0))
        found.append(np.moveaxis(values, 0, -1).astype(np.float32))
    return [values[inside] for values in found]


def positions(shape: tuple[int, ...]) -> np.ndarray:
    """Return where each cell lies, from -1 to 1 along each axis, (*shape, axes) float32."""
    axes = [(np.arange(n, dtype=np.float32) + 0.5) * (2 / n) - 1 for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)
