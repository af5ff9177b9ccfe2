"""Strategies: an image selector and a region selector, or a pool-wide one, by name."""

from __future__ import annotations

from . import selectors  # noqa: F401 - its modules register themselves
from .definitions import STARTS, Unsupported, check_definition, needs_of, note_of, resolve
from .registry import (
    IMAGE_SELECTORS,
    POOL_SELECTORS,
    REGION_SELECTORS,
    register_batch,
    register_images,
    register_pool,
    register_regions,
)

__all__ = [
    "IMAGE_SELECTORS",
    "POOL_SELECTORS",
    "REGION_SELECTORS",
    "STARTS",
    "Unsupported",
    "check_definition",
    "needs_of",
    "note_of",
    "register_batch",
    "register_images",
    "register_pool",
    "register_regions",
    "resolve",
]
