"""NIfTI files: headers, voxels, labels, and what can be wrong with each."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError

from al.io.errors import DataError
from al.io.labels import UNKNOWN

TOLERANCE = 1e-3
MILLIMETRES = {1: 1000.0, 3: 0.001}  # NIfTI's codes of metres and micrometres; else mm
DEFLATE_RATIO = 1032  # zlib's largest
CHUNK = 1 << 22
LEAST_SLOPE = 1e-15  # SimpleITK takes less for none
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError)


class Header(NamedTuple):
    """Shape (voxels, array axes) and affine (4, 4) of a volume in mm, whatever unit the file has.

    ``written`` is the voxel size of the header in mm: the affine need not come from it.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    written: tuple[float, ...]


@contextmanager
def opened(path: str | Path) -> Iterator[nib.Nifti1Image]:
    """Open a volume file; whatever goes wrong in reading it becomes a DataError."""
    try:
        volume = nib.load(path)
        expected, held = _bytes_of(volume), Path(path).stat().st_size
        # Before anything is allocated: a header can say whatever it likes.
        if expected > held * (DEFLATE_RATIO if Path(path).suffix == ".gz" else 1):
            raise DataError(
                f"{path}: truncated: shape {volume.shape} takes {expected} bytes, the file has "
                f"{held}"
            )
        yield volume
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: unreadable or truncated volume ({error})") from error


def read_header(path: str | Path) -> Header:
    """Read shape, affine and voxel size without the voxels.

    Raises:
        DataError: unreadable, or too short for what its header says.
    """
    with opened(path) as volume, ImageOpener(str(path)) as stream:
        # nibabel repairs sizes of zero and below silently
        raw = type(volume.header).from_fileobj(stream, check=False)
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    scaled = np.isfinite(slope) and slope != 0
    if abs(slope) < LEAST_SLOPE if scaled else np.isfinite(inter) and inter != 0:
        raise DataError(  # readers differ in what they make of it
            f"{path}: scl_slope {slope}, scl_inter {inter}; allowed: 0 and 0, or a slope from "
            f"{LEAST_SLOPE} on"
        )
    unit = MILLIMETRES.get(int(raw["xyzt_units"]) & 7, 1.0)
    affine = np.diag([unit, unit, unit, 1.0]) @ np.asarray(volume.affine, float)
    written = tuple(float(v) * unit for v in raw["pixdim"][1:4])
    return Header(tuple(int(v) for v in volume.shape), affine, written)


def _bytes_of(volume: nib.Nifti1Image) -> int:
    """Bytes up to the last voxel, decompressed."""
    voxels = int(np.prod([int(v) for v in volume.shape], dtype=object))
    return int(volume.dataobj.offset) + voxels * volume.get_data_dtype().itemsize


@contextmanager
def opened_whole(path: str | Path) -> Iterator[nib.Nifti1Image]:
    """Open a volume to read its voxels; a compressed one is then read to its end.

    There its checksum and length are. nibabel by itself stops at the last voxel, and takes others
    than were written for granted.

    Raises:
        DataError: unreadable, damaged, or longer than its header says.
    """
    with opened(path) as volume:
        if Path(path).suffix != ".gz":
            yield volume
            return
        most = _bytes_of(volume) + CHUNK
        with gzip.open(path) as stream:
            yield type(volume).from_stream(stream)
            while stream.read(CHUNK):
                if stream.tell() > most:
                    raise DataError(f"{path}: longer than the {volume.shape} voxels of its header")


def read_volume(path: str | Path) -> np.ndarray:
    """Read a volume as float32 in the array order of the file, scaled as its header says."""
    with opened(path) as volume:
        return volume.get_fdata(dtype=np.float32, caching="unchanged")


def read_label_volume(
    path: str | Path, classes: Sequence[str], void: int | None = None
) -> np.ndarray:
    """Read a label volume as uint8 class indices, 255 where the file has ``void``.

    Raises:
        DataError: the file cannot be read, or holds any other value.
    """
    with opened_whole(path) as volume:
        values = np.asanyarray(volume.dataobj)
    _refuse_type(path, values.dtype)
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.uint8)
    wrong = (labels != values) | (labels >= len(classes))
    if void is not None:
        ignored = values == void
        wrong &= ~ignored
        labels[ignored] = UNKNOWN
    if wrong.any():
        found = np.unique(values[wrong])[:8].tolist()
        allowed = ", ".join(f"{value} {name}" for value, name in enumerate(classes))
        allowed += "" if void is None else f", {void} for no label"
        raise DataError(f"{path}: label values {found} outside the classes; allowed: {allowed}")
    return labels


def _refuse_type(path: str | Path, kind: np.dtype[Any]) -> None:
    if kind.kind not in "biuf":
        raise DataError(f"{path}: voxels of type {kind}; allowed: whole or real numbers")


def faults_of_image(path: str | Path, shape: tuple[int, ...]) -> list[str]:
    """Say what is wrong with the voxels of an image of the pool.

    Reads them once and as stored, so that a large CT takes no more memory than its file's type.

    Raises:
        DataError: the file cannot be read.
    """
    with opened_whole(path) as volume:
        stored = volume.dataobj
        values = stored.get_unscaled()
    _refuse_type(path, values.dtype)
    if values.shape != shape:
        return [f"{path}: shape {values.shape}, in the pool {shape}"]
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.array([values.min(), values.max()], float) * stored.slope + stored.inter
        ends = ends.astype(np.float32)
    if not np.isfinite(ends).all():
        wrong = sum(_not_finite(values[..., k]) for k in range(shape[-1]))
        count = f"{wrong} of {values.size}" if wrong else "after scaling"
        return [f"{path}: NaN or infinite values ({count}); allowed: finite ones"]
    if ends[0] == ends[1]:
        return [f"{path}: {ends[0]:g} in every voxel; allowed: an image of something"]
    return []


def _not_finite(values: np.ndarray) -> int:
    return values.size - int(np.count_nonzero(np.isfinite(values)))


def slice_axis(affine: np.ndarray) -> int:
    """Return the array axis that runs closest to superior-inferior."""
    codes = nib.aff2axcodes(affine)
    return next(axis for axis, code in enumerate(codes) if code in ("S", "I"))


def fault_of_header(path: Path, header: Header) -> str | None:
    """Say what keeps a volume from being read as one, from its header alone."""
    if len(header.shape) != 3 or min(header.shape) < 1:
        return f"{path}: shape {header.shape}; allowed: three axes, one volume per file"
    if not all(0 < size < np.inf for size in header.written):
        return f"{path}: voxel size {header.written} mm; allowed: above 0 along every axis"
    affine = header.affine
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        return f"{path}: affine {affine.tolist()}; allowed: finite, axes in three directions"
    return None


def fault_of_sizes(path: Path, header: Header) -> str | None:
    """Say where a header gives two voxel sizes: SimpleITK takes the one, nibabel the other."""
    sizes = nib.affines.voxel_sizes(header.affine)
    if np.allclose(sizes, header.written, rtol=TOLERANCE, atol=0):
        return None
    found, other = (" x ".join(f"{size:g}" for size in side) for side in (header.written, sizes))
    return f"{path}: voxel size {found} mm (pixdim), {other} mm (affine); allowed: the same"


def difference(path: Path, image: Header, label: Header) -> str | None:
    """Say how the grid of a label differs from its image's: size, orientation or place."""
    if np.allclose(image.affine, label.affine, rtol=0, atol=TOLERANCE):
        return None
    for name, of in (
        ("voxel size in mm", lambda affine: nib.affines.voxel_sizes(affine).round(4).tolist()),
        ("orientation", lambda affine: "".join(nib.aff2axcodes(affine))),
    ):
        found, allowed = of(label.affine), of(image.affine)
        if found != allowed:
            return f"{path}: {name} {found}; allowed: the image's, {allowed}"
    return f"{path}: affine {label.affine.tolist()}; allowed: the image's, {image.affine.tolist()}"
