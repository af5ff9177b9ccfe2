"""The layouts on the real datasets beside the checkout, where these are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from al.layouts import get_layout
from al.layouts.dataset_json import complete

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def opened(name: str):
    """Return the layout of a dataset's config and its rows; skip where the data is absent."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    config = yaml.safe_load((ROOT / "config" / "datasets" / f"{name}.yaml").read_text())
    layout = get_layout(config["layout"], config["layout_options"], config["classes"])
    assert layout.task == config["task"]
    return layout, layout.index(folder)


def test_camvid() -> None:
    layout, rows = opened("camvid")
    assert [sum(row.split == s for row in rows) for s in ("train", "test")] == [367, 101]
    assert {row.shape for row in rows} == {(360, 480)}
    layout.check(rows[::10])
    labels = np.stack([layout.open_label(row) for row in rows[::10]])
    share = np.bincount(labels[labels != 255], minlength=11) / labels.size
    assert len(share) == 11 and share[3] > 0.2 and share[10] < 0.02


def test_hippocampus() -> None:
    layout, rows = opened("hippocampus")
    assert len(rows) == 120 and {row.axis for row in rows} == {2}
    layout.check(rows)


def test_crc() -> None:
    layout, rows = opened("crc")
    assert len(rows) == 6404 and len({row.image for row in rows}) == 40
    counts = np.bincount([layout.open_label(row) for row in rows], minlength=4)
    assert 0.13 < counts[3] / len(rows) < 0.15
    layout.check(rows[::20])


def test_hippocampus_by_its_dataset_json(tmp_path: Path) -> None:
    opened("hippocampus")
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).symlink_to(DATA / "hippocampus" / folder)
    labels = {"background": 0, "Anterior": 1, "Posterior": 2}
    held = {"labels": labels, "channel_names": {"0": "MRI"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(held))
    config = yaml.safe_load((ROOT / "config/datasets/nnunet_raw.yaml").read_text())
    found = complete({**config, "groups": None, "data_root": str(tmp_path)})
    assert found["classes"] == list(labels)
    layout = get_layout(found["layout"], found["layout_options"], found["classes"])
    rows = layout.index(tmp_path)
    assert len(rows) == 120 and min(min(row.shape) for row in rows) >= config["region"][0]
