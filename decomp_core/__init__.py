"""Choosing what to annotate: pure functions over arrays.

An argument of a wrong dtype or shape or out of range raises ``ValueError`` with its name, its value
and what is allowed; a docstring names what else is refused. Where an array of numbers is
taken, so is a tensor of torch on any device.

Names are imported when first used, so that ``Region`` and the scores cost no import of numba.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

_NAMES = {
    "region": ["Region"],
    "scores": [
        "class_confidence",
        "class_counts",
        "decomp_image_scores",
        "pseudo_labels",
        "rotate_images",
    ]
    + ["sampling_weights", "select_images"],
    "windows": ["best_region", "decomp_regions", "random_regions", "uncertain_regions"],
    "rois": ["decomp_rois", "random_rois", "uncertain_rois"],
    "footprints": ["footprint"],
    "diverse": ["pool_uncertain", "spatially_diverse", "spatially_diverse_features"],
    "features": ["choose"],
    "clasp": ["beta_schedule", "clasp_candidates", "clasp_merge", "clasp_quotas"],
    "foreground": ["random_foreground", "starting_patches"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        near = get_close_matches(name, __all__, 1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
