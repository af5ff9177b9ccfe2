"""The other two tasks through the workflow: volumes with slice windows, and RoIs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from al.generators import generate
from al.io.labels import UNKNOWN, read_label
from al.io.tables import read_labels, read_pool, read_regions
from al.layouts import get_layout
from decomp_core import disc

from .conftest import TINY, Run

SIZES = {
    "cityscapes_mini": {"train": 5, "val": 2, "height": 64, "width": 96},
    "kits23_mini": {"cases": 4},
    "bracs_mini": {"train": 4, "val": 1, "test": 2},
}
CHANGES = {
    "cityscapes_mini": {"convnet": "{width: 4, depth: 2}"},
    "kits23_mini": {"convnet": "{width: 4, depth: 2}"},
    "bracs_mini": {"convnet": "{width: 4, depth: 2, input_size: [32, 32]}"},
}


def make_run(dataset: str, folder: Path) -> Run:
    """Return a run of two cycles on a small generated dataset."""
    generate(dataset, folder / "data", 0, **SIZES[dataset])
    settings = {**TINY, **CHANGES[dataset], "dataset": dataset, "cycles": "2", "steps": "3"}
    run = Run(folder / "run", {**settings, "data_root": str(folder / "data")})
    run.folder.mkdir()
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "kind"), [("kits23_mini", "slice_window"), ("bracs_mini", "roi")]
)
def test_every_strategy_runs_on_the_task(dataset: str, kind: str, tmp_path: Path) -> None:
    run = make_run(dataset, tmp_path)
    strategies = ["decomp", "uncertainty", "random", "badge", "cluster", "uncertainty_pool"]
    run.run("--cores", "2", strategies=",".join(strategies), references="full_same_steps")
    results = run.folder / "results/tiny"
    for name in ("reach.md", "selection.md", "regions-2x3.png"):
        assert (results / "report" / name).exists()
    pool = {r.image: r for r in read_pool(results / "pools/seed-0.csv", "train")}
    for strategy in strategies:
        regions = read_regions(results / f"2x3/{strategy}/seed-0/cycle-002/regions.csv")
        assert {r.kind for r in regions} == {kind}
        if strategy != "uncertainty_pool":
            assert len({r.image for r in regions}) == 2
        for region in regions:
            row = pool[region.image]
            if row.axis is not None:
                assert region.region.size[row.axis] == 1


@pytest.mark.slow
def test_patches_are_revealed_and_trained_on(tmp_path: Path) -> None:
    """3-D patches from the first cycle on, an ensemble, and two shards against one."""
    changes = {"patch": "3x6x7", "initial": "nnactive", "budget": "2x9", "region": "6x7"}
    settings = {"strategies": "clasp_pe,bald,random_fg66,decomp", **changes}
    runs = []
    for shards in ("1", "2"):
        run = make_run("kits23_mini", tmp_path / shards)
        convnet = "{width: 4, depth: 2, members: 2, threads: 1}"
        run.run("--cores", "2", convnet=convnet, shards=shards, **settings)
        runs.append(run)
    regions = [run.files("tiny/2x9/*/seed-0/*/regions.csv") for run in runs]
    assert regions[0] == regions[1] and len(regions[0]) == 5
    results = runs[0].folder / "results/tiny/2x9"
    for strategy in ("clasp_pe", "bald", "random_fg66"):
        history = read_regions(results / f"{strategy}/seed-0/cycle-002/history.csv")
        assert {(r.kind, r.region.size) for r in history} == {("patch", (3, 6, 7))}
        assert len(history) == 2 * 6  # as many voxels as 18 windows
    decomp = read_regions(results / "decomp/seed-0/cycle-002/history.csv")
    assert [r.kind for r in decomp] == ["patch"] * 6 + ["slice_window"] * 18
    models = results / "bald/seed-0/cycle-002/model"
    assert len(list(models.glob("member-*/weights.pt"))) == 2
    metrics = json.loads((results / "bald/seed-0/cycle-002/metrics.json").read_text())
    assert metrics["costs"]["regions"] == 12


@pytest.mark.slow
def test_nested_classes_are_trained_decoded_and_chosen_from(tmp_path: Path) -> None:
    run = make_run("kits23_mini", tmp_path)
    nested = "nested: [[1, 2, 3], [2, 3], [2]], nested_order: [1, 3, 2]"
    settings = {
        "convnet": "{width: 4, depth: 2, " + nested + "}",
        "uncertainty": "least_confidence",
    }
    run.run("--cores", "2", strategies="decomp,uncertainty,cluster", **settings)
    results = run.folder / "results/tiny/2x3"
    for strategy in ("decomp", "uncertainty", "cluster"):
        metrics = json.loads((results / f"{strategy}/seed-0/cycle-002/metrics.json").read_text())
        assert set(metrics["per_class"]) == {"kidney and masses", "masses", "tumour"}
        assert metrics["costs"]["regions"] == 12
    printed = run.run("-n", fails=True, strategies="clasp_pe", run="other", **settings)
    assert "needs class probabilities that sum to 1" in printed and "Traceback" not in printed


@pytest.mark.slow
def test_discs_are_chosen_and_revealed(tmp_path: Path) -> None:
    run = make_run("cityscapes_mini", tmp_path)
    run.run("--cores", "2", strategies="decomp", footprint="disc", region="9x9")
    folder = run.folder / "results/tiny/2x3/decomp/seed-0/cycle-002"
    shown = [read_label(row.path) for row in read_labels(folder / "labels.csv")]
    revealed = sum(int((s != UNKNOWN).sum()) for s in shown)
    assert 0 < revealed <= 12 * disc(9).sum() < 12 * 81


@pytest.mark.slow
def test_strategies_of_streets(tmp_path: Path) -> None:
    run = make_run("cityscapes_mini", tmp_path)
    run.run("--cores", "2", strategies="spatial,spatial_features,decomp_sparse,power_pe")
    folder = run.folder / "results/tiny/2x3"
    for strategy in ("spatial", "spatial_features", "decomp_sparse", "power_pe"):
        regions = read_regions(folder / f"{strategy}/seed-0/cycle-002/regions.csv")
        assert len(regions) == 6 and {r.kind for r in regions} == {"window"}
    sparse = read_regions(folder / "decomp_sparse/seed-0/cycle-002/regions.csv")
    assert len({r.image for r in sparse}) == 4


@pytest.mark.slow
def test_regions_on_another_grid_are_scored_on_the_files_own(tmp_path: Path) -> None:
    """What is revealed lies on the annotator's grid and equals the truth there."""
    run = make_run("kits23_mini", tmp_path)
    options = "{grid: [12, 8]}"
    run.run("--cores", "2", strategies="decomp", layout_options=options, region="5x6")
    results = run.folder / "results/tiny"
    layout = get_layout("kits23", {"grid": [12, 8]}, ["background", "kidney", "tumour", "cyst"])
    pool = {row.image: row for row in read_pool(results / "pool.csv")}
    folder = results / "2x3/decomp/seed-0/cycle-002"
    regions = read_regions(folder / "history.csv")
    shown = {row.image: read_label(row.path) for row in read_labels(folder / "labels.csv")}
    for image, label in shown.items():
        row, revealed = pool[image], np.zeros(pool[image].shape, bool)
        assert layout.open_scored_label(row).shape != row.shape == label.shape
        for region in regions:
            if region.image == image:
                assert region.region.size[row.axis] == 1
                revealed[region.region.slices] = True
        expected = np.where(revealed, layout.open_label(row), UNKNOWN)
        np.testing.assert_array_equal(label, expected)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["score"] <= 1
    assert "mean surface Dice" in metrics["secondary"]
