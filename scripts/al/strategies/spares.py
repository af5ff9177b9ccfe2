"""What takes the place of regions that people skip, and what the model makes of either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from al.io.pool import taken_of
from al.io.tables import RegionRow

from .choose import choose
from .query import Query
from .validation import limited


def choose_spares(query: Query, chosen: Sequence[RegionRow]) -> list[RegionRow]:
    """Return as many regions again: those that come next where all chosen ones are annotated.

    Where images are chosen first they are in the same images.

    Args:
        query: that was answered.
        chosen: the answer.
    """
    if (held := query.candidates) is not None:
        left = {id(row) for row in _apart(held.rows, chosen)}
        kept = np.array([id(row) in left for row in held.rows], bool)
        every = np.ones(len(query.history), bool)
        return choose(replace(query, candidates=held.keep(kept, every))).rows
    images, wide = {row.image for row in chosen}, "pool" in query.definition
    rows = [row for row in query.rows if wide or row.image in images]
    if not rows:
        return []
    asked = replace(limited(query, rows), weighted_by=query.weighted_by or query)
    patches = _apart(query.patches, chosen)  # proposed before it was chosen
    return choose(replace(asked, history=[*query.history, *chosen], patches=patches)).rows


def _apart(rows: Sequence[RegionRow], chosen: Sequence[RegionRow]) -> list[RegionRow]:
    """Return those that overlap none of ``chosen``."""
    taken = taken_of(chosen)
    return [
        row
        for row in rows
        if not any(
            held == row.roi if row.kind == "roi" else held.overlaps(row.region)
            for held in taken.get(row.image, ())
        )
    ]


def proposals_of(query: Query, rows: Sequence[RegionRow]) -> dict[str, np.ndarray]:
    """Return what the model predicts in regions, by their ``order``.

    uint8 labels of a region's box; of a RoI (C,) float32 probabilities. Empty without predictions.
    """
    found: dict[str, np.ndarray] = {}
    if query.records is None:
        return found
    for record in query.predictions({row.image for row in rows}):
        for row in (row for row in rows if row.image == record.image):
            if row.kind == "roi":
                held = record.probabilities[record.rois.index(row.roi)].astype(np.float32)
            elif record.labels is None:
                continue
            else:
                held = np.ascontiguousarray(record.labels[row.region.slices])
            found[str(row.order)] = held
    return found
