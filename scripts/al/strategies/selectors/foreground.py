"""Foreground-aware random patches (nnActive): strong baselines that read ground truth."""

from __future__ import annotations

from typing import Any

from decomp_core import Region

from ..query import Pick, Query
from ..registry import register_pool

SIGHTED = "reads ground truth"


def _asked(query: Query) -> dict[str, Any]:
    """Return what both samplers of ``decomp_core`` are told of the images, in their order."""
    images = list(query.groups)
    rows = [query.groups[image][0] for image in images]
    return {
        "truth_of": lambda i: query.truth(rows[i]),
        "shapes": [row.shape for row in rows],
        "patches": [query.size(image) for image in images],
        "rng": query.rng(),
        "annotatable": lambda i: query.annotatable(images[i]),
    }


def _named(query: Query, picked: list[tuple[int, Region]]) -> list[tuple[str, Pick]]:
    images = list(query.groups)
    return [(images[i], region) for i, region in picked]


def _draw(query: Query, n: int, kind: str) -> list[tuple[str, Pick]]:
    from decomp_core import random_foreground
    from decomp_core.foreground import CHANCES

    picked = random_foreground(
        n=n,
        classes=query.foreground,
        taken=[query.taken_regions(image) for image in query.groups],
        chances=CHANCES[kind],
        **_asked(query),
    )
    return _named(query, picked)


@register_pool(
    "nnactive_start", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def nnactive_start(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Two patches at each label, the rest as ``random_fg33``: nnActive's starting set."""
    from decomp_core import starting_patches

    picked = starting_patches(
        n=n, n_classes=len(query.classes), background=query.background, **_asked(query)
    )
    return _named(query, picked)


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
