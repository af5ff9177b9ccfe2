"""The base of all layouts of 3-D segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import nibabel as nib
import numpy as np

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN, count_labels
from al.io.tables import PoolRow

from .base import Layout, Problems, choice, described, names_option
from .grid import Grid
from .nifti import (
    Header,
    difference,
    fault_of_header,
    fault_of_sizes,
    faults_of_image,
    read_header,
    read_label_volume,
    read_volume,
    slice_axis,
)

GridOption = tuple[float | None, float | None] | None


class Case(NamedTuple):
    """A volume file and its label file, if it has one."""

    image: str
    path: Path
    label_path: Path | None


class Mismatch(DataError):
    """Says how an image and its label, or two words of a header, differ."""


def _row_of(case: Case, wanted: GridOption) -> PoolRow:
    image = read_header(case.path)
    label = read_header(case.label_path) if case.label_path else None
    if fault := fault_of_header(case.path, image):
        raise DataError(fault)
    if fault := fault_of_sizes(case.path, image):
        raise Mismatch(fault)
    if case.label_path and label:
        _compare(case.label_path, image, label)
    axis = slice_axis(image.affine)
    shape = _grid(image, axis, wanted).shape
    return PoolRow(case.image, "", "", str(case.path), str(case.label_path or ""), shape, axis)


def _compare(path: Path, image: Header, label: Header) -> None:
    """Raise DataError where a label cannot be read, Mismatch where it is not its image's."""
    if image.shape != label.shape:
        raise Mismatch(f"{path}: shape {label.shape}; allowed: the image's, {image.shape}")
    if fault := fault_of_header(path, label):
        raise DataError(fault)
    if differs := difference(path, image, label):
        raise Mismatch(differs)


def _grid(header: Header, axis: int, wanted: GridOption) -> Grid:
    """Return the annotator's grid of a volume with that slice axis."""
    if wanted is None:
        return Grid(header.shape, header.shape)
    spacing = nib.affines.voxel_sizes(header.affine)
    sizes = [wanted[0] if a == axis else wanted[1] for a in range(len(header.shape))]
    return Grid.of(header.shape, spacing, sizes)


def _grid_option(value: Any, name: str) -> GridOption:
    """Return the wanted voxel size along the slice axis and within slices; raises ConfigError."""
    sizes = value if isinstance(value, list | tuple) else [value, value]

    def fits(size: Any) -> bool:
        number = isinstance(size, int | float) and not isinstance(size, bool)
        return size is None or (number and 0 < size < np.inf)

    if len(sizes) != 2 or not all(map(fits, sizes)):
        raise ConfigError(
            f"layout_options.grid of {name}: {value!r}; allowed: null, a voxel size in mm, or two "
            "of these, along the slice axis and within slices"
        )
    return None if sizes[0] is None and sizes[1] is None else (sizes[0], sizes[1])


class VolumeLayout(Layout):
    """3-D segmentation: a volume and a label volume of the same grid per case, no fixed split.

    Options:
        exclude: cases to leave out; what is not there is reported, so that parts of a dataset work.
        on_mismatch: ``refuse``, or ``skip`` cases whose shape or affine differs from the label's.
        grid: voxel size in mm that annotators see and regions are defined on: a number, or one
            along the slice axis and one within slices, ``null`` for the file's own. Scores are
            computed on the file's grid.
    """

    task = "3d"
    THREADS = 2  # a decoded CT takes half a gigabyte
    excluded: frozenset[str]
    void: int | None = None  # value of voxels without a label
    wanted: GridOption
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "exclude": [],
        "on_mismatch": "refuse",
        "grid": None,
    }

    def configure(self) -> None:
        """Validate the options."""
        self.excluded = frozenset(names_option(self, "exclude"))
        choice(self, "on_mismatch", ("refuse", "skip"))
        self.wanted = _grid_option(self.options["grid"], self.name)

    def rows_of(self, cases: list[Case], seen: set[str], problems: Problems) -> list[PoolRow]:
        """Read the headers of all pairs; leaves out what the options say, else raises.

        ``seen`` are the names of all cases on disk, paired or not.
        """
        unknown = self.excluded - seen
        if unknown:
            print(f"{self.name}: to be excluded but not there: {sorted(unknown)}", flush=True)
        kept = [case for case in cases if case.image not in self.excluded]
        found = described(lambda case: _row_of(case, self.wanted), kept)
        if self.options["on_mismatch"] == "skip":
            for case, row in zip(kept, found, strict=True):
                if isinstance(row, Mismatch):
                    print(f"{self.name}: skipped {case.image}: {row}", flush=True)
            found = [row for row in found if not isinstance(row, Mismatch)]
        rows = problems.without(found)
        problems.stop()
        return rows

    def check(
        self, rows: Sequence[PoolRow], after: Callable[[PoolRow], None] | None = None
    ) -> list[np.ndarray]:
        """Open every image and label, a case at a time in each of ``THREADS`` threads.

        A case of background alone is reported: healthy ones exist. A dataset of them is refused.
        See ``Layout``; refused are also images of one value.
        """
        counts = super().check(rows, after)
        labelled = [
            (row.image, held)
            for row, held in zip(rows, counts, strict=True)
            if held[:-1].any() or not self.unlabelled
        ]
        empty = [image for image, held in labelled if not held[1:-1].any()]
        problems = Problems(self.name)
        if labelled and len(empty) == len(labelled):
            problems.add(f"all {len(empty)} cases hold background (0) alone; allowed: some do not")
            problems.stop()
        if empty:
            shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
            count = f"{len(empty)} of {len(labelled)}"
            print(f"{self.name}: {count} cases have no foreground: {shown}", flush=True)
        return counts

    def _look(self, row: PoolRow) -> tuple[list[str], np.ndarray]:
        """Return what is wrong with a case, and what its label holds on the file's grid."""
        found: list[str] = []
        counts = np.zeros(len(self.classes) + 1, np.int64)
        full = row.shape
        try:
            grid = self.grid_of(row)
            full = grid.full
            if grid.shape != row.shape:
                found.append(f"{row.path}: shape {grid.shape}, in the pool {row.shape}")
            found += faults_of_image(row.path, full)
        except DataError as error:
            found.append(str(error))
        try:
            label = self.open_scored_label(row)
            counts = count_labels(label, len(self.classes), row.label_path)
            if label.shape != full:
                found.append(f"{row.label_path}: shape {label.shape}; allowed: the image's, {full}")
        except DataError as error:
            found.append(str(error))
        return found, counts

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read a volume: (D, H, W) float32 on the annotator's grid, in the file's array order."""
        volume = self.open_full(row)
        return volume if self.wanted is None else self.grid_of(row).image_seen(volume)

    def open_full(self, row: PoolRow) -> np.ndarray:
        """Read a volume: (D, H, W) float32 on the file's grid; raises DataError."""
        return read_volume(row.path)

    def _read_label(self, row: PoolRow) -> np.ndarray:
        """Read a label volume: (D, H, W) uint8 class indices on the annotator's grid."""
        labels = self.open_scored_label(row)
        return labels if self.wanted is None else self.grid_of(row).labels_seen(labels)

    def open_scored_label(self, row: PoolRow) -> np.ndarray:
        """Read a label volume as scores are computed: uint8 class indices on the file's grid.

        Where there is none all is void, as in ``open_label``.
        """
        if not row.label_path:
            return np.full(self.grid_of(row).full, UNKNOWN, np.uint8)
        return read_label_volume(row.label_path, self.classes, self.void)

    def to_scored(self, row: PoolRow, labels: np.ndarray) -> np.ndarray:
        """Bring labels from the annotator's grid to the file's."""
        return self.grid_of(row).labels_in_full(labels)

    def grid_of(self, row: PoolRow) -> Grid:
        """Return the annotator's grid of a volume; reads its header where there is one."""
        if self.wanted is None:
            return Grid(row.shape, row.shape)
        header = read_header(row.path)
        return _grid(header, slice_axis(header.affine), self.wanted)

    def affine(self, row: PoolRow) -> np.ndarray:
        """Return the file's affine from array axes to mm, (4, 4) float64; raises DataError."""
        return read_header(row.path).affine

    def spacing(self, row: PoolRow) -> tuple[float, ...]:
        """Return the voxel size of the file in millimetres, in array axes."""
        return tuple(float(v) for v in nib.affines.voxel_sizes(self.affine(row)))
