"""Images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from al.io.errors import ConfigError
from al.io.tables import PoolRow

from ..base import ImageSource


def load_image(
    layout: ImageSource,
    row: PoolRow,
    task: str,
    clip: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return an image ready to crop: (H, W, 3) uint8, or a volume (D, H, W) as z-scores, float32.

    The z-score runs over the volume after clipping. RoIs are resized to ``size`` if given.
    """
    image = layout.open_image(row)
    if task != "3d":
        if task == "roi" and size is not None and image.shape[:2] != tuple(size):
            picture = Image.fromarray(image)
            image = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BOX))
        return np.ascontiguousarray(image, dtype=np.uint8)
    volume = np.asarray(image, dtype=np.float32)
    if clip is not None:
        volume = np.clip(volume, *clip)
    mean, deviation = volume.mean(dtype=np.float64), volume.std(dtype=np.float64)
    return ((volume - np.float32(mean)) / np.float32(max(deviation, 1e-6))).astype(np.float32)


def scale(crop: np.ndarray) -> np.ndarray:
    """Bring (H, W, 3) uint8 or (D, H, W) float32 to (channels, *spatial) float32 around 0."""
    if crop.dtype == np.uint8:
        return np.moveaxis(crop.astype(np.float32) * np.float32(4 / 255) - np.float32(2), -1, 0)
    return crop[None]


def with_position(crop: np.ndarray, start: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Append one channel per axis to (channels, *spatial): where a pixel lies in its image.

    From -1 to 1 between the sides of an image of ``shape``; ``start`` is the crop's first pixel.
    """
    size = crop.shape[1:]
    extra = np.empty((len(size), *size), dtype=np.float32)
    for axis, (first, count, length) in enumerate(zip(start, size, shape, strict=True)):
        places = (np.arange(first, first + count, dtype=np.float32) + 0.5) * (2 / length) - 1
        extra[axis] = places.reshape([-1 if a == axis else 1 for a in range(len(size))])
    return np.concatenate([crop, extra])


def common_size(images: list[np.ndarray]) -> None:
    """Refuse RoIs of different sizes.

    Raises:
        ConfigError: naming two of the sizes.
    """
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1:
        raise ConfigError(
            f"convnet.input_size: RoIs have different sizes, such as {sizes[0]} and {sizes[-1]}; "
            "set input_size: [height, width]"
        )
