"""Choosing images by score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import checks


def select_images(
    scores: ArrayLike, n: int, eligible: ArrayLike, rng: np.random.Generator
) -> np.ndarray:
    """Choose the eligible images with the highest scores.

    Args:
        scores: (N,) finite numbers.
        n: how many, at least 0.
        eligible: (N,) bool.
        rng: breaks ties.

    Returns:
        (k,) int64 indices, best first; k < n where fewer are eligible.

    Raises:
        ValueError: a wrong dtype or shape, or a value out of range.

    >>> select_images([1.0, 3.0, 2.0], 2, [True, True, True], np.random.default_rng(0))
    array([1, 2])
    """
    values = checks.numbers("scores", scores, (None,))
    count = checks.integer("n", n, 0)
    allowed = checks.array("eligible", eligible, "b", values.shape)
    shuffled = checks.generator(rng).permutation(values.size)
    order = np.lexsort((shuffled, -values))
    return order[allowed[order]][:count].astype(np.int64, copy=False)


def rotate_images(
    scores: ArrayLike,
    n: int,
    openings: ArrayLike,
    available: ArrayLike,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose images by score, each opened once before any is opened twice.

    Eligible are the available images opened least often (the current loop). Where these are
    fewer than ``n``, all of them are taken and the batch is filled from the next loop (ours; the
    published code takes fewer). No image comes twice in a batch.

    Args:
        scores: (N,) finite numbers.
        n: how many, at least 0.
        openings: (N,) integers of at least 0, how often each image was opened.
        available: (N,) bool, images that can still be opened (have something without a label).
        rng: breaks ties.

    Returns:
        (k,) int64 indices, best first within each loop; k < n where fewer are available.

    Raises:
        ValueError: a wrong dtype or shape, or a value out of range.

    >>> rng = np.random.default_rng(0)
    >>> rotate_images([1.0, 3.0, 2.0], 2, [0, 1, 1], [True, True, True], rng)
    array([0, 1])
    """
    values = checks.numbers("scores", scores, (None,))
    count = checks.integer("n", n, 0)
    opened = checks.array("openings", openings, "iu", values.shape)
    if opened.size and opened.min() < 0:
        raise ValueError(f"openings holds {opened.min()}; it must be at least 0")
    allowed = checks.array("available", available, "b", values.shape)
    shuffled = checks.generator(rng).permutation(values.size)
    order = np.lexsort((shuffled, -values, opened))
    return order[allowed[order]][:count].astype(np.int64, copy=False)
