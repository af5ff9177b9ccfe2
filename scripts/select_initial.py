"""Cycle 001, shared by all strategies of a run, budget and seed."""

from typing import Any

from glue.logs import log_to
from glue.tables import read_pool, write_regions
from layouts import get_layout
from strategies.budget import Budget
from strategies.centres import centres_from
from strategies.choose import Query, choose

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
    budget: Budget,
    centres: dict[str, float] | None,
    seed: int,
    regions: str,
    history: str,
) -> None:
    """Write the regions of the first cycle."""
    query = Query(
        rows=read_pool(pool, "train"),
        history=[],
        definition=STARTS[initial],
        budget=budget,
        task=task,
        classes=layout["classes"],
        background=background,
        seed=seed,
        cycle=1,
        centres=centres_from(layout, centres),
        **({"truth": get_layout(**layout).open_label} if initial == "nnactive" else {}),
    )
    choice = choose(query)
    print("\n".join([*choice.reports, f"{len(choice.rows)} regions"]))
    write_regions(regions, choice.rows)
    write_regions(history, choice.rows)


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    select_initial(
        smk.input.pool,
        p.initial,
        p.layout,
        p.task,
        p.background,
        Budget.parse(smk.wildcards.budget, p.region, p.patch, p.footprint),
        p.centres,
        int(smk.wildcards.seed),
        smk.output.regions,
        smk.output.history,
    )
