"""Layouts ``kits23`` and ``nnunet_raw``."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from al.generators import generate
from al.io.errors import ConfigError, DataError
from al.layouts import get_layout
from tests.layouts.contract import PairContract


def save(path: str | Path, values: np.ndarray, affine: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(values, affine), path)


class Volumes(PairContract):
    splits = {""}

    def write_labels(self, path: str, labels: np.ndarray) -> None:
        save(path, labels, nib.load(path).affine)

    def raw_labels(self, path: str) -> np.ndarray:
        return np.asanyarray(nib.load(path).dataobj)

    def shift(self, path: str) -> None:
        affine = nib.load(path).affine.copy()
        affine[0, 3] += 2
        save(path, self.raw_labels(path), affine)

    def test_affine_mismatch_is_refused_or_skipped(self, layout, copy, capsys) -> None:
        rows = layout.index(copy)
        self.shift(rows[1].label_path)
        with pytest.raises(DataError, match="affine"):
            layout.index(copy)
        skip = get_layout(self.name, {"on_mismatch": "skip"}, self.classes)
        assert skip.index(copy) == [rows[0], *rows[2:]]
        assert f"skipped {rows[1].image}" in capsys.readouterr().out

    def test_skip_is_for_mismatches_only(self, layout, copy) -> None:
        Path(layout.index(copy)[0].label_path).write_bytes(b"no volume")
        skip = get_layout(self.name, {"on_mismatch": "skip"}, self.classes)
        with pytest.raises(DataError, match="unreadable"):
            skip.index(copy)

    def test_excluded_cases_are_left_out(self, layout, copy, capsys) -> None:
        rows = layout.index(copy)
        Path(rows[0].label_path).unlink()
        self.shift(rows[2].label_path)
        options = {"exclude": [rows[0].image, rows[2].image]}
        assert get_layout(self.name, options, self.classes).index(copy) == [rows[1], *rows[3:]]
        absent = get_layout(self.name, {"exclude": [*options["exclude"], "x9"]}, self.classes)
        assert absent.index(copy) == [rows[1], *rows[3:]]
        assert "not there: ['x9']" in capsys.readouterr().out
        with pytest.raises(ConfigError, match="exclude"):
            get_layout(self.name, {"exclude": "case_00001"}, self.classes)

    def test_truncated_label_is_named(self, layout, copy) -> None:
        rows = layout.index(copy)
        path = Path(rows[0].label_path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match=path.name):
            layout.check(rows)

    def test_fractional_labels_are_refused(self, layout, copy) -> None:
        rows = layout.index(copy)
        labels = self.raw_labels(rows[0].label_path).astype(np.float32)
        labels[2, 2, 2] = 0.5
        self.write_labels(rows[0].label_path, labels)
        with pytest.raises(DataError, match=r"0\.5"):
            layout.check(rows)


class TestKits23(Volumes):
    name = "kits23"
    classes = ["background", "kidney", "tumour", "cyst"]

    def make(self, root: Path) -> None:
        generate("kits23_mini", root, 0, cases=12)

    def test_slices_run_along_the_first_axis(self, layout, rows) -> None:
        assert {row.axis for row in rows} == {0}
        assert layout.spacing(rows[0]) == pytest.approx((6.0, 6.5, 6.5))

    def test_the_repository_works_as_well(self, layout, rows, copy) -> None:
        (copy.parent / "kits23").mkdir()
        shutil.move(copy, copy.parent / "kits23" / "dataset")
        found = layout.index(copy.parent / "kits23")
        assert [row.image for row in found] == [row.image for row in rows]


class TestNnunetRaw(Volumes):
    name = "nnunet_raw"
    classes = ["background", "left", "right"]

    def make(self, root: Path) -> None:
        rng = np.random.default_rng(1)
        for folder in ("imagesTr", "labelsTr"):
            (root / folder).mkdir(parents=True)
        for n in range(12):
            shape = (9, 10 + n % 3, 11)
            values = rng.integers(0, 200, shape).astype(np.int16)
            save(root / "imagesTr" / f"hip_{n:03d}_0000.nii.gz", values, np.diag([1, 1, 2, 1]))
            labels = rng.integers(0, 3, shape).astype(np.uint8)
            save(root / "labelsTr" / f"hip_{n:03d}.nii.gz", labels, np.diag([1, 1, 2, 1]))

    def test_slice_axis_comes_from_the_affine(self, layout, copy) -> None:
        row = layout.index(copy)[0]
        assert row.axis == 2
        turned = np.array([[0, 0, 1.0, 0], [0.1, -3, 0, 5], [2, 0.2, 0.1, 0], [0, 0, 0, 1]])
        for path in (row.path, row.label_path):
            save(path, self.raw_labels(path), turned)
        assert layout.index(copy)[0].axis == 0

    def test_array_order_and_scaling(self, layout, rows) -> None:
        raw = self.raw_labels(rows[0].path)
        assert (layout.open_image(rows[0]) == raw).all()

    def test_several_channels_need_a_choice(self, layout, copy) -> None:
        for row in layout.index(copy):
            second = np.asanyarray(nib.load(row.path).dataobj) + 1000
            name = row.path.replace("_0000", "_0001")
            save(name, second, nib.load(row.path).affine)
        with pytest.raises(DataError, match=r"channels \[0, 1\]"):
            layout.index(copy)
        second = get_layout("nnunet_raw", {"channel": 1}, self.classes)
        assert second.open_image(second.index(copy)[0]).min() >= 1000
        with pytest.raises(DataError, match=r"layout_options\.channel: 3"):
            get_layout("nnunet_raw", {"channel": 3}, self.classes).index(copy)
