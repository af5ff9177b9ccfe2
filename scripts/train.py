"""Train a model on what has been revealed."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from al.cluster.job import run
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
from al.paths import Place, mirrored
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
    revealed, steering_labels = _by_split(read_labels(labels), rows)
    describe = describe_learner(learner)
    validation, share = describe.validation_of(settings)
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
        steps=steps_for(
            steps, None if regions is None else len(regions), describe.batch_of(settings)
        ),
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
    run(snakemake, train, settings=job_settings)  # noqa: F821
