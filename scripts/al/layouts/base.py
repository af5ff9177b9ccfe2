"""What all layouts share: options, the collection of problems, and the checks of a pool."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unicodedata import category, normalize

import numpy as np

from al.io import errors
from al.io.checksums import check_whole
from al.io.errors import ConfigError, DataError, shortened
from al.io.labels import UNKNOWN, count_labels
from al.io.tables import PoolRow
from al.io.threads import in_order, with_progress

SHOWN = 10
THREADS = 16
BREAKING = ("Cc", "Cs", "Zl", "Zp")  # end lines of tables and logs, or are no text in UTF-8
FORMULA = {"=", "+", "@"}  # how what a spreadsheet runs begins
NEEDED = "allowed: one, or annotator: human"  # of a label that is not there
FILE = TypeVar("FILE")
KEY = TypeVar("KEY")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Say that ``name`` is not allowed, offer the nearest valid name and list all of them."""
    return f"unknown '{name}'; {errors.nearest(name, allowed)}"


def described(
    row_of: Callable[[FILE], PoolRow], files: Sequence[FILE]
) -> list[PoolRow | DataError]:
    """Describe files in threads, in their order; a DataError takes the place of a row."""

    def tried(file: FILE) -> PoolRow | DataError:
        try:
            return row_of(file)
        except DataError as error:
            return error

    return list(in_order(tried, files, THREADS))


def note(held: dict[KEY, Path], key: KEY, path: Path, found: Problems) -> None:
    """Note a file by what it is called; a second one of the same name is a problem.

    Names count as they are read: composed and decomposed letters are the same.
    """
    if isinstance(key, str):
        key = normalize("NFC", key)
    if held.setdefault(key, path) != path:
        found.add(f"{held[key]} and {path}: both would be {key}; allowed: one of them")


def paired(
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    places: Sequence[Path],
    found: Problems,
    unlabelled: bool,
) -> list[str]:
    """Return the sorted names that have an image and a label, and note the others.

    Args:
        images, labels: files by name.
        places: where images and where labels are looked for.
        found: takes what lacks its other half.
        unlabelled: whether an image without a label is among the names, and not noted.
    """
    for name in sorted(images.keys() ^ labels.keys()):
        if name not in images:
            found.add(f"{labels[name]}: label without image in {places[0]}")
        elif not unlabelled:
            found.add(f"{images[name]}: image without label in {places[1]}; {NEEDED}")
    return sorted(images if unlabelled else images.keys() & labels.keys())


class Problems:
    """Collects what is wrong with a dataset, so that one message tells of up to ten files."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.found: list[str] = []

    def add(self, *problems: str) -> None:
        """Note problems."""
        self.found += problems

    def without(self, described: Iterable[PoolRow | DataError]) -> list[PoolRow]:
        """Return the rows among what ``described`` gives, and note the rest."""
        described = list(described)
        self.add(*[str(row) for row in described if isinstance(row, DataError)])
        return [row for row in described if isinstance(row, PoolRow)]

    def stop(self) -> None:
        """Raise DataError with the first problems, if there is any."""
        if not self.found:
            return
        lines = [f"{self.subject}: {len(self.found)} problem(s) in the data"]
        lines += [f"  - {problem}" for problem in shortened(self.found, SHOWN)]
        raise DataError("\n".join(lines))


class Layout(ABC):
    """A dataset on disk: ``index`` lists it, ``open_image`` and ``open_label`` read it.

    Attributes:
        name: name in the configuration.
        task: ``2d``, ``3d`` or ``roi``.
        MARKS: globs; where one finds something in a folder, that is meant to be in this layout.
        options: the options with defaults filled in.
        classes: class names; a class index is a position in this list.
        unlabelled: whether images without a label are listed; their ``label_path`` is empty. A
            label without its image is an error all the same.
    """

    name: ClassVar[str]
    task: ClassVar[str]
    MARKS: ClassVar[tuple[str, ...]] = ()
    DEFAULTS: ClassVar[dict[str, Any]] = {}
    THREADS: ClassVar[int] = THREADS

    def __init__(
        self,
        options: Mapping[str, Any] | None,
        classes: Sequence[str],
        unlabelled: bool = False,
    ) -> None:
        given = dict(options or {})
        for key in given:
            if key not in self.DEFAULTS:
                raise ConfigError(f"layout_options of {self.name}: {nearest(key, self.DEFAULTS)}")
        if not 1 <= len(classes) < 255 or len(set(classes)) != len(classes):
            raise ConfigError(f"classes: need 1 to 254 names, each once, not {list(classes)}")
        self.options = deepcopy(self.DEFAULTS) | given
        self.classes = [str(name) for name in classes]
        self.unlabelled = unlabelled
        self.configure()

    def configure(self) -> None:
        """Validate the options; a subclass raises ConfigError here."""
        return None

    def index(self, root: str | Path) -> list[PoolRow]:
        """List the dataset, sorted by image and RoI; reads names and file headers only.

        Args:
            root: the dataset's folder (``data_root``).

        Raises:
            DataError: the folder is missing or empty, files do not pair, shapes differ; the
                message lists up to ten problems.
        """
        root = Path(root)
        if not root.is_dir():
            raise DataError(f"data_root: {root} is not a folder; expected {self.expects()}")
        rows = self.list_rows(root)
        if not rows:
            raise DataError(f"data_root: nothing found in {root}; expected {self.expects()}")
        problems = Problems(f"{self.name} in {root}")
        files: dict[str, list[str]] = {}
        for row in rows:
            files.setdefault(row.key, []).append(row.path)
            if {row.image[:1], row.roi[:1]} & FORMULA:
                problems.add(f"{row.key!a}: allowed: a name that begins with none of = + @")
        for key, paths in files.items():
            if len(paths) > 1:
                same = " and ".join(paths[:SHOWN])
                problems.add(f"{key}: {len(paths)} files carry this name, {same}; allowed: one")
            if wrong := [c for c in key if category(c) in BREAKING]:
                problems.add(f"{key!a}: a name with {wrong[0]!a}; allowed: no control characters")
        problems.stop()
        return sorted(rows, key=lambda row: (row.image, row.roi))

    def check(
        self, rows: Sequence[PoolRow], after: Callable[[PoolRow], None] | None = None
    ) -> list[np.ndarray]:
        """Open and decode every image and label of the rows, in threads.

        ``after`` is called with each row as soon as its files have been read.

        Returns:
            What each label holds: pixels (RoIs) of every class, void last, (C + 1,) int64.

        Raises:
            DataError: unreadable files, shapes that differ, label values outside the classes,
                NaN or infinity; the message lists up to ten with what was found and allowed.
        """

        def look(row: PoolRow) -> tuple[list[str], np.ndarray]:
            found, held = self._look(row)
            if after is not None and not found:
                after(row)
            return found, held

        problems = Problems(self.name)
        counts = []
        looked = in_order(look, rows, self.threads())
        for found, held in with_progress(looked, len(rows), "images checked"):
            problems.add(*found)
            counts.append(held)
        problems.stop()
        return counts

    def threads(self) -> int:
        """Return how many files are decoded at a time."""
        return min(self.THREADS, 2 * (os.cpu_count() or 1))

    def _look(self, row: PoolRow) -> tuple[list[str], np.ndarray]:
        """Return what is wrong with a row, and what its label holds."""
        found: list[str] = []
        counts = np.zeros(len(self.classes) + 1, np.int64)
        try:
            check_whole(row.path)
            image = self.open_image(row)
            if image.shape[: len(row.shape)] != row.shape:
                found.append(f"{row.path}: shape {image.shape}, in the pool {row.shape}")
            if image.dtype.kind == "f" and not np.isfinite(image).all():
                found.append(f"{row.path}: NaN or infinite values; allowed: finite ones")
        except DataError as error:
            found.append(str(error))
        try:
            if self.task == "2d" and row.label_path:  # of RoIs a label is a class
                check_whole(row.label_path)
            label = self.open_label(row)
            counts = count_labels(label, len(self.classes), row.label_path)
            if isinstance(label, np.ndarray) and label.shape != row.shape:
                found.append(
                    f"{row.label_path}: shape {label.shape}; allowed: the image's, {row.shape}"
                )
        except DataError as error:
            found.append(str(error))
        return found, counts

    @abstractmethod
    def expects(self) -> str:
        """Say in a few words which folders and files the layout reads."""

    @abstractmethod
    def list_rows(self, root: Path) -> list[PoolRow]:
        """List the rows of an existing folder, in any order; raises as ``index`` does."""

    @abstractmethod
    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read an image: (H, W, 3) uint8, or a volume as float32 in the file's array order.

        Raises:
            DataError: the file cannot be read.
        """

    def open_label(self, row: PoolRow) -> np.ndarray | int:
        """Read ground truth: uint8 class indices, 255 void, or the class index of a RoI.

        Where there is no label all is void: 255 of the row's shape, of a RoI 255.

        Raises:
            DataError: the file cannot be read, or holds values outside the classes.
        """
        if row.label_path:
            return self._read_label(row)
        return UNKNOWN if self.task == "roi" else np.full(row.shape, UNKNOWN, np.uint8)

    @abstractmethod
    def _read_label(self, row: PoolRow) -> np.ndarray | int:
        """Read the label of a row that has one; as ``open_label``."""


def choice(layout: Layout, key: str, allowed: Sequence[Any]) -> Any:
    """Return an option that must be one of ``allowed``; raises ConfigError."""
    value = layout.options[key]
    if value not in allowed:
        names = ", ".join(str(v) for v in allowed)
        raise ConfigError(f"layout_options.{key} of {layout.name}: {value!r}; allowed: {names}")
    return value


def names_option(layout: Layout, key: str) -> list[str]:
    """Return an option that must be a list of names, as strings; raises ConfigError."""
    value = layout.options[key]
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"layout_options.{key} of {layout.name}: {value!r}; allowed: a list")
    return [str(name) for name in value]


def text_option(layout: Layout, key: str) -> str:
    """Return an option that must be text; raises ConfigError."""
    value = layout.options[key]
    if not isinstance(value, str):
        raise ConfigError(f"layout_options.{key} of {layout.name}: {value!r}; allowed: text")
    return value
