"""Layouts: a dataset on disk becomes the rows of the pool, and its files become arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from al.io.errors import ConfigError

from .base import Layout, nearest

__all__ = ["LAYOUTS", "READING", "Layout", "get_layout", "layout_class"]

# Raised with each change of what files mean: a run is not continued by other rules.
READING = 1

LAYOUTS = {
    "bracs": "Bracs",
    "cityscapes": "Cityscapes",
    "folders": "Folders",
    "kits23": "Kits23",
    "nnunet_raw": "NnunetRaw",
    "table": "Table",
    "voc": "Voc",
}


def layout_class(name: str) -> type[Layout]:
    """Return the class of a layout, a key of ``LAYOUTS``; raises ConfigError for another name."""
    if name not in LAYOUTS:
        raise ConfigError(f"layout: {nearest(name, LAYOUTS)}")
    return getattr(import_module(f"{__name__}.{name}"), LAYOUTS[name])


def get_layout(
    name: str,
    options: Mapping[str, Any] | None,
    classes: Sequence[str],
    unlabelled: bool = False,
) -> Layout:
    """Return the layout called ``name`` (a key of ``LAYOUTS``; a module of this package).

    Args:
        name: name of the layout.
        options: ``layout_options`` of the dataset; what is missing has a default.
        classes: class names; a class index is a position in this list.
        unlabelled: whether images without a label are listed, for people to annotate.

    Raises:
        ConfigError: unknown layout, unknown option, or classes the layout cannot have.
    """
    return layout_class(name)(options, classes, unlabelled)
