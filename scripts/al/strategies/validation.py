"""The validation images, where these are annotated too: by the same strategy, beside the pool.

As in the paper's experiment on BRACS (suppl. 2.1 and the authors' code): so many images of the
validation set in every cycle, chosen by scores of their own; classes are weighted as the training
pool says. Predictions of both come from the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from al.io.errors import DataError
from al.io.tables import PoolRow

from .query import Choice, Query

STREAM = "validation images"  # another stream of random numbers than that of the training pool


def with_validation(query: Query, rows: Sequence[PoolRow], images: int) -> Query:
    """Return the question about a training pool and, as ``validation``, about validation images.

    Args:
        query: knows the predictions and candidates of both.
        rows: of the validation images.
        images: of them, how many are opened in a cycle.

    Raises:
        DataError: where there are no validation images.
    """
    if not rows:
        raise DataError("validation_images: no image is in split val")
    training = limited(query, query.rows)
    budget = replace(query.budget, images=images)
    other = replace(limited(query, rows), budget=budget, stream=STREAM, weighted_by=training)
    return replace(training, validation=other)


def limited(query: Query, rows: Sequence[PoolRow]) -> Query:
    """Return the question about some of the images that its predictions and candidates are of."""
    names = {row.image for row in rows}
    other = replace(query, rows=list(rows))
    if (read := query.records) is not None:
        other = replace(
            other, records=lambda images: read(names if images is None else images & names)
        )
    if (held := query.candidates) is not None:
        mine, annotated = (
            np.array([row.image in names for row in rows], bool)
            for rows in (held.rows, query.history)
        )
        other = replace(other, candidates=held.keep(mine, annotated))
    return other


def in_parts(answer: Callable[[Query], Choice], query: Query) -> list[tuple[Query, Choice]]:
    """Answer a question about the training pool, then, if asked, about the validation images.

    This sets the order of the regions: they are numbered through.
    """
    answers: list[tuple[Query, Choice]] = []
    n = 0
    for part in query.parts:
        choice = answer(part)
        rows = [replace(row, order=n + k) for k, row in enumerate(choice.rows)]
        told = "" if part is query else "validation: "
        reports = [f"{told}{line}" for line in choice.reports]
        answers.append((part, Choice(rows, reports, choice.scores)))
        n += len(rows)
    return answers
