"""One sentence on what this strategy chooses, and its source (paper and equation)."""

from __future__ import annotations

import numpy as np

from decomp_core import Region, random_rois, uncertain_regions

from ..registry import register_regions
from ..state import RegionTask


@register_regions("rare", needs=frozenset({"labels"}), options={"floor": 1.0})
def rare(task: RegionTask, rng: np.random.Generator) -> list[Region] | list[int]:
    """Take the windows that hold most pixels of rarely predicted classes; RoIs at random.

    An example that works: replace what follows by your own choice.
    """
    if len(task.image_shape) == 1:  # RoIs: return positions that are not in task.taken
        # (their probabilities, where `labels` is needed: task.record.probabilities)
        return random_rois(task.image_shape[0], task.n, rng, task.taken)
    labels = task.record.labels
    rarity = 1 / (np.bincount(labels.ravel()) + task.options["floor"])
    return uncertain_regions(rarity[labels], task.n, task.shape, taken=task.taken, axis=task.axis)
