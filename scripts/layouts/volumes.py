"""Reading NIfTI volumes, and the base of all layouts of 3-D segmentation."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from glue.errors import ConfigError, DataError
from glue.tables import PoolRow

from .base import Layout, Problems, choice, names_option, parallel
from .grid import Grid

TOLERANCE = 1e-3
GridOption = tuple[float | None, float | None] | None
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError)


class Case(NamedTuple):
    """A volume file and its label file."""

    image: str
    path: Path
    label_path: Path


class Header(NamedTuple):
    """Shape (voxels, array axes) and affine (4, 4) of a volume, millimetres."""

    shape: tuple[int, ...]
    affine: np.ndarray


def read_header(path: str | Path) -> Header:
    """Read shape and affine without the voxels; raises DataError."""
    try:
        volume = nib.load(path)
        return Header(tuple(int(v) for v in volume.shape), np.asarray(volume.affine, float))
    except UNREADABLE as error:
        raise DataError(f"{path}: unreadable volume ({error})") from error


def read_volume(path: str | Path) -> np.ndarray:
    """Read a volume as float32 in the array order of the file, scaled as its header says."""
    try:
        return nib.load(path).get_fdata(dtype=np.float32, caching="unchanged")
    except UNREADABLE as error:
        raise DataError(f"{path}: unreadable or truncated volume ({error})") from error


def read_label_volume(path: str | Path, n_classes: int) -> np.ndarray:
    """Read a label volume as uint8 class indices; raises DataError for any other value."""
    try:
        values = np.asanyarray(nib.load(path).dataobj)
    except UNREADABLE as error:
        raise DataError(f"{path}: unreadable or truncated volume ({error})") from error
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.uint8)
    wrong = (labels != values) | (labels >= n_classes)
    if wrong.any():
        found = np.unique(values[wrong])[:8].tolist()
        raise DataError(
            f"{path}: label values {found} outside the classes; allowed: 0 to {n_classes - 1}"
        )
    return labels


def slice_axis(affine: np.ndarray) -> int:
    """Return the array axis that runs closest to superior-inferior."""
    codes = nib.aff2axcodes(affine)
    return next(axis for axis, code in enumerate(codes) if code in ("S", "I"))


class Mismatch(str):
    """Says how an image and its label differ."""


def _row_of(case: Case, wanted: GridOption) -> PoolRow | str:
    try:
        image, label = read_header(case.path), read_header(case.label_path)
    except DataError as error:
        return str(error)
    if len(image.shape) != 3 or not np.isfinite(image.affine).all():
        return f"{case.path}: shape {image.shape}; allowed: three axes and a finite affine"
    if image.shape != label.shape:
        return Mismatch(
            f"{case.label_path}: shape {label.shape}; allowed: the image's, {image.shape}"
        )
    if not np.allclose(image.affine, label.affine, rtol=0, atol=TOLERANCE):
        return Mismatch(
            f"{case.label_path}: affine {label.affine.tolist()}; allowed: the image's, "
            f"{image.affine.tolist()}"
        )
    axis = slice_axis(image.affine)
    shape = _grid(image, axis, wanted).shape
    return PoolRow(case.image, "", "", str(case.path), str(case.label_path), shape, axis)


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
        rows: list[PoolRow] = []
        found_rows = parallel(lambda case: _row_of(case, self.wanted), kept)
        for case, found in zip(kept, found_rows, strict=True):
            if isinstance(found, PoolRow):
                rows.append(found)
            elif isinstance(found, Mismatch) and self.options["on_mismatch"] == "skip":
                print(f"{self.name}: skipped {case.image}: {found}", flush=True)
            else:
                problems.add(str(found))
        problems.stop()
        return rows

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read a volume: (D, H, W) float32 on the annotator's grid, in the file's array order."""
        volume = read_volume(row.path)
        return volume if self.wanted is None else self.grid_of(row).image_seen(volume)

    def open_label(self, row: PoolRow) -> np.ndarray:
        """Read a label volume: (D, H, W) uint8 class indices on the annotator's grid."""
        labels = self.open_scored_label(row)
        return labels if self.wanted is None else self.grid_of(row).labels_seen(labels)

    def open_scored_label(self, row: PoolRow) -> np.ndarray:
        """Read a label volume as scores are computed: uint8 class indices on the file's grid."""
        return read_label_volume(row.label_path, len(self.classes))

    def to_scored(self, row: PoolRow, labels: np.ndarray) -> np.ndarray:
        """Bring labels from the annotator's grid to the file's."""
        return self.grid_of(row).labels_in_full(labels)

    def grid_of(self, row: PoolRow) -> Grid:
        """Return the annotator's grid of a volume; reads its header where there is one."""
        if self.wanted is None:
            return Grid(row.shape, row.shape)
        header = read_header(row.path)
        return _grid(header, slice_axis(header.affine), self.wanted)

    def spacing(self, row: PoolRow) -> tuple[float, ...]:
        """Return the voxel size of the file in millimetres, in array axes."""
        return tuple(float(v) for v in nib.affines.voxel_sizes(read_header(row.path).affine))
