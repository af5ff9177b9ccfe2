"""Nested (hierarchical) classes of a learner: their settings and targets. Does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from al.io.labels import UNKNOWN

from .settings import EnsembleSettings, measures, setting

Index = Annotated[int, Field(ge=0, lt=UNKNOWN)]
Set = Annotated[tuple[Index, ...], Field(min_length=1)]
Sets = Annotated[tuple[Set, ...], Field(min_length=1)]
NESTED = (
    "Hierarchical classes: per sigmoid output the classes it stands for, such as "
    "[[1, 2, 3], [2, 3], [2]]; null: one softmax over the classes."
)
ORDER = (
    "Class that each output of `nested` writes over those before it where it is above 0.5; what "
    "none claims is class 0."
)


def nested_targets(nested: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """Return (C, K) bool: whether class c belongs to output k."""
    return np.array([[c in held for held in nested] for c in range(classes)])


class NestedSettings(EnsembleSettings):
    """Settings of a learner whose classes may be nested."""

    nested: Sets | None = setting(None, NESTED)
    nested_order: tuple[Index, ...] | None = setting(None, ORDER)

    def uncertainties(self) -> tuple[str, ...]:
        """Return the uncertainty measures of a trained model."""
        return measures(self.members, self.nested is not None)

    def science(self) -> dict[str, Any]:
        """Leave out nested classes where there are none."""
        found = super().science()
        if self.nested is None:
            found = {key: v for key, v in found.items() if key not in ("nested", "nested_order")}
        return found

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse sets whose exact targets do not decode to each of the classes.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        super().check(task, classes)
        nested, order = self.nested, self.nested_order
        if nested is None:
            if order is not None:
                self.refuse("nested_order", "null where nested is null")
            return
        if any(len(set(held)) < len(held) for held in nested):
            self.refuse("nested", "lists of different class indices")
        if order is None or len(order) != len(nested):
            allowed = f"{len(nested)} class indices, one for each list of nested"
            self.refuse("nested_order", allowed)
        used = {"nested": max(map(max, nested)), "nested_order": max(order)}
        count = 1 + max(used.values()) if classes is None else classes
        for key, highest in used.items():
            if highest >= count:
                self.refuse(key, f"classes 0 to {count - 1}")
        for cls, targets in enumerate(nested_targets(nested, count)):
            decoded = [0, *(c for c, held in zip(order, targets, strict=True) if held)][-1]
            if decoded != cls:
                self.refuse(
                    "nested_order",
                    f"an order that gives every class back; with nested {nested} "
                    f"class {cls} decodes to {decoded}",
                )
