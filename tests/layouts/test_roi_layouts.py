"""Layouts ``bracs`` and ``table``."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al.generators import generate
from al.io.errors import ConfigError, DataError
from al.io.pool import assign_splits
from al.layouts import bracs, get_layout
from tests.layouts.contract import LayoutContract

CODES = ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]


class TestBracs(LayoutContract):
    name = "bracs"
    classes = CODES
    splits = {"train", "val", "test"}

    def make(self, root: Path) -> None:
        generate("bracs_mini", root, 0, train=7, val=2, test=3)

    def test_images_without_a_label_are_listed_where_people_annotate(self, layout, rows, made):
        """There are none: the name of a RoI holds its class."""
        assert get_layout("bracs", {}, CODES, unlabelled=True).index(made) == rows

    def test_class_and_slide_come_from_the_name(self, layout, rows) -> None:
        for row in rows:
            _, slide, code, _ = Path(row.path).stem.split("_")
            assert row.image == f"BRACS_{slide}"
            assert CODES[layout.open_label(row)] == code
            assert f"/{row.split}/" in row.path

    def test_three_classes(self, layout, rows) -> None:
        grouped = get_layout("bracs", {}, ["benign", "atypical", "malignant"])
        groups = [0, 0, 0, 1, 1, 2, 2]
        for row in rows:
            assert grouped.open_label(row) == groups[layout.open_label(row)]

    def test_other_classes_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'DCIS'"):
            get_layout("bracs", {}, [*CODES[:5], "DCS", "IC"])
        with pytest.raises(ConfigError, match="7 or 3"):
            get_layout("bracs", {}, CODES[:5])

    def test_identifiers_do_not_know_the_class(self, layout, rows, copy) -> None:
        row = next(row for row in layout.index(copy) if "_PB_" in row.path)
        path = Path(row.path)
        moved = path.parent.parent / "6_IC" / path.name.replace("_PB_", "_IC_9")
        path.rename(moved)
        changed = layout.index(copy)
        assert [row.key for row in changed] == [row.key for row in rows]

    def test_copies_of_one_file_are_numbered(self, layout, rows, copy) -> None:
        path = Path(layout.index(copy)[0].path)
        shutil.copy(path, path.with_name(path.stem + "77.png"))
        again = layout.index(copy)
        assert len({row.key for row in again}) == len(rows) + 1

    def test_folder_that_disagrees_with_the_name(self, layout, copy) -> None:
        path = next(copy.glob("train/1_PB/*.png"))
        path.rename(copy / "train" / "0_N" / path.name)
        with pytest.raises(DataError, match=r"class PB in the name, folder 0_N"):
            layout.index(copy)

    def test_slide_in_two_splits(self, layout, copy) -> None:
        path = next(copy.glob("train/1_PB/*.png"))
        shutil.copy(path, copy / "test" / "1_PB" / path.name)
        slide = "_".join(path.stem.split("_")[:2])
        with pytest.raises(DataError, match=f"{slide}: RoIs in test and train"):
            layout.index(copy)

    @pytest.mark.parametrize("place", ["1_PB/{}.jpg", "1_PB/deeper/{}.png"])
    def test_no_picture_is_left_out_without_a_word(self, layout, copy, place: str) -> None:
        path = next(copy.glob("train/1_PB/*.png"))
        other = copy / "train" / place.format(path.stem)
        other.parent.mkdir(exist_ok=True)
        path.rename(other)
        with pytest.raises(DataError, match=rf"{other.name}: is not read; allowed: PNG"):
            layout.index(copy)

    def test_endings_in_capitals(self, layout, rows, copy) -> None:
        for path in copy.rglob("*.png"):
            path.rename(path.with_suffix(".PNG"))
        assert [row.key for row in layout.index(copy)] == [row.key for row in rows]

    def test_wrong_name(self, layout, copy) -> None:
        path = next(copy.glob("train/1_PB/*.png"))
        path.rename(path.with_name("roi7.png"))
        with pytest.raises(DataError, match=r"roi7\.png: name"):
            layout.index(copy)

    def as_earlier(self, copy: Path) -> None:
        for split in ("train", "val", "test"):
            (copy / split / "3_FEA").rename(copy / split / "4_FEA")
            (copy / split / "4_ADH").rename(copy / split / "3_ADH")

    def test_both_releases(self, layout, rows, copy) -> None:
        self.as_earlier(copy)
        earlier = layout.index(copy)
        assert [row.key for row in earlier] == [row.key for row in rows]
        assert [layout.open_label(r) for r in earlier] == [layout.open_label(r) for r in rows]
        with pytest.raises(DataError, match="earlier release"):
            get_layout("bracs", {"release": "latest"}, CODES).index(copy)

    def test_releases_side_by_side(self, rows, copy, tmp_path) -> None:
        home = tmp_path / "home" / "BRACS_RoI"
        shutil.copytree(copy, home / "latest_version")
        self.as_earlier(copy)
        shutil.copytree(copy, home / "previous_versions" / "Version1_MedIA" / "Images")
        for release, part in (("auto", "Images"), ("latest", "latest_version")):
            found = get_layout("bracs", {"release": release}, CODES).index(tmp_path / "home")
            assert len(found) == len(rows) and f"/{part}/" in found[0].path

    def test_counts_are_compared_when_asked(self, made, monkeypatch, capsys) -> None:
        layout = get_layout("bracs", {"check_counts": True}, CODES)
        with pytest.raises(DataError, match="the latest release has 3657"):
            layout.index(made)
        report = get_layout("bracs", {"check_counts": "report"}, CODES)
        assert len(report.index(made)) == len(get_layout("bracs", {}, CODES).index(made))
        assert "the latest release has 3657" in capsys.readouterr().out
        counts = Counter(row.split for row in get_layout("bracs", {}, CODES).index(made))
        monkeypatch.setitem(bracs.ROIS, "latest", dict(counts))
        assert len(layout.index(made)) == sum(counts.values())


class TestTable(LayoutContract):
    name = "table"
    options = {"image_column": "patient", "roi_column": "BMI", "folder": "patches"}
    classes = ["round", "long", "other"]
    splits = {""}
    refused_without_label = "line 2: nothing in column label"

    def make(self, root: Path) -> None:
        rng = np.random.default_rng(0)
        (root / "patches").mkdir(parents=True)
        entries = []
        for n in range(20):
            Image.fromarray(rng.integers(0, 255, (27, 25, 3), np.uint8)).save(
                root / "patches" / f"{n}.png"
            )
            split = ("train", "test")[n % 2]
            entries.append([n, n % 4, f"{n}.png", self.classes[n % 3], split])
        self.write(root, entries)

    def write(self, root: Path, entries: list) -> None:
        with (root / "data_labels.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["BMI", "patient", "file", "label", "part"])
            writer.writerows(entries)

    def unlabel(self, root: Path, rows: list) -> None:
        bare = {row.roi for row in rows}
        self.write(root, [[*e[:3], "" if e[0] in bare else e[3], e[4]] for e in self.entries(root)])

    def test_a_table_without_classes(self, layout, copy) -> None:
        options = self.options | {"label_column": ""}
        opened = get_layout("table", options, self.classes, unlabelled=True)
        assert opened.index(copy) == [replace(row, label_path="") for row in layout.index(copy)]
        with pytest.raises(DataError, match="label_column"):
            get_layout("table", options, self.classes).index(copy)

    def entries(self, root: Path) -> list[list[str]]:
        with (root / "data_labels.csv").open(newline="") as file:
            return list(csv.reader(file))[1:]

    def test_values(self, layout, rows) -> None:
        assert len(rows) == 20
        for row in rows:
            n = int(row.roi)
            assert row.image == str(n % 4) and row.path.endswith(f"/{n}.png")
            assert row.shape == (27, 25) and layout.open_label(row) == n % 3

    def test_split_column(self, made, copy) -> None:
        """A patient in both splits is refused, and so is a group of patients."""
        layout = get_layout("table", self.options | {"split_column": "part"}, self.classes)
        rows = layout.index(made)
        for row in rows:
            assert row.split == ("train", "test")[int(row.roi) % 2]
        assert assign_splits(rows, None, 0) == rows
        self.write(copy, [[*e[:4], "test" if n == 4 else e[4]]
                          for n, e in enumerate(self.entries(copy))])  # fmt: skip
        with pytest.raises(DataError, match=r"'0' lies in several .*'0/0' in train and '0/4' in t"):
            assign_splits(layout.index(copy), None, 0)

    def test_group_column(self, made, copy) -> None:
        options = self.options | {"group_column": "part"}
        layout = get_layout("table", options, self.classes)
        assert {(row.image, row.group) for row in layout.index(made)} == {
            ("0", "train"), ("1", "test"), ("2", "train"), ("3", "test")
        }  # fmt: skip
        self.write(copy, [[n, *e[1:4], n % 3] for n, e in enumerate(self.entries(copy))])
        with pytest.raises(DataError, match="0: groups '0' and '1'; allowed: one"):
            layout.index(copy)

    def test_labels_follow_the_table(self, layout, copy) -> None:
        row = next(row for row in layout.index(copy) if row.roi == "3")
        assert layout.open_label(row) == 0
        entries = self.entries(copy)
        entries[3][3] = "other-than-before"
        self.write(copy, entries)
        with pytest.raises(DataError, match=r"class of 3/3"):
            layout.open_label(row)

    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            (3, "lnog", r"line 7: class .*did you mean 'long'"),
            (3, "", r"line 7: nothing in column label"),
            (2, "none.png", r"line 7: .*none\.png"),
            (0, "1", r"1/1: 2 files carry this name"),
        ],
    )
    def test_wrong_entries(self, layout, copy, column, value, message) -> None:
        entries = self.entries(copy)
        entries[5][column] = value
        self.write(copy, entries)
        with pytest.raises(DataError, match=message):
            layout.index(copy)

    def test_missing_column_offers_the_nearest(self, made) -> None:
        layout = get_layout("table", self.options | {"image_column": "patent"}, self.classes)
        with pytest.raises(DataError, match=r"image_column: .*did you mean 'patient'"):
            layout.index(made)
