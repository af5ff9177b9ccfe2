"""Which regions of an opened image are annotated; RoIs come as positions in the record."""

from __future__ import annotations

import numpy as np

from decomp_core import Region

from ..query import ImageQuery
from ..registry import register_regions


@register_regions("random", needs=frozenset())
def random(asked: ImageQuery, rng: np.random.Generator) -> list[Region] | list[int]:
    """Draw free windows or RoIs uniformly (RAND)."""
    from decomp_core import random_regions, random_rois

    if len(asked.image_shape) == 1:
        return random_rois(asked.image_shape[0], asked.n, rng, asked.taken)
    return random_regions(
        asked.image_shape,
        asked.n,
        asked.shape,
        rng,
        taken=asked.taken,
        centres=asked.centres(),
        axis=asked.axis,
        annotatable=asked.annotatable(),
    )


@register_regions("uncertainty", needs=frozenset({"uncertainty"}))
def uncertain(asked: ImageQuery, rng: np.random.Generator) -> list[Region] | list[int]:
    """Take the windows of highest mean uncertainty, or the most uncertain RoIs (UNCERT)."""
    from decomp_core import uncertain_regions, uncertain_rois

    record = asked.record
    if record.probabilities is not None:
        return uncertain_rois(record.uncertainty, asked.n, asked.taken, rng=rng)
    return uncertain_regions(
        record.uncertainty,
        asked.n,
        asked.shape,
        taken=asked.taken,
        axis=asked.axis,
        annotatable=asked.annotatable(),
        rng=rng,
    )


@register_regions(
    "decomp",
    needs=frozenset({"statistics", "labels"}),
    by_class=True,
    options=frozenset({"tau", "emphasis", "min_slice_gap"}),
)
def decomp(asked: ImageQuery, rng: np.random.Generator) -> list[Region] | list[int]:
    """Draw a class, take the region richest in it, again and again (DECOMP, Sec. 3.2.3)."""
    from decomp_core import decomp_regions, decomp_rois

    record = asked.record
    if record.probabilities is not None:
        return decomp_rois(record.probabilities, asked.weights, asked.n, rng, asked.taken)
    return decomp_regions(
        record.labels,
        asked.weights,
        asked.n,
        asked.shape,
        rng,
        taken=asked.taken,
        axis=asked.axis,
        min_slice_gap=asked.options["min_slice_gap"],
        annotatable=asked.annotatable(),
    )
