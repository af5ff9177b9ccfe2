"""``nnunet``: what is prepared once is used as long as it is of the data and plans it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.io.tables import PoolRow
from al.learners import get_learner
from tests.learners.contract import files_of
from tests.learners.fakes import CLASSES, Toy, prepared
from tests.learners.nnunet_kit import FAST, count_calls, fit, open_dataset, write_dataset

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

from al.learners.nnunet import model as model_module
from al.learners.nnunet import store as store_module
from al.learners.nnunet.store import open_store


def prepare(toy: Toy, folder: Path, **changes: Any) -> None:
    rows = list(toy.rows.values())
    get_learner("nnunet").prepare(toy.layout, rows, folder, {**FAST, **changes}, CLASSES)


def segment(toy: Toy, model: Path, row: PoolRow) -> np.ndarray:
    return get_learner("nnunet").segment(model, toy.layout, row, FAST)


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns
        for p in folder.rglob("*")
        if p.is_file() and p.name not in ("plans.json", "lock")
    }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return count_calls(monkeypatch, store_module.preprocess, store_module, model_module)


@pytest.fixture
def toy() -> Toy:
    return Toy("3d", 4)


def test_prepared_images_are_used(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    """By training and prediction; where they are gone, a volume is preprocessed in memory."""
    folder, rows = tmp_path / "prepared", list(toy.rows.values())
    prepare(toy, folder)
    assert len(calls) == 4
    calls.clear()
    fit(toy, tmp_path, 4, prepared=folder)
    found = [segment(toy, tmp_path / "model", row) for row in rows]
    assert calls == []
    assert len(np.unique(found)) > 1
    folder.rename(tmp_path / "gone")
    again = [get_learner("nnunet").segment(tmp_path / "model", toy.layout, rows[1], FAST)]
    np.testing.assert_array_equal(again[0], found[1])
    assert len(calls) == 1


def test_other_volumes_are_preprocessed_in_memory(
    toy: Toy, tmp_path: Path, calls: list[int]
) -> None:
    """One that has changed since, and one that was never prepared."""
    folder = tmp_path / "prepared"
    prepare(toy, folder)
    fit(toy, tmp_path, 4, prepared=folder)
    other = Toy("3d", 6, seed=5)
    other.images["i1"] = other.images["i1"][:, :-3]
    row = other.rows["i1"]
    rows = [PoolRow(row.image, "", "train", "", "", (12, 27, 26), 0), other.rows["i5"]]
    calls.clear()
    found = [segment(other, tmp_path / "model", row) for row in rows]
    folder.rename(tmp_path / "gone")
    for row, first in zip(rows, found, strict=True):
        np.testing.assert_array_equal(first, segment(other, tmp_path / "model", row))
        assert first.shape == row.shape
    assert len(calls) == 4


def test_prepared_again_nothing_is_made(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    prepare(toy, tmp_path)
    before, plans = stamps(tmp_path), (tmp_path / "plans.json").read_bytes()
    assert len(before) == 3 * 4
    calls.clear()
    prepare(toy, tmp_path)
    assert calls == []
    assert stamps(tmp_path) == before
    assert (tmp_path / "plans.json").read_bytes() == plans


def test_killed_preparation_goes_on(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    """An image counts once the file that vouches for it is there."""
    prepare(toy, tmp_path)
    before, plans = stamps(tmp_path), (tmp_path / "plans.json").read_bytes()
    images = {name: open_store(tmp_path).image(name)[:] for name in toy.rows}
    for lost in ("plans.json", "images/i1.json", "images/i1.b2nd", "images/i2.json"):
        (tmp_path / lost).unlink()
    (tmp_path / "fingerprint/i3.npz").unlink()
    assert open_store(tmp_path) is None
    calls.clear()
    prepare(toy, tmp_path)
    assert len(calls) == 2
    after = stamps(tmp_path)
    changed = {name for name in before if after[name] != before[name]}
    made = {f"images/{name}.{end}" for name in ("i1", "i2") for end in ("json", "b2nd")}
    assert changed == made | {"fingerprint/i3.npz"}
    assert (tmp_path / "plans.json").read_bytes() == plans
    for name, image in images.items():
        np.testing.assert_array_equal(open_store(tmp_path).image(name)[:], image)


def test_changed_volume_is_prepared_again(tmp_path: Path, calls: list[int]) -> None:
    """Its file has another size; the rest is kept where no intensity decides the plans."""
    toy, folder = Toy("3d", 3), tmp_path / "prepared"
    write_dataset(tmp_path / "data", toy)
    layout, rows = open_dataset(tmp_path / "data")
    toy.layout, toy.rows = layout, rows
    prepare(toy, folder)
    before = open_store(folder).image("i1")[:]
    toy.images["i1"] = np.round(toy.images["i1"] / 7)
    write_dataset(tmp_path / "data", toy)
    fields = {"rows": rows, "layout": layout, "prepared": folder}
    with pytest.raises(
        DataError,
        match=rf"{folder}: made from other data: i1 has another file size.*delete this one",
    ):
        fit(toy, tmp_path, **fields)
    (folder / "plans.json").unlink()
    prepare(toy, folder)
    after = open_store(folder).image("i1")[:]
    assert np.abs(after - before).max() > 1e-3
    assert fit(toy, tmp_path, **fields)["volumes"] == 3


@pytest.mark.parametrize("lost", ["image", "case"])
def test_volumes_that_are_not_prepared_are_refused(toy: Toy, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "prepared"
    prepare(toy, folder)
    if lost == "image":
        (folder / "images/i2.b2nd").unlink()
    else:
        held = json.loads((folder / "plans.json").read_text())
        del held["cases"]["i2"]
        (folder / "plans.json").write_text(json.dumps(held))
    with pytest.raises(DataError, match=rf"{folder}: .*i2") as caught:
        fit(toy, tmp_path, prepared=folder)
    assert not (tmp_path / "model").exists(), caught.value
    some = [row for row in toy.labels(tmp_path / "y") if row.image != "i2"]
    assert fit(toy, tmp_path, prepared=folder, labels=some)["volumes"] == 3


def test_nothing_prepared_where_something_was_promised(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is prepared there"):
        fit(toy, tmp_path, prepared=tmp_path / "prepared")


def test_a_model_keeps_to_its_plans(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    """Also when its folder was filled anew with other ones."""
    folder, row = tmp_path / "prepared", toy.rows["i0"]
    prepare(toy, folder)
    fit(toy, tmp_path, 4, prepared=folder)
    held = files_of(tmp_path / "model")
    before = segment(toy, tmp_path / "model", row)
    prepare(toy, folder, spacing=[2.0, 1.5, 1.5])
    assert open_store(folder).image("i0").shape != (1, 12, 30, 26)
    calls.clear()
    np.testing.assert_array_equal(segment(toy, tmp_path / "model", row), before)
    assert len(calls) == 1
    assert files_of(tmp_path / "model") == held


def test_empty_volume_is_refused_by_name(toy: Toy, tmp_path: Path) -> None:
    toy.images["i3"][:] = 0
    with pytest.raises(DataError, match="i3: zero in every voxel"):
        prepare(toy, tmp_path)
    assert open_store(tmp_path) is None


def test_a_cycle_goes_on_by_the_plans_of_the_one_before(tmp_path: Path) -> None:
    """A folder that was deleted and made again from more volumes plans otherwise."""
    toy, learner = Toy("3d", 3), get_learner("nnunet")
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 1, settings=FAST)
    job = prepared(learner, job)
    stats = learner.fit(job)
    assert learner.fit(replace(job, before=stats))["plans"] == stats["plans"]
    with pytest.raises(ConfigError, match="not those of the cycle before"):
        learner.fit(replace(job, before={**stats, "plans": "0"}))


def test_a_prepared_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    toy = Toy("3d")
    folder, learner = tmp_path / "prepared", get_learner("nnunet")
    learner.prepare(toy.layout, list(toy.rows.values()), folder, FAST, CLASSES)
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 1, settings={**FAST, "features": 5})
    with pytest.raises(ConfigError, match="other settings"):
        learner.fit(replace(job, prepared=folder))
