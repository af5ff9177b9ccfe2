"""What is drawn: a class by its weight, one of equals, a position of those that are free."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

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
    if top == 0:
        return classes[int(rng.integers(len(classes)))]
    ends = np.cumsum(share / top)  # neither tiny nor huge weights leave a float's range
    return classes[bisect_right((ends / ends[-1]).tolist(), rng.random())]


def draw_one(equals: np.ndarray, rng: np.random.Generator) -> int:
    """Draw one of an array of integers uniformly; it holds at least one."""
    return int(equals[rng.integers(equals.size)])


def draw_apart(
    n: int, most: int, equals: Callable[[int], np.ndarray], rng: np.random.Generator
) -> int:
    """Draw one of all the integers that ``n`` parts hold uniformly, and look at few of the parts.

    Until a part has been drawn it counts as if it held ``most``; a draw beyond what it holds is
    made again. In every draw each integer is as likely as any other.

    Args:
        n: number of parts, at least one of which holds an integer.
        most: that a part can hold.
        equals: returns the integers of a part.
        rng: draws.

    >>> draw_apart(3, 2, lambda part: np.arange(part - 1), np.random.default_rng(0))
    0
    """
    counts, known = np.full(n, most), dict[int, np.ndarray]()
    while True:
        ends = np.cumsum(counts)
        pick = int(rng.integers(ends[-1]))
        part = int(np.searchsorted(ends, pick, side="right"))
        pick -= int(ends[part] - counts[part])
        if part not in known:
            known[part] = equals(part)
            counts[part] = known[part].size
        if pick < counts[part]:
            return int(known[part][pick])


def draw_position(free: np.ndarray, rng: np.random.Generator) -> tuple[int, ...] | None:
    """Draw one of the True of a mask uniformly, without an index of all of them; None of none.

    >>> draw_position(np.array([[False, True], [False, False]]), np.random.default_rng(0))
    (0, 1)
    """
    left, position = int(np.count_nonzero(free)), []
    if not left:
        return None
    pick = int(rng.integers(left))
    for _ in range(free.ndim - 1):
        # not part by part: planes of a volume may lie across its memory
        ends = np.cumsum(np.count_nonzero(free, axis=tuple(range(1, free.ndim))))
        place = int(np.searchsorted(ends, pick, side="right"))
        pick -= int(ends[place - 1]) if place else 0
        position.append(place)
        free = free[place]
    return (*position, int(np.flatnonzero(free)[pick]))
