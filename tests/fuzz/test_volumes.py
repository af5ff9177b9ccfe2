"""Damaged NIfTI files, read beside SimpleITK, which nnU-Net's users see them with."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given

from al.layouts import get_layout
from al.layouts.base import Layout

from . import FUZZING
from .mutations import damaged
from .outcomes import tried

RNG = np.random.default_rng(0)
CLASSES = ["background", "organ"]
AFFINE = np.array([[-1.5, 0, 0, 4], [0, 0.7, 0, -3], [0, 0, 2.5, 9], [0, 0, 0, 1.0]])


def nifti(values: np.ndarray, **header: float) -> bytes:
    volume = nib.Nifti1Image(values, AFFINE)
    volume.header.set_xyzt_units("mm")
    for key, value in header.items():
        volume.header[key] = value
    return volume.to_bytes()


IMAGES = [
    nifti(RNG.normal(size=(5, 4, 6)).astype(np.float32)),
    nifti(RNG.integers(-900, 900, (5, 4, 6)).astype(np.int16), scl_slope=0.5, scl_inter=-10),
]
LABELS = [nifti(RNG.integers(0, 2, (5, 4, 6), np.uint8))]
PACKED = [gzip.compress(whole, mtime=0) for whole in LABELS]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volumes")
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir()
    return root


def _read(layout: Layout, root: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Return what a run would read of the one case: image, label, voxel size."""
    (row,) = layout.index(root)
    layout.check([row])
    return layout.open_image(row), layout.open_label(row), layout.spacing(row)


def _seen(file: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return what SimpleITK reads, axes as nibabel has them."""
    volume = sitk.ReadImage(str(file))
    return sitk.GetArrayFromImage(volume).T, volume.GetSpacing()


def _check(root: Path, image: bytes, label: bytes, ending: str) -> None:
    files = root / f"imagesTr/a_0000{ending}", root / f"labelsTr/a{ending}"
    layout = get_layout("nnunet_raw", {}, CLASSES)
    for file, content in zip(files, (image, label), strict=True):
        file.write_bytes(content)
    try:
        found = tried(lambda: _read(layout, root), "a_0000", f"a{ending}", "all 1 cases")
        if found is not None:
            (pixels, spacing), (ids, _) = map(_seen, files)
            np.testing.assert_allclose(found[0], pixels, rtol=1e-5)
            np.testing.assert_allclose(found[2], spacing, rtol=2e-3)
            assert (found[1] == ids).all()
    finally:
        for file in files:
            file.unlink()


@FUZZING
@given(damaged(IMAGES))
def test_images(root: Path, made: tuple[bytes, bytes]) -> None:
    _check(root, made[1], LABELS[0], ".nii")


@FUZZING
@given(damaged(LABELS))
def test_labels(root: Path, made: tuple[bytes, bytes]) -> None:
    _check(root, IMAGES[0], made[1], ".nii")


@FUZZING
@given(damaged(PACKED))
def test_compressed_labels(root: Path, made: tuple[bytes, bytes]) -> None:
    _check(root, gzip.compress(IMAGES[0]), made[1], ".nii.gz")
