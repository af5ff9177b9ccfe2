"""Nuclei of a stained section: haematoxylin, threshold, seeds, watershed; tile by tile.

Colour deconvolution after Ruifrok and Johnston (Anal Quant Cytol Histol 2001), threshold after
Otsu (IEEE Trans Syst Man Cybern 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.morphology import disk, remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from .settings import GraphSettings
from .tissue import centroids

# Optical density of each stain in red, green and blue; the third axis is what neither explains.
HAEMATOXYLIN, EOSIN = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105)
DARKEST = 24  # what is darker tells noise in black (ink, folds) rather than stain
TILE = 2048
SAMPLES = 1 << 21  # pixels from which an image's threshold is found
TISSUE = 0.15  # optical density, mean of the channels, from which a pixel is no glass
LOCAL = 0.75  # weight of the surroundings in the threshold of a pixel
LOWEST, HIGHEST = 0.65, 1.25  # that the surroundings make of the threshold


def stain_tables() -> np.ndarray:
    """Return (2, 3, 256) float32: what a channel's value adds to haematoxylin and to eosin."""
    stains = np.array([HAEMATOXYLIN, EOSIN])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    rest = np.cross(*stains)
    unmix = np.linalg.inv(np.vstack([stains, rest / np.linalg.norm(rest)]))
    density = -np.log(np.maximum(np.arange(256), DARKEST) / 255)
    return (unmix[:, :2].T[..., None] * density).astype(np.float32)


TABLES = stain_tables()


def stain(image: np.ndarray, which: int) -> np.ndarray:
    """Return the (H, W) float32 density of haematoxylin (0) or eosin (1) in (H, W, 3) uint8."""
    red, green, blue = (np.take(TABLES[which, c], image[..., c]) for c in range(3))
    red += green
    red += blue
    return red


@dataclass(frozen=True)
class Levels:
    """What tells nuclei from the rest of an image.

    Attributes:
        threshold: density of haematoxylin.
        contrast: by how much nuclei exceed the rest on average.
    """

    threshold: float
    contrast: float


def find_levels(image: np.ndarray, settings: GraphSettings) -> Levels | None:
    """Return the threshold of an image (H, W, 3) uint8; ``None`` where it shows no nuclei."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // SAMPLES))
    sample = image[::step, ::step]
    haematoxylin = stain(sample, 0)
    if step == 1:  # samples further apart are no neighbours
        haematoxylin = ndimage.gaussian_filter(haematoxylin, sigma_of(settings))
    tissue = sample.mean(2, dtype=np.float32) < 255 * math.exp(-TISSUE)
    values = haematoxylin[tissue]
    if len(values) < 2 or np.ptp(values) < settings.nucleus_contrast:
        return None
    threshold = float(threshold_otsu(values))
    above = values > threshold
    contrast = float(values[above].mean() - values[~above].mean())
    if contrast < settings.nucleus_contrast:
        return None
    return Levels(max(threshold, settings.nucleus_contrast), contrast)


def sigma_of(settings: GraphSettings) -> float:
    """Return the smoothing at nuclear scale, pixels."""
    return settings.nucleus_diameter[0] / 8


def find_nuclei(image: np.ndarray, settings: GraphSettings, tile: int = TILE) -> np.ndarray:
    """Find the nuclei of an image.

    A nucleus is found in the tile that holds its centroid, with surroundings that reach further
    than its own size; memory beside the image and the labels does not grow with the image.

    Args:
        image: (H, W, 3) uint8, haematoxylin and eosin.
        settings: of the graphs.
        tile: side of a tile, pixels.

    Returns:
        (H, W) int32, 0 where there is none, otherwise 1 to N in the order of their centroids,
        by rows.
    """
    labels = np.zeros(image.shape[:2], np.int32)
    levels = find_levels(image, settings)
    if levels is None:
        return labels
    margin = math.ceil(2 * settings.nucleus_diameter[1])
    places: list[np.ndarray] = []
    for core, wide in tiles(image.shape[:2], tile, margin):
        found = _find(image[wide], settings, levels)
        places.append(_take(labels, found, core, wide, sum(map(len, places))))
    return _in_order(labels, np.concatenate(places))


Slices = tuple[slice, slice]


def tiles(shape: tuple[int, int], side: int, margin: int) -> Iterator[tuple[Slices, Slices]]:
    """Yield tiles of an image, each as it is and with its surroundings, by rows."""
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            ends = min(y + side, shape[0]), min(x + side, shape[1])
            wide = tuple(
                slice(max(0, start - margin), min(end + margin, length))
                for start, end, length in zip((y, x), ends, shape, strict=True)
            )
            yield (slice(y, ends[0]), slice(x, ends[1])), wide


def _find(image: np.ndarray, settings: GraphSettings, levels: Levels) -> np.ndarray:
    """Return the nuclei of a tile, (H, W) int32, 1 to N."""
    low, high = settings.nucleus_diameter
    density = ndimage.gaussian_filter(stain(image, 0), sigma_of(settings))
    # Chromatin lies at the rim of a pale nucleus: closing makes rim and grains one.
    density = ndimage.grey_closing(density, size=2 * [max(1, round(low / 2.4))])
    mask = _above(density, settings, levels)
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    dark = ndimage.gaussian_filter(density, low / 4)
    # Inwards of the outline and dark: of two touching nuclei each has its own middle.
    middle = ndimage.distance_transform_edt(mask).astype(np.float32)
    middle *= 1 + np.clip((dark - levels.threshold) / levels.contrast, 0, 1)
    middle = ndimage.gaussian_filter(middle, low / 6)
    found = _flood(middle, mask, low / 2.4, low / 8)
    clump = (np.bincount(found.ravel()) > settings.areas[1])[found] & mask
    if clump.any():  # of nuclei that lie too close for outlines: each is darkest in its middle
        n = int(found.max())
        parts = _flood(dark, clump, low / 1.5, 0)
        found = np.where(clump, np.where(parts, parts + n, 0), found)
    area = np.bincount(found.ravel())
    keep = (area >= settings.areas[0]) & (area <= settings.areas[1])
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[found]


def _flood(height: np.ndarray, mask: np.ndarray, apart: float, lowest: float) -> np.ndarray:
    """Divide a mask by watershed from the maxima of ``height``, (H, W) int32."""
    height = np.where(mask, height, 0)
    seeds = peak_local_max(
        height, min_distance=max(1, round(apart)), threshold_abs=lowest, exclude_border=False
    )
    markers = np.zeros(mask.shape, np.int32)
    seeds = seeds[np.lexsort(seeds.T[::-1])]
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    return watershed(-height, markers, mask=mask)


def _above(density: np.ndarray, settings: GraphSettings, levels: Levels) -> np.ndarray:
    """Return where nuclei are, (H, W) bool: above a threshold that follows the surroundings."""
    low, high = settings.nucleus_diameter
    around = ndimage.uniform_filter(density, max(3, round(1.5 * high)), mode="nearest")
    threshold = (1 - LOCAL) * levels.threshold + LOCAL * around
    np.clip(threshold, LOWEST * levels.threshold, HIGHEST * levels.threshold, out=threshold)
    mask = density > threshold
    small = math.ceil(settings.areas[0]) - 1  # pixels
    mask = remove_small_holes(mask, max_size=small)
    mask = ndimage.binary_opening(mask, disk(max(1, round(low / 6))))
    return remove_small_objects(mask, max_size=small)


def _take(
    labels: np.ndarray, found: np.ndarray, core: Slices, wide: Slices, count: int
) -> np.ndarray:
    """Write the nuclei of a tile into ``labels``, numbered on from ``count``.

    Those with a centroid outside of the tile are another's. One that two tiles hold with centroids
    a little apart lies mostly on itself, and is left out.

    Returns:
        (N, 2) float64, centroids of those that were written.
    """
    target = labels[wide]
    places = centroids(found) + [side.start for side in wide]
    own = np.ones(len(places), bool)
    for axis, side in enumerate(core):
        own &= (np.floor(places[:, axis]) >= side.start) & (places[:, axis] < side.stop)
    free = np.bincount(found[target == 0], minlength=len(own) + 1)[1:]
    own &= free * 2 > np.bincount(found.ravel())[1:]
    number = np.zeros(len(own) + 1, np.int32)
    number[1:][own] = count + 1 + np.arange(own.sum())
    number = number[found]
    np.copyto(target, number, where=(target == 0) & (number > 0))
    return places[own]


def _in_order(labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Number nuclei by the rows of their centroids, in place."""
    order = np.lexsort((places[:, 1], places[:, 0]))
    number = np.zeros(len(places) + 1, np.int32)
    number[order + 1] = np.arange(1, len(places) + 1)
    for start in range(0, len(labels), 256):
        labels[start : start + 256] = number[labels[start : start + 256]]
    return labels
