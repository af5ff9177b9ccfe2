"""Which regions of an opened image are annotated; RoIs come as positions in the record."""

from __future__ import annotations

import numpy as np

from decomp_core import Region

from ..registry import register_regions
from ..state import RegionTask


@register_regions("random", needs=frozenset())
def random(task: RegionTask, rng: np.random.Generator) -> list[Region] | list[int]:
    """Draw free windows or RoIs uniformly (RAND)."""
    from decomp_core import random_regions, random_rois

    if len(task.image_shape) == 1:
        return random_rois(task.image_shape[0], task.n, rng, task.taken)
    return random_regions(
        task.image_shape,
        task.n,
        task.shape,
        rng,
        taken=task.taken,
        centres=task.centres(),
        axis=task.axis,
    )


@register_regions("uncertainty", needs=frozenset({"uncertainty"}))
def uncertain(task: RegionTask, rng: np.random.Generator) -> list[Region] | list[int]:
    """Take the windows of highest mean uncertainty, or the most uncertain RoIs (UNCERT)."""
    from decomp_core import uncertain_regions, uncertain_rois

    record = task.record
    if record.probabilities is not None:
        return uncertain_rois(record.uncertainty, task.n, task.taken)
    return uncertain_regions(
        record.uncertainty, task.n, task.shape, taken=task.taken, axis=task.axis
    )


@register_regions(
    "decomp",
    needs=frozenset({"statistics", "labels"}),
    by_class=True,
    options=frozenset({"tau", "emphasis", "min_slice_gap"}),
)
def decomp(task: RegionTask, rng: np.random.Generator) -> list[Region] | list[int]:
    """Draw a class, take the region richest in it, again and again (DECOMP, Sec. 3.2.3)."""
    from decomp_core import decomp_regions, decomp_rois

    record = task.record
    if record.probabilities is not None:
        return decomp_rois(record.probabilities, task.weights, task.n, rng, task.taken)
    return decomp_regions(
        record.labels,
        task.weights,
        task.n,
        task.shape,
        rng,
        taken=task.taken,
        axis=task.axis,
        min_slice_gap=task.options["min_slice_gap"],
    )
