"""Prepare data for a learner once per dataset, such as preprocessed volumes."""

from pathlib import Path
from typing import Any

from glue.logs import log_to
from layouts import get_layout
from learners import get_learner
from settings import job_settings


def prepare(
    data_root: str, layout: dict[str, Any], learner: str, settings: dict[str, Any], plans: str
) -> None:
    """Fill the folder of ``plans`` with what the learner makes of all images of a dataset."""
    opened = get_layout(**layout)
    rows = sorted(opened.index(Path(data_root)), key=lambda r: (r.image, r.roi))
    get_learner(learner).prepare(opened, rows, Path(plans).parent, settings, layout["classes"])


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    settings = job_settings(p.settings, smk.config)
    if settings.get("workers") is None:
        settings["workers"] = smk.threads
    prepare(p.data_root, p.layout, p.learner, settings, smk.output.plans)
