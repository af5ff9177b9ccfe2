"""Superpixels of a section, merged where their colours are alike.

SLIC after Achanta et al. (IEEE TPAMI 2012); merging takes the two most similar neighbours first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from PIL import Image
from skimage.color import rgb2lab
from skimage.segmentation import slic

from .settings import GraphSettings

STRIP = 1 << 21  # pixels that are worked on at a time


def find_superpixels(image: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """Divide an image into connected superpixels.

    Args:
        image: (H, W, 3) uint8.
        settings: of the graphs.

    Returns:
        (H, W) int32, 1 to M; M is at least 1.
    """
    step = settings.tissue_downsample
    small = np.asarray(Image.fromarray(image).reduce(step))
    colours = rgb2lab(small.astype(np.float32) / 255)
    labels = merge(_slic(small, settings), colours, settings.merge_threshold)
    return labels.repeat(step, 0).repeat(step, 1)[: image.shape[0], : image.shape[1]]


def neighbours(labels: np.ndarray) -> np.ndarray:
    """Return the pairs of labels that share a side of a pixel.

    Args:
        labels: (H, W) int, from 1.

    Returns:
        (P, 2) int64, the lower label first, sorted, each once.
    """
    pairs = []
    for a, b in ((labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:])):
        differ = a != b
        pairs.append(np.stack([a[differ], b[differ]], 1).astype(np.int64))
    pairs = np.sort(np.concatenate(pairs), 1)
    factor = int(labels.max()) + 1
    codes = np.unique(pairs[:, 0] * factor + pairs[:, 1])
    return np.stack(np.divmod(codes, factor), 1)


def strips(labels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first and the last row (exclusive) of strips of a label map."""
    step = max(1, STRIP // max(1, labels.shape[1]))
    for start in range(0, len(labels), step):
        yield start, min(start + step, len(labels))


def centroids(labels: np.ndarray) -> np.ndarray:
    """Return the centroids of labels.

    Args:
        labels: (H, W) int32, 1 to N without gaps; 0 belongs to none.

    Returns:
        (N, 2) float64, row and column, in pixels.
    """
    n = int(labels.max())
    sums = np.zeros((3, n + 1))
    for start, end in strips(labels):
        y, x = np.nonzero(labels[start:end])
        held = labels[start:end][y, x]
        sums[0] += np.bincount(held, minlength=n + 1)
        sums[1] += np.bincount(held, y + start, n + 1)
        sums[2] += np.bincount(held, x, n + 1)
    return (sums[1:, 1:] / sums[0, 1:]).T


def merge(labels: np.ndarray, colours: np.ndarray, threshold: float) -> np.ndarray:
    """Merge the most similar neighbours, as long as they differ by at most ``threshold``.

    Two superpixels of n and m times the mean size differ by the distance of their mean colours
    times sqrt(2 n m / (n + m)), Ward's criterion (J Am Stat Assoc 1963): large ones stay apart
    rather than that one swallows all.

    Args:
        labels: (H, W) int32, 1 to M.
        colours: (H, W, C) float.
        threshold: largest difference, in the units of ``colours``.

    Returns:
        (H, W) int32, 1 to M', numbered by their first pixels in rows.
    """
    flat = labels.ravel()
    size = np.bincount(flat).astype(np.float64)
    sums = np.stack(
        [np.bincount(flat, colours[..., c].ravel()) for c in range(colours.shape[-1])], 1
    )
    around: list[set[int]] = [set() for _ in size]
    for a, b in neighbours(labels).tolist():
        around[a].add(b)
        around[b].add(a)
    into = list(range(len(size)))
    means = (sums / np.maximum(size, 1)[:, None]).tolist()
    sizes = (size / size[1:].mean()).tolist()
    heap: list[tuple[float, int, int]] = []

    def offer(a: int, b: int) -> None:
        far = sum((p - q) ** 2 for p, q in zip(means[a], means[b], strict=True)) ** 0.5
        far *= (2 * sizes[a] * sizes[b] / (sizes[a] + sizes[b])) ** 0.5
        if far <= threshold:
            heapq.heappush(heap, (far, a, b) if a < b else (far, b, a))

    for a, others in enumerate(around):
        for b in others:
            if a < b:
                offer(a, b)
    while heap:
        _, a, b = heapq.heappop(heap)
        if into[a] != a or into[b] != b:
            continue  # merged since; the merged one has a number of its own
        new = len(means)
        total = sizes[a] + sizes[b]
        pairs = zip(means[a], means[b], strict=True)
        means.append([(p * sizes[a] + q * sizes[b]) / total for p, q in pairs])
        sizes.append(total)
        around.append((around[a] | around[b]) - {a, b})
        into.append(new)
        into[a] = into[b] = new
        for c in sorted(around[new]):
            around[c] -= {a, b}
            around[c].add(new)
            offer(c, new)
    return _numbered(_roots(np.array(into))[labels])


def _roots(into: np.ndarray) -> np.ndarray:
    """Follow each number to what it became."""
    while True:
        further = into[into]
        if np.array_equal(further, into):
            return into
        into = further


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Number labels by their first pixels in rows, from 1."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int32)
    number[np.argsort(first)] = np.arange(1, len(first) + 1)
    return number[place.reshape(labels.shape)]


def _slic(small: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """Return SLIC's superpixels of an image, (h, w) int32 from 1."""
    wanted = min(round(small[..., 0].size / settings.superpixel_size), settings.max_superpixels)
    if wanted <= 1:
        return np.ones(small.shape[:2], np.int32)
    found = slic(
        small.astype(np.float32) / 255,
        wanted,
        compactness=settings.compactness,
        sigma=1,
        start_label=1,
        enforce_connectivity=True,
        channel_axis=-1,
    )
    return found.astype(np.int32)
