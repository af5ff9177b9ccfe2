"""Build one part of the graphs that a learner is trained on, once per dataset."""

from pathlib import Path
from typing import Any

from al.cluster.job import log_to
from al.learners import get_learner
from prepare_learner import rows_of, settings_of


def build(
    data_root: str,
    layout: dict[str, Any],
    learner: str,
    settings: dict[str, Any],
    part: int,
    folder: Path,
) -> None:
    """Make the graphs of every n-th RoI, from the ``part``-th on (1-based), of n parts."""
    opened, rows = rows_of(data_root, layout)
    get_learner(learner).prepare_part(opened, rows, part, folder, settings, layout["classes"])


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    folder = Path(smk.output.part).parents[1]
    part = int(smk.wildcards.part)
    build(p.data_root, p.layout, p.learner, settings_of(smk), part, folder)
