"""What the adapter of a training hands to a learner, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

import train
from al.generators import generate
from al.io.pool import assign_splits
from al.io.tables import LabelRow, write_labels, write_pool
from al.layouts import get_layout
from al.learners import FitJob

CODES = ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]


@pytest.mark.parametrize("annotated", [("train",), ("train", "val")])
def test_nothing_of_the_test_split_reaches_a_training(
    annotated: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published code chose among checkpoints by their test score: here none sees it."""
    generate("bracs_mini", tmp_path / "data", 0, train=2, val=1, test=2)
    layout = {"name": "bracs", "options": {}, "classes": CODES}
    opened = get_layout(**layout)
    rows = assign_splits(opened.index(tmp_path / "data"), None, 0)
    write_pool(tmp_path / "pool.csv", rows)
    shown = [row for row in rows if row.split in annotated]
    labels = [LabelRow(row.image, row.roi, "", opened.open_label(row)) for row in shown]
    write_labels(tmp_path / "labels.csv", labels)
    jobs: list[FitJob] = []
    learner = type("L", (), {"fit": staticmethod(lambda job: jobs.append(job) or {})})
    monkeypatch.setattr(train, "get_learner", lambda name: learner)
    monkeypatch.chdir(tmp_path)
    section = {"validation": "revealed" if "val" in annotated else "none"}
    place = "results/run/2x3/decomp/seed-0/cycle-002"
    train.train(
        pool="pool.csv", labels="labels.csv", learner="hact", layout=layout, task="roi",
        settings=section, steps=3, seed=0, model=f"{place}/model", stats=f"{place}/training.json",
        config={"chain": 1, "shards": 1}, annotated=annotated,
    )  # fmt: skip
    (job,) = jobs
    splits = {row.key: row.split for row in rows}
    assert {splits[key] for key in job.rows} == set(annotated)
    of_image = {row.image: row.split for row in rows}
    assert {of_image[label.image] for label in job.labels} == {"train"}
    assert {of_image[label.image] for label in job.validation} == set(annotated) - {"train"}
    assert job.score is None
