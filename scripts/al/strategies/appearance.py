"""What images and regions look like, before there is a model: simple numbers of their pixels.

Ours. Of a picture: its colours, averaged in a grid; their spread; the steps of its brightness from
pixel to pixel, at two sizes; a coarse histogram of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from al.io.threads import in_order, with_progress
from al.io.thumbnails import grey, resized, window_of
from decomp_core import Region

from .query import Query

SIDE, SMALL = 64, 16  # pixels a side at which steps are looked at
BINS = 8
SLICES = (0.25, 0.5, 0.75)  # of a volume's depth
GRID, GRID_OF_REGION = 4, 2


def described(picture: np.ndarray, grid: int) -> np.ndarray:
    """Return the features of a picture, (H, W, 3) uint8: (3 grid^2 + 3 + 2 + 8,) float32."""
    large = resized(picture, (SIDE, SIDE)).astype(np.float32) / 255
    small = resized(picture, (SMALL, SMALL)).astype(np.float32) / 255
    cells = resized(picture, (grid, grid)).astype(np.float32) / 255
    light = large.mean(axis=2)
    histogram = np.histogram(light, BINS, (0, 1))[0] / light.size
    steps = [_steps(light), _steps(small.mean(axis=2))]
    parts = (cells.ravel(), large.std(axis=(0, 1)), steps, histogram)
    return np.concatenate(parts).astype(np.float32)


def _steps(light: np.ndarray) -> float:
    return float(np.mean([np.abs(np.diff(light, axis=axis)).mean() for axis in (0, 1)]))


def looks_of_images(query: Query) -> np.ndarray:
    """Return the (N, F) float32 features of the images, sorted by name.

    Of a volume they are those of three slices, of RoIs the mean and the spread over an image's.
    """
    names = list(query.groups)
    found = in_order(lambda name: _look_of_image(query, name), names, query.threads)
    return np.stack(list(with_progress(found, len(names), "images looked at")))


def _look_of_image(query: Query, image: str) -> np.ndarray:
    first = query.groups[image][0]
    if first.roi:
        looks = looks_of_regions(query, image, range(len(query.groups[image])))
        return np.concatenate([looks.mean(axis=0), looks.std(axis=0)])
    pixels = query.pixels(first)
    if first.axis is None:
        return described(pixels, GRID)
    window, depth = window_of(pixels), pixels.shape[first.axis]
    planes = [pixels.take(int(depth * at), first.axis) for at in SLICES]
    return np.concatenate([described(grey(plane, window), GRID) for plane in planes])


def looks_of_regions(
    query: Query, image: str, places: Sequence[Region] | Sequence[int]
) -> np.ndarray:
    """Return the (R, F) float32 features of regions of an image, or of its RoIs at positions.

    Those of a region end with where its middle lies in the image.
    """
    rows, found = query.groups[image], []
    if rows[0].roi:
        found = [described(query.pixels(rows[i]), GRID_OF_REGION) for i in places]
        return np.array(found, np.float32)
    pixels, axis = query.pixels(rows[0]), rows[0].axis
    window = None if axis is None else window_of(pixels)
    for region in places:
        part = pixels[region.slices]
        picture = part if window is None else grey(part.squeeze(axis), window)
        ends = zip(region.start, region.stop, pixels.shape, strict=False)
        middle = [(start + stop) / (2 * n) for start, stop, n in ends]
        found.append(np.append(described(picture, GRID_OF_REGION), middle))
    return np.array(found, np.float32)
