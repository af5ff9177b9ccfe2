"""A query from the files of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from al.io.images_csv import read_statistics
from al.io.records import read_records
from al.io.tables import read_pool, read_regions

from .batch import read_candidates
from .budget import Budget
from .centres import centres_from
from .definitions import needs_of
from .query import Query
from .validation import with_validation


def query_of_job(job: Any) -> Query:
    """Read the query of a Snakemake script job; see ``query_of``."""
    w, files = job.wildcards, dict(job.input.items())
    return query_of(files, job.params.science, w.budget, int(w.seed), int(w.cycle), job.threads)


def query_of(
    files: Mapping[str, Any],
    science: Mapping[str, Any],
    budget: str,
    seed: int,
    cycle: int,
    threads: int = 1,
) -> Query:
    """Read what a strategy declared a need of, and nothing else.

    Where validation images are annotated too, ``validation`` asks about these.

    Args:
        files: ``pool``, ``history`` and, where they are needed, ``images``, ``predictions`` (list),
            ``candidates``, ``features`` and ``patches`` (list).
        science: ``definition``, ``layout``, ``task``, ``region``, ``patch``, ``footprint``,
            ``background``, ``centres``, ``thresholds``, and where validation images are annotated
            ``validation_images``, their number.
        budget: such as ``5x15``.
        seed, cycle: of the job.
        threads: that read and search several images at once.
    """
    definition, layout = science["definition"], science["layout"]
    needs = needs_of(definition)
    read: dict[str, Any] = {}
    if "statistics" in needs:
        tau = definition.get("tau", science["thresholds"][-1])
        read["statistics"] = read_statistics(files["images"], layout["classes"], tau)
    if files.get("predictions"):
        read["records"] = lambda images: read_records(files["predictions"], images, threads=threads)
    if files.get("features"):
        rows = read_regions(files["candidates"])
        read["candidates"] = read_candidates(rows, files["features"], definition)
    if "patches" in needs and files.get("patches"):
        read["patches"] = [row for path in files["patches"] for row in read_regions(path)]
    if "truth" in needs:
        from al.layouts import get_layout

        read["truth"] = get_layout(**layout).open_label
    query = Query(
        rows=read_pool(files["pool"], "train"),
        history=read_regions(files["history"]),
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
    if images := science.get("validation_images"):
        return with_validation(query, read_pool(files["pool"], "val"), images)
    return query
