"""Small pictures of images: averaged down, grey where they are slices, packed as JPEG or PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

WINDOW = (1, 99.5)  # percentiles of a volume that are shown black and white
SIDE = 512  # pixels of the longer side
SAMPLE = 1 << 22  # voxels that the percentiles of a large volume are taken from
QUALITY, LIGHT = 85, 75  # of JPEGs: of what is kept, and of what is put into figures


def window_of(volume: np.ndarray) -> tuple[float, float]:
    """Return the values of a volume that are shown black and white.

    Of a CT of 150 million voxels every 36th counts: sorting all of them takes seconds.
    """
    step = max(1, volume.size // SAMPLE)
    low, high = np.percentile(volume.ravel(order="K")[::step], WINDOW)
    return float(low), float(high)


def grey(plane: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return a slice (H, W) of any type as (H, W, 3) uint8, between the values of ``window``."""
    low, high = window
    share = (plane.astype(np.float32) - low) / max(high - low, float(np.finfo(np.float32).tiny))
    return np.repeat(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def fitted(
    shape: Sequence[int], side: int = SIDE, spacing: Sequence[float] = (1, 1)
) -> tuple[int, int]:
    """Return the (height, width) at which a picture has square pixels and is small enough.

    Args:
        shape: (height, width) of its pixels.
        side: longest side, in pixels; a picture is made larger only to have square pixels.
        spacing: size of a pixel along both axes, in one unit.
    """
    size = [n * s / min(spacing) for n, s in zip(shape, spacing, strict=True)]
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resized(pixels: np.ndarray, size: tuple[int, int], labels: bool = False) -> np.ndarray:
    """Bring (H, W) or (H, W, 3) uint8 to a (height, width): averaged, or nearest for ``labels``."""
    if pixels.shape[:2] == size:
        return pixels
    way = Image.Resampling.NEAREST if labels else Image.Resampling.BOX
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size[::-1], way))


def jpeg(pixels: np.ndarray, quality: int = QUALITY) -> bytes:
    """Return (H, W, 3) uint8 as a JPEG whose colours have the sharpness of its light."""
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=quality, subsampling=0)
    return packed.getvalue()


def png(labels: np.ndarray) -> bytes:
    """Return (H, W) uint8 as a PNG."""
    packed = io.BytesIO()
    Image.fromarray(labels).save(packed, "PNG", compress_level=1)  # fast: many are made
    return packed.getvalue()


def unpacked(data: bytes) -> np.ndarray:
    """Read a JPEG (H, W, 3) or PNG (H, W), uint8; raises OSError or SyntaxError if damaged."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        if max(image.size) > SIDE:
            raise OSError(f"{image.size} pixels; allowed: up to {SIDE} a side")
        return np.asarray(image)


def jpeg_uri(pixels: np.ndarray) -> str:
    """Return (H, W, 3) uint8 as the data URI of a JPEG."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(pixels, LIGHT)).decode()}"
