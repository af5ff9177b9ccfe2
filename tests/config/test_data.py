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

from al.config.data import _counted, keep_data, look_at_data
from al.config.prepared import Preparation, preparation
from al.config.start import StartRefused
from al.generators import generate
from al.io.errors import ConfigError
from al.io.files import read_json, write_json
from al.io.pool import assign_splits
from al.io.tables import read_files, read_pool, write_pool
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


def test_nothing_is_taken_in_silence_where_the_pool_or_fingerprints_are_gone(
    start: Start, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool, known = (tmp_path / "w/results/r" / name for name in ("pool.csv", "data.csv"))
    pool.unlink()
    label = sorted(data.glob(LABEL))[0]
    old = label.read_bytes()
    exchange(label)
    with pytest.raises(StartRefused, match=f"{label.name}: "):
        start(changed_data="take")
    label.write_bytes(old)
    image = next(data.glob(f"leftImg8bit/train/*/{label.name.replace('gtFine_labelIds', '*')}"))
    copies = [path.with_name(f"new_{path.name}") for path in (label, image)]
    [shutil.copy(path, copy) for path, copy in zip((label, image), copies, strict=True)]
    with pytest.raises(StartRefused, match=f"2 file(.|\n)*{copies[0].name}: is new"):
        start()
    [copy.unlink() for copy in copies]
    start()
    known.write_text("damaged")
    with pytest.raises(StartRefused, match=r"data\.csv.*compares nothing"):
        start()
    known.unlink()
    exchange(label)
    assert "is gone" not in capsys.readouterr().out
    start()
    assert f"{known.relative_to(tmp_path / 'w')} is gone" in capsys.readouterr().out
    pool.unlink()
    start(moved := data.rename(tmp_path / "moved"))
    for path in (known.parent / "pools", pool):  # nothing was made yet
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    exchange(moved / label.relative_to(data))
    start(moved)


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
    (row,) = (row for row in rows if Path(row.label_path) == label)
    before = counted.stat().st_mtime_ns
    settings = start(changed_data="take")
    assert counted.stat().st_mtime_ns == before
    (held,) = get_layout("cityscapes", settings["layout_options"], settings["classes"]).check([row])
    truth = {row.image: [1] for row in rows}
    assert read_json(counted) == {**truth, row.image: held.tolist()}, "others are not counted anew"
    start()
    (results / "pool.csv").unlink()
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


def test_data_without_labels_are_known_by_their_images(data: Path, tmp_path: Path) -> None:
    """Compared, listed anew without a pool, and found where they were moved."""
    settings = load(data_root=str(data), generate=None)
    layout = {"name": "cityscapes", "options": {}, "classes": settings["classes"]}
    layout["unlabelled"] = True
    shutil.rmtree(data / "gtFine/train")
    folder = tmp_path / "results"
    first = look_at_data(settings, layout, folder, print)
    assert all((row.label_path == "") == (row.split == "train") for row in first.rows)
    assert len(first.files) == 5
    (folder / "pools").mkdir(parents=True)
    keep_data(first, folder)
    assert look_at_data(settings, layout, folder, print).rows == first.rows
    write_pool(folder / "pool.csv", first.rows)
    (folder / "config.yaml").write_text(f"data_root: {data}")
    moved = {**settings, "data_root": str(data.rename(tmp_path / "moved"))}
    found = look_at_data(moved, layout, folder, print).rows
    assert all((row.label_path == "") == (row.split == "train") for row in found)
    assert all(Path(row.path).is_file() for row in found)


def test_labels_alone_are_taken_from_a_table(tmp_path: Path) -> None:
    root, words = tmp_path / "data", {"dataset": "crc", "layout": "table", "classes": "a,b"}
    root.mkdir()
    lines = ["patientID,InstanceID,ImageName,cellTypeName,set"]
    for n, split in enumerate(("train", "train", "val", "test")):
        Image.new("RGB", (32, 32), (n, 0, 0)).save(root / f"{n}.png")
        lines.append(f"i{n},r{n},{n}.png,{'ab'[n % 2]},{split}")
    table = root / "data_labels.csv"

    def started(text: str) -> dict[str, Any]:
        table.write_text(text)
        return begin(
            tmp_path / "w", (), **words, data_root=str(root), run="r", split=None,
            layout_options={"split_column": "set", "folder": "."}, changed_data="take",
        )  # fmt: skip

    text = "\n".join(lines)
    settings = started(text)
    rows = get_layout("table", settings["layout_options"], ["a", "b"]).index(root)
    write_pool(tmp_path / "w/results/r/pool.csv", rows)
    started(text.replace("0.png,a", "0.png,b"))
    with pytest.raises(StartRefused, match="i0/r0: not as in the run"):
        started(text.replace("0.png,a,train", "0.png,a,test"))


def test_moved_data_are_not_prepared_anew_and_others_never_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generate("bracs_mini", "data", 0, train=2, val=1, test=2)

    def started(run: str, root: str = "data", **changes: Any) -> Preparation:
        words = {"dataset": "bracs_mini", "learner": "hact", "data_root": root, **changes}
        made = preparation(begin(tmp_path, (), run=run, **words))
        assert made is not None
        return made

    theirs = {"hact": {"graphs": "histocartography"}}
    first, imported = started("a"), started("imported", **theirs)
    shutil.copytree("data", "moved")
    assert started("a", "moved") == first
    assert started("imported", "moved", **theirs) == imported
    image = next(Path("data").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"1")
    assert started("b") == first, "nothing was prepared yet"
    write_json(Path(first.folder, "graphs/001-of-016.json"), {})
    image.write_bytes(image.read_bytes() + b"2")
    Path("results/b/pools").mkdir()
    with pytest.raises(StartRefused, match="1 file(.|\n)*another folder"):
        started("b", changed_data="take")
    with pytest.raises(StartRefused, match="made from other images.*another folder"):
        started("c")
    shutil.copytree("data", "copy")
    assert started("c", "copy") != first


def test_a_run_of_other_rules_is_not_continued(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "w/results/r/config.yaml"
    text = file.read_text()
    for before, after in (("  scoring: ", "  scoring: 9"), ("rules:", "laws:")):
        file.write_text(text.replace(before, after))
        with pytest.raises(ConfigError, match="reads or scores data in another way"):
            start()


def test_labels_that_are_taken_are_counted_on_the_annotators_grid(tmp_path: Path) -> None:
    generate("kits23_mini", tmp_path, 0, cases=2, depth=8, side=32)
    settings = load("kits23_mini", data_root=str(tmp_path), layout_options={"grid": 4.0})
    layout = get_layout("kits23", settings["layout_options"], settings["classes"])
    rows = layout.index(tmp_path)
    changed = {str(Path(row.label_path).relative_to(tmp_path)): "other content" for row in rows}
    counts = _counted(layout, rows, changed, tmp_path)
    assert {name: sum(held) for name, held in counts.items()} == {
        row.image: int(np.prod(row.shape)) for row in rows
    }
