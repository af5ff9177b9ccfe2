"""Sampling weights of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .state import PoolState


def class_weights(state: PoolState, options: dict[str, Any]) -> np.ndarray:
    """Return the (C,) sampling weights of Eqs. 1 and 2 over the eligible images."""
    from decomp_core import class_confidence, sampling_weights

    state = state.weighted_by or state
    eligible = state.eligible
    confidence = class_confidence(state.predicted[eligible], state.confident[eligible])
    emphasis = np.ones(len(state.classes))
    for name, factor in options.get("emphasis", {}).items():
        emphasis[state.classes.index(name)] = factor
    return sampling_weights(confidence, emphasis)
