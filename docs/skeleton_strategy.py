"""One sentence on what this strategy chooses, and its source (paper and equation)."""

from __future__ import annotations

import numpy as np

from decomp_core import Region, random_rois, uncertain_regions

from ..registry import register_regions
from ..state import RegionTask


@register_regions("rare", needs=frozenset({"statistics", "labels"}))
def rare(task: RegionTask, rng: np.random.Generator) -> list[Region] | list[int]:
    """Take the windows that hold most pixels of rarely predicted classes; RoIs at random.

    An example that works: replace what follows by your own choice.
    """
    if len(task.image_shape) == 1:  # RoIs: return positions that are not in task.taken
        return random_rois(task.image_shape[0], task.n, rng, task.taken)
    share = np.bincount(task.record.labels.ravel(), minlength=len(task.weights)) + 1.0
    rarity = (1 / share)[task.record.labels]
    return uncertain_regions(rarity, task.n, task.shape, taken=task.taken, axis=task.axis)
