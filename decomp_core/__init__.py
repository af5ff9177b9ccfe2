"""Choosing what to annotate: pure functions over arrays.

An argument of a wrong dtype or shape or out of range raises ``ValueError`` with its name, its value
and what is allowed; a docstring names what else is refused.

Names are imported when first used, so that ``Region`` and the scores cost no import of numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "Region": "region",
    "best_region": "windows",
    "beta_schedule": "clasp",
    "choose": "features",
    "clasp_candidates": "clasp",
    "clasp_merge": "clasp",
    "clasp_quotas": "clasp",
    "class_confidence": "scores",
    "class_counts": "scores",
    "decomp_image_scores": "scores",
    "decomp_regions": "windows",
    "decomp_rois": "rois",
    "disc": "footprints",
    "footprint": "footprints",
    "pool_uncertain": "diverse",
    "random_foreground": "foreground",
    "random_regions": "windows",
    "random_rois": "rois",
    "ranked_regions": "diverse",
    "rotate_images": "scores",
    "sampling_weights": "scores",
    "select_images": "scores",
    "spatially_diverse": "diverse",
    "spatially_diverse_features": "diverse",
    "starting_patches": "foreground",
    "uncertain_regions": "windows",
    "uncertain_rois": "rois",
}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
