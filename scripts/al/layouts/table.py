"""Layout ``table``: RoIs listed in a CSV with their image (or patient) and class."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from al.io.errors import DataError
from al.io.tables import SPLITS, PoolRow

from .base import Problems, described, nearest, text_option
from .rois import RoiLayout, roi_row

COLUMNS = ("image_column", "roi_column", "file_column", "label_column")
OPTIONAL = ("split_column", "group_column")


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV with a header: column names and rows; raises DataError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: unreadable table ({error})") from error


class Table(RoiLayout):
    """RoIs of a CSV.

    Options:
        table: the CSV, relative to the root.
        folder: folder of the RoI files, relative to the root; file names are relative to it.
        image_column, roi_column, file_column, label_column: columns that hold the image (what an
            annotator opens), the RoI's identifier, its file and its class (a class name). Where
            RoIs without a label are listed, cells of the class may be empty, and ``label_column``
            too: the table then holds no class.
        split_column: column with ``train``, ``val`` or ``test``; empty: no fixed split.
        group_column: column with what images belong together by, kept in one split; empty: none.
    """

    name = "table"
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "table": "data_labels.csv",
        "folder": ".",
        "image_column": "image",
        "roi_column": "roi",
        "file_column": "file",
        "label_column": "label",
        "split_column": "",
        "group_column": "",
    }

    def configure(self) -> None:
        """Validate that all options are text."""
        for key in self.DEFAULTS:
            text_option(self, key)

    def expects(self) -> str:
        """Say what is read."""
        return f"{self.options['table']} and the files it lists in {self.options['folder']}"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Read the table and the headers of its files."""
        table = root / self.options["table"]
        problems = Problems(str(table))
        names, entries = read_rows(table)
        optional = {*OPTIONAL, "label_column"} if self.unlabelled else OPTIONAL
        keys = [key for key in COLUMNS + OPTIONAL if self.options[key] or key not in optional]
        for key in keys:
            if self.options[key] not in names:
                told = nearest(self.options[key], names) + ("; or ''" if key in optional else "")
                problems.add(f"layout_options.{key}: {told}")
        problems.stop()
        columns = {key: self.options[key] for key in keys}

        def row_of(numbered: tuple[int, dict[str, str]]) -> PoolRow:
            line, entry = numbered
            values = {key: (entry[column] or "").strip() for key, column in columns.items()}
            label = values.get("label_column", "")
            empty = [
                columns[key]
                for key, value in values.items()
                if not value and not (self.unlabelled and key == "label_column")
            ]
            if empty:
                raise DataError(f"line {line}: nothing in column {', '.join(empty)}")
            if label and label not in self.classes:
                raise DataError(f"line {line}: class {nearest(label, self.classes)}")
            split = values.get("split_column", "")
            if split and split not in SPLITS:
                raise DataError(f"line {line}: split {nearest(split, SPLITS)}")
            path = root / self.options["folder"] / values["file_column"]
            try:
                image, roi = values["image_column"], values["roi_column"]
                row = roi_row(image, roi, split, path, table if label else "")
            except DataError as error:
                raise DataError(f"line {line}: {error}") from error
            return replace(row, group=values.get("group_column", ""))

        rows = problems.without(described(row_of, list(enumerate(entries, start=2))))
        groups: dict[str, str] = {}
        for row in rows:
            if row.group != groups.setdefault(row.image, row.group):
                told = f"groups {groups[row.image]!r} and {row.group!r}; allowed: one"
                problems.add(f"{row.image}: {told}")
        problems.stop()
        return rows

    def _read_label(self, row: PoolRow) -> int:
        """Return the class index of a RoI, from the table."""
        table = Path(row.label_path)
        try:
            changed = table.stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"{table}: unreadable table ({error})") from error
        columns = tuple(self.options[key] for key in ("image_column", "roi_column", "label_column"))
        label = _labels(table, changed, columns).get((row.image, row.roi), "")
        if label not in self.classes:
            raise DataError(f"{table}: class of {row.key}: {nearest(label, self.classes)}")
        return self.classes.index(label)


@lru_cache(maxsize=8)
def _labels(table: Path, changed: int, columns: tuple[str, str, str]) -> dict[tuple[str, str], str]:
    names, entries = read_rows(table)
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataError(f"{table}: column {nearest(missing[0], names)}")
    image, roi, label = columns
    return {
        ((e[image] or "").strip(), (e[roi] or "").strip()): (e[label] or "").strip()
        for e in entries
    }
