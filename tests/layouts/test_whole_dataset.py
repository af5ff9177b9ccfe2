"""The check of a whole dataset before the first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.io.errors import DataError
from al.layouts.checks import check_data

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
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / f"images/{i}.png")
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / f"labels/{i}.png")
    return str(root)


def test_a_usable_dataset_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_data(dataset(tmp_path, 4), layout(UNSPLIT), {"folds": 2}, [0, 1])
    assert "4 images" in capsys.readouterr().out


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
        check_data(dataset(tmp_path, n), layout(splits), split, [0, 1, 2])
