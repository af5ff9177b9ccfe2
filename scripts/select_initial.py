"""Cycle 001, shared by all strategies of a run, budget and seed."""

from collections.abc import Sequence
from typing import Any

from al.cluster.job import run
from al.io.tables import read_pool, write_regions
from al.layouts import get_layout
from al.strategies.budget import Budget
from al.strategies.centres import centres_from
from al.strategies.choose import Query, choose
from al.strategies.validation import in_parts, with_validation

STARTS = {
    "random": {"images": "random", "regions": "random", "spread": 1},
    "nnactive": {"pool": "nnactive_start"},
}


def select_initial(
    pool: str,
    initial: str,
    layout: dict[str, Any],
    task: str,
    background: int | None,
    region: Sequence[int],
    patch: Sequence[int] | None,
    footprint: str,
    centres: dict[str, float] | None,
    budget: str,
    seed: int,
    regions: str,
    history: str,
    validation_images: int = 0,
) -> None:
    """Write the regions of the first cycle; of so many validation images as well."""
    query = Query(
        rows=read_pool(pool, "train"),
        history=[],
        definition=STARTS[initial],
        budget=Budget.parse(budget, region, patch, footprint),
        task=task,
        classes=layout["classes"],
        background=background,
        seed=seed,
        cycle=1,
        centres=centres_from(layout, centres),
        **({"truth": get_layout(**layout).open_label} if initial == "nnactive" else {}),
    )
    if validation_images:
        query = with_validation(query, read_pool(pool, "val"), validation_images)
    choices = [choice for _, choice in in_parts(choose, query)]
    rows = [row for choice in choices for row in choice.rows]
    print("\n".join([*(line for c in choices for line in c.reports), f"{len(rows)} regions"]))
    write_regions(regions, rows)
    write_regions(history, rows)


if __name__ == "__main__":
    run(snakemake, select_initial)  # noqa: F821
