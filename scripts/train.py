"""Train a model on what has been revealed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.cluster.kept import forget_earlier
from al.cluster.submissions import cycles_per_submission
from al.config.settings import job_settings
from al.io.files import read_json, write_json
from al.io.tables import read_labels, read_pool, read_regions
from al.layouts import get_layout
from al.learners import FitJob, describe_learner, get_learner
from al.learners.holdout import has_labels, hold_out, scorer
from al.learners.steps import steps_for
from al.paths import Place, mirrored


def train(
    pool: str,
    labels: str,
    learner: str,
    layout: dict[str, Any],
    task: str,
    settings: dict[str, Any],
    steps: int | dict[str, int],
    seed: int,
    model: str,
    stats: str,
    config: Mapping[str, Any],
    previous: str | None = None,
    history: str | None = None,
    prepared: str | None = None,
    before: str | None = None,
    annotated: Sequence[str] = ("train",),
) -> None:
    """Fit the learner, or resume it, and write its statistics.

    ``annotated``: splits whose images are annotated.
    """
    work, place = mirrored(model, "work"), Place.parse(model)
    if place is not None and not place.is_reference:
        chain = cycles_per_submission({key: int(config[key]) for key in ("chain", "shards")})
        forget_earlier(work, place.cycle, chain)
    opened, classes = get_layout(**layout), layout["classes"]
    rows = {row.key: row for row in read_pool(pool, *annotated)}
    learnt_from = {row.image for row in rows.values() if row.split == "train"}
    known = read_labels(labels)
    revealed = [label for label in known if label.image in learnt_from]
    asked = describe_learner(learner).of(settings, task)
    validation, share = asked.early_stopping()
    regions = None
    if history:
        regions = [region for region in read_regions(history) if region.image in learnt_from]
    steering: dict[str, Any] = {}
    if validation == "clean":
        steering["held_out"] = hold_out(regions, revealed, rows, share, has_labels(revealed))
    elif validation == "paper":
        steering["score"] = scorer(opened, read_pool(pool, "test"), classes)
    job = FitJob(
        layout=opened,
        rows=rows,
        labels=revealed,
        out=Path(model),
        work=Path(work),
        seed=seed,
        steps=steps_for(steps, None if regions is None else len(regions), asked.regions_per_step()),
        settings=settings,
        classes=classes,
        task=task,
        previous=Path(previous) if previous else None,
        prepared=Path(prepared).parent if prepared else None,
        before=read_json(before) if before else None,
        validation=[label for label in known if label.image not in learnt_from],
        **steering,
    )
    write_json(stats, get_learner(learner).fit(job))


if __name__ == "__main__":
    run(snakemake, train, settings=job_settings)  # noqa: F821
