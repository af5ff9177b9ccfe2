"""Choosing what to annotate: pure functions over arrays.

Names are imported when first used, so that ``Region`` and the scores cost no import of numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .region import Region

if TYPE_CHECKING:
    from .batch import choose, gradient_embeddings
    from .clasp import beta_schedule, clasp_candidates, clasp_merge, clasp_quotas
    from .footprints import annulus, disc, footprint, polygon
    from .foreground import foreground_region, random_foreground, starting_patches
    from .images import rotate_images, select_images
    from .pool import pool_uncertain, spatially_diverse, spatially_diverse_features
    from .rois import decomp_rois, random_rois, uncertain_rois
    from .scores import class_confidence, class_counts, decomp_image_scores, sampling_weights
    from .spatial import ranked_regions
    from .windows import best_region, decomp_regions, random_regions, uncertain_regions

_MODULES = {
    "annulus": "footprints",
    "best_region": "windows",
    "beta_schedule": "clasp",
    "choose": "batch",
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
    "foreground_region": "foreground",
    "gradient_embeddings": "batch",
    "polygon": "footprints",
    "pool_uncertain": "pool",
    "random_foreground": "foreground",
    "random_regions": "windows",
    "random_rois": "rois",
    "ranked_regions": "spatial",
    "rotate_images": "images",
    "sampling_weights": "scores",
    "select_images": "images",
    "spatially_diverse": "pool",
    "spatially_diverse_features": "pool",
    "starting_patches": "foreground",
    "uncertain_regions": "windows",
    "uncertain_rois": "rois",
}

__all__ = [
    "Region",
    "annulus",
    "best_region",
    "beta_schedule",
    "choose",
    "clasp_candidates",
    "clasp_merge",
    "clasp_quotas",
    "class_confidence",
    "class_counts",
    "decomp_image_scores",
    "decomp_regions",
    "decomp_rois",
    "disc",
    "footprint",
    "foreground_region",
    "gradient_embeddings",
    "polygon",
    "pool_uncertain",
    "random_foreground",
    "random_regions",
    "random_rois",
    "ranked_regions",
    "rotate_images",
    "sampling_weights",
    "select_images",
    "spatially_diverse",
    "spatially_diverse_features",
    "starting_patches",
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
