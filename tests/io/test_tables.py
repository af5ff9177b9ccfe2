"""Tables, label files and statistics come back as they were written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from al.io.files import atomic_path, write_text
from al.io.image_statistics import read_statistics, write_statistics
from al.io.labels import read_label, write_label
from al.io.records import Record
from al.io.tables import (
    LabelRow,
    PoolRow,
    RegionRow,
    read_labels,
    read_pool,
    read_regions,
    write_labels,
    write_pool,
    write_regions,
)
from decomp_core import Region


def test_pool_round_trip(tmp_path: Path) -> None:
    rows = [
        PoolRow("a,b", "", "train", "x y.png", "l.png", (4, 5)),
        PoolRow("v", "", "", "v.nii.gz", "s.nii.gz", (3, 4, 5), 2),
        PoolRow("s", "roi 1", "test", "p.png", "t.csv", (27, 27)),
    ]
    write_pool(tmp_path / "pool.csv", rows)
    assert read_pool(tmp_path / "pool.csv") == rows
    assert read_pool(tmp_path / "pool.csv", "test") == rows[2:]
    assert [r.key for r in rows] == ["a,b", "v", "s/roi 1"]


def test_regions_round_trip_exactly(tmp_path: Path) -> None:
    rows = [
        RegionRow.of(2, "a", "window", Region((0, 7), (3, 4), 5, 1 / 3), 0),
        RegionRow.of(2, "v", "slice_window", Region((1, 0, 7), (1, 3, 4)), 1),
        RegionRow(2, "s", "roi", *(None,) * 6, "r", 0, 0.1, 2),
    ]
    write_regions(tmp_path / "regions.csv", rows)
    assert read_regions(tmp_path / "regions.csv") == rows
    assert rows[0].region == Region((0, 7), (3, 4), 5, 1 / 3)
    assert rows[1].region.start == (1, 0, 7)


def test_foreign_columns_are_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "regions.csv", "image,cycle\na,1\n")
    with pytest.raises(ValueError, match="columns are"):
        read_regions(tmp_path / "regions.csv")


def test_label_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    rows = [LabelRow("a", "", "../cycle-001/labels/a.png", None), LabelRow("s", "r", "", 3)]
    (tmp_path / "cycle-002").mkdir()
    write_labels(tmp_path / "cycle-002/labels.csv", rows)
    back = read_labels(tmp_path / "cycle-002/labels.csv")
    assert os.path.normpath(back[0].path) == str(tmp_path / "cycle-001/labels/a.png")
    assert back[1] == rows[1]


@pytest.mark.parametrize(("shape", "suffix"), [((5, 6), ".png"), ((2, 5, 6), ".npz")])
def test_label_round_trip(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    labels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_label(tmp_path / f"a{suffix}", labels)
    np.testing.assert_array_equal(read_label(tmp_path / f"a{suffix}"), labels)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(RuntimeError), atomic_path(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def records() -> list[Record]:
    counts = np.random.default_rng(0).integers(0, 9, (2, 3))
    return [Record("b", 42, counts[0], counts, 0.1 + 0.2), Record("a", 4, counts[1], counts, 0.5)]


def test_statistics_round_trip_and_order(tmp_path: Path) -> None:
    classes = ["sky", "road", "sign, small"]
    write_statistics(tmp_path / "i.csv", records(), classes, (0.5, 0.7))
    back = read_statistics(tmp_path / "i.csv", classes, 0.7)
    assert list(back) == ["a", "b"]
    old = records()[0]
    assert back["b"][0] == 42 and back["b"][3] == 0.1 + 0.2
    np.testing.assert_array_equal(back["b"][1], old.predicted)
    np.testing.assert_array_equal(back["b"][2], old.confident[1])
    with pytest.raises(ValueError, match=r"0\.3"):
        read_statistics(tmp_path / "i.csv", classes, 0.3)
