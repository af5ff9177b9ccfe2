"""Everything one cycle's choice depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from al.io.images_csv import Statistics
from al.io.pool import by_image, taken_of
from al.io.records import Record
from al.io.rng import generator
from al.io.tables import PoolRow, RegionRow

from .batch import Candidates
from .budget import Budget
from .state import PoolState, pool_state

Open = Callable[[PoolRow], "np.ndarray | None"]


def _no_truth(row: PoolRow) -> np.ndarray:
    raise ValueError(f"ground truth of {row.image!r} was asked for, which the strategy may not see")


@dataclass(frozen=True)
class Query:
    """What a strategy is asked, and what it may read; absent where it declared no need of it.

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
        truth: returns the ground truth of an image.
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
    truth: Open = _no_truth
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
            self.rows, self.history, self.statistics, self.task, self.classes, self.budget
        )
        return (
            state
            if self.weighted_by is None
            else replace(state, weighted_by=self.weighted_by.state)
        )

    @property
    def parts(self) -> list[Query]:
        """This question, and the one about the validation images if there is one."""
        return [self] if self.validation is None else [self, self.validation]

    @property
    def foreground(self) -> list[int]:
        """Indices of all classes but background."""
        return [c for c in range(len(self.classes)) if c != self.background]

    def rng(self, image: str | None = None) -> np.random.Generator:
        """Return the generator of an image in this cycle, or of the whole pool."""
        return generator(self.seed, self.cycle, self.stream if image is None else image)


@dataclass(frozen=True)
class Choice:
    """The regions of one cycle, what was not placed, and the (N,) scores of the images, if any."""

    rows: list[RegionRow]
    reports: list[str]
    scores: np.ndarray | None = None
