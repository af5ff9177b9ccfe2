"""Predict one shard of the training pool and keep what selection needs of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import run
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
    needs: Sequence[str],
    thresholds: Sequence[float],
    uncertainty: str,
    shard: int,
    shards: int,
    predictions: str,
    annotated: Sequence[str] = ("train",),
    threads: int = 1,
) -> None:
    """Write the records of every ``shards``-th image, from the ``shard``-th on (1-based).

    ``annotated``: splits whose images are annotated. With more than one of ``threads`` records are
    compressed beside the forward passes.
    """
    request = Request(frozenset(needs), tuple(thresholds), uncertainty)
    groups = by_image(read_pool(pool, *annotated))
    mine = list(groups)[shard - 1 :: shards]
    rows = [row for image in mine for row in groups[image]]
    trained = get_learner(learner).open(Path(model), get_layout(**layout), settings)
    records = trained.predict(rows, taken_of(read_regions(history)), request)
    write_shard(predictions, records, threads)
    print(f"{len(mine)} images predicted")


if __name__ == "__main__":
    run(snakemake, predict, keep=True, settings=job_settings)  # noqa: F821
