"""The one rule by which classes are drawn."""

from __future__ import annotations

import numpy as np


def draw_class(classes: list[int], weights: np.ndarray, rng: np.random.Generator) -> int:
    """Draw one of ``classes`` by its weight, uniformly where all of them have weight 0.

    Args:
        classes: the classes still live, at least one.
        weights: (C,) float64 of at least 0.
        rng: draws.

    >>> draw_class([1, 2], np.array([0.9, 0.0, 0.1]), np.random.default_rng(0))
    2
    """
    share = weights[classes]
    top = share.max()
    if top <= 0:
        return classes[int(rng.integers(len(classes)))]
    ends = np.cumsum(share / top)  # neither tiny nor huge weights leave the range of a float
    # what Generator.choice does with one number of these, at a fifth of its time
    return classes[int(np.searchsorted(ends / ends[-1], rng.random(), side="right"))]
