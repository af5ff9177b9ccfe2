"""Train a model on what has been revealed."""

from pathlib import Path
from typing import Any

from glue.files import write_json
from glue.kept import forget_earlier
from glue.logs import log_to
from glue.tables import read_labels, read_pool
from launching.submissions import cycles_per_submission
from layouts import get_layout
from learners import FitJob, get_learner


def train(
    pool: str,
    labels: str,
    previous: str | None,
    learner: str,
    layout: dict[str, Any],
    task: str,
    settings: dict[str, Any],
    steps: int,
    seed: int,
    model: str,
    work: str,
    stats: str,
) -> None:
    """Fit the learner, or resume it, and write its statistics."""
    job = FitJob(
        layout=get_layout(**layout),
        rows={row.key: row for row in read_pool(pool, "train")},
        labels=read_labels(labels),
        out=Path(model),
        work=Path(work),
        seed=seed,
        steps=steps,
        settings=settings,
        classes=layout["classes"],
        task=task,
        previous=Path(previous) if previous else None,
    )
    write_json(stats, get_learner(learner).fit(job))


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    p = smk.params
    if smk.wildcards.get("cycle"):
        held = {key: int(smk.config[key]) for key in ("chain", "shards")}
        forget_earlier(p.work, int(smk.wildcards.cycle), cycles_per_submission(held))
    train(
        smk.input.pool,
        smk.input.labels,
        smk.input.get("previous"),
        p.learner,
        p.layout,
        p.task,
        p.settings,
        p.steps,
        int(smk.wildcards.seed),
        smk.output.model,
        p.work,
        smk.output.stats,
    )
