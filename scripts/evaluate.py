"""Score a model on the test split and add up what its labels cost."""

from pathlib import Path
from typing import Any

import numpy as np

from al.cluster.job import run
from al.config.settings import job_settings
from al.io.files import read_json
from al.io.tables import PoolRow, RegionRow, read_labels, read_pool, read_regions
from al.layouts import get_layout
from al.learners import get_learner
from al.scoring.cases import cases_of, write_metrics
from al.scoring.costs import annotation_costs
from al.scoring.examples import Examples
from al.scoring.scores import groups_of, score_images, score_rois, score_volumes


def score_model(
    model: str,
    rows: list[PoolRow],
    learner: str,
    layout: dict[str, Any],
    science: dict[str, Any],
    examples: Examples | None = None,
) -> dict[str, Any]:
    """Return score, score_name, per_class, secondary scores and the cases of ``rows``.

    ``examples`` looks on.
    """
    opened, classes = get_layout(**layout), layout["classes"]
    trained = get_learner(learner).open(Path(model), opened, science["settings"])
    seen = examples or Examples(opened, classes, science["background"])
    names = [(row.key, row.group or row.image) for row in rows]
    if science["task"] == "roi":
        truth = np.array([opened.open_label(row) for row in rows])
        probabilities = trained.classify(rows)
        seen.classified(rows, truth, probabilities)
        return score_rois(truth, probabilities.argmax(1), classes, names)
    full = science["task"] == "3d" and trained.segments_full
    found = ((row, trained.segment(row, full)) for row in rows)
    if science["task"] == "2d":
        pairs = ((opened.open_label(r), labels) for r, labels in found)
        return score_images(seen.watch(rows, pairs), classes, names)
    pairs = (
        (opened.open_scored_label(r), labels if full else opened.to_scored(r, labels))
        for r, labels in found
    )
    groups = groups_of(science["groups"], classes, science["background"])
    # Not a key of runs without: a parameter more would make all their evaluations anew.
    tolerances = science.get("surface_tolerances")
    spacings = map(opened.spacing, rows) if tolerances else None
    return score_volumes(seen.watch(rows, pairs), groups, tolerances, spacings, names)


def in_job(science: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return what is scored, with the learner's settings as a job has them."""
    return {**science, "settings": job_settings(science["settings"], config)}


def evaluate(
    pool: str,
    model: str,
    labels: str,
    truth: str,
    stats: str,
    learner: str,
    layout: dict[str, Any],
    science: dict[str, Any],
    about: dict[str, Any],
    metrics: str,
    examples: str,
    history: str | None = None,
) -> None:
    """Write ``metrics.json`` and examples; without a history everything has been annotated."""
    rows = read_pool(pool)
    tested = [r for r in rows if r.split == "test"]
    seen = Examples(get_layout(**layout), layout["classes"], science["background"])
    scores = score_model(model, tested, learner, layout, science, seen)
    seen.write(examples, science["task"], cases_of(scores, metrics))
    regions: list[RegionRow] = read_regions(history) if history else []
    splits = science.get("annotated", ["train"])
    spent = annotation_costs(
        rows, regions, read_labels(labels), truth, layout["classes"], science["background"],
        science["footprint"], splits,
    )  # fmt: skip
    if history is None:
        images = {r.image for r in rows if r.split in splits}
        share = "rois_percent" if science["task"] == "roi" else "area_percent"
        spent["costs"] |= {
            "images": len(images),
            "images_percent": 100.0,
            share: 100.0,
            "regions": 0,
        }
        if "val" in splits:
            spent["costs"]["validation_images"] = len({r.image for r in rows if r.split == "val"})
            spent["costs"]["validation_regions"] = 0
    training = read_json(stats, steps=int, seconds=float)
    trained = {"steps": training["steps"], "train_seconds": training["seconds"]}
    head = {**about, "task": science["task"], "classes": layout["classes"]}
    write_metrics(metrics, {**head, **scores, **spent, **trained})
    print(f"{scores['score_name']} {scores['score']:.4f}")


if __name__ == "__main__":
    run(snakemake, evaluate, keep=True, science=in_job)  # noqa: F821
