"""``nnunet``: what is prepared once is used as long as it is of the data and plans it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.io.tables import PoolRow
from al.learners import get_learner
from tests.learners.fakes import CLASSES, Toy
from tests.learners.nnunet_kit import FAST, count_calls, fit, open_dataset, write_dataset

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

from al.learners.nnunet import model as model_module
from al.learners.nnunet import store as store_module
from al.learners.nnunet.store import open_store


def prepare(toy: Toy, folder: Path, **changes: Any) -> None:
    rows = list(toy.rows.values())
    get_learner("nnunet").prepare(toy.layout, rows, folder, {**FAST, **changes}, CLASSES)


def segment(toy: Toy, model: Path, row: PoolRow) -> np.ndarray:
    return get_learner("nnunet").open(model, toy.layout, FAST).segment(row)


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


def test_prepared_images_are_used_where_they_are_of_the_volume(
    toy: Toy, tmp_path: Path, calls: list[int]
) -> None:
    """By training and prediction; one that is gone, has changed or is new, is made in memory."""
    folder, rows = tmp_path / "prepared", list(toy.rows.values())
    prepare(toy, folder)
    assert len(calls) == 4
    calls.clear()
    fit(toy, tmp_path, 4, prepared=folder)
    found = [segment(toy, tmp_path / "model", row) for row in rows]
    assert calls == []
    assert len(np.unique(found)) > 1
    other = Toy("3d", 6, seed=5)
    other.images["i1"] = other.images["i1"][:, :-3]
    others = [PoolRow("i1", "", "train", "", "", (12, 27, 26), 0), other.rows["i5"]]
    more = [segment(other, tmp_path / "model", row) for row in others]
    assert len(calls) == 2
    folder.rename(tmp_path / "gone")
    np.testing.assert_array_equal(segment(toy, tmp_path / "model", rows[1]), found[1])
    for row, first in zip(others, more, strict=True):
        np.testing.assert_array_equal(first, segment(other, tmp_path / "model", row))
    assert len(calls) == 5


def test_killed_preparation_goes_on(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    """An image counts once the file that vouches for it is there; whole, nothing is made."""
    prepare(toy, tmp_path)
    before, plans = stamps(tmp_path), (tmp_path / "plans.json").read_bytes()
    assert len(before) == 3 * 4
    prepare(toy, tmp_path)
    assert len(calls) == 4 and stamps(tmp_path) == before
    images = {name: open_store(tmp_path).image(name)[:] for name in toy.rows}
    for lost in ("plans.json", "images/i1.json", "images/i1.b2nd", "images/i2.json"):
        (tmp_path / lost).unlink()
    (tmp_path / "fingerprint/i3.npz").unlink()
    assert open_store(tmp_path) is None
    prepare(toy, tmp_path)
    assert len(calls) == 4 + 2
    after = stamps(tmp_path)
    changed = {name for name in before if after[name] != before[name]}
    made = {f"images/{name}.{end}" for name in ("i1", "i2") for end in ("json", "b2nd")}
    assert changed == made | {"fingerprint/i3.npz"}
    assert (tmp_path / "plans.json").read_bytes() == plans
    for name, image in images.items():
        np.testing.assert_array_equal(open_store(tmp_path).image(name)[:], image)


def test_no_two_volumes_share_files(tmp_path: Path) -> None:
    names = ["a", "a b", "a/b", "a%2Fb", "a%252Fb", "n" * 250, "n" * 251]
    assert len({store_module._files(tmp_path, name) for name in names}) == len(names)
    assert store_module._files(tmp_path, "a b")[0] == tmp_path / "images/a b.b2nd"


def test_changed_volume_is_prepared_again(tmp_path: Path) -> None:
    """Its file has another size; the rest is kept where no intensity decides the plans."""
    toy, folder = Toy("3d", 3), tmp_path / "prepared"
    write_dataset(tmp_path / "data", toy)
    toy.layout, toy.rows = open_dataset(tmp_path / "data")
    prepare(toy, folder)
    before = open_store(folder).image("i1")[:]
    toy.images["i1"] = np.round(toy.images["i1"] / 7)
    write_dataset(tmp_path / "data", toy)
    told = rf"{folder}: made from other data: i1 has another file size.*delete this one"
    with pytest.raises(DataError, match=told):
        fit(toy, tmp_path, prepared=folder)
    (folder / "plans.json").unlink()
    prepare(toy, folder)
    assert np.abs(open_store(folder).image("i1")[:] - before).max() > 1e-3
    assert fit(toy, tmp_path, prepared=folder)["volumes"] == 3


def test_a_folder_that_does_not_hold_what_a_training_needs(toy: Toy, tmp_path: Path) -> None:
    """Nothing, other settings, other plans than in the cycle before, too few volumes."""
    folder = tmp_path / "prepared"
    with pytest.raises(ConfigError, match="nothing is prepared there"):
        fit(toy, tmp_path, prepared=folder)
    prepare(toy, folder)
    with pytest.raises(ConfigError, match="other settings"):
        fit(toy, tmp_path, prepared=folder, features=5)
    with pytest.raises(ConfigError, match="not those of the cycle before"):
        fit(toy, tmp_path, prepared=folder, before={"plans": "0"})
    image = folder / "images/i2.b2nd"
    image.rename(tmp_path / "image")
    with pytest.raises(DataError, match=f"{folder}: the preprocessed volume i2 is gone"):
        fit(toy, tmp_path, prepared=folder)
    (tmp_path / "image").rename(image)
    held = json.loads((folder / "plans.json").read_text())
    del held["cases"]["i2"]
    (folder / "plans.json").write_text(json.dumps(held))
    with pytest.raises(DataError, match=f"{folder}: holds no volume 'i2'"):
        fit(toy, tmp_path, prepared=folder)
    assert not (tmp_path / "model").exists()


def test_a_model_keeps_to_its_plans(toy: Toy, tmp_path: Path, calls: list[int]) -> None:
    """Also when its folder was filled anew with other ones."""
    folder, row = tmp_path / "prepared", toy.rows["i0"]
    prepare(toy, folder)
    fit(toy, tmp_path, 4, prepared=folder)
    before = segment(toy, tmp_path / "model", row)
    prepare(toy, folder, spacing=[2.0, 1.5, 1.5])
    assert open_store(folder).image("i0").shape != (1, 12, 30, 26)
    calls.clear()
    np.testing.assert_array_equal(segment(toy, tmp_path / "model", row), before)
    assert len(calls) == 1


def test_empty_volume_is_refused_by_name(toy: Toy, tmp_path: Path) -> None:
    toy.images["i3"][:] = 0
    with pytest.raises(DataError, match="i3: zero in every voxel"):
        prepare(toy, tmp_path)
    assert open_store(tmp_path) is None
