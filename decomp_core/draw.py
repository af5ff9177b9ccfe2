"""The one rule by which classes are drawn."""

from __future__ import annotations

from bisect import bisect_right

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
    return ClassDraw(classes, weights).draw(rng)


class ClassDraw:
    """The rule of ``draw_class`` for any number of draws among the same classes.

    Args:
        classes: the classes still live, at least one.
        weights: (C,) float64 of at least 0.
    """

    def __init__(self, classes: list[int], weights: np.ndarray) -> None:
        self._classes = classes
        share = weights[classes]
        top = share.max()
        self._ends: list[float] | None = None
        if top > 0:
            ends = np.cumsum(share / top)  # neither tiny nor huge weights leave a float's range
            self._ends = (ends / ends[-1]).tolist()

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a class, as ``Generator.choice`` does with these weights."""
        if self._ends is None:
            return self._classes[int(rng.integers(len(self._classes)))]
        return self._classes[bisect_right(self._ends, rng.random())]
