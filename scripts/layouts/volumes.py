"""Reading NIfTI volumes, and the base of all layouts of 3-D segmentation."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from glue.errors import DataError
from glue.tables import PoolRow

from .base import Layout, Problems, choice, names_option, parallel

TOLERANCE = 1e-3
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


def _row_of(case: Case) -> PoolRow | str:
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
    return PoolRow(case.image, "", "", str(case.path), str(case.label_path), image.shape, axis)


class VolumeLayout(Layout):
    """3-D segmentation: a volume and a label volume of the same grid per case, no fixed split.

    Options:
        exclude: cases to leave out; what is not there is reported, so that parts of a dataset work.
        on_mismatch: ``refuse``, or ``skip`` cases whose shape or affine differs from the label's.
    """

    task = "3d"
    THREADS = 2  # a decoded CT takes half a gigabyte
    excluded: frozenset[str]
    DEFAULTS: ClassVar[dict[str, Any]] = {"exclude": [], "on_mismatch": "refuse"}

    def configure(self) -> None:
        """Validate the options."""
        self.excluded = frozenset(names_option(self, "exclude"))
        choice(self, "on_mismatch", ("refuse", "skip"))

    def rows_of(self, cases: list[Case], seen: set[str], problems: Problems) -> list[PoolRow]:
        """Read the headers of all pairs; leaves out what the options say, else raises.

        ``seen`` are the names of all cases on disk, paired or not.
        """
        unknown = self.excluded - seen
        if unknown:
            print(f"{self.name}: to be excluded but not there: {sorted(unknown)}", flush=True)
        kept = [case for case in cases if case.image not in self.excluded]
        rows: list[PoolRow] = []
        for case, found in zip(kept, parallel(_row_of, kept), strict=True):
            if isinstance(found, PoolRow):
                rows.append(found)
            elif isinstance(found, Mismatch) and self.options["on_mismatch"] == "skip":
                print(f"{self.name}: skipped {case.image}: {found}", flush=True)
            else:
                problems.add(str(found))
        problems.stop()
        return rows

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read a volume: (D, H, W) float32 in the array order of the file."""
        return read_volume(row.path)

    def open_label(self, row: PoolRow) -> np.ndarray:
        """Read a label volume: (D, H, W) uint8 class indices."""
        return read_label_volume(row.label_path, len(self.classes))

    def spacing(self, row: PoolRow) -> tuple[float, ...]:
        """Return the voxel size in millimetres, in array axes."""
        return tuple(float(v) for v in nib.affines.voxel_sizes(read_header(row.path).affine))
