"""The contract of a layout; a test class inherits it and says how its dataset is made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.io.tables import PoolRow, read_pool, write_pool
from al.layouts import Layout, get_layout
from al.layouts.recognise import recognise


def cut_in_half(path: str | Path) -> None:
    """Truncate a file, as an interrupted copy does."""
    path = Path(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class LayoutContract:
    """Inherit, set the attributes, write ``make``."""

    name: str
    options: dict = {}
    classes: list[str]
    splits: set[str]
    refused_without_label = "image without"

    def make(self, root: Path) -> None:
        """Write a small dataset into the folder ``root`` (not there yet)."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A dataset to read from; not to be changed."""
        root = tmp_path_factory.mktemp("layout") / "data"
        cls().make(root)
        return root

    @pytest.fixture
    def copy(self, made: Path, tmp_path: Path) -> Path:
        """A dataset to damage."""
        shutil.copytree(made, tmp_path / "data")
        return tmp_path / "data"

    @pytest.fixture
    def layout(self) -> Layout:
        return get_layout(self.name, self.options, self.classes)

    @pytest.fixture
    def rows(self, layout: Layout, made: Path) -> list[PoolRow]:
        return layout.index(made)

    def test_rows_are_sorted_unique_and_complete(self, layout, rows) -> None:
        keys = [(row.image, row.roi) for row in rows]
        assert keys == sorted(set(keys))
        assert {row.split for row in rows} == self.splits
        axes = 3 if layout.task == "3d" else 2
        for row in rows:
            assert len(row.shape) == axes
            assert (row.axis is not None) == (axes == 3)
            assert bool(row.roi) == (layout.task == "roi")

    def test_it_is_recognised(self, made) -> None:
        assert recognise(made).layout == self.name

    def test_pool_survives_its_csv(self, rows, tmp_path) -> None:
        write_pool(tmp_path / "pool.csv", rows)
        assert read_pool(tmp_path / "pool.csv") == rows

    def test_images_and_labels(self, layout, rows) -> None:
        seen = set()
        for row in rows:
            image, label = layout.open_image(row), layout.open_label(row)
            if layout.task == "3d":
                assert image.dtype == np.float32 and image.shape == row.shape
            else:
                assert image.dtype == np.uint8 and image.shape == (*row.shape, 3)
            if layout.task == "roi":
                assert isinstance(label, int)
                seen.add(label)
            else:
                assert label.dtype == np.uint8 and label.shape == row.shape
                seen |= set(np.unique(label).tolist())
        assert seen - {255} == set(range(len(self.classes)))

    def test_check_accepts_good_data(self, layout, rows) -> None:
        layout.check(rows)

    def test_relative_root(self, layout, rows, made, monkeypatch) -> None:
        monkeypatch.chdir(made.parent)
        relative = layout.index(Path("data"))
        assert [row.key for row in relative] == [row.key for row in rows]
        assert not Path(relative[0].path).is_absolute()

    def unlabel(self, root: Path, rows: list[PoolRow]) -> None:
        """Take the labels of some rows away."""
        for row in rows:
            Path(row.label_path).unlink()

    def test_images_without_a_label_are_listed_where_people_annotate(self, layout, copy) -> None:
        opened = get_layout(self.name, self.options, self.classes, unlabelled=True)
        before = layout.index(copy)
        assert opened.index(copy) == before
        counts = layout.check(before)
        self.unlabel(copy, before[::2])
        rows = opened.index(copy)
        bare = [replace(row, label_path="") for row in before]
        assert rows[::2] == bare[::2] and rows[1::2] == before[1::2]
        for row, held, was in zip(rows, opened.check(rows), counts, strict=True):
            if row.label_path:
                assert (held == was).all()
                continue
            label = opened.open_label(row)
            assert (held[:-1] == 0).all() and held.sum() == was.sum() == np.size(label)
            assert np.shape(label) == (() if layout.task == "roi" else row.shape)
            assert (np.asarray(label) == 255).all()
        with pytest.raises(DataError, match=self.refused_without_label):
            layout.index(copy)
        self.unlabel(copy, before[1::2])
        assert opened.index(copy) == bare
        opened.check(bare)

    def test_truncated_image_is_named(self, layout, copy) -> None:
        rows = layout.index(copy)
        cut_in_half(rows[0].path)
        with pytest.raises(DataError, match=Path(rows[0].path).name) as error:
            layout.check(rows)
        assert "1 problem" in str(error.value)

    def test_unreadable_image_is_named(self, layout, copy) -> None:
        path = Path(layout.index(copy)[0].path)
        path.write_bytes(b"not an image")
        with pytest.raises(DataError, match=path.name):
            layout.index(copy)

    def test_at_most_ten_problems_are_listed(self, layout, copy) -> None:
        rows = layout.index(copy)
        assert len(rows) > 11
        for row in rows:
            Path(row.path).write_bytes(b"")
        with pytest.raises(DataError) as error:
            layout.check(rows)
        assert str(error.value).count("\n  - ") == 11  # the last says how many more
        assert f"{len(rows)} problem" in str(error.value)

    def test_missing_and_empty_root(self, layout, tmp_path) -> None:
        with pytest.raises(DataError, match="data_root: .*nowhere is not a folder"):
            layout.index(tmp_path / "nowhere")
        with pytest.raises(DataError, match=r"data_root|no such folder|unreadable table"):
            layout.index(tmp_path)

    def test_unknown_option_offers_the_nearest(self) -> None:
        known = get_layout(self.name, self.options, self.classes).options
        for option in known:
            with pytest.raises(ConfigError, match=f"did you mean '{option}'"):
                get_layout(self.name, {option + "x": 1}, self.classes)
        with pytest.raises(ConfigError, match="layout_options"):
            get_layout(self.name, {"qqq": 1}, self.classes)

    def test_double_class_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="classes"):
            get_layout(self.name, self.options, [*self.classes[:-1], self.classes[0]])


class PairContract(LayoutContract):
    """For layouts with a label file per image."""

    def write_labels(self, path: str, labels: np.ndarray) -> None:
        """Write a label file with the values given (ids of the file)."""
        raise NotImplementedError

    def raw_labels(self, path: str) -> np.ndarray:
        """Read a label file as it is."""
        raise NotImplementedError

    def test_image_without_label(self, layout, copy) -> None:
        row = layout.index(copy)[0]
        Path(row.label_path).unlink()
        with pytest.raises(DataError, match=f"{Path(row.path).name}: image without"):
            layout.index(copy)

    def test_label_without_image(self, layout, copy) -> None:
        row = layout.index(copy)[0]
        Path(row.path).unlink()
        with pytest.raises(DataError, match=r"label without|: no imaging"):
            layout.index(copy)

    def test_other_shape(self, layout, copy) -> None:
        row = layout.index(copy)[0]
        self.write_labels(row.label_path, self.raw_labels(row.label_path)[:-3])
        with pytest.raises(DataError, match=r"shape .*allowed: the image's"):
            layout.index(copy)

    def test_check_finds_a_shape_that_changed_later(self, layout, copy) -> None:
        rows = layout.index(copy)
        self.write_labels(rows[1].label_path, self.raw_labels(rows[1].label_path)[:-3])
        with pytest.raises(DataError, match=f"{Path(rows[1].label_path).name}: shape"):
            layout.check(rows)

    def test_value_outside_the_classes(self, layout, copy) -> None:
        rows = layout.index(copy)
        labels = self.raw_labels(rows[2].label_path).copy()
        labels[3, 4] = 77
        self.write_labels(rows[2].label_path, labels)
        with pytest.raises(DataError, match=r"label values \[77(\.0)?\].*allowed"):
            layout.check(rows)
