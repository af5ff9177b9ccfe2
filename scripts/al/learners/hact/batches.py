"""Annotated RoIs and their graphs; batch number k depends on the seed and k alone, so a resumed
training sees what an undisturbed one would have seen."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.io.tables import LabelRow

from ..base import FitJob
from .graph_file import RoiGraph


def key_of(row: LabelRow) -> str:
    """Return the name of a RoI in the pool."""
    return f"{row.image}/{row.roi}"


def known_labels(labels: Iterable[LabelRow]) -> list[LabelRow]:
    """Return the RoIs whose class is known, by key."""
    known = [row for row in labels if row.label is not None and row.label != UNKNOWN]
    return sorted(known, key=key_of)


def validation_labels(job: FitJob) -> list[LabelRow]:
    """Return the RoIs that choose the weights.

    Raises:
        DataError: for one that teaches, or is of the test split.
    """
    found = known_labels(job.validation)
    taught = {key_of(row) for row in known_labels(job.labels)}
    for key in map(key_of, found):
        if key in taught:
            raise DataError(f"validation: {key} is a training RoI too; allowed: others")
        if job.rows[key].split == "test":
            raise DataError(f"validation: {key} is a test RoI; allowed: train, val")
    return found


def size_of(graph: RoiGraph) -> int:
    """Return the bytes of a RoI's graphs."""
    pieces = (graph.cells, graph.tissue)
    return graph.assignment.nbytes + sum(p.features.nbytes + p.edges.nbytes for p in pieces)


def epoch_steps(count: int, batch: int) -> int:
    """Return the number of steps in which each of ``count`` RoIs is seen once."""
    return math.ceil(count / batch)


def batch_numbers(count: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Return which RoIs step ``step`` learns from, (B,) int64.

    Every epoch goes through all of them in a new order; its last batch may be smaller.
    """
    epoch, place = divmod(step, epoch_steps(count, batch))
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * batch : (place + 1) * batch]


def seen_rois(count: int, batch: int, steps: int) -> int:
    """Return how many RoIs the batches of so many steps hold."""
    epochs, rest = divmod(steps, epoch_steps(count, batch))
    return epochs * count + min(rest * batch, count)
