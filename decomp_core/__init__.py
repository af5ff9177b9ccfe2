"""Choosing what to annotate: pure functions over arrays.

Names are imported when first used, so that ``Region`` and the scores cost no import of numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .region import Region

if TYPE_CHECKING:
    from .images import rotate_images, select_images
    from .rois import decomp_rois, random_rois, uncertain_rois
    from .scores import class_confidence, class_counts, decomp_image_scores, sampling_weights
    from .windows import best_region, decomp_regions, random_regions, uncertain_regions

_MODULES = {
    "best_region": "windows",
    "class_confidence": "scores",
    "class_counts": "scores",
    "decomp_image_scores": "scores",
    "decomp_regions": "windows",
    "decomp_rois": "rois",
    "random_regions": "windows",
    "random_rois": "rois",
    "rotate_images": "images",
    "sampling_weights": "scores",
    "select_images": "images",
    "uncertain_regions": "windows",
    "uncertain_rois": "rois",
}

__all__ = [
    "Region",
    "best_region",
    "class_confidence",
    "class_counts",
    "decomp_image_scores",
    "decomp_regions",
    "decomp_rois",
    "random_regions",
    "random_rois",
    "rotate_images",
    "sampling_weights",
    "select_images",
    "uncertain_regions",
    "uncertain_rois",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
