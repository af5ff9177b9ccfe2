"""Propose the candidates of a strategy that chooses by features."""

from al.cluster.job import run
from al.io.tables import write_regions
from al.strategies.choose import propose
from al.strategies.files import query_of
from al.strategies.query import Query
from al.strategies.validation import in_parts


def propose_regions(query: Query, candidates: str) -> None:
    """Write the candidates and tell what was short."""
    choices = [choice for _, choice in in_parts(propose, query)]
    rows = [row for choice in choices for row in choice.rows]
    print("\n".join([*(line for c in choices for line in c.reports), f"{len(rows)} candidates"]))
    write_regions(candidates, rows)


if __name__ == "__main__":
    run(snakemake, propose_regions, keep=True, query=query_of)  # noqa: F821
