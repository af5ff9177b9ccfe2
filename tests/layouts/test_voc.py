"""Layout ``voc``: palette labels, lists, images of several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from al.io.errors import ConfigError, DataError
from al.layouts import get_layout
from tests.layouts.contract import PairContract

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config/datasets/voc.yaml").read_text())
SIZES = ((37, 50), (50, 33), (50, 50), (28, 41))
N_TRAIN, N_VAL = 8, 5


def voc_palette() -> list[int]:
    """Return the official palette, 256 x RGB: bits of the index, dealt to the channels."""
    palette = []
    for index in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        palette += colour
    return palette


def write_palette(path: str | Path, labels: np.ndarray) -> None:
    """Write (H, W) uint8 indices as a palette PNG, as VOC's are."""
    image = Image.fromarray(labels)
    image.putpalette(voc_palette())
    image.save(path)


def make_voc(root: Path, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    """Write a small VOC2012: palette labels with all classes and void, and files in no list."""
    rng = np.random.default_rng(0)
    lists = root / "ImageSets/Segmentation"
    for folder in (root / "JPEGImages", root / "SegmentationClass", lists):
        folder.mkdir(parents=True)
    names = [f"2007_{n:06d}" for n in range(N_TRAIN + N_VAL)]
    for n, name in enumerate(names):
        height, width = sizes[n % len(sizes)]
        labels = np.zeros((height, width), np.uint8)
        for cls in range(1 + n % 3, 21, 3):
            y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
            labels[y : y + 8, x : x + 8] = cls
        labels[0], labels[-1, :21] = 255, np.arange(21)
        image = rng.normal(0, 8, (height, width, 3)) + labels[..., None] * (5, 9, 11) % 256
        photo = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
        photo.save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        write_palette(root / "SegmentationClass" / f"{name}.png", labels)
    photo.save(root / "JPEGImages" / "2008_000001.jpg")  # for detection alone
    (lists / "train.txt").write_text("\n".join(names[:N_TRAIN]) + "\n")
    (lists / "val.txt").write_text("\n".join(names[N_TRAIN:]) + "\n")
    (lists / "trainval.txt").write_text("\n".join(names) + "\n")


class TestVoc(PairContract):
    name = "voc"
    classes = CONFIG["classes"]
    splits = {"train", "test"}

    def make(self, root: Path) -> None:
        make_voc(root)

    def write_labels(self, path: str, labels: np.ndarray) -> None:
        write_palette(path, labels)

    def raw_labels(self, path: str) -> np.ndarray:
        with Image.open(path) as image:
            assert image.mode == "P"
            return np.asarray(image)

    def test_indices_are_the_classes(self, layout, rows) -> None:
        for row in rows:
            assert (layout.open_label(row) == self.raw_labels(row.label_path)).all()

    def test_every_image_has_its_own_size(self, rows) -> None:
        assert {row.shape for row in rows} == set(SIZES)
        assert all(row.shape == SIZES[int(row.image[-6:]) % len(SIZES)] for row in rows)

    def test_lists_make_the_splits(self, rows, made) -> None:
        assert [row.split for row in rows] == ["train"] * N_TRAIN + ["test"] * N_VAL
        moved = get_layout("voc", {"val_as": "val"}, self.classes).index(made)
        assert [row.split for row in moved] == ["train"] * N_TRAIN + ["val"] * N_VAL
        with pytest.raises(ConfigError, match="val_as"):
            get_layout("voc", {"val_as": "train"}, self.classes)

    def test_the_folders_above_are_found(self, layout, rows, made, tmp_path) -> None:
        for place in ("VOC2012", "above/VOCdevkit/VOC2012"):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).symlink_to(made)
        for root in (tmp_path, tmp_path / "above", tmp_path / "above/VOCdevkit"):
            assert [row.key for row in layout.index(root)] == [row.key for row in rows]

    @pytest.mark.parametrize("form", ["{0}", "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png"])
    def test_augmented_training_set(self, copy, form: str) -> None:
        lists, labels = copy / "ImageSets/Segmentation", copy / "SegmentationClassAug"
        names = [f"2007_{n:06d}" for n in range(N_TRAIN)] + ["2008_000001"]
        (lists / "train_aug.txt").write_text("\n".join(map(form.format, names)))
        labels.mkdir()
        for name in names:
            with Image.open(copy / "JPEGImages" / f"{name}.jpg") as image:
                Image.new("L", image.size, 20).save(labels / f"{name}.png")
        options = {"train_list": "train_aug", "train_labels": "SegmentationClassAug"}
        layout = get_layout("voc", options, self.classes)
        rows = layout.index(copy)
        layout.check(rows)
        train = [row for row in rows if row.split == "train"]
        assert len(train) == N_TRAIN + 1 and len(rows) == N_TRAIN + 1 + N_VAL
        assert all((layout.open_label(row) == 20).all() for row in train)

    @pytest.mark.parametrize("name", ["cam1.0001", "cam1 0001", "Z\u00fcrich.a b"])
    def test_names_hold_dots_and_spaces(self, layout, copy, name: str) -> None:
        """The file of the list is read, not one that is called as its beginning."""
        for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            for other in (name, "cam1"):
                old = copy / folder / f"2007_000001.{suffix}"
                (copy / folder / f"{other}.{suffix}").write_bytes(old.read_bytes())
        (copy / "ImageSets/Segmentation/train.txt").write_text(f"{name}\n")
        rows = [row for row in layout.index(copy) if row.split == "train"]
        assert [(row.image, Path(row.path).name) for row in rows] == [(name, f"{name}.jpg")]

    @pytest.mark.parametrize("line", ["{0}.jpg", "{0}.jpg {0}.png", "a/{0}.jpg b/{0}.png"])
    def test_lines_of_files(self, layout, rows, copy, line: str) -> None:
        file = copy / "ImageSets/Segmentation/train.txt"
        file.write_text("\n".join(line.format(name) for name in file.read_text().split()))
        assert [row.key for row in layout.index(copy)] == [row.key for row in rows]

    def test_an_image_in_both_lists_is_named(self, copy) -> None:
        layout = get_layout("voc", {"train_list": "trainval"}, self.classes)
        with pytest.raises(DataError, match="2007_000008: in trainval.txt and") as error:
            layout.index(copy)
        assert f"{N_VAL} problem" in str(error.value)

    def test_missing_and_empty_lists_are_named(self, layout, copy) -> None:
        lists = copy / "ImageSets/Segmentation"
        (lists / "val.txt").write_text("\n")
        with pytest.raises(DataError, match="val.txt: no image in this list"):
            layout.index(copy)
        (lists / "val.txt").unlink()
        with pytest.raises(DataError, match=r"val.txt: no such list; found: train.txt, trainval"):
            layout.index(copy)

    def test_image_and_label_missing(self, layout, copy) -> None:
        row = layout.index(copy)[0]
        Path(row.path).unlink()
        Path(row.label_path).unlink()
        with pytest.raises(DataError, match="2007_000000.jpg: no such image, and no .*000000.png"):
            layout.index(copy)

    def test_truncated_label_is_named(self, layout, copy) -> None:
        rows = layout.index(copy)
        path = Path(rows[1].label_path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match=f"{path.name}: unreadable or truncated"):
            layout.check(rows)

    def test_downsampling(self, rows, made) -> None:
        half = get_layout("voc", {"downsample": 2}, self.classes)
        small = half.index(made)
        assert small[0].shape == (19, 25) and small[1].shape == (25, 17)
        half.check(small)

    def test_own_classes(self, layout, rows, made) -> None:
        with pytest.raises(DataError, match=r"label values \[20\] outside the classes"):
            get_layout("voc", {}, self.classes[1:]).check(rows)
        with pytest.raises(ConfigError, match="train_list"):
            get_layout("voc", {"train_list": 7}, self.classes)


def test_colours_are_the_official_palette() -> None:
    assert sum(CONFIG["class_colours"], []) == voc_palette()[: 3 * 21]
