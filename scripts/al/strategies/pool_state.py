"""What image selectors see of the pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.images_csv import Statistics
from al.io.pool import by_image, openings, size_of, taken_of
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

from .budget import Budget
from .offer import Offer


@dataclass(frozen=True)
class PoolState:
    """What image selectors see: one entry per image, sorted by name.

    Attributes:
        images: N names.
        sizes: (N,) int64, pixels (voxels, RoIs) of each image.
        unlabelled: (N,) int64, those not annotated yet.
        room: (N,) bool, images in which a further window is offered; all true for RoIs.
        openings: (N,) int64, in how many cycles each image was opened so far.
        predicted: (N, C) int64, predictions per class over unlabelled pixels.
        confident: (N, C) int64, those above the strategy's tau.
        uncertainty: (N,) mean uncertainty over unlabelled pixels.
        task: ``2d``, ``3d`` or ``roi``.
        classes: C names.
        weighted_by: the pool whose counts give the classes' sampling weights; ``None``: this one.
        looks: (N, F) float32 features of the images themselves, for those that need ``images``;
            with them ``wanted``, how many will be opened, and ``rng``, the pool's generator.
    """

    images: tuple[str, ...]
    sizes: np.ndarray
    unlabelled: np.ndarray
    room: np.ndarray
    openings: np.ndarray
    predicted: np.ndarray
    confident: np.ndarray
    uncertainty: np.ndarray
    task: str
    classes: tuple[str, ...]
    weighted_by: PoolState | None = None
    looks: np.ndarray | None = None
    wanted: int = 0
    rng: np.random.Generator | None = None

    @property
    def available(self) -> np.ndarray:
        """(N,) bool: images with something left to annotate."""
        return (self.unlabelled > 0) & self.room

    @property
    def eligible(self) -> np.ndarray:
        """(N,) bool: images not yet opened in the current loop over the pool."""
        available = self.available
        if not available.any():
            return available
        return available & (self.openings == self.openings[available].min())

    @property
    def class_confidence(self) -> np.ndarray:
        """(C,) confidence of each class (Eq. 1) over the eligible images."""
        from decomp_core import class_confidence

        state = self.weighted_by or self
        eligible = state.eligible
        return class_confidence(state.predicted[eligible], state.confident[eligible])

    def class_weights(self, options: Mapping[str, Any]) -> np.ndarray:
        """Return the (C,) sampling weights of Eqs. 1 and 2 over the eligible images."""
        from decomp_core import sampling_weights

        emphasis = np.ones(len(self.classes))
        for name, factor in options.get("emphasis", {}).items():
            emphasis[self.classes.index(name)] = factor
        return sampling_weights(self.class_confidence, emphasis)


def pool_state(
    rows: list[PoolRow],
    history: list[RegionRow],
    statistics: Statistics | None,
    task: str,
    classes: Sequence[str],
    budget: Budget,
    offer: Offer,
) -> PoolState:
    """Put together what image selectors see.

    ``statistics`` per image: unlabelled count, predicted (C,), confident (C,), mean uncertainty;
    ``None`` where the strategy needs none. An image that has no room for one more window has
    nothing left to annotate.
    """

    def has_room(image: str) -> bool:
        return _has_room(groups[image][0], taken.get(image, ()), budget, offer)

    groups, taken = by_image(rows), taken_of(history)
    names = tuple(groups)
    opened = openings(history)
    empty = (np.zeros(len(classes), np.int64),) * 2
    if statistics is None:
        annotated = {name: _annotated(taken[name]) for name in taken}
        known = {n: (_left(g, annotated.get(n, 0)), *empty, 0.0) for n, g in groups.items()}
    else:
        known = statistics
        missing = [n for n in names if n not in known]
        if missing:
            raise DataError(
                f"images.csv: no prediction of {len(missing)} images, the first is {missing[0]!r}. "
                "To do: delete images.csv and predictions of the cycle before, or the pool of the "
                "seed: the same command makes them again"
            )
    return PoolState(
        images=names,
        sizes=np.array([size_of(g) for g in groups.values()], np.int64),
        unlabelled=np.array([known[n][0] for n in names], np.int64),
        room=np.array([has_room(n) for n in names], bool),
        openings=np.array([opened[n] for n in names], np.int64),
        predicted=np.stack([known[n][1] for n in names]),
        confident=np.stack([known[n][2] for n in names]),
        uncertainty=np.array([known[n][3] for n in names], np.float64),
        task=task,
        classes=tuple(classes),
    )


def _left(rows: list[PoolRow], annotated: int) -> int:
    """Pixels left; whether a window fits is ``room``, and boxes of footprints may overlap."""
    left = size_of(rows) - annotated
    return left if rows[0].roi else max(1, left)


def _annotated(taken: Iterable[Any]) -> int:
    return sum(1 if isinstance(r, str) else int(np.prod(r.size)) for r in taken)


def _has_room(row: PoolRow, taken: Iterable[Any], budget: Budget, offer: Offer) -> bool:
    """Whether one more window is offered in an image beside what is annotated; true for RoIs."""
    from decomp_core import random_regions

    if row.roi:
        return True
    void = offer.void.get(row.image, 0)
    if offer.is_empty(row):
        return False
    if not taken and (not void or budget.footprint == "square"):  # some box covers any pixel
        return True
    size, _ = budget.window_in(row)
    plane = [s for a, s in enumerate(row.shape) if a != row.axis]
    slices = 1 if row.axis is None else row.shape[row.axis]
    positions = slices * (plane[0] - size[0] + 1) * (plane[1] - size[1] + 1)
    # Windows that cover void alone have different first pixels: at most as many as void has.
    if sum(_blocks(region, row.axis, size) for region in taken) + void < positions:
        return True
    rng = np.random.default_rng(0)  # whether there is any does not depend on it
    found = random_regions(
        row.shape,
        1,
        budget.shape_of(size),
        rng,
        taken=taken,
        axis=row.axis,
        annotatable=offer.annotatable(row),
    )
    return bool(found)


def _blocks(region: Region, axis: int | None, size: tuple[int, int]) -> int:
    """Most positions of a window of ``size`` at which it can overlap a region."""
    height, width = (s for a, s in enumerate(region.size) if a != axis)
    depth = 1 if axis is None else region.size[axis]
    return depth * (height + size[0] - 1) * (width + size[1] - 1)
