"""The most uncertain regions of the whole pool, and spatially diverse ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from decomp_core import Region

from ..query import Pick, Query
from ..registry import register_pool

OURS = "our formulation"


def _maps(query: Query) -> Iterator[tuple[str, np.ndarray, tuple[int, ...], list[Region]]]:
    for record in query.predictions():
        image = record.image
        yield image, record.uncertainty, query.size(image), query.taken_regions(image)


@register_pool("uncertainty", needs=frozenset({"uncertainty"}))
def uncertain(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Take the regions of highest mean uncertainty in the whole pool, without overlap."""
    from decomp_core import pool_uncertain

    if query.task != "roi":
        return pool_uncertain(lambda: _maps(query), n, query.annotatable)
    found = [
        (-float(record.uncertainty[i]), record.image, i)
        for record in query.predictions()
        for i in query.free_rois(record.image)
    ]
    found.sort()  # images come in any order
    ties = query.rng().permutation(len(found))
    order = np.lexsort((ties, [score for score, *_ in found]))[:n].tolist()
    return [(found[k][1], (found[k][2], -found[k][0])) for k in order]


@register_pool(
    "spatial",
    needs=frozenset({"uncertainty"}),
    tasks=frozenset({"2d"}),
    options=frozenset({"penalty", "sigma"}),
    note=OURS,
)
def spatial(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Uncertain regions that keep apart in their image (spatial diversity, our formulation)."""
    from decomp_core import spatially_diverse

    o = query.definition
    return spatially_diverse(
        lambda: _maps(query), n, o["penalty"], o["sigma"], annotatable=query.annotatable
    )


@register_pool(
    "spatial_features",
    needs=frozenset({"uncertainty", "features"}),
    tasks=frozenset({"2d"}),
    options=frozenset({"penalty", "sigma"}),
    note=OURS,
)
def spatial_features(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Regions far apart in features and in their image, of the most uncertain of the pool."""
    from decomp_core import spatially_diverse_features

    candidates, o = query.candidates, query.definition
    regions = [r.region for r in candidates.rows]
    picked = spatially_diverse_features(
        regions, candidates.group, candidates.features, n, o["penalty"], o["sigma"],
        query.rng(),
    )  # fmt: skip
    return [(candidates.rows[i].image, regions[i]) for i in picked]
