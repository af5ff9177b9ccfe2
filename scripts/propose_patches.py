"""The best patches of one shard of the pool, from probabilities that never reach the disk."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.config.settings import job_settings
from al.io.tables import write_regions
from al.layouts import get_layout
from al.learners import get_learner
from al.strategies.definitions import needs_of
from al.strategies.files import query_of
from al.strategies.patches import find_patches
from al.strategies.query import Query


def propose_patches(
    query: Query,
    model: str,
    learner: str,
    layout: dict[str, Any],
    settings: dict[str, Any],
    shard: int,
    shards: int,
    patches: str,
) -> None:
    """Write the patches of every ``shards``-th image, from the ``shard``-th on (1-based)."""
    mine = [query.groups[image][0] for image in list(query.groups)[shard - 1 :: shards]]
    disagreement = "ensemble" in needs_of(query.definition)
    trained = get_learner(learner).open(Path(model), get_layout(**layout), settings)
    found = [
        patch
        for row, probabilities, information in trained.probabilities(mine, disagreement)
        for patch in find_patches(query, row, probabilities, information)
    ]
    write_regions(patches, found)
    print(f"{len(found)} patches in {len(mine)} images")


if __name__ == "__main__":
    run(snakemake, propose_patches, keep=True, query=query_of, settings=job_settings)  # noqa: F821
