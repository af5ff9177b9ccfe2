"""How long a training is: a number of steps, or one that grows with what has been annotated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Any

from .errors import ConfigError

KEYS = ("per_region", "most")
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
            return whole(float(value))
    return whole(value)


def normal_steps(key: str, value: Any, learner: Any) -> Any:
    """Return the value of a key of steps for a learner, in the form that the schema checks.

    Args:
        key: ``steps`` or ``full_steps``; the latter does not grow.
        value: a number, a mapping by learner, or one with the keys ``KEYS``.
        learner: its name.

    Raises:
        ConfigError: no value for the learner, or a mapping that is neither.
    """
    if isinstance(value, dict) and not set(KEYS) & value.keys():
        value = _of_learner(key, value, learner)
    if not isinstance(value, dict):
        return whole(value)
    if key == "full_steps":
        raise ConfigError(f"{key}: {value}; allowed: a whole number from 1")
    if value.keys() == set(KEYS):
        return {name: _number(value[name]) for name in KEYS}
    advice = ""
    if set(KEYS) < value.keys():  # merged by Snakemake with what the dataset gives by learner
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


def steps_for(steps: int | Mapping[str, float], regions: int | None) -> int:
    """Return the number of steps of a training.

    Args:
        steps: a number, or ``per_region`` and ``most``.
        regions: how many to learn from have been revealed so far; ``None`` where it is not known.

    Raises:
        ValueError: steps that grow, and it is not known with what.
    """
    if isinstance(steps, int):
        return steps
    if regions is None:
        raise ValueError(f"steps {dict(steps)} of an unknown number of regions")
    return min(steps["most"], ceil(steps["per_region"] * regions))
