"""Features of pixels without any training: what ilastik and its like compute.

Of each scale: smoothed intensities, gradient magnitude, eigenvalues of the Hessian and of the
structure tensor (the Laplacian is the sum of the former). Colours are those of CIE Lab; edges and
texture are its lightness's.
"""

from __future__ import annotations

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


def features_of(image: np.ndarray, settings: PixelsSettings) -> np.ndarray:
    """Return features of an image or a volume, on a reduced grid.

    Args:
        image: (H, W, 3) uint8, or (D, H, W) float32.
        settings: with the task's defaults filled in.

    Returns:
        (*coarse, F) float16; coarse is the spatial shape over ``factors_of``, rounded up.
    """
    planes = channels_of(image, settings)
    found = [planes, *_filtered(planes, settings)]
    if settings.position:
        found.append(positions(planes.shape[:-1]))
    if settings.encoder is not None:
        from .encoder import encoded  # imports timm

        found.append(encoded(image, planes.shape[:-1], settings))
    return np.concatenate(found, -1).clip(-MOST, MOST).astype(np.float16)


def features_of_roi(image: np.ndarray, settings: PixelsSettings) -> np.ndarray:
    """Return features of a RoI, mean and deviation of those of its pixels, (2 F,) float16."""
    found = features_of(image, settings)
    rows = found.reshape(-1, found.shape[-1]).astype(np.float64)
    return np.concatenate([rows.mean(0), rows.std(0)]).astype(np.float16)


def channels_of(image: np.ndarray, settings: PixelsSettings) -> np.ndarray:
    """Return what is filtered, reduced: Lab (h, w, 3), or z-scores (d, h, w, 1), float32."""
    if image.dtype == np.uint8:
        planes = rgb2lab(image.astype(np.float32) / np.float32(255)) * LAB
    else:
        planes = image if settings.clip is None else image.clip(*settings.clip)
        mean, deviation = planes.mean(dtype=np.float64), planes.std(dtype=np.float64)
        planes = ((planes - np.float32(mean)) / np.float32(max(deviation, 1e-6)))[..., None]
    factors = (*factors_of(planes.shape[:-1], settings), 1)
    if max(factors) > 1:
        short = [(0, -n % f) for n, f in zip(planes.shape, factors, strict=True)]
        planes = downscale_local_mean(np.pad(planes, short, "edge"), factors)
    return planes.astype(np.float32, copy=False)


def _filtered(planes: np.ndarray, settings: PixelsSettings) -> list[np.ndarray]:
    """Return the features of all scales, each (*coarse, several) float32."""
    scales = settings.scales or 1
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
    return found


def positions(shape: tuple[int, ...]) -> np.ndarray:
    """Return where each cell lies, from -1 to 1 along each axis, (*shape, axes) float32."""
    axes = [(np.arange(n, dtype=np.float32) + 0.5) * (2 / n) - 1 for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)
