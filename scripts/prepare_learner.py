"""Prepare data for a learner once per dataset, such as preprocessed volumes."""

from pathlib import Path
from typing import Any

from al.cluster.job import log_to
from al.config.settings import job_settings
from al.io.tables import PoolRow
from al.layouts import Layout, get_layout
from al.learners import get_learner


def rows_of(data_root: str, layout: dict[str, Any]) -> tuple[Layout, list[PoolRow]]:
    """Return the layout and all rows of a dataset, sorted by key."""
    opened = get_layout(**layout)
    return opened, sorted(opened.index(Path(data_root)), key=lambda r: (r.image, r.roi))


def settings_of(smk: Any) -> dict[str, Any]:
    """Return the learner's settings in a job; as many workers as threads where none are asked."""
    settings = job_settings(smk.params.settings, smk.config)
    if settings.get("workers") is None:
        settings["workers"] = smk.threads
    return settings


def prepare(
    data_root: str, layout: dict[str, Any], learner: str, settings: dict[str, Any], plans: str
) -> None:
    """Fill the folder of ``plans`` with what the learner makes of all images of a dataset."""
    opened, rows = rows_of(data_root, layout)
    get_learner(learner).prepare(opened, rows, Path(plans).parent, settings, layout["classes"])


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    prepare(p.data_root, p.layout, p.learner, settings_of(smk), smk.output.plans)
