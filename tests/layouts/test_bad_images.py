"""What image and label files say beside their pixels is heeded, or refused with the file."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.io.checksums import check_whole
from al.io.errors import DataError
from al.layouts import Layout, get_layout
from al.layouts.images import image_size, read_ids, read_rgb

ORIENTATION = 0x0112
CLASSES = ["ground", "red", "green"]
SPLITS = {"train": {"images": "images", "labels": "labels"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A good dataset of four pairs, to be damaged."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for n in range(4):
        image = rng.integers(0, 255, (12, 9, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / f"images/{n}.png")
        Image.fromarray(labels_of(n)).save(tmp_path / f"labels/{n}.png")
    return tmp_path


def labels_of(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 3, (12, 9)).astype(np.uint8)


def layout(**options: Any) -> Layout:
    return get_layout("folders", {"splits": SPLITS, **options}, CLASSES)


def refusal(root: Path, **options: Any) -> str:
    opened = layout(**options)
    with pytest.raises(DataError) as error:
        opened.check(opened.index(root))
    return str(error.value)


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Stored rows and columns of what is seen as ``array``, by the table of the EXIF standard."""
    first_row, first_column = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # fmt: skip
    if first_row in ("left", "right"):  # stored rows are columns that are seen
        array = array.swapaxes(0, 1)
        first_row, first_column = first_column, first_row
        flips = (first_column == "right", first_row == "bottom")
    else:
        flips = (first_row == "bottom", first_column == "right")
    for axis, flip in enumerate(flips):
        array = np.flip(array, axis) if flip else array
    return np.ascontiguousarray(array)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_orientation_is_heeded(orientation: int, suffix: str, tmp_path: Path) -> None:
    seen = np.zeros((16, 24, 3), np.uint8)
    seen[:8, :8], seen[8:, :8], seen[:8, 8:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    more = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    Image.fromarray(turned(seen, orientation)).save(path, exif=exif, **more)
    assert image_size(path) == (16, 24)
    assert np.abs(read_rgb(path).astype(int) - seen).max() < 20
    if suffix != "jpg":
        ids = seen[..., 0] // 255
        Image.fromarray(turned(ids, orientation)).save(path, exif=exif)
        np.testing.assert_array_equal(read_ids(path), ids)


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0nonsense", b"Exif\0\0"])
def test_orientation_that_cannot_be_read_is_none(exif: bytes, tmp_path: Path) -> None:
    """Viewers, and Pillow itself, show such pictures as they are stored."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (9, 12), (50, 60, 70)).save(path, exif=exif)
    assert image_size(path) == (12, 9) == read_rgb(path).shape[:2]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_more_than_eight_bits_a_channel(root: Path) -> None:
    rows = b"".join(b"\0" + bytes(9 * 6) for _ in range(12))
    head = struct.pack(">IIBBBBB", 9, 12, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    path = root / "images/1.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert f"{path}: 16 bits a channel; allowed: 8" in refusal(root)


def test_other_formats_are_not_opened_by_their_content(root: Path) -> None:
    path = root / "images/1.png"
    Image.new("RGB", (9, 12)).save(path, "GIF")
    assert str(path) in refusal(root)


@pytest.mark.parametrize("folder", ["images", "labels"])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_one_page(folder: str, suffix: str, root: Path) -> None:
    page = Image.new("L", (9, 12))
    (root / folder / "1.png").unlink()
    other = [Image.new("L", (9, 12), 1)]
    page.save(root / folder / f"1.{suffix}", save_all=True, append_images=other)
    assert f"1.{suffix}: 2 pages; allowed: one" in refusal(root)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_labels_without_losses(suffix: str, root: Path) -> None:
    (root / "labels/1.png").unlink()
    more = {"compression": "jpeg"} if suffix == "tif" else {}
    Image.fromarray(labels_of(1)).save(root / f"labels/1.{suffix}", **more)
    assert f"1.{suffix}: {'TIFF' if more else 'JPEG'} with losses" in refusal(root)


@pytest.mark.parametrize("value", [0.75, np.nan, np.inf, -1.0, 300.0])
def test_labels_are_whole_numbers(value: float, root: Path) -> None:
    (root / "labels/1.png").unlink()
    labels = labels_of(1).astype(np.float32)
    Image.fromarray(labels).save(root / "labels/1.tif")
    opened = layout()
    row = opened.index(root)[1]
    np.testing.assert_array_equal(opened.open_label(row), labels_of(1))
    labels[3, 3] = value
    Image.fromarray(labels).save(root / "labels/1.tif")
    assert "1.tif: label values" in refusal(root)


def with_palette(path: Path, ids: np.ndarray, *colours: tuple[int, int, int]) -> None:
    image = Image.fromarray(ids)
    image.putpalette([value for colour in colours for value in colour])
    image.save(path)


def test_one_palette_in_all_label_files(root: Path) -> None:
    """Ids that are not in an image, void ones, and files without a palette say nothing."""
    red, green, blue, grey = (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)
    ids = np.where(labels_of(1) == 2, 1, labels_of(1))
    with_palette(root / "labels/0.png", labels_of(0), grey, red, green)
    with_palette(root / "labels/1.png", ids, grey, red, blue)
    opened = layout()
    opened.check(opened.index(root))
    with_palette(root / "labels/2.png", labels_of(2), grey, green, red)
    found = refusal(root)
    assert "2.png: id 1 has the colour [0, 255, 0], in " in found and "0.png [255, 0, 0]" in found
    opened = get_layout("folders", {"splits": SPLITS, "void": [1, 2]}, ["ground"])
    opened.check(opened.index(root))


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_two_files_of_one_name(folder: str, root: Path) -> None:
    Image.new("L", (9, 12)).save(root / folder / "1.tif")
    places = f"{root / folder / '1.png'} and {root / folder / '1.tif'}"
    assert f"{places}: both would be 1" in refusal(root)


def test_one_name_in_two_splits_names_both_files(root: Path) -> None:
    both = {"train": SPLITS["train"], "test": SPLITS["train"]}
    assert f"{root / 'images/0.png'} and {root / 'images/0.png'}" in refusal(root, splits=both)


def test_one_name_in_two_cities(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for kind in ("leftImg8bit", "gtFine"):
            (tmp_path / kind / split / "a").mkdir(parents=True)
            (tmp_path / kind / split / "b").mkdir()
    for city in "ab":
        image = tmp_path / f"leftImg8bit/train/{city}/x_leftImg8bit.png"
        Image.new("RGB", (9, 12)).save(image)
        Image.new("L", (9, 12)).save(tmp_path / f"gtFine/train/{city}/x_gtFine_labelIds.png")
    with pytest.raises(DataError, match=r"train/a/x_left.* and .*train/b/x_left.*both would be x"):
        get_layout("cityscapes", {}, [f"class {n}" for n in range(19)]).index(tmp_path)


def test_what_a_mac_leaves_and_how_it_writes(root: Path) -> None:
    """Hidden companions are no images; composed and decomposed letters are the same name."""
    (root / "images/0.png").rename(root / "images/Mu\u0308nster.png")
    (root / "labels/0.png").rename(root / "labels/M\u00fcnster.png")
    for folder in ("images", "labels"):
        for path in list((root / folder).iterdir()):
            path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
    opened = layout()
    rows = opened.index(root)
    opened.check(rows)
    assert [row.image for row in rows] == ["1", "2", "3", "M\u00fcnster"]


@pytest.mark.parametrize("name", ["=cmd|x", "+1", "@x"])
def test_names_that_a_spreadsheet_runs(name: str, root: Path) -> None:
    (root / "images/0.png").rename(root / f"images/-{name}.png")
    (root / "labels/0.png").rename(root / f"labels/-{name}.png")
    layout().index(root)
    for folder in ("images", "labels"):
        (root / folder / f"-{name}.png").rename(root / folder / f"{name}.png")
    assert "begins with none of = + @" in refusal(root)


def test_checksums_are_compared(tmp_path: Path) -> None:
    """Pillow decodes the pixels of both without a look at their checksums."""
    whole = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(whole > 9).save(tmp_path / "bits.tif")
    check_whole(tmp_path / "bits.tif")  # says nothing of its bits
    for name, options in (("a.png", {}), ("a.tif", {"compression": "tiff_adobe_deflate"})):
        file = tmp_path / name
        Image.fromarray(whole).save(file, **options)
        check_whole(file)
        content = bytearray(file.read_bytes())
        content[content.index(b"x\x9c") + 30] ^= 1
        file.write_bytes(content)
        with pytest.raises(DataError, match=name):
            check_whole(file)


def test_an_image_of_another_size_than_the_pool_says_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (1 << 12, 1 << 12)).save(path)
    for read in (read_rgb, read_ids):
        tracemalloc.start()
        with pytest.raises(DataError, match=r"a\.png: shape \(4096, 4096\), in the pool \(9, 12\)"):
            read(path, shape=(9, 12))
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
        tracemalloc.stop()
    assert read_ids(path, (2048, 2048), 2).shape == (1 << 12, 1 << 12)
