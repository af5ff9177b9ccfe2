"""Every task through the workflow with the embedded learners, each kind of strategy once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from al.generators import generate
from al.io.labels import UNKNOWN, read_label
from al.io.tables import read_labels, read_pool, read_regions
from al.layouts import get_layout

from .conftest import TINY, Run

pytestmark = pytest.mark.slow

SIZES = {
    "cityscapes_mini": {"train": 5, "val": 2, "height": 64, "width": 96},
    "kits23_mini": {"cases": 4},
    "bracs_mini": {"train": 4, "val": 1, "test": 2},
}
CONVNET = "width: 4, depth: 2"
CYCLE = "2x3/{}/seed-0/cycle-002"


def make_run(dataset: str, folder: Path, **changes: str) -> Run:
    """Return a run of two cycles on a small generated dataset."""
    generate(dataset, folder / "data", 0, **SIZES[dataset])
    settings = {**TINY, "dataset": dataset, "cycles": "2", "steps": "3"}
    settings |= {"convnet": f"{{{CONVNET}}}", "data_root": str(folder / "data"), **changes}
    run = Run(folder / "run", settings)
    run.folder.mkdir()
    return run


def test_rois(tmp_path: Path) -> None:
    run = make_run(
        "bracs_mini",
        tmp_path,
        strategies="decomp,badge,uncertainty_pool",
        convnet=f"{{{CONVNET}, input_size: [32, 32]}}",
    )
    strategies = ("decomp", "badge", "uncertainty_pool")
    targets = [f"results/tiny/{CYCLE.format(strategy)}/regions.csv" for strategy in strategies]
    scored = f"results/tiny/{CYCLE.format('decomp')}/metrics.json"
    run.run("--cores", "2", *targets, scored)
    results = run.folder / "results/tiny"
    assert 0 <= json.loads((run.folder / scored).read_text())["score"] <= 1
    for strategy in strategies:
        regions = read_regions(results / CYCLE.format(strategy) / "regions.csv")
        assert {r.kind for r in regions} == {"roi"}
        if strategy != "uncertainty_pool":
            assert len({r.image for r in regions}) == 2


def test_nested_classes_on_another_grid_with_steps_that_grow(tmp_path: Path) -> None:
    """What is revealed lies on the annotator's grid and equals the truth there."""
    nested = "nested: [[1, 2, 3], [2, 3], [2]], nested_order: [1, 3, 2]"
    run = make_run(
        "kits23_mini",
        tmp_path,
        strategies="decomp",
        references="full_same_steps",
        convnet=f"{{{CONVNET}, {nested}}}",
        uncertainty="least_confidence",
        initial="diverse",
        layout_options="{grid: [12, 8]}",
        region="5x6",
        steps="{convnet: {per_region: 1, most: 9}}",
    )
    run.run("--cores", "2", "results/tiny/curves.csv")
    results = run.folder / "results/tiny"
    place = CYCLE.format("decomp")
    steps = {"2x3/initial/seed-0/cycle-001": 6, "references/full_same_steps/seed-0": 9}
    for trained, expected in {**steps, place: 9}.items():
        assert json.loads((results / trained / "training.json").read_text())["steps"] == expected
    metrics = json.loads((results / place / "metrics.json").read_text())
    assert set(metrics["per_class"]) == {"kidney and masses", "masses", "tumour"}
    assert metrics["costs"]["regions"] == 12 and 0 <= metrics["score"] <= 1
    assert "mean surface Dice" in metrics["secondary"]
    assert {r.kind for r in read_regions(results / place / "regions.csv")} == {"slice_window"}
    check_revealed(results, place)
    assert "Nothing to be done" in run.run("-n", "results/tiny/curves.csv")


def check_revealed(results: Path, cycle: str) -> None:
    layout = get_layout("kits23", {"grid": [12, 8]}, ["background", "kidney", "tumour", "cyst"])
    pool = {row.image: row for row in read_pool(results / "pool.csv")}
    regions = read_regions(results / cycle / "history.csv")
    labels = read_labels(results / cycle / "labels.csv")
    assert {row.image for row in labels} == {region.image for region in regions}
    for label in labels:
        row, shown = pool[label.image], read_label(label.path)
        revealed = np.zeros(row.shape, bool)
        assert layout.open_scored_label(row).shape != row.shape == shown.shape
        for region in regions:
            if region.image == row.image:
                assert region.region.size[row.axis] == 1
                revealed[region.region.slices] = True
        np.testing.assert_array_equal(shown, np.where(revealed, layout.open_label(row), UNKNOWN))


def test_patches_are_revealed_and_trained_on(tmp_path: Path) -> None:
    """3-D patches from the first cycle on, an ensemble, two shards; windows may follow them."""
    pixels = "{members: 2, scales: 1}"
    patches = {"patch": "3x6x7", "initial": "nnactive", "budget": "2x9", "region": "6x7"}
    run = make_run("kits23_mini", tmp_path, learner="pixels", pixels=pixels, shards="2", **patches)
    kinds = {"clasp_pe": "patch", "bald": "patch", "random_fg66": "patch", "decomp": "slice_window"}
    cycle = "results/tiny/2x9/{}/seed-0/cycle-002"
    scored = run.folder / cycle.format("clasp_pe")
    targets = [cycle.format(strategy) + "/history.csv" for strategy in kinds]
    run.run("--cores", "2", *targets, cycle.format("clasp_pe") + "/metrics.json",
            strategies=",".join(kinds))  # fmt: skip
    for target, kind in zip(targets, kinds.values(), strict=True):
        history = read_regions(run.folder / target)
        first = [r for r in history if r.cycle == 1]
        assert {(r.kind, r.region.size) for r in first} == {("patch", (3, 6, 7))}
        assert {r.kind for r in history if r.cycle == 2} == {kind}
        assert len(first) == 6  # as many voxels as 9 windows
        assert kind != "patch" or len(history) == 12
    assert json.loads((scored / "metrics.json").read_text())["costs"]["regions"] == 12
    assert len(list((scored / "model").glob("member-*/weights.pt"))) == 2
