"""The best patches of an image, for ClaSP PE and its variants."""

from __future__ import annotations

import numpy as np

from al.io.tables import PoolRow, RegionRow

from .budget import kind_of
from .query import Query


def find_patches(
    query: Query, row: PoolRow, probabilities: np.ndarray, disagreement: np.ndarray | None
) -> list[RegionRow]:
    """Find the best patches of one image for ClaSP PE and its variants.

    Args:
        query: the cycle's question.
        row: the image.
        probabilities: (C, *S) float32, mean softmax.
        disagreement: (*S) float32 mutual information, if the strategy wants it.

    Returns:
        rows with ``class`` (empty: the map of all classes) and the noisy ``score``; ``order`` 1
        marks those kept in reserve.
    """
    from decomp_core import beta_schedule, clasp_candidates

    o = query.definition
    beta = None
    if o["beta"] != "none":
        beta = o["beta"]
        if beta == "schedule":
            limits = (o["beta_first"], o["beta_last"])
            beta = beta_schedule(query.cycle - 2, o["beta_steps"], *limits)
    size, _ = query.budget.box_in(row)
    found = clasp_candidates(
        probabilities,
        size,
        query.total,
        query.foreground if o["strata"] else [],
        query.rng(row.image),
        taken=query.taken.get(row.image, ()),
        stride=query.budget.stride_in(row, o["stride"]),
        beta=beta,
        share=o.get("strata_share", 0),
        per_image=o["patches_per_image"],
        uncertainty=disagreement,
        annotatable=query.annotatable(row.image),
    )
    kind = kind_of(row, size)
    return [
        RegionRow.of(query.cycle, row.image, kind, region, reserve)
        for reserve, regions in enumerate(found)
        for region in regions
    ]
