"""The most uncertain regions of the whole pool, and spatially diverse ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from decomp_core import Region

from ..pool_wide import Places, PoolTask
from ..registry import register_pool

OURS = "our formulation"


def _maps(task: PoolTask) -> Iterator[tuple[str, np.ndarray, tuple[int, ...], list[Region]]]:
    for record in task.records():
        image = record.image
        yield image, record.uncertainty, task.size(image), task.taken(image)


@register_pool("uncertainty", needs=frozenset({"uncertainty"}))
def uncertain(task: PoolTask) -> Places:
    """Take the regions of highest mean uncertainty in the whole pool, without overlap."""
    from decomp_core import pool_uncertain

    if task.query.task != "roi":
        return pool_uncertain(lambda: _maps(task), task.n)
    found = [
        (-float(record.uncertainty[i]), record.image, i)
        for record in task.records()
        for i in task.free_rois(record.image)
    ]
    return [(image, (i, -score)) for score, image, i in sorted(found)[: task.n]]


@register_pool(
    "spatial",
    needs=frozenset({"uncertainty"}),
    tasks=frozenset({"2d"}),
    options=frozenset({"penalty", "sigma"}),
    note=OURS,
)
def spatial(task: PoolTask) -> Places:
    """Uncertain regions that keep apart in their image (spatial diversity, our formulation)."""
    from decomp_core import spatially_diverse

    o = task.options
    return spatially_diverse(lambda: _maps(task), task.n, o["penalty"], o["sigma"])


@register_pool(
    "spatial_features",
    needs=frozenset({"uncertainty", "features"}),
    tasks=frozenset({"2d"}),
    options=frozenset({"penalty", "sigma"}),
    note=OURS,
)
def spatial_features(task: PoolTask) -> Places:
    """Regions far apart in features and in their image, of the most uncertain of the pool."""
    from decomp_core import spatially_diverse_features

    candidates, o = task.query.candidates, task.options
    regions = [r.region for r in candidates.rows]
    picked = spatially_diverse_features(
        regions, candidates.group, candidates.features, task.n, o["penalty"], o["sigma"],
        task.query.rng(),
    )  # fmt: skip
    return [(candidates.rows[i].image, regions[i]) for i in picked]
