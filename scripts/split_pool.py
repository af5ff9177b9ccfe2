"""Give every row of the pool its split, as one seed sees it."""

from typing import Any

from al.cluster.job import log_to
from al.io.pool import assign_splits
from al.io.tables import read_pool, write_pool


def split_pool(pool: str, split: dict[str, Any] | None, seed: int, out: str) -> None:
    """Write the pool with all splits filled in."""
    write_pool(out, assign_splits(read_pool(pool), split, seed))


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    split_pool(smk.input.pool, smk.params.split, int(smk.wildcards.seed), smk.output.pool)
