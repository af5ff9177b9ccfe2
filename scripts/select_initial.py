"""Cycle 001: random images and regions, shared by all strategies of a run, budget and seed."""

from typing import Any

from glue.logs import log_to
from glue.tables import read_pool, write_regions
from strategies.centres import centres_from
from strategies.choose import Budget, choose, pool_state

RANDOM = {"images": "random", "regions": "random"}


def select_initial(
    pool: str,
    layout: dict[str, Any],
    task: str,
    budget: Budget,
    centres: dict[str, float] | None,
    seed: int,
    regions: str,
    history: str,
) -> None:
    """Write the regions of the first cycle."""
    rows = read_pool(pool, "train")
    state = pool_state(rows, [], None, task, layout["classes"], budget.window)
    choice, _ = choose(
        state, rows, [], None, RANDOM, budget, seed, 1, centres_from(layout, centres)
    )
    print("\n".join(choice.reports + [f"{len(choice.rows)} regions"]))
    write_regions(regions, choice.rows)
    write_regions(history, choice.rows)


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    select_initial(
        smk.input.pool,
        p.layout,
        p.task,
        Budget.parse(smk.wildcards.budget, p.region),
        p.centres,
        int(smk.wildcards.seed),
        smk.output.regions,
        smk.output.history,
    )
