"""Names of selectors and what each reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from decomp_core import Region
from glue.records import Record

TASKS = frozenset({"2d", "3d", "roi"})


@dataclass(frozen=True)
class PoolState:
    """What image selectors see: one entry per image, sorted by name.

    Attributes:
        images: N names.
        sizes: (N,) int64, pixels (voxels, RoIs) of each image.
        unlabelled: (N,) int64, those not annotated yet.
        room: (N,) bool, images in which a further window fits; all true for RoIs.
        openings: (N,) int64, in how many cycles each image was opened so far.
        predicted: (N, C) int64, predictions per class over unlabelled pixels.
        confident: (N, C) int64, those above the strategy's tau.
        uncertainty: (N,) mean uncertainty over unlabelled pixels.
        task: ``2d``, ``3d`` or ``roi``.
        classes: C names.
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


@dataclass(frozen=True)
class RegionTask:
    """What region selectors see of one chosen image.

    Attributes:
        record: the prediction; ``None`` in the first cycle, when there is no model.
        image_shape: size in array axes (RoIs: their number).
        axis: slice axis of a volume.
        shape: window size, clipped to the image; unused for RoIs.
        taken: regions annotated before; for RoIs their positions in ``record.rois``.
        n: regions asked for.
        weights: (C,) sampling weights of the classes (Eq. 2).
        centres: returns the boolean mask in which random windows are centred, or ``None``; it
            opens the volume, so only what draws at random asks for it.
        options: the strategy's definition.
    """

    record: Record | None
    image_shape: tuple[int, ...]
    axis: int | None
    shape: tuple[int, ...]
    taken: tuple[Any, ...]
    n: int
    weights: np.ndarray | None = None
    centres: Callable[[], np.ndarray | None] = lambda: None
    options: dict[str, Any] = field(default_factory=dict)


ImageScores = Callable[[PoolState, dict[str, Any]], np.ndarray]
RegionChoice = Callable[[RegionTask, np.random.Generator], "list[Region] | list[int]"]


@dataclass(frozen=True)
class Selector:
    """A selector, what it needs of a prediction and the tasks it does.

    ``by_class``: a class is behind each of its choices (RoIs: the one that is predicted).
    """

    run: Callable[..., Any]
    needs: frozenset[str]
    tasks: frozenset[str]
    by_class: bool = False


IMAGE_SELECTORS: dict[str, Selector] = {}
REGION_SELECTORS: dict[str, Selector] = {}


def _register(
    table: dict[str, Selector],
    name: str,
    needs: frozenset[str],
    tasks: frozenset[str],
    by_class: bool = False,
) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        if name in table:
            raise ValueError(f"selector {name!r} is registered twice")
        table[name] = Selector(function, needs, tasks, by_class)
        return function

    return add


def register_images(
    name: str, needs: frozenset[str] = frozenset(), tasks: frozenset[str] = TASKS
) -> Callable[[ImageScores], ImageScores]:
    """Register ``f(state, options) -> (N,) scores`` as an image selector; the highest are taken."""
    return _register(IMAGE_SELECTORS, name, needs, tasks)


def register_regions(
    name: str,
    needs: frozenset[str] = frozenset(),
    tasks: frozenset[str] = TASKS,
    by_class: bool = False,
) -> Callable[[RegionChoice], RegionChoice]:
    """Register ``f(task, rng) -> regions`` (RoIs: positions) as a region selector."""
    return _register(REGION_SELECTORS, name, needs, tasks, by_class)


# The built-in selectors register themselves when the tables are first asked for.
from . import image_selectors, region_selectors  # noqa: E402, F401
