"""The generated datasets: the same by seed, complete, imbalanced."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from al.generators import GENERATORS, generate
from al.io.errors import ConfigError, DataError
from al.layouts import get_layout
from generate_data import generate_data

SMALL = {
    "cityscapes_mini": {"train": 4, "val": 2},
    "kits23_mini": {"cases": 3},
    "bracs_mini": {"train": 3, "val": 1, "test": 1},
}
CITY = [f"class {n}" for n in range(19)]
CODES = ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]


def digests(root: Path) -> dict[str, str]:
    """Digest of every file's content; volumes by their voxels, as gzip keeps a time."""
    import nibabel as nib

    found = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        is_volume = path.name.endswith(".nii.gz")
        content = nib.load(path).get_fdata().tobytes() if is_volume else path.read_bytes()
        found[str(path.relative_to(root))] = sha256(content).hexdigest()
    return found


@pytest.mark.parametrize("name", GENERATORS)
def test_same_seed_same_files(name: str, tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        generate(name, tmp_path / folder, seed, **SMALL[name])
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_folder_is_kept_replaced_or_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    generate("kits23_mini", root, 0, cases=1)
    (root / "note").write_text("still here")
    generate("kits23_mini", root, 0, cases=1)
    assert (root / "note").exists()
    generate("kits23_mini", root, 0, cases=2)
    assert not (root / "note").exists() and len(list(root.glob("case_*"))) == 2
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="not replaced"):
        generate("kits23_mini", foreign, 0, cases=1)
    assert (foreign / "thesis.txt").exists()


def test_unknown_name_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'bracs_mini'"):
        generate("brac_mini", tmp_path / "x", 0)


def test_stamp_tells_seed_and_sizes(tmp_path: Path) -> None:
    generate_data("kits23_mini", tmp_path / "k", 3, tmp_path / "k.stamp", {"cases": 2})
    stamp = json.loads((tmp_path / "k.stamp").read_text())
    assert (stamp["seed"], stamp["cases"]) == (3, 2)
    assert len(get_layout("kits23", {}, ["b", "k", "t", "c"]).index(tmp_path / "k")) == 2


def test_large_streets_show_what_small_ones_show(tmp_path: Path) -> None:
    """What is drawn in pixels (poles, windows, fences, the frame) grows with the scene."""
    shares = {}
    for times in (1, 4):
        root = tmp_path / str(times)
        generate("cityscapes_mini", root, 0, train=6, val=1, height=96 * times, width=192 * times)
        layout = get_layout("cityscapes", {}, CITY)
        rows = layout.index(root)
        assert {row.shape for row in rows} == {(96 * times, 192 * times)}
        labels = np.stack([layout.open_label(row) for row in rows])
        shares[times] = np.bincount(labels.ravel(), minlength=256) / labels.size
        image = layout.open_image(rows[0]).astype(float)
        assert np.abs(np.diff(image, axis=1)).mean() > 4  # grain of the finest kind
    assert shares[4][5] == pytest.approx(shares[1][5], rel=0.7)  # poles
    assert shares[4][255] == pytest.approx(shares[1][255], rel=0.5)
    assert (shares[4][[0, 1, 2, 10, 13]] > 0.01).all()


def test_streets_are_complete_and_imbalanced(tmp_path: Path) -> None:
    generate("cityscapes_mini", tmp_path / "city", 0, train=16, val=8)
    layout = get_layout("cityscapes", {}, CITY)
    rows = layout.index(tmp_path / "city")
    for split in ("train", "test"):
        labels = np.stack([layout.open_label(row) for row in rows if row.split == split])
        counts = np.bincount(labels.ravel(), minlength=256)
        share = counts[:19] / counts[:19].sum()
        assert (share > 0).all()
        assert share[0] > 0.2 and share[10] > 0.1  # road, sky
        assert share[[5, 6, 7, 12, 17]].max() < 0.02  # pole, light, sign, rider, motorcycle
        assert 0.02 < counts[255] / labels.size < 0.2


def test_volumes_are_body_like(tmp_path: Path) -> None:
    generate("kits23_mini", tmp_path / "kits", 0)
    layout = get_layout("kits23", {}, ["background", "kidney", "tumour", "cyst"])
    values: dict[int, list[np.ndarray]] = {n: [] for n in range(4)}
    for row in layout.index(tmp_path / "kits"):
        hu, labels = layout.open_image(row), layout.open_label(row)
        assert hu.min() >= -1024 and hu[0, 0, 0] < -800
        assert 0.005 < (labels > 0).mean() < 0.08
        for n in values:
            values[n].append(hu[labels == n])
    kidney, tumour, cyst = (np.concatenate(values[n]) for n in (1, 2, 3))
    assert cyst.mean() < tumour.mean() < kidney.mean()
    # Intensity does not separate: within a class's own range most voxels are something else.
    everything = np.concatenate([part for parts in values.values() for part in parts])
    for own, most in ((kidney, 0.6), (tumour, 0.2), (cyst, 0.2)):
        low, high = np.quantile(own, [0.05, 0.95])
        assert 0.9 * len(own) / ((everything > low) & (everything < high)).sum() < most


def test_slides_are_mixed(tmp_path: Path) -> None:
    generate("bracs_mini", tmp_path / "bracs", 0, train=7, val=7, test=7)
    layout = get_layout("bracs", {}, CODES)
    rows = layout.index(tmp_path / "bracs")
    slides: dict[str, list[int]] = {}
    for row in rows:
        assert all(64 <= side <= 96 for side in row.shape)
        slides.setdefault(row.image, []).append(layout.open_label(row))
    assert all(3 <= len(labels) <= 12 for labels in slides.values())
    assert np.mean([len(set(labels)) > 1 for labels in slides.values()]) > 0.7
    for split in ("train", "val", "test"):
        assert {layout.open_label(r) for r in rows if r.split == split} == set(range(7))
