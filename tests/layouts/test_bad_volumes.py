"""What can be wrong with volumes: found before the first job, named with the file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.layouts import Layout, get_layout
from al.layouts.nifti import faults_of_image, read_label_volume, read_volume

AFFINE = np.diag([1.0, 1, 2, 1])
CLASSES = ["background", "left", "right"]


def save(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def rewritten(path: Path, field: str, value: float | list[float]) -> None:
    """Change a field of a header without what nibabel would repair; offsets as in NIfTI-1."""
    places = {"pixdim": (76, "<f4"), "scl_slope": (112, "<f4"), "datatype": (70, "<i2")}
    start, kind = places[field]
    with nib.openers.ImageOpener(str(path)) as stream:
        held = bytearray(stream.read())
    written = np.asarray(value, kind).tobytes()
    held[start : start + len(written)] = written
    with nib.openers.ImageOpener(str(path), "wb") as stream:
        stream.write(bytes(held))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A good dataset of three cases, to be damaged."""
    rng = np.random.default_rng(2)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    for n in range(3):
        save(image_of(tmp_path, n), rng.integers(-50, 200, (9, 10, 11)).astype(np.int16))
        save(label_of(tmp_path, n), rng.integers(0, 3, (9, 10, 11)).astype(np.uint8))
    return tmp_path


def image_of(root: Path, n: int) -> Path:
    return root / f"imagesTr/case_{n}_0000.nii.gz"


def label_of(root: Path, n: int) -> Path:
    return root / f"labelsTr/case_{n}.nii.gz"


def layout(**options: object) -> Layout:
    return get_layout("nnunet_raw", options, CLASSES)


def checked(root: Path, **options: object) -> None:
    opened = layout(**options)
    opened.check(opened.index(root))


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        checked(root, **options)
    return str(error.value)


def test_the_dataset_itself_is_good(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(root)
    assert capsys.readouterr().out == ""


def turned(degrees: float) -> np.ndarray:
    """Return the affine turned around the slice axis."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ AFFINE


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([1.0, 1, 2.5, 1]), "voxel size in mm [1.0, 1.0, 2.5]; allowed: the image's"),
        (np.diag([-1.0, 1, 2, 1]), "orientation LAS; allowed: the image's, RAS"),
        (AFFINE[[1, 0, 2, 3]], "orientation ARS; allowed: the image's, RAS"),
        (turned(3), "affine ["),
        (AFFINE + np.eye(4, k=3), "affine ["),
    ],
    ids=["size", "flipped", "swapped", "turned", "moved"],
)
def test_a_label_on_another_grid(affine: np.ndarray, message: str, root: Path) -> None:
    labels = np.asanyarray(nib.load(label_of(root, 1)).dataobj)
    save(label_of(root, 1), labels, affine)
    assert f"{label_of(root, 1)}: {message}" in refusal(root)
    assert len(layout(on_mismatch="skip").index(root)) == 2


def test_a_turned_pair_is_good(root: Path) -> None:
    for path in (image_of(root, 1), label_of(root, 1)):
        save(path, np.asanyarray(nib.load(path).dataobj), turned(30))
    checked(root)


@pytest.mark.parametrize("of", [image_of, label_of])
@pytest.mark.parametrize("size", [[1, 0, 2], [1, 1, -2], [np.nan, 1, 2], [1, np.inf, 2]])
def test_voxel_sizes_of_zero_and_below(
    of: Callable[[Path, int], Path], size: list[float], root: Path
) -> None:
    rewritten(of(root, 2), "pixdim", [1, *size])
    found = refusal(root)
    assert f"{of(root, 2)}: voxel size" in found and "allowed: above 0" in found


def test_an_affine_without_volume(root: Path) -> None:
    for path in (image_of(root, 0), label_of(root, 0)):
        volume = nib.load(path)
        volume.header.set_sform(np.diag([1.0, 0, 2, 1]), 1)
        nib.save(nib.Nifti1Image(volume.dataobj, None, volume.header), path)
    assert f"{image_of(root, 0)}: affine" in refusal(root)


@pytest.mark.parametrize("shape", [(9, 10, 11, 2), (9, 10, 11, 1, 3), (9, 10)])
def test_volumes_of_other_than_three_axes(shape: tuple[int, ...], root: Path) -> None:
    save(image_of(root, 1), np.ones(shape, np.int16))
    assert f"{image_of(root, 1)}: shape {shape}; allowed: three axes" in refusal(root)


def test_an_unknown_datatype_is_no_traceback(root: Path) -> None:
    rewritten(image_of(root, 1), "datatype", 999)
    assert f"{image_of(root, 1)}: unreadable or truncated volume" in refusal(root)


def test_complex_voxels(root: Path) -> None:
    save(image_of(root, 1), np.ones((9, 10, 11), np.complex64))
    assert f"{image_of(root, 1)}: voxels of type complex64; allowed" in refusal(root)


def test_nan_and_infinity_are_counted(root: Path) -> None:
    values = nib.load(image_of(root, 1)).get_fdata(dtype=np.float32)
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    save(image_of(root, 1), values)
    assert f"{image_of(root, 1)}: NaN or infinite values (3 of 990)" in refusal(root)


def test_values_that_leave_float32_by_their_scale(root: Path) -> None:
    rewritten(image_of(root, 1), "scl_slope", 3e38)
    assert f"{image_of(root, 1)}: NaN or infinite values (after scaling)" in refusal(root)


def test_an_image_of_one_value(root: Path) -> None:
    save(image_of(root, 1), np.full((9, 10, 11), -7, np.int16))
    assert f"{image_of(root, 1)}: -7 in every voxel" in refusal(root)


def test_labels_that_are_no_class(root: Path) -> None:
    labels = np.zeros((9, 10, 11), np.int16)
    labels[0, 0, :3] = 3, -1, 258
    save(label_of(root, 0), labels)
    found = refusal(root)
    assert f"{label_of(root, 0)}: label values [-1, 3, 258] outside the classes" in found
    assert "allowed: 0 background, 1 left, 2 right" in found
    save(label_of(root, 0), np.full((9, 10, 11), np.nan, np.float32))
    assert "label values [nan]" in refusal(root)


def test_void_voxels_are_255(root: Path) -> None:
    labels = np.ones((9, 10, 11), np.int16)
    labels[0], labels[1] = 3, 0
    save(label_of(root, 0), labels)
    opened = layout(void=3)
    checked(root, void=3)
    read = opened.open_label(opened.index(root)[0])
    assert read.dtype == np.uint8 and np.unique(read).tolist() == [0, 1, 255]
    assert (read[0] == 255).all()
    assert (read_label_volume(label_of(root, 0), CLASSES, 3) == read).all()
    labels[0] = 255
    save(label_of(root, 0), labels)
    with pytest.raises(DataError, match=r"values \[255\].* 3 for no label"):
        opened.check(opened.index(root))
    for wrong in (2, -1, "x", True):
        with pytest.raises(ConfigError, match=r"layout_options\.void of nnunet_raw.*from 3"):
            layout(void=wrong)


def test_cases_without_foreground(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(label_of(root, 1), np.zeros((9, 10, 11), np.uint8))
    checked(root)
    assert "nnunet_raw: 1 of 3 cases have no foreground: case_1" in capsys.readouterr().out
    for n in (0, 2):
        save(label_of(root, n), np.full((9, 10, 11), 3, np.uint8))
    assert "all 3 cases hold background (0) alone" in refusal(root, void=3)


def test_problems_are_told_together(root: Path) -> None:
    save(image_of(root, 0), np.zeros((9, 10, 11), np.int16))
    save(label_of(root, 0), np.full((9, 10, 11), 9, np.uint8))
    save(image_of(root, 1), np.full((9, 10, 11), np.nan, np.float32))
    assert "3 problem(s)" in refusal(root)
    rewritten(image_of(root, 2), "pixdim", [1, 0, 1, 1])
    save(label_of(root, 0), np.zeros((9, 10, 11, 1), np.uint8))
    assert "2 problem(s)" in refusal(root)


def test_one_file_per_case(root: Path) -> None:
    for of in (image_of, label_of):
        path = of(root, 1)
        save(path.with_suffix(""), np.asanyarray(nib.load(path).dataobj))
    found = refusal(root)
    assert f"{image_of(root, 1).with_suffix('')} and {image_of(root, 1)}: both" in found
    assert f"{label_of(root, 1).with_suffix('')} and {label_of(root, 1)}: both" in found
    for of in (image_of, label_of):
        of(root, 1).unlink()
    checked(root)  # endings may differ


def test_names_of_the_decathlon(root: Path) -> None:
    for n in range(3):
        image_of(root, n).rename(root / f"imagesTr/case_{n}.nii.gz")
    found = refusal(root)
    assert "named as its label" in found and "convert_MSD" in found
    for n in range(3):
        (root / f"imagesTr/case_{n}.nii.gz").rename(root / f"imagesTr/image_{n}.nii.gz")
    assert "no file is called CASE_0000.nii.gz" in refusal(root)


def test_images_named_as_their_labels(root: Path) -> None:
    """Of case_0001 the end would be taken for a channel."""
    for n in range(3):
        image_of(root, n).rename(root / f"imagesTr/case_000{n}.nii.gz")
        label_of(root, n).rename(root / f"labelsTr/case_000{n}.nii.gz")
    found = refusal(root)
    assert "case_0000.nii.gz: named as its label, as 3 are: the suffix _0000 is missing" in found


def test_cases_that_a_copy_left_behind(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {name: value for value, name in enumerate(CLASSES)}
    for told, said in ((3, False), (100, True)):
        held = {"labels": labels, "numTraining": told, "file_ending": ".nii.gz"}
        (root / "dataset.json").write_text(json.dumps(held))
        checked(root)
        assert ("is 100, 3 cases are there" in capsys.readouterr().out) == said


def test_sizes_that_the_header_says_twice(root: Path) -> None:
    """SimpleITK takes the one, nibabel the other."""
    for path in (image_of(root, 1), label_of(root, 1)):
        volume = nib.load(path)
        volume.header.set_qform(np.diag([1.3, 1.3, 10, 1]), 1)
        volume.header.set_sform(np.diag([-1.0, -1, 1, 1]), 1)
        nib.save(nib.Nifti1Image(volume.dataobj, None, volume.header), path)
    found = refusal(root)
    assert f"{image_of(root, 1)}: voxel size 1.3 x 1.3 x 10 mm (pixdim), 1 x 1 x 1 mm" in found


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1)])
def test_other_units_of_length(unit: str, factor: float, root: Path) -> None:
    for path in (image_of(root, 1), label_of(root, 1)):
        volume = nib.load(path)
        header = volume.header.copy()
        header.set_xyzt_units(unit)
        nib.save(nib.Nifti1Image(np.asanyarray(volume.dataobj), AFFINE / factor, header), path)
    opened = layout()
    row = opened.index(root)[1]
    opened.check([row])
    np.testing.assert_allclose(opened.spacing(row), (1, 1, 2), rtol=1e-5)


@pytest.mark.parametrize("of", [image_of, label_of])
def test_a_stream_is_read_to_its_end(of: Callable[[Path, int], Path], root: Path) -> None:
    """nibabel stops at the last voxel: flipped bits, a checksum cut off, and more than was said."""
    path = of(root, 1)
    good = path.read_bytes()
    with gzip.open(path) as stream:
        plain = stream.read()
    flipped = bytearray(plain)
    flipped[-3] ^= 1
    damaged = gzip.compress(bytes(flipped))[:-8] + gzip.compress(plain)[-8:]
    for content in (damaged, good[:-6], gzip.compress(plain + bytes(9 << 20))):
        path.write_bytes(content)
        assert str(path) in refusal(root)
    path.write_bytes(good)
    checked(root)


def test_a_header_of_more_than_the_file_can_hold(root: Path) -> None:
    shape = np.array([3, 32767, 32767, 32767], "<i2")
    path = image_of(root, 1)
    with gzip.open(path) as stream:
        held = bytearray(stream.read())
    held[40:48] = shape.tobytes()
    path.write_bytes(gzip.compress(bytes(held)))
    assert f"{path}: truncated: shape (32767, 32767, 32767)" in refusal(root)
    for read in (read_volume, faults_of_image):  # exchanged after the start
        with pytest.raises(DataError, match="truncated: shape"):
            read(path, *([(2, 2, 2)] if read is faults_of_image else []))


def test_stored_values_give_the_same_verdict_as_read_ones(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.linspace(0, 1, 990).reshape(9, 10, 11))
    image = nib.Nifti1Image(nib.load(path).get_fdata(), AFFINE)
    image.set_data_dtype(np.int16)  # stored with a slope
    nib.save(image, path)
    assert nib.load(path).dataobj.slope < 1e-4
    assert faults_of_image(path, (9, 10, 11)) == []
    assert faults_of_image(path, (9, 10, 12)) != []
