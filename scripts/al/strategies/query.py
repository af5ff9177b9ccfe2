"""What a strategy is asked in a cycle, and what it may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from al.io.images_csv import Statistics
from al.io.pool import by_image, taken_of
from al.io.records import Record
from al.io.rng import generator
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

from .batch import Candidates
from .budget import Budget, kind_of
from .offer import Offer
from .pool_state import PoolState, pool_state

Open = Callable[[PoolRow], "np.ndarray | None"]
# A region, or a RoI by its position in its image, alone or with its score
Pick = Region | int | tuple[int, float]


def _no_pixels(row: PoolRow) -> np.ndarray:
    raise ValueError(f"{row.image!r} itself was asked for, which the strategy did not declare")


def _no_truth(row: PoolRow) -> np.ndarray:
    raise ValueError(f"ground truth of {row.image!r} was asked for, which the strategy may not see")


@dataclass(frozen=True)
class Query:
    """What is asked about a pool; absent where the strategy declared no need of it.

    Attributes:
        rows: rows of the pool to choose from, in any order.
        history: everything annotated so far.
        definition: entry of strategies.yaml with its defaults filled in.
        budget: images, regions and sizes of a cycle.
        task: ``2d``, ``3d`` or ``roi``.
        classes: names, in index order.
        background: index of the background class, if there is one.
        seed, cycle: what randomness depends on, beside the image's name.
        statistics: of every image, see ``pool_state``.
        records: yields the predictions of some images, or (``None``) of all.
        candidates: proposed regions with their features.
        patches: what ``find_patches`` found in every image.
        centres: returns the mask in which random windows of a volume are centred.
        pixels: returns an image or RoI itself, as a layout's ``open_image``.
        truth: returns the ground truth of an image.
        offer: which regions may be chosen.
        stream: names the randomness of the whole pool; ``None``: the training pool's.
        weighted_by: query of the pool whose predictions give the classes' weights; ``None``: this.
        validation: the same question about the validation images, where these are annotated too.
        threads: that work on several images at once; the answer does not depend on it.
    """

    rows: list[PoolRow]
    history: list[RegionRow]
    definition: dict[str, Any]
    budget: Budget
    task: str
    classes: Sequence[str]
    background: int | None
    seed: int
    cycle: int
    statistics: Statistics | None = None
    records: Callable[[set[str] | None], Iterable[Record]] | None = None
    candidates: Candidates | None = None
    patches: list[RegionRow] = field(default_factory=list)
    centres: Open = lambda row: None
    pixels: Open = _no_pixels
    truth: Open = _no_truth
    offer: Offer = field(default_factory=Offer)
    stream: str | None = None
    weighted_by: Query | None = None
    validation: Query | None = None
    threads: int = 1

    @cached_property
    def groups(self) -> dict[str, list[PoolRow]]:
        """Rows by image, both sorted by name."""
        return by_image(self.rows)

    @cached_property
    def taken(self) -> dict[str, Any]:
        """What is annotated in each image: regions, or identifiers of RoIs."""
        return taken_of(self.history)

    @cached_property
    def state(self) -> PoolState:
        """What image selectors see."""
        state = pool_state(
            self.rows,
            self.history,
            self.statistics,
            self.task,
            self.classes,
            self.budget,
            self.offer,
        )
        other = self.weighted_by
        return state if other is None else replace(state, weighted_by=other.state)

    @property
    def parts(self) -> list[Query]:
        """This question, and the one about the validation images if there is one."""
        return [self] if self.validation is None else [self, self.validation]

    @property
    def foreground(self) -> list[int]:
        """Indices of all classes but background."""
        return [c for c in range(len(self.classes)) if c != self.background]

    @property
    def total(self) -> int:
        """Regions that a pool-wide strategy chooses."""
        return self.budget.total(self.task)

    def size(self, image: str) -> tuple[int, ...]:
        """Size of a pool-wide strategy's region in an image, in array axes, clipped to it."""
        return self.budget.box_in(self.groups[image][0])[0]

    def taken_regions(self, image: str) -> list[Region]:
        """Regions annotated before in an image; not for RoIs."""
        return list(self.taken.get(image, ()))

    def annotatable(self, image: str) -> np.ndarray | None:
        """Return where an image can be annotated, bool of its shape; ``None``: everywhere.

        A region must cover at least one True. May open the image's labels.
        """
        return self.offer.annotatable(self.groups[image][0])

    def free_rois(self, image: str) -> list[int]:
        """Positions of the RoIs of an image that are not annotated."""
        taken = self.taken.get(image, ())
        return [i for i, row in enumerate(self.groups[image]) if row.roi not in taken]

    def predictions(self, images: set[str] | None = None) -> Iterator[Record]:
        """Yield the predictions of some images, or of all, one in memory at a time.

        Raises:
            ValueError: the RoIs of a prediction are not those of the pool.
        """
        for record in self.records(images):
            rois = [row.roi for row in self.groups[record.image]]
            if self.task == "roi" and list(record.rois) != rois:
                raise ValueError(f"{record.image}: the prediction's RoIs are not those of the pool")
            yield record

    def rng(self, image: str | None = None) -> np.random.Generator:
        """Return the generator of an image in this cycle, or of the whole pool."""
        return generator(self.seed, self.cycle, self.stream if image is None else image)

    def row(
        self, image: str, place: Pick, cls: int | None = None, score: float | None = None
    ) -> RegionRow:
        """Describe a chosen region; its order is set when all are chosen."""
        first = self.groups[image][0]
        if isinstance(place, Region):
            return RegionRow.of(self.cycle, image, kind_of(first, place.size), place, 0)
        if isinstance(place, tuple):
            place, score = place
        roi = self.groups[image][place].roi
        return RegionRow(self.cycle, image, "roi", *(None,) * 6, roi, cls, score, 0)


@dataclass(frozen=True)
class ImageQuery:
    """What region selectors are asked about one opened image.

    Attributes:
        query: the question about the pool.
        image: its name.
        n: regions asked for.
        record: its prediction; ``None`` where the strategy needs none.
        weights: (C,) sampling weights of the classes (Eq. 2); ``None`` without statistics.
    """

    query: Query
    image: str
    n: int
    record: Record | None = None
    weights: np.ndarray | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The strategy's definition."""
        return self.query.definition

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Size in array axes; of RoIs their number."""
        rows = self.query.groups[self.image]
        return (len(rows),) if rows[0].roi else rows[0].shape

    @property
    def axis(self) -> int | None:
        """Slice axis of a volume."""
        return self.query.groups[self.image][0].axis

    @property
    def window(self) -> tuple[int, int]:
        """Size of a window, clipped to the image."""
        return self.query.budget.window_in(self.query.groups[self.image][0])[0]

    @property
    def shape(self) -> tuple[int, int] | np.ndarray:
        """What searches take: the window's size, or its boolean footprint; not for RoIs."""
        return self.query.budget.shape_of(self.window)

    @property
    def taken(self) -> tuple[Any, ...]:
        """Regions annotated before; of RoIs their positions."""
        held = self.query.taken.get(self.image, ())
        rows = self.query.groups[self.image]
        if not rows[0].roi:
            return tuple(held)
        return tuple(i for i, row in enumerate(rows) if row.roi in held)

    def annotatable(self) -> np.ndarray | None:
        """Return where the image can be annotated, see ``Query.annotatable``."""
        return self.query.annotatable(self.image)

    def centres(self) -> np.ndarray | None:
        """Return the mask in which random windows are centred; opens the volume."""
        return self.query.centres(self.query.groups[self.image][0])


@dataclass(frozen=True)
class Choice:
    """The regions of one cycle, what was not placed, and the (N,) scores of the images, if any."""

    rows: list[RegionRow]
    reports: list[str]
    scores: np.ndarray | None = None
