"""Strategies: an image selector and a region selector, composed by config/strategies.yaml."""

from __future__ import annotations

from typing import Any

from glue.errors import ConfigError, nearest

from .registry import IMAGE_SELECTORS, REGION_SELECTORS, register_images, register_regions

__all__ = [
    "IMAGE_SELECTORS",
    "REGION_SELECTORS",
    "check_definition",
    "needs_of",
    "register_images",
    "register_regions",
]


def check_definition(name: str, definition: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse an entry of strategies.yaml that names unknown parts or cannot run on this task.

    Raises:
        ConfigError: naming the strategy, the key, what was found and what is allowed.
    """
    for key, known in (("images", IMAGE_SELECTORS), ("regions", REGION_SELECTORS)):
        part = definition[key]
        if part not in known:
            raise ConfigError(
                f"strategy {name!r}: {key} {part!r} is unknown; {nearest(part, known)}"
            )
        selector = known[part]
        if settings["task"] not in selector.tasks:
            raise ConfigError(
                f"strategy {name!r}: {key} {part!r} does not do task {settings['task']!r}, "
                f"only {sorted(selector.tasks)}"
            )
    _check_learner(name, definition, settings["learner"])
    if definition["tau"] not in settings["thresholds"]:
        raise ConfigError(
            f"strategy {name!r}: tau {definition['tau']} is not among the thresholds that "
            f"predictions are counted at: {settings['thresholds']}"
        )
    for cls in definition["emphasis"]:
        if cls not in settings["classes"]:
            raise ConfigError(
                f"strategy {name!r}: emphasis of unknown class {cls!r}; "
                f"{nearest(cls, settings['classes'])}"
            )


def _check_learner(name: str, definition: dict[str, Any], learner: str) -> None:
    from learners import describe_learner

    if "features" in needs_of(definition) and not describe_learner(learner).has_features:
        raise ConfigError(
            f"strategy {name!r} needs features of regions, and learner {learner!r} has none"
        )


def needs_of(definition: dict[str, Any]) -> frozenset[str]:
    """Return what a strategy needs of a prediction: ``labels``, ``uncertainty``."""
    images = IMAGE_SELECTORS[definition["images"]]
    regions = REGION_SELECTORS[definition["regions"]]
    return frozenset({"labels"}) | images.needs | regions.needs
