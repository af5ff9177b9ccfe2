"""Foreground-aware random patches (nnActive): strong baselines that read ground truth."""

from __future__ import annotations

from ..pool_wide import Places, PoolTask
from ..registry import register_pool

SIGHTED = "reads ground truth"


def _draw(task: PoolTask, kind: str) -> Places:
    from decomp_core import random_foreground
    from decomp_core.foreground import CHANCES

    images = list(task.rows)
    picked = random_foreground(
        lambda i: task.query.truth(task.rows[images[i]]),
        [task.rows[image].shape for image in images],
        task.n,
        [task.size(image) for image in images],
        task.query.foreground,
        task.query.rng(),
        [task.taken(image) for image in images],
        CHANCES[kind],
    )
    return [(images[i], region) for i, region in picked]


@register_pool(
    "nnactive_start", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def nnactive_start(task: PoolTask) -> Places:
    """Two patches at each label, the rest as ``random_fg33``: nnActive's starting set."""
    from decomp_core import starting_patches

    images = list(task.rows)
    picked = starting_patches(
        lambda i: task.query.truth(task.rows[images[i]]),
        [task.rows[image].shape for image in images],
        task.n,
        [task.size(image) for image in images],
        len(task.query.classes),
        task.query.background,
        task.query.rng(),
    )
    return [(images[i], region) for i, region in picked]


@register_pool(
    "random_fg33", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def random_fg33(task: PoolTask) -> Places:
    """A third of the patches at classes or their borders, the others anywhere."""
    return _draw(task, "fg33")


@register_pool(
    "random_fg66", needs=frozenset({"truth"}), tasks=frozenset({"2d", "3d"}), note=SIGHTED
)
def random_fg66(task: PoolTask) -> Places:
    """Two thirds of the patches at classes or their borders, the others anywhere."""
    return _draw(task, "fg66")
