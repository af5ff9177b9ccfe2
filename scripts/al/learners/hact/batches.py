"""Annotated RoIs and their graphs; batch number k depends on the seed and k alone, so a resumed
training sees what an undisturbed one would have seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.io.tables import LabelRow, PoolRow
from al.io.threads import in_order

from ..base import FitJob
from .graph_file import RoiGraph

Load = Callable[[PoolRow], RoiGraph]


def known_labels(job: FitJob, labels: Iterable[LabelRow], what: str) -> list[LabelRow]:
    """Return the RoIs whose class is known, by key.

    Args:
        job: the training, which has their rows.
        labels: in any order.
        what: how to call them in a message.

    Raises:
        DataError: for a class or a RoI that there is not.
    """
    known = [row for row in labels if row.label is not None and row.label != UNKNOWN]
    for row in known:
        if not 0 <= row.label < len(job.classes):
            raise DataError(
                f"{what}: class {row.label} of {key_of(row)}; allowed: 0 to {len(job.classes) - 1}"
            )
        if key_of(row) not in job.rows:
            raise DataError(f"{what}: {key_of(row)} is not in the pool")
    return sorted(known, key=key_of)


def key_of(row: LabelRow) -> str:
    """Return the name of a RoI in the pool."""
    return f"{row.image}/{row.roi}"


def validation_labels(job: FitJob, taught: Sequence[LabelRow]) -> list[LabelRow]:
    """Return the RoIs that choose the weights.

    Raises:
        DataError: for one that teaches, or is of the test split.
    """
    found = known_labels(job, job.validation, "validation")
    own = {key_of(row) for row in taught}
    for row in found:
        if key_of(row) in own:
            raise DataError(f"validation: {key_of(row)} is a training RoI too; allowed: others")
        if job.rows[key_of(row)].split == "test":
            raise DataError(f"validation: {key_of(row)} is a test RoI; allowed: train, val")
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


def by_nodes(
    rows: Sequence[PoolRow], load: Load, most: int, count: int = 256
) -> Iterator[tuple[slice, list[RoiGraph]]]:
    """Yield RoIs in order, as many as have ``most`` nodes together, and at most ``count``.

    A RoI that has more is alone. The next ones are read meanwhile, by threads.
    """
    first, held, nodes = 0, [], 0
    for number, graph in enumerate(in_order(load, rows, 2)):
        size = len(graph.cells) + len(graph.tissue)
        if held and (nodes + size > most or len(held) == count):
            yield slice(first, number), held
            first, held, nodes = number, [], 0
        held.append(graph)
        nodes += size
    if held:
        yield slice(first, len(rows)), held
