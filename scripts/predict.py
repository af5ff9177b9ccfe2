"""Predict one shard of the training pool and keep what selection needs of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import log_to
from al.cluster.kept import once
from al.config.settings import job_settings
from al.io.pool import by_image, taken_of
from al.io.records import write_shard
from al.io.tables import read_pool, read_regions
from al.layouts import get_layout
from al.learners import Request, get_learner


def predict(
    pool: str,
    history: str,
    model: str,
    learner: str,
    layout: dict[str, Any],
    settings: dict[str, Any],
    request: Request,
    shard: int,
    shards: int,
    splits: Sequence[str],
    out: str,
    threads: int = 1,
) -> None:
    """Write the records of every ``shards``-th image, from the ``shard``-th on (1-based).

    ``splits``: those whose images are annotated. With more than one of ``threads`` records are
    compressed beside the forward passes.
    """
    groups = by_image(read_pool(pool, *splits))
    mine = list(groups)[shard - 1 :: shards]
    rows = [row for image in mine for row in groups[image]]
    records = get_learner(learner).predict(
        Path(model), get_layout(**layout), rows, taken_of(read_regions(history)), request, settings
    )
    write_shard(out, records, threads)
    print(f"{len(mine)} images predicted")


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    once(
        smk,
        lambda: predict(
            smk.input.pool,
            smk.input.history,
            smk.input.model,
            p.learner,
            p.layout,
            job_settings(p.settings, smk.config),
            Request(frozenset(p.needs), tuple(p.thresholds), p.uncertainty),
            int(smk.wildcards.shard),
            p.shards,
            p.get("annotated", ["train"]),
            smk.output.predictions,
            smk.threads,
        ),
    )
