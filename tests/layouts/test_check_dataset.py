"""The check of a whole dataset before the first job."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.io.errors import DataError
from al.layouts.check_dataset import check_dataset

UNSPLIT = {"unsplit": {"images": "images", "labels": "labels"}}
FIXED = {
    "train": {"images": "images", "labels": "labels"},
    "test": {"images": "more", "labels": "more_labels"},
}


def layout(splits: dict[str, Any]) -> dict[str, Any]:
    return {"name": "folders", "options": {"splits": splits}, "classes": ["a", "b"]}


def dataset(root: Path, n: int) -> str:
    for folder in ("images", "labels", "more", "more_labels"):
        (root / folder).mkdir()
    for i in range(n):
        Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(root / f"images/{i}.png")
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / f"labels/{i}.png")
    return str(root)


def test_a_usable_dataset_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dataset(tmp_path, 4)
    for i in range(4):
        Image.fromarray(np.array([[0, 1, 1, 255]] * 4, np.uint8)).save(tmp_path / f"labels/{i}.png")
    check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0, 1])
    told = capsys.readouterr().out.splitlines()
    assert "4 images" in told[0] and "WARNING" not in "".join(told)
    words = [line.split() for line in told[1:]]
    assert told[1].split("  ")[0] == "class" and "train of seed 0" in told[1]
    assert words[1:] == [
        ["a", "8", "in", "2", "8", "in", "2"],
        ["b", "16", "in", "2", "16", "in", "2"],
        ["void", "8", "in", "2", "8", "in", "2"],
    ]


def test_classes_without_a_pixel_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids of another table, and a class that no test image has."""
    root = dataset(tmp_path, 4)
    check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0, 1])
    assert "WARNING: 1 of 2 classes occur nowhere: b" in capsys.readouterr().out
    Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "labels/2.png")
    check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0, 1])
    told = capsys.readouterr().out
    assert "nowhere" not in told
    for split in ("train", "test"):
        assert f"WARNING: class b is in no label of split {split} of seed " in told


def copy_to_test(root: Path) -> None:
    for old, new in (("images", "more"), ("labels", "more_labels")):
        for path in (root / old).iterdir():
            shutil.copy(path, root / new / f"m{path.name}")


def test_images_that_are_there_twice_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In both splits of a dataset, or under two names that a split may tear apart."""
    root = dataset(tmp_path, 3)
    copy_to_test(tmp_path)
    check_dataset(root, layout(FIXED), None, [0])
    told = capsys.readouterr().out
    pair = f"{root}/images/0.png (train) and {root}/more/m0.png (test)"
    assert "WARNING: 3 images are there twice" in told and pair in told
    check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0])
    assert "twice" not in capsys.readouterr().out
    shutil.copy(tmp_path / "images/0.png", tmp_path / "images/2.png")
    check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0])
    told = capsys.readouterr().out
    assert "WARNING: 1 images" in told and f"{root}/images/0.png and {root}/images/2.png" in told


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_are_all_void_are_refused(split: str, tmp_path: Path) -> None:
    root = dataset(tmp_path, 4)
    copy_to_test(tmp_path)
    place = "labels" if split == "train" else "more_labels"
    for path in (tmp_path / place).iterdir():
        Image.fromarray(np.full((4, 4), 255, np.uint8)).save(path)
    with pytest.raises(DataError, match=f"no label in split {split} .* all is void"):
        check_dataset(root, layout(FIXED), None, [0])


@pytest.mark.parametrize(
    ("n", "splits", "split", "message"),
    [
        (4, FIXED, None, "split train alone"),
        (4, UNSPLIT, None, "fixes no split"),
        (1, UNSPLIT, {"train": 0.5, "val": 0.0, "test": 0.5}, "1 images give only"),
        (2, UNSPLIT, {"folds": 3}, "2 images give only"),
    ],
)
def test_a_split_without_images_is_refused(
    n: int, splits: dict, split: dict | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        check_dataset(dataset(tmp_path, n), layout(splits), split, [0, 1, 2])


def test_images_without_a_label_are_told_and_need_no_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """None labelled; one; a test split with labels; a test split without."""
    root, unlabelled = dataset(tmp_path, 4), layout(UNSPLIT) | {"unlabelled": True}
    label = tmp_path / "labels/2.png"
    for path in (tmp_path / "labels").iterdir():
        path.unlink()
    rows, files = check_dataset(root, unlabelled, None, [0])
    assert [row.label_path for row in rows] == [""] * 4
    assert sorted(file.path for file in files) == [f"images/{n}.png" for n in range(4)]
    told = capsys.readouterr().out
    assert "4 of 4 have no label" in told and "class" not in told
    Image.fromarray(np.full((4, 4), [0, 0, 1, 1], np.uint8)).save(label)
    rows, files = check_dataset(root, unlabelled, None, [0])
    told = capsys.readouterr().out
    assert len(files) == 5 and "3 of 4 have no label" in told and "WARNING" not in told
    assert told.splitlines()[-2].split() == ["a", "8", "in", "1"]
    label.rename(tmp_path / "more_labels/2.png")
    shutil.move(tmp_path / "images/2.png", tmp_path / "more/2.png")
    check_dataset(root, layout(FIXED) | {"unlabelled": True}, None, [0])
    (tmp_path / "more_labels/2.png").unlink()
    with pytest.raises(DataError, match=r"more/2\.png \(test\); allowed: labels for them"):
        check_dataset(root, layout(FIXED) | {"unlabelled": True}, None, [0])


def test_every_label_is_looked_at(tmp_path: Path) -> None:
    root = dataset(tmp_path, 4)
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(tmp_path / "labels/2.png")
    with pytest.raises(DataError, match=r"2\.png: label values \[9\] outside the classes"):
        check_dataset(root, layout(UNSPLIT), {"folds": 2}, [0, 1])
