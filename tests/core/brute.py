"""Slow and obvious searches to compare with; they share nothing with ``decomp_core``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from decomp_core import Region


def free_pixels(shape: tuple[int, ...], regions: Iterable[Region]) -> np.ndarray:
    """Pixels of an image that no region covers."""
    free = np.ones(shape, bool)
    for region in regions:
        free[tuple(slice(a, a + n) for a, n in zip(region.start, region.size, strict=True))] = False
    return free


def window_sums(values: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Sum under the footprint at every position: multiply and add."""
    views = sliding_window_view(values, footprint.shape)
    return np.einsum("yxhw,hw->yx", views, footprint.astype(values.dtype))


def free_positions(
    free: np.ndarray, footprint: np.ndarray, annotatable: np.ndarray | None = None
) -> np.ndarray:
    """Positions where no pixel under the footprint is used, and some can be annotated."""
    found = window_sums((~free).astype(np.int64), footprint) == 0
    if annotatable is not None:
        found &= window_sums(annotatable.astype(np.int64), footprint) > 0
    return found


def equals(
    values: np.ndarray,
    footprint: np.ndarray,
    free: np.ndarray,
    annotatable: np.ndarray | None = None,
) -> tuple[int, list[tuple[int, int]]] | None:
    """Highest sum and all its positions among the free ones."""
    sums = window_sums(values, footprint)
    places = [
        (int(y), int(x)) for y, x in np.argwhere(free_positions(free, footprint, annotatable))
    ]
    if not places:
        return None
    most = max(sums[place] for place in places)
    return int(most), [place for place in places if sums[place] == most]


def best(
    values: np.ndarray,
    footprint: np.ndarray,
    free: np.ndarray,
    annotatable: np.ndarray | None = None,
) -> tuple[int, int, int] | None:
    """Highest sum and its first position among the free ones."""
    found = equals(values, footprint, free, annotatable)
    return None if found is None else (found[0], *found[1][0])


def random_map(rng: np.random.Generator, most: int = 40) -> tuple[np.ndarray, int]:
    """A label map of 1 to ``most`` pixels a side and 1 to 6 classes; noise, blocks, some void."""
    height, width = rng.integers(1, most + 1, 2)
    n_classes = int(rng.integers(1, 7))
    block = int(rng.integers(1, 9))
    coarse = rng.integers(0, n_classes, (height // block + 1, width // block + 1))
    labels = np.kron(coarse, np.ones((block, block), int))[:height, :width].astype(np.uint8)
    if rng.random() < 0.3:
        labels[rng.random(labels.shape) < 0.2] = 255
    return labels, n_classes


def random_side(rng: np.random.Generator, length: int) -> int:
    """A window's side: often 1 or the whole, else anything between."""
    kind = rng.random()
    if kind < 0.1:
        return 1
    return int(length) if kind < 0.2 else int(rng.integers(1, max(1, length // 2) + 1))


def random_taken(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Region]:
    """Up to four earlier regions of any size, some reaching out of the image."""
    return [
        Region(
            tuple(int(rng.integers(0, n)) for n in shape),
            tuple(int(rng.integers(1, n // 3 + 2)) for n in shape),
        )
        for _ in range(rng.integers(0, 5))
    ]


def random_annotatable(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray | None:
    """A mask with few or no True, or, half of the time, none."""
    return None if rng.random() < 0.5 else rng.random(shape) < rng.choice([0, 0.01, 0.1])


def random_footprint(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A footprint with at least one True, possibly with empty borders and holes."""
    size = tuple(random_side(rng, n) for n in shape)
    footprint = rng.random(size) < rng.choice([0.2, 0.6, 0.95])
    footprint[tuple(int(rng.integers(n)) for n in size)] = True
    return footprint


def disguised(values, rng):
    """The same values in another layout: Fortran order, reversed, every second, read-only."""
    kind = int(rng.integers(5))
    if kind == 1:
        values = np.asfortranarray(values)
    elif kind == 2:
        values = np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    elif kind == 3:
        values = np.repeat(values, 2, axis=0)[::2]
    if rng.random() < 0.3:
        values = values.view()
        values.flags.writeable = False
    return values
