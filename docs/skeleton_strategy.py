"""One sentence on what this strategy chooses, and its source (paper and equation)."""

from __future__ import annotations

import numpy as np

from decomp_core import Region, random_rois, uncertain_regions

from ..query import ImageQuery
from ..registry import register_regions


@register_regions("rare", needs=frozenset({"labels"}), options={"floor": 1.0})
def rare(asked: ImageQuery, rng: np.random.Generator) -> list[Region] | list[int]:
    """Take the windows that hold most pixels of rarely predicted classes; RoIs at random.

    An example that works: replace what follows by your own choice.
    """
    if len(asked.image_shape) == 1:  # RoIs: return positions that are not in asked.taken
        # (their probabilities, where `labels` is needed: asked.record.probabilities)
        return random_rois(asked.image_shape[0], asked.n, rng, asked.taken)
    labels = asked.record.labels
    rarity = 1 / (np.bincount(labels.ravel()) + asked.options["floor"])
    return uncertain_regions(
        rarity[labels],
        asked.n,
        asked.shape,
        taken=asked.taken,
        axis=asked.axis,
        annotatable=asked.annotatable(),
    )
