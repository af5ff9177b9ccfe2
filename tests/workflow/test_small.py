"""The other two tasks through the workflow: volumes with slice windows, and RoIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from generators import generate
from glue.tables import read_pool, read_regions

from .conftest import TINY, Run

SIZES = {
    "kits23_mini": {"cases": 4},
    "bracs_mini": {"train": 4, "val": 1, "test": 2},
}
CHANGES = {
    "kits23_mini": {"convnet": "{width: 4, depth: 2}"},
    "bracs_mini": {"convnet": "{width: 4, depth: 2, input_size: [32, 32]}"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "kind"), [("kits23_mini", "slice_window"), ("bracs_mini", "roi")]
)
def test_every_strategy_runs_on_the_task(dataset: str, kind: str, tmp_path: Path) -> None:
    generate(dataset, tmp_path / "data", 0, **SIZES[dataset])
    settings = {**TINY, **CHANGES[dataset], "dataset": dataset, "cycles": "2"}
    run = Run(tmp_path / "run", {**settings, "data_root": str(tmp_path / "data"), "steps": "3"})
    run.folder.mkdir()
    run.run("--cores", "2", strategies="decomp,uncertainty,random", references="full_same_steps")
    results = run.folder / "results/tiny"
    assert (results / "report/reach.md").exists() and (results / "report/regions-2x3.png").exists()
    pool = {r.image: r for r in read_pool(results / "pools/seed-0.csv", "train")}
    for strategy in ("decomp", "uncertainty", "random"):
        regions = read_regions(results / f"2x3/{strategy}/seed-0/cycle-002/regions.csv")
        assert {r.kind for r in regions} == {kind}
        assert len({r.image for r in regions}) == 2
        for region in regions:
            row = pool[region.image]
            if row.axis is not None:
                assert region.region.size[row.axis] == 1
