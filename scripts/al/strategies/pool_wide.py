"""Strategies that choose over the whole pool, without choosing images first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from al.io.records import Record
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

from .budget import kind_of
from .query import Choice, Query
from .registry import POOL_SELECTORS

# A RoI by its position, alone or with its score
Place = Region | int | tuple[int, float]
Places = list[tuple[str, Place]]


@dataclass(frozen=True)
class PoolTask:
    """What pool-wide selectors see.

    Attributes:
        query: the cycle's question.
        n: regions asked for.
    """

    query: Query
    n: int

    @property
    def options(self) -> dict[str, Any]:
        """The strategy's definition."""
        return self.query.definition

    @cached_property
    def rows(self) -> dict[str, PoolRow]:
        """The row of each image, sorted by name; of RoIs the first."""
        return {image: group[0] for image, group in self.query.groups.items()}

    def size(self, image: str) -> tuple[int, ...]:
        """Size of a region in an image, in array axes, clipped to it."""
        return self.query.budget.box_in(self.rows[image])[0]

    def taken(self, image: str) -> list[Region]:
        """Regions annotated before."""
        return list(self.query.taken.get(image, ()))

    def free_rois(self, image: str) -> list[int]:
        """Positions of the RoIs of an image that are not annotated."""
        taken = self.query.taken.get(image, ())
        return [i for i, row in enumerate(self.query.groups[image]) if row.roi not in taken]

    def records(self) -> Iterator[Record]:
        """Yield the predictions of all images, one in memory at a time."""
        for record in self.query.records(None):
            if self.query.task == "roi":
                check_rois(record, self.query.groups[record.image])
            yield record


def check_rois(record: Record, group: list[PoolRow]) -> list[str]:
    """Return the identifiers of an image's RoIs, which must be those of its prediction."""
    rois = [r.roi for r in group]
    if list(record.rois) != rois:
        raise ValueError(f"{group[0].image}: the prediction's RoIs are not those of the pool")
    return rois


def choose_pool_wide(query: Query) -> Choice:
    """Choose the regions of a cycle with a pool-wide selector."""
    selector = POOL_SELECTORS[query.definition["pool"]]
    task = PoolTask(query, query.budget.total(query.task))
    places = selector.run(task)
    reports, rows = [], []
    if query.task != "roi":
        notes = [query.budget.box_in(task.rows[image])[1] for image in dict(places)]
        reports += sorted(n for n in notes if n)
    for order, (image, place) in enumerate(places):
        rows.append(replace(_row(query, task, image, place), order=order))
    if len(rows) < task.n:
        reports.append(f"{len(rows)} of {task.n} regions placed, no more are free")
    return Choice(rows, reports)


def _row(query: Query, task: PoolTask, image: str, place: Place) -> RegionRow:
    if isinstance(place, Region):
        kind = kind_of(task.rows[image], place.size)
        return RegionRow.of(query.cycle, image, kind, place, 0)
    position, score = place if isinstance(place, tuple) else (place, None)
    return roi_row(query.cycle, image, query.groups[image][position].roi, None, score)


def roi_row(
    cycle: int, image: str, roi: str, cls: int | None = None, score: float | None = None
) -> RegionRow:
    """Describe a chosen RoI."""
    return RegionRow(cycle, image, "roi", *(None,) * 6, roi, cls, score, 0)


def propose_pool_wide(query: Query) -> Choice:
    """Return the most uncertain regions of the pool, ``candidates`` times as many as asked for."""
    task = PoolTask(query, query.definition["candidates"] * query.budget.total(query.task))
    places = POOL_SELECTORS["uncertainty"].run(task)
    rows = [_row(query, task, image, place) for image, place in places]
    return Choice([replace(r, order=i) for i, r in enumerate(rows)], [])


def find_patches(
    query: Query, row: PoolRow, probabilities: np.ndarray, disagreement: np.ndarray | None
) -> list[RegionRow]:
    """Find the best patches of one image for ClaSP PE and its variants.

    Args:
        query: the cycle's question.
        row: the image.
        probabilities: (C, *S) float32, mean softmax.
        disagreement: (*S) float32 mutual information, if the strategy wants it.

    Returns:
        rows with ``class`` (empty: the map of all classes) and the noisy ``score``; ``order`` 1
        marks those kept in reserve.
    """
    from decomp_core import beta_schedule, clasp_candidates

    o = query.definition
    beta = None
    if o["beta"] != "none":
        beta = o["beta"]
        if beta == "schedule":
            limits = (o["beta_first"], o["beta_last"])
            beta = beta_schedule(query.cycle - 2, o["beta_steps"], *limits)
    size, _ = query.budget.box_in(row)
    found = clasp_candidates(
        probabilities,
        size,
        query.budget.total(query.task),
        query.foreground if o["strata"] else [],
        query.rng(row.image),
        taken=query.taken.get(row.image, ()),
        stride=query.budget.stride_in(row, o["stride"]),
        beta=beta,
        share=o.get("strata_share", 0),
        per_image=o["patches_per_image"],
        uncertainty=disagreement,
    )
    kind = kind_of(row, size)
    return [
        RegionRow.of(query.cycle, row.image, kind, region, reserve)
        for reserve, regions in enumerate(found)
        for region in regions
    ]
