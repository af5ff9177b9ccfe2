"""Build one part of the graphs that a learner is trained on, once per dataset."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.config.prepared import rows_of, settings_of
from al.learners import get_learner


def build_graphs(
    config: dict[str, Any],
    layout: dict[str, Any],
    learner: str,
    settings: dict[str, Any],
    part: int,
    graphs: str,
) -> None:
    """Make the graphs of every n-th RoI, from the ``part``-th on (1-based), of n parts."""
    opened, rows = rows_of(config, layout)
    folder = Path(graphs).parents[1]
    get_learner(learner).prepare_part(opened, rows, part, folder, settings, layout["classes"])


if __name__ == "__main__":
    run(snakemake, build_graphs, settings=settings_of)  # noqa: F821
