"""A query from the files of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from al.io.images_csv import read_statistics
from al.io.pool import shapes_of
from al.io.records import read_records
from al.io.tables import read_pool, read_regions
from al.layouts import get_layout

from .batch import read_candidates
from .budget import Budget
from .centres import centres_from
from .definitions import needs_of
from .offer import offer_of
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
    truth: str | None = None,
    threads: int = 1,
) -> Query:
    """Read what a strategy declared a need of; ``validation`` asks about validation images, if any.

    Args:
        pool: ``pool.csv``.
        science: ``definition``, ``layout``, ``task``, ``region``, ``patch``, ``footprint``,
            ``background``, ``centres``, ``thresholds``, and the number of ``validation_images``.
        budget, seed, cycle: of the job; a budget such as ``5x15``.
        earlier: the history of the cycle before, if there is one.
        images, predictions, candidates, features, patches: files, where they are needed.
        truth: ``truth.json``, where only regions that hold ground truth are offered.
        threads: that read and search several images at once.
    """
    definition, layout = science["definition"], science["layout"]
    read = _openers(definition, layout)
    if images:
        tau = definition.get("tau", science["thresholds"][-1])
        read["statistics"] = read_statistics(images, layout["classes"], tau)
    if features:
        read["candidates"] = read_candidates(read_regions(candidates), features, definition)
    if patches:
        read["patches"] = [row for path in patches for row in read_regions(path)]
    rows = read_pool(pool, "train", "val")
    if predictions:
        shapes = shapes_of(rows)
        read["records"] = partial(read_records, predictions, threads=threads, shapes=shapes)
    query = Query(
        rows=[row for row in rows if row.split == "train"],
        history=read_regions(earlier) if earlier else [],
        definition=definition,
        budget=Budget.parse(budget, *(science[k] for k in ("region", "patch", "footprint"))),
        task=science["task"],
        classes=layout["classes"],
        background=science["background"],
        seed=seed,
        cycle=cycle,
        centres=centres_from(layout, science["centres"]),
        offer=offer_of(layout, truth),
        threads=threads,
        **read,
    )
    if opened := science.get("validation_images"):
        return with_validation(query, [row for row in rows if row.split == "val"], opened)
    return query


def _openers(definition: Mapping[str, Any], layout: Mapping[str, Any]) -> dict[str, Any]:
    """Return what opens images and their ground truth, where a strategy needs them."""
    needs = needs_of(definition) & {"images", "truth"}
    if not needs:
        return {}
    opened = get_layout(**layout)
    found = {"pixels": ("images", opened.open_image), "truth": ("truth", opened.open_label)}
    return {name: call for name, (need, call) in found.items() if need in needs}
