"""A query from the files of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from al.io.image_statistics import read_statistics
from al.io.records import read_records
from al.io.tables import read_pool, read_regions
from al.layouts import get_layout

from .batch import read_candidates
from .budget import Budget
from .centres import centres_from
from .definitions import needs_of
from .query import Query
from .validation import with_validation


def query_of(
    pool: str,
    science: Mapping[str, Any],
    budget: str,
    seed: int,
    cycle: int,
    earlier: str | None = None,
    images: str | None = None,
    predictions: Sequence[str] = (),
    candidates: str | None = None,
    features: str | None = None,
    patches: Sequence[str] = (),
    threads: int = 1,
) -> Query:
    """Read what a strategy declared a need of, and nothing else.

    Where validation images are annotated too, ``validation`` asks about these.

    Args:
        pool: ``pool.csv``.
        science: ``definition``, ``layout``, ``task``, ``region``, ``patch``, ``footprint``,
            ``background``, ``centres``, ``thresholds``, and where validation images are annotated
            ``validation_images``, their number.
        budget: such as ``5x15``.
        seed, cycle: of the job.
        earlier: the history of the cycle before, if there is one.
        images, predictions, candidates, features, patches: files, where they are needed.
        threads: that read and search several images at once.
    """
    definition, layout = science["definition"], science["layout"]
    read: dict[str, Any] = {}
    if images:
        tau = definition.get("tau", science["thresholds"][-1])
        read["statistics"] = read_statistics(images, layout["classes"], tau)
    if predictions:
        read["records"] = lambda wanted: read_records(predictions, wanted, threads=threads)
    if features:
        read["candidates"] = read_candidates(read_regions(candidates), features, definition)
    if patches:
        read["patches"] = [row for path in patches for row in read_regions(path)]
    if "truth" in needs_of(definition):
        read["truth"] = get_layout(**layout).open_label
    query = Query(
        rows=read_pool(pool, "train"),
        history=read_regions(earlier) if earlier else [],
        definition=definition,
        budget=Budget.parse(budget, *(science[k] for k in ("region", "patch", "footprint"))),
        task=science["task"],
        classes=layout["classes"],
        background=science["background"],
        seed=seed,
        cycle=cycle,
        centres=centres_from(layout, science["centres"]),
        threads=threads,
        **read,
    )
    if opened := science.get("validation_images"):
        return with_validation(query, read_pool(pool, "val"), opened)
    return query
