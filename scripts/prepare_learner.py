"""Prepare data for a learner once per dataset, such as preprocessed volumes."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.config.prepared import rows_of, settings_of
from al.learners import get_learner


def prepare_learner(
    config: dict[str, Any],
    layout: dict[str, Any],
    learner: str,
    settings: dict[str, Any],
    plans: str,
) -> None:
    """Fill the folder of ``plans`` with what the learner makes of all images of a dataset."""
    opened, rows = rows_of(config, layout)
    get_learner(learner).prepare(opened, rows, Path(plans).parent, settings, layout["classes"])


if __name__ == "__main__":
    run(snakemake, prepare_learner, settings=settings_of)  # noqa: F821
