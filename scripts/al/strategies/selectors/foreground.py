"""Foreground-aware random patches (nnActive): strong baselines that read ground truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..query import Pick, Query
from ..registry import register_pool

SIGHTED = "reads ground truth"


Open = Callable[[int], Any]


def _pool(query: Query) -> tuple[list[str], Open, list, list, Open]:
    """Return images, how the i-th's truth is opened, shapes, patch sizes, what is annotatable."""
    images = list(query.groups)
    rows = [query.groups[image][0] for image in images]

    def truth_of(i: int) -> np.ndarray:
        return query.truth(rows[i])

    def annotatable(i: int) -> np.ndarray | None:
        return query.annotatable(images[i])

    sizes = [query.size(image) for image in images]
    return images, truth_of, [row.shape for row in rows], sizes, annotatable


def _draw(query: Query, n: int, kind: str) -> list[tuple[str, Pick]]:
    from decomp_core import random_foreground
    from decomp_core.foreground import CHANCES

    images, truth_of, shapes, sizes, annotatable = _pool(query)
    taken = [query.taken_regions(image) for image in images]
    given = query.foreground, query.rng(), taken, CHANCES[kind], annotatable
    picked = random_foreground(truth_of, shapes, n, sizes, *given)
    return [(images[i], region) for i, region in picked]


@register_pool(
    "nnactive_start", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def nnactive_start(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Two patches at each label, the rest as ``random_fg33``: nnActive's starting set."""
    from decomp_core import starting_patches

    images, truth_of, shapes, sizes, annotatable = _pool(query)
    given = len(query.classes), query.background, query.rng(), annotatable
    picked = starting_patches(truth_of, shapes, n, sizes, *given)
    return [(images[i], region) for i, region in picked]


@register_pool(
    "random_fg33", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def random_fg33(query: Query, n: int) -> list[tuple[str, Pick]]:
    """A third of the patches at classes or their borders, the others anywhere."""
    return _draw(query, n, "fg33")


@register_pool(
    "random_fg66", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def random_fg66(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Two thirds of the patches at classes or their borders, the others anywhere."""
    return _draw(query, n, "fg66")
