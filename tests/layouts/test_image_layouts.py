"""Layouts ``cityscapes`` and ``folders``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al.generators import generate
from al.io.errors import ConfigError, DataError
from al.layouts import Layout, get_layout
from tests.layouts.contract import PairContract


class PngLabels(PairContract):
    def write_labels(self, path: str, labels: np.ndarray) -> None:
        Image.fromarray(labels).save(path)

    def raw_labels(self, path: str) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image)


class TestCityscapes(PngLabels):
    name = "cityscapes"
    classes = [f"class {n}" for n in range(19)]
    splits = {"train", "test"}

    def make(self, root: Path) -> None:
        generate("cityscapes_mini", root, 0, train=16, val=8)

    def test_every_labelid_becomes_its_trainid(self, layout, copy) -> None:
        # From cityscapesScripts' table of labels: (id, trainId) of the classes evaluated.
        train_ids = dict(zip(range(34), [255] * 34, strict=True))
        train_ids |= {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
        train_ids |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18, 255: 255}
        row = layout.index(copy)[0]
        labels = np.resize(np.array(list(train_ids), np.uint8), row.shape)
        self.write_labels(row.label_path, labels)
        expected = np.vectorize(train_ids.get)(labels)
        assert (layout.open_label(row) == expected).all()

    def test_validation_images_go_where_asked(self, made) -> None:
        rows = get_layout("cityscapes", {"val_as": "val"}, self.classes).index(made)
        assert {row.split for row in rows if "/val/" in row.path} == {"val"}
        with pytest.raises(ConfigError, match="val_as"):
            get_layout("cityscapes", {"val_as": "train"}, self.classes)

    def test_number_of_classes(self) -> None:
        with pytest.raises(ConfigError, match="allowed: 19"):
            get_layout("cityscapes", {}, self.classes[:-1])


class TestFolders(PngLabels):
    name = "folders"
    options = {"void": [11], "label_tail": "_L"}
    classes = ["sky", "road", "car"]
    splits = {"train", "test"}

    def make(self, root: Path) -> None:
        rng = np.random.default_rng(0)
        for folder in ("train", "val"):
            (root / folder).mkdir(parents=True)
            (root / f"{folder}annot").mkdir()
            for n in range(7):
                image = rng.integers(0, 255, (21, 30, 3), np.uint8)
                Image.fromarray(image).save(root / folder / f"{folder}{n}.jpg", quality=95)
                labels = rng.choice([0, 1, 2, 11], (21, 30)).astype(np.uint8)
                Image.fromarray(labels).save(root / f"{folder}annot" / f"{folder}{n}_L.png")
                (root / folder / "Thumbs.db").write_bytes(b"left alone")

    def test_void_becomes_255(self, layout, rows) -> None:
        raw = self.raw_labels(rows[0].label_path)
        assert ((layout.open_label(rows[0]) == 255) == (raw == 11)).all()

    def test_classes_take_the_ids_that_are_not_void(self, rows) -> None:
        layout = get_layout("folders", {"void": [0, 11]}, ["road", "car"])
        raw = self.raw_labels(rows[0].label_path)
        expected = np.select([raw == 1, raw == 2], [0, 1], 255)
        assert (layout.open_label(rows[0]) == expected).all()

    def test_images_are_left_out_by_name(self, rows, copy, capsys) -> None:
        Path(rows[0].label_path.replace(str(Path(rows[0].path).parents[1]), str(copy))).unlink()
        options = self.options | {"exclude": [rows[0].image, "train99"]}
        found = get_layout("folders", options, self.classes).index(copy)
        assert [row.key for row in found] == [row.key for row in rows[1:]]
        assert "to be excluded but not there: ['train99']" in capsys.readouterr().out

    def test_downsampling(self, rows, made) -> None:
        half = get_layout("folders", self.options | {"downsample": 2}, self.classes)
        small = half.index(made)
        assert {row.shape for row in small} == {(11, 15)}
        whole = get_layout("folders", self.options, self.classes).open_image(rows[0])
        image, label = half.open_image(small[0]), half.open_label(small[0])
        assert image.shape == (11, 15, 3) and label.shape == (11, 15)
        mean = whole[:20].reshape(10, 2, 15, 2, 3).mean((1, 3))
        assert np.abs(image[:10] - mean).max() <= 1
        full = get_layout("folders", self.options, self.classes).open_label(rows[0])
        assert (label == full[::2, ::2]).all()
        half.check(small)
        for wrong in (0, 1.5, "2", True):
            with pytest.raises(ConfigError, match="downsample"):
                get_layout("folders", {"downsample": wrong}, self.classes)

    def test_missing_folder_is_named(self, layout, copy) -> None:
        (copy / "valannot").rename(copy / "annotations")
        with pytest.raises(DataError, match="valannot: no such folder"):
            layout.index(copy)

    def test_a_folder_of_images_and_nothing_else(
        self, made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def opened(labels: Path | None, unlabelled: bool = True) -> Layout:
            folders = {"images": "."} | ({"labels": str(labels)} if labels else {})
            options = {"splits": {"unsplit": folders}, "label_tail": "_L"}
            return get_layout("folders", options, self.classes, unlabelled=unlabelled)

        for labels, told in (
            (None, ""),
            (tmp_path, f"the name of one would be {tmp_path}/train0_L.png"),
        ):
            rows = opened(labels).index(made / "train")
            assert [(r.image, r.split, r.label_path) for r in rows] == [
                (f"train{n}", "", "") for n in range(7)
            ]
            assert told in capsys.readouterr().out
        opened(None).check(rows)
        with pytest.raises(DataError, match="mistyped: no such folder"):
            opened(Path("mistyped")).index(made / "train")
        with pytest.raises(DataError, match=r"images \(.bmp, .* in that folder itself"):
            opened(None).index(tmp_path)
        with pytest.raises(ConfigError, match="images alone"):
            opened(None, False)

    def test_coloured_labels_are_refused(self, layout, copy) -> None:
        rows = layout.index(copy)
        Image.new("RGB", (30, 21)).save(rows[0].label_path)
        with pytest.raises(DataError, match="one channel of class ids"):
            layout.check(rows)

    def test_wrong_options_are_named(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'train'"):
            get_layout("folders", {"splits": {"trian": {}}}, self.classes)
        with pytest.raises(ConfigError, match="images and labels"):
            get_layout("folders", {"splits": {"train": {"images": "a"}}}, self.classes)
        with pytest.raises(ConfigError, match="void"):
            get_layout("folders", {"void": 11}, self.classes)
        for ids in (["0", 1, 2], [0, 1, 256], [0, 1], [0, 1, 1], [0, 1, 255], 7):
            with pytest.raises(ConfigError, match="layout_options.ids of folders: "):
                get_layout("folders", {"ids": ids}, self.classes)


def test_unknown_layout_offers_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cityscapes'"):
        get_layout("cityscape", {}, ["a"])
