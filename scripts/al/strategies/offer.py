"""What the simulated annotator is offered: regions that hold ground truth (ours).

A person can label any place. Ground truth that is void (255) in large parts cannot: a region there
costs as much as any other and reveals nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from al.io.labels import UNKNOWN
from al.io.tables import PoolRow
from al.io.truth import read_truth

Mask = Callable[[PoolRow], np.ndarray]


def _no_mask(row: PoolRow) -> np.ndarray:
    raise ValueError(f"where {row.image!r} has ground truth was asked for, and is not known")


@dataclass(frozen=True)
class Offer:
    """Which regions a strategy may choose; by default any.

    Attributes:
        void: pixels (voxels) without ground truth of each image that has some.
        mask: opens an image of ``void``: bool of its shape, where it has ground truth.
    """

    void: Mapping[str, int] = field(default_factory=dict)
    mask: Mask = _no_mask

    def is_empty(self, row: PoolRow) -> bool:
        """Whether an image has no ground truth at all."""
        return self.void.get(row.image, 0) >= math.prod(row.shape)

    def annotatable(self, row: PoolRow) -> np.ndarray | None:
        """Return what ``decomp_core`` calls so; ``None`` where all of an image is."""
        if row.image not in self.void:
            return None
        return np.zeros(row.shape, bool) if self.is_empty(row) else self.mask(row)

    def told(self, rows: Iterable[PoolRow]) -> list[str]:
        """Say of which images not everything is offered: a line, or none."""
        held = {row.image: row for row in rows}
        void = [row for row in held.values() if row.image in self.void]
        if not void:
            return []
        empty = sum(map(self.is_empty, void))
        return [
            f"offered are regions that hold ground truth: {len(void)} of {len(held)} images have "
            f"void, {empty} nothing else"
        ]


def offer_of(layout: dict[str, Any], truth: str | None) -> Offer:
    """Return what is offered, from ``truth.json``; ``None``: all.

    The labels of an image are opened when its mask is asked for, and only where it has void.
    """
    if truth is None:
        return Offer()

    def mask(row: PoolRow) -> np.ndarray:
        from al.layouts import get_layout

        return get_layout(**layout).open_label(row) != UNKNOWN

    counts = read_truth(truth, len(layout["classes"]))
    return Offer({image: int(held[-1]) for image, held in counts.items() if held[-1]}, mask)
