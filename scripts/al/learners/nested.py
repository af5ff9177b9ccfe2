"""Nested (hierarchical) classes of a learner: their settings, targets and uncertainty measures.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from al.io.errors import ConfigError
from al.io.labels import UNKNOWN

from .base import UNCERTAINTIES


def measures(count: int, nested: bool) -> tuple[str, ...]:
    """Return the uncertainty measures of a number of members, of nested classes or not."""
    if nested:
        return ("least_confidence",)
    return tuple(u for u in UNCERTAINTIES if count > 1 or u != "mutual_information")


def nested_targets(nested: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """Return (C, K) bool: whether class c belongs to output k."""
    return np.array([[c in held for held in nested] for c in range(classes)])


def check_sets(learner: str, nested: Any, order: Any) -> None:
    """Refuse values of ``nested`` and ``nested_order`` that contradict themselves or each other.

    Args:
        learner: name of the configuration section, for the message.
        nested: per output the class indices it stands for, lists read as tuples; ``None``: there
            are no nested classes.
        order: class that each output writes over those before it; ``None`` where ``nested`` is.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    if nested is None:
        if order is not None:
            _refuse(learner, "nested_order", order, "null where nested is null")
        return
    if not isinstance(nested, tuple) or not nested:
        _refuse(learner, "nested", nested, "lists of class indices")
    for held in nested:
        if not _are_indices(held) or not held or len(set(held)) < len(held):
            _refuse(learner, "nested", nested, "lists of different class indices")
    if not _are_indices(order) or len(order) != len(nested):
        allowed = f"{len(nested)} class indices, one for each list of nested"
        _refuse(learner, "nested_order", order, allowed)
    check_nested(learner, nested, order, 1 + max(*sum(nested, ()), *order))


def check_nested(
    learner: str,
    nested: tuple[tuple[int, ...], ...] | None,
    order: tuple[int, ...] | None,
    classes: int,
) -> None:
    """Refuse nested classes that do not describe class indices 0 to ``classes`` - 1.

    The exact targets of every class must decode to that class. What ``check_sets`` refuses must
    not come here.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    if nested is None or order is None:
        return
    for key, value, used in (
        ("nested", nested, sum(nested, ())),
        ("nested_order", order, order),
    ):
        if max(used) >= classes:
            _refuse(learner, key, value, f"classes 0 to {classes - 1}")
    for cls, targets in enumerate(nested_targets(nested, classes)):
        decoded = [0, *(c for c, held in zip(order, targets, strict=True) if held)][-1]
        if decoded != cls:
            _refuse(
                learner,
                "nested_order",
                order,
                f"an order that gives every class back; with nested {nested} "
                f"class {cls} decodes to {decoded}",
            )


def _refuse(learner: str, key: str, value: Any, allowed: str) -> NoReturn:
    raise ConfigError(f"{learner}.{key}: {value!r}; allowed: {allowed}")


def _are_indices(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < UNKNOWN for v in value
    )
