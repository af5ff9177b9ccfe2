"""Which images are opened: one score per image, the best of the current loop are taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..pool_state import PoolState
from ..registry import register_images

CAP_SHARE = 0.1  # of an image's pixels (Sec. 3.2.2)
CAP_ROIS = 1.0


@register_images("random", needs=frozenset())
def random_images(state: PoolState, options: dict[str, Any]) -> np.ndarray:
    """Equal scores: the generator that breaks ties draws the images (RAND)."""
    return np.zeros(len(state.images))


@register_images("uncertainty")
def uncertain_images(state: PoolState, options: dict[str, Any]) -> np.ndarray:
    """Mean uncertainty over the unlabelled pixels or RoIs (UNCERT)."""
    return state.uncertainty


@register_images("decomp", options=frozenset({"tau", "cap", "score", "equal_weights", "emphasis"}))
def decomp_images(state: PoolState, options: dict[str, Any]) -> np.ndarray:
    """Capped, weighted class counts (DECOMP, Eq. 3)."""
    from decomp_core import decomp_image_scores

    if options["equal_weights"] == "random" and np.ptp(np.round(state.class_confidence, 2)) == 0:
        return np.zeros(len(state.images))
    weights = state.class_weights(options)
    if state.task == "roi":
        cap = np.full(len(state.images), options["cap"] or CAP_ROIS)
    else:
        cap = (options["cap"] or CAP_SHARE) * state.sizes
    scores = decomp_image_scores(state.predicted, weights, cap)
    return scores / state.sizes if options["score"] == "fraction" else scores
