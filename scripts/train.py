"""Train a model on what has been revealed."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from al.cluster.job import log_to
from al.cluster.kept import forget_earlier
from al.cluster.submissions import cycles_per_submission
from al.config.settings import job_settings
from al.io.files import read_json, write_json
from al.io.labels import UNKNOWN, read_label
from al.io.tables import LabelRow, PoolRow, RegionRow, read_labels, read_pool, read_regions
from al.layouts import Layout, get_layout
from al.learners import FitJob, Scorer, describe_learner, get_learner
from al.learners.holdout import hold_out
from al.learners.steps import steps_for
from al.scoring.scores import score_images
from decomp_core import Region


def scorer(layout: Layout, rows: Sequence[PoolRow], classes: Sequence[str]) -> Scorer:
    """Return a function that scores predictions of images, and shows none of their labels."""

    def score(segment: Callable[[PoolRow], np.ndarray]) -> float:
        pairs = ((layout.open_label(row), segment(row)) for row in rows)
        return score_images(pairs, classes)["score"]

    return score


def has_labels(labels: Sequence[LabelRow]) -> Callable[[str, Region], bool]:
    """Return a function that says whether a region of an image has a labelled pixel."""
    paths = {row.image: row.path for row in labels}
    opened = lru_cache(maxsize=8)(read_label)

    def known(image: str, region: Region) -> bool:
        return bool((opened(paths[image])[region.slices] != UNKNOWN).any())

    return known


def _by_split(
    labels: Sequence[LabelRow], rows: Mapping[str, PoolRow]
) -> tuple[list[LabelRow], list[LabelRow]]:
    """Return the labels of training and those of validation images."""
    parts: dict[str, list[LabelRow]] = {"train": [], "val": []}
    splits = {row.image: row.split for row in rows.values()}
    for label in labels:
        parts[splits[label.image]].append(label)
    return parts["train"], parts["val"]


def _of_training(regions: Sequence[RegionRow], rows: Mapping[str, PoolRow]) -> list[RegionRow]:
    training = {row.image for row in rows.values() if row.split == "train"}
    return [region for region in regions if region.image in training]


def train(
    pool: str,
    labels: str,
    previous: str | None,
    learner: str,
    layout: dict[str, Any],
    task: str,
    settings: dict[str, Any],
    steps: int | dict[str, int],
    seed: int,
    model: str,
    work: str,
    stats: str,
    history: str | None = None,
    prepared: str | None = None,
    before: str | None = None,
    splits: Sequence[str] = ("train",),
) -> None:
    """Fit the learner, or resume it, and write its statistics.

    ``splits``: those whose images are annotated.
    """
    opened, classes = get_layout(**layout), layout["classes"]
    rows = {row.key: row for row in read_pool(pool, *splits)}
    revealed, steering_labels = _by_split(read_labels(labels), rows)
    asked = describe_learner(learner).of(settings, task)
    validation, share = asked.early_stopping()
    regions = _of_training(read_regions(history), rows) if history else None
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
        validation=steering_labels,
        **steering,
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
        job_settings(p.settings, smk.config),
        p.steps,
        int(smk.wildcards.seed),
        smk.output.model,
        p.work,
        smk.output.stats,
        smk.input.get("history"),
        smk.input.get("prepared"),
        smk.input.get("before"),
        p.get("annotated", ["train"]),
    )
