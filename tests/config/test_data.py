"""Data of a run: told from others, taken on request, recognised where they were moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.config.data import look_at_data
from al.config.prepared import claim, preparation
from al.config.settings import first_root, save_settings
from al.config.start import StartRefused
from al.generators import generate
from al.io.errors import ConfigError, DataError
from al.io.files import read_json, write_json
from al.io.pool import assign_splits
from al.io.tables import FileRow, PoolRow, read_files, read_pool, write_pool
from al.layouts import get_layout
from al.report.answer import changed_data

from .kit import begin, load

LABEL = "gtFine/train/*/*_labelIds.png"
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    generate("cityscapes_mini", root, 0, train=3, val=1, height=32, width=48)
    return root


@pytest.fixture
def start(tmp_path: Path, data: Path) -> Start:
    """Start a run, and make its pool as its jobs do at first."""

    def started(root: Path = data, **changes: Any) -> dict[str, Any]:
        words = {"data_root": str(root), "run": "r", **changes}
        settings = begin(tmp_path / "w", (), **words)
        if not (results := tmp_path / "w/results/r").joinpath("pool.csv").exists():
            rows = get_layout("cityscapes", {}, settings["classes"]).index(root)
            write_pool(results / "pool.csv", rows)
            write_pool(results / "pools/seed-0.csv", assign_splits(rows, None, 0))
        return settings

    started()
    return started


def exchange(label: Path) -> None:
    """Exchange two classes in a label file, as after a mistake was found."""
    ids = np.asarray(Image.open(label))
    Image.fromarray(np.where(ids == 7, 23, np.where(ids == 23, 7, ids))).save(label)


def test_changed_and_missing_files_are_refused_by_name(
    start: Start, data: Path, tmp_path: Path
) -> None:
    known = read_files(tmp_path / "w/results/r/data.csv")
    assert len(known) == 8 and {file.since for file in known} == {""}
    one, two, *_ = sorted(data.glob(LABEL))
    os.utime(one, ns=(1, 1))  # as after a copy without times
    start()
    assert 1 in {file.time for file in read_files(tmp_path / "w/results/r/data.csv")}
    times = one.stat().st_mtime_ns
    old = one.read_bytes()
    one.write_bytes(old[:-1] + b"x")  # of the same size
    with pytest.raises(StartRefused, match=rf"1 file.*\n.*{one.name}: other content\n.*=take"):
        start()
    one.write_bytes(old)
    os.utime(one, ns=(times, times))
    start()
    two.unlink()
    with pytest.raises(StartRefused, match=f"{two.name}: is missing") as refusal:
        start(changed_data="take")
    assert "changed_data" not in str(refusal.value)


def test_changed_labels_are_taken_on_request_and_told(
    start: Start, data: Path, tmp_path: Path
) -> None:
    results = tmp_path / "w/results/r"
    assert list(changed_data(results)) == []
    label = sorted(data.glob(LABEL))[0]
    exchange(label)
    counted = results / "truth.json"
    rows = [row for row in read_pool(results / "pool.csv") if row.split == "train"]
    write_json(counted, {row.image: [1] for row in rows})
    before = counted.stat().st_mtime_ns
    settings = start(changed_data="take")
    assert counted.stat().st_mtime_ns == before
    held = get_layout("cityscapes", settings["layout_options"], settings["classes"]).check(rows)
    assert list(read_json(counted).values()) == [counts.tolist() for counts in held]
    start()
    (since,) = {file.since for file in read_files(results / "data.csv")} - {""}
    (told,) = changed_data(results)
    assert f"1 file of the dataset ({label.name})" in told and since in told
    Image.fromarray(np.full((32, 48), 99, np.uint8)).save(label)
    with pytest.raises(StartRefused, match=r"\[99\] outside the classes"):
        start(changed_data="take")


def test_moved_data_are_recognised_and_others_are_not(
    start: Start, data: Path, tmp_path: Path
) -> None:
    results, moved = tmp_path / "w/results/r", tmp_path / "moved"
    files = results / "pool.csv", results / "pools/seed-0.csv"
    times = [file.stat().st_mtime_ns for file in files]
    settings = start()
    shutil.move(data, moved)
    found = look_at_data({**settings, "data_root": str(moved)}, {}, results, print)
    assert all(Path(row.path).is_file() for row in found.rows)  # as learners look at them
    start(moved)
    assert [file.stat().st_mtime_ns for file in files] == times
    for file in files:
        rows = read_pool(file)
        assert all(Path(path).is_file() for row in rows for path in (row.path, row.label_path))
    assert all(row.split for row in rows)
    generate("cityscapes_mini", data, 1, train=3, val=1, height=32, width=48)
    with pytest.raises(
        StartRefused,
        match=r"8 file.*\n  gtFine/train/ahorn/ahorn_.*_labelIds.png: \d+ bytes, now \d+",
    ):
        start(data)


def test_moved_data_are_not_prepared_anew_and_others_never_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, file = load("bracs_mini", learner="hact"), tmp_path / "config.yaml"
    save_settings(settings, file)
    there = {**settings, "data_root": str(tmp_path)}
    made = preparation(settings)
    assert preparation({**there, "first_root": first_root(there, file)}) == made
    assert made is not None and preparation(there) != made
    rows = [PoolRow("slide", "roi", "train", f"{tmp_path}/a.png", f"{tmp_path}/a.png", (4, 4))]
    for _ in range(2):
        claim(made, rows, [FileRow("a.png", 1, 1, "content")], there)
    with pytest.raises(DataError, match="made from other images"):
        claim(made, rows, [FileRow("a.png", 1, 1, "others")], there)


def test_a_run_of_other_rules_is_not_continued(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "w/results/r/config.yaml"
    text = file.read_text()
    for before, after in (("  scoring: ", "  scoring: 9"), ("rules:", "laws:")):
        file.write_text(text.replace(before, after))
        with pytest.raises(ConfigError, match="reads or scores data in another way"):
            start()
