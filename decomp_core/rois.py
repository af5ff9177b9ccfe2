"""Choosing RoIs of one image from a fixed list."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .draw import draw_class, draw_one


def decomp_rois(
    probabilities: ArrayLike,
    weights: ArrayLike,
    n: int,
    rng: np.random.Generator,
    taken: Iterable[int] = (),
) -> list[int]:
    """Choose RoIs one after the other: draw a class, then its most probable free RoI.

    Of equally probable RoIs one is drawn uniformly (ours).

    Classes are drawn by ``weights`` among those that free RoIs are predicted as, uniformly where
    all of these have weight 0.

    Args:
        probabilities: (M, C) float, 0 to 1; a RoI is predicted as its most probable class, the
            first of equals.
        weights: (C,) sampling weights, at least 0.
        n: how many, at least 0.
        rng: draws classes, and one of equal RoIs.
        taken: indices of RoIs that have a label.

    Returns:
        Indices in the order of choice; fewer than ``n`` when none is left.

    >>> p = np.float32([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]])
    >>> decomp_rois(p, [0.5, 0.5], 2, np.random.default_rng(0))
    [0, 2]
    """
    table = checks.probabilities("probabilities", probabilities, (None, None))
    weights = checks.numbers("weights", weights, (table.shape[1],), 0)
    count = checks.integer("n", n, 0)
    rng = checks.generator(rng)
    free = ~checks.indices(taken, len(table))
    if not free.any():
        return []
    predicted = table.argmax(axis=1)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        cls = draw_class(np.unique(predicted[free]).tolist(), weights, rng)
        members = np.flatnonzero(free & (predicted == cls))
        shares = table[members, cls]
        best = draw_one(members[shares == shares.max()], rng)
        free[best] = False
        chosen.append(best)
    return chosen


def uncertain_rois(
    uncertainty: ArrayLike,
    n: int,
    taken: Iterable[int] = (),
    *,
    rng: np.random.Generator | None = None,
) -> list[int]:
    """Choose the most uncertain RoIs.

    Args:
        uncertainty: (M,) finite numbers.
        n: how many, at least 0.
        taken: indices of RoIs that have a label.
        rng: draws the order of equals; without it they keep theirs.

    Returns:
        Indices, most uncertain first; fewer than ``n`` when none is left.

    >>> uncertain_rois([0.1, 0.9, 0.5], 2, taken=[1])
    [2, 0]
    """
    values = checks.numbers("uncertainty", uncertainty, (None,))
    count = checks.integer("n", n, 0)
    free = ~checks.indices(taken, values.size)
    ties = np.arange(values.size) if rng is None else checks.generator(rng).permutation(values.size)
    order = np.lexsort((ties, -values))
    return order[free[order]][:count].tolist()


def random_rois(
    n_rois: int, n: int, rng: np.random.Generator, taken: Iterable[int] = ()
) -> list[int]:
    """Choose RoIs at random, uniformly among the free ones.

    Args:
        n_rois: M, number of RoIs of the image.
        n: how many, at least 0.
        rng: draws.
        taken: indices of RoIs that have a label.

    Returns:
        Indices in the order drawn; fewer than ``n`` when none is left.

    >>> random_rois(3, 5, np.random.default_rng(0), taken=[0, 2])
    [1]
    """
    total = checks.integer("n_rois", n_rois, 0)
    count = checks.integer("n", n, 0)
    free = np.flatnonzero(~checks.indices(taken, total))
    return checks.generator(rng).permutation(free)[:count].tolist()
