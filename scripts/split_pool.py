"""Give every row of the pool its split, as one seed sees it."""

from typing import Any

from al.cluster.job import run
from al.io.pool import assign_splits
from al.io.tables import read_pool, write_pool


def split_pool(unsplit: str, split: dict[str, Any] | None, seed: int, pool: str) -> None:
    """Write the pool with all splits filled in."""
    write_pool(pool, assign_splits(read_pool(unsplit), split, seed))


if __name__ == "__main__":
    run(snakemake, split_pool)  # noqa: F821
