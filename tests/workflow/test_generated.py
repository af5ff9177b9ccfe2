"""Generated data of other sizes, through the workflow's first rules."""

from __future__ import annotations

from pathlib import Path

from al.io.tables import read_pool

from .conftest import TINY, Run

SMALL = "{train: 2, val: 1, height: 32, width: 48}"
FOLDER = "data/cityscapes_mini-height32-train2-val1-width48"


def test_each_choice_of_sizes_has_its_own_data(tmp_path: Path) -> None:
    run = Run(tmp_path, {**TINY, "generate": SMALL})
    run.run("--cores", "1", "results/tiny/pool.csv")
    rows = read_pool(tmp_path / "results/tiny/pool.csv")
    assert [row.shape for row in rows] == [(32, 48)] * 3
    assert all(row.path.startswith(FOLDER) for row in rows)
    planned = run.run("-n", "results/other/pool.csv", run="other")
    assert "rule generate_data" not in planned
    other = SMALL.replace("train: 2", "train: 3")
    planned = run.run("-n", "results/other/pool.csv", run="other", generate=other)
    assert f"output: {FOLDER.replace('train2', 'train3')}/" in planned
