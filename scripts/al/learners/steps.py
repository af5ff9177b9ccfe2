"""How long a training is: a number of steps, or one that grows with what has been annotated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil, isfinite
from typing import Any

from al.io.errors import ConfigError

# What grows with the regions, up to `most`: steps for each of them, or passes over all
GROWTHS = ("per_region", "epochs")
KEYS = frozenset({*GROWTHS, "most"})
GROWING = "{per_region: NUMBER, most: NUMBER}"


def whole(value: Any) -> Any:
    """Return a whole number that came as text or with a point as one; all else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


def _number(value: Any) -> Any:
    """Return a number that came as text, whole or not; all else as it is."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # which the schema refuses
    return whole(value)


def normal_steps(key: str, value: Any, learner: Any) -> Any:
    """Return the value of a key of steps for a learner, in the form that the schema checks.

    Args:
        key: ``steps`` or ``full_steps``; the latter does not grow.
        value: a number, a mapping by learner, or one with ``most`` and one of ``GROWTHS``.
        learner: its name.

    Raises:
        ConfigError: no value for the learner, or a mapping that is neither.
    """
    if isinstance(value, dict) and not KEYS & value.keys():
        value = _of_learner(key, value, learner)
    value = whole(value)
    if value is None or (type(value) is int and value >= 1):
        return value
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: {value!r}; allowed: a whole number from 1, or {GROWING}")
    if key == "full_steps":
        raise ConfigError(f"{key}: {value}; allowed: a whole number from 1")
    if any(value.keys() == {growth, "most"} for growth in GROWTHS):
        return {name: _number(held) for name, held in sorted(value.items())}
    advice = ""
    if {
        "per_region",
        "most",
    } < value.keys():  # merged by Snakemake with what the dataset gives by learner
        advice = f"; by learner: {key}={{{learner}: {GROWING}}}"
    raise ConfigError(f"{key}: {value}; allowed: a whole number from 1, or {GROWING}{advice}")


def _of_learner(key: str, values: dict[str, Any], learner: Any) -> Any:
    if learner not in values:
        raise ConfigError(
            f"{key}: the dataset has none for learner {learner!r}, only for "
            f"{', '.join(sorted(values))}; set {key}=NUMBER"
        )
    return values[learner]


def most_steps(steps: int | Mapping[str, float]) -> int:
    """Return the most steps that a training makes, as one on all labels does."""
    return steps if isinstance(steps, int) else int(steps["most"])


def steps_for(
    steps: int | Mapping[str, float], regions: int | None, batch: int | None = None
) -> int:
    """Return the number of steps of a training.

    Args:
        steps: a number, or ``most`` and one of ``GROWTHS``.
        regions: how many to learn from have been revealed so far; ``None`` where it is not known.
        batch: regions that a step learns from, by which epochs are counted.

    Raises:
        ValueError: steps that grow, and it is not known with what.
    """
    if isinstance(steps, int):
        return steps
    if regions is None:
        raise ValueError(f"steps {dict(steps)} of an unknown number of regions")
    if "epochs" not in steps:
        return min(steps["most"], ceil(steps["per_region"] * regions))
    if batch is None:
        raise ValueError(f"steps {dict(steps)} of a learner without epochs")
    return min(steps["most"], steps["epochs"] * ceil(regions / batch))
