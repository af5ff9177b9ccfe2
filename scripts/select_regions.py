"""Choose the regions of a cycle from the predictions of the cycle before."""

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np

from glue.files import atomic_path
from glue.logs import log_to
from glue.records import read_records
from glue.statistics import read_statistics
from glue.tables import read_pool, read_regions, write_regions
from strategies.centres import centres_from
from strategies.choose import Budget, choose, pool_state
from strategies.registry import PoolState


def select_regions(
    pool: str,
    history: str,
    statistics: str,
    predictions: Sequence[str],
    definition: dict[str, Any],
    layout: dict[str, Any],
    task: str,
    budget: Budget,
    centres: dict[str, float] | None,
    seed: int,
    cycle: int,
    out: dict[str, str],
) -> None:
    """Write this cycle's ``regions``, the whole ``history`` and the strategy's image ``scores``."""
    rows, before = read_pool(pool, "train"), read_regions(history)
    known = read_statistics(statistics, layout["classes"], definition["tau"])
    state = pool_state(rows, before, known, task, layout["classes"], budget.window)
    choice, scores = choose(
        state,
        rows,
        before,
        lambda images: read_records(predictions, images),
        definition,
        budget,
        seed,
        cycle,
        centres_from(layout, centres),
    )
    print("\n".join(choice.reports + [f"{len(choice.rows)} regions"]))
    write_regions(out["regions"], choice.rows)
    write_regions(out["history"], before + choice.rows)
    _write_scores(out["scores"], state, scores, {r.image for r in choice.rows})


def _write_scores(path: str, state: PoolState, scores: np.ndarray, chosen: set[str]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "score", "eligible", "openings", "chosen"])
        eligible = state.eligible
        for i, image in enumerate(state.images):
            writer.writerow(
                [image, repr(float(scores[i])), int(eligible[i]), state.openings[i],
                 int(image in chosen)]
            )  # fmt: skip


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    select_regions(
        smk.input.pool,
        smk.input.history,
        smk.input.images,
        smk.input.predictions,
        p.definition,
        p.layout,
        p.task,
        Budget.parse(smk.wildcards.budget, p.region),
        p.centres,
        int(smk.wildcards.seed),
        int(smk.wildcards.cycle),
        {"regions": smk.output.regions, "history": smk.output.history, "scores": smk.output.scores},
    )
