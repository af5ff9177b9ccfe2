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

    def planned(**changes: str) -> str:
        return run.run("-n", "results/other/pool.csv", **{"run": "other", **changes})

    assert "rule generate_data" not in planned()
    assert "output: data/cityscapes_mini-height32-train3-val1-width48/" in planned(
        generate="{train: 3, val: 1, height: 32, width: 48}"
    )
    del run.settings["generate"]
    assert "output: data/cityscapes_mini/.complete" in planned()
    refused = run.run("-n", fails=True, generate="{heigth: 32}")
    assert "generate.heigth: no size of cityscapes_mini; did you mean 'height'?" in refused
