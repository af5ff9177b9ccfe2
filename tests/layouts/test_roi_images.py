"""Image files of RoIs as scanners and export tools write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al.io.errors import DataError
from al.layouts import get_layout, images
from tests.layouts.test_roi_layouts import CODES


def roi(folder: Path, image: Image.Image) -> Path:
    """Write an image where layout ``bracs`` looks for a RoI, with others in the other splits."""
    for split, code, slide in (("val", "2_UDH", 12), ("test", "6_IC", 13)):
        place = folder / split / code
        place.mkdir(parents=True)
        Image.new("RGB", (9, 7)).save(place / f"BRACS_{slide}_{code[2:]}_1.png")
    path = folder / "train/3_FEA/BRACS_11_FEA_1.png"
    path.parent.mkdir(parents=True)
    image.save(path)
    return path


def read(folder: Path) -> np.ndarray:
    layout = get_layout("bracs", {}, CODES)
    rows = layout.index(folder)
    layout.check(rows)
    return layout.open_image(next(row for row in rows if row.split == "train"))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    pixels = np.full((6, 8, 4), 90, np.uint8)
    pixels[..., 3] = 255
    pixels[:2, :3, 3] = 0
    roi(tmp_path, Image.fromarray(pixels, "RGBA"))
    found = read(tmp_path)
    assert found.shape == (6, 8, 3) and found.dtype == np.uint8
    assert (found[:2, :3] == 255).all() and (found[2:] == 90).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes(tmp_path: Path, mode: str) -> None:
    roi(tmp_path, Image.new("RGB", (5, 4), "white").convert(mode))
    assert (read(tmp_path) == 255).all()


def test_one_pixel(tmp_path: Path) -> None:
    roi(tmp_path, Image.new("RGB", (1, 1), (3, 4, 5)))
    np.testing.assert_array_equal(read(tmp_path), [[[3, 4, 5]]])


def test_other_inks_and_depths_are_refused(tmp_path: Path) -> None:
    path = roi(tmp_path, Image.new("RGB", (5, 4)))
    Image.new("CMYK", (5, 4)).save(path, "TIFF")
    with pytest.raises(DataError, match=rf"{path}: image mode CMYK; allowed: 1, L, "):
        read(tmp_path)
    Image.fromarray(np.zeros((5, 4), np.uint16)).save(path)
    with pytest.raises(DataError, match=rf"{path}: image mode I;16; allowed: 1, L, "):
        read(tmp_path)


def test_large_rois_are_read_and_larger_ones_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = roi(tmp_path, Image.new("1", (14_000, 14_000)))  # beyond Pillow's own limit
    assert images.image_size(path) == (14_000, 14_000)
    assert images.MOST_PIXELS >= 20_000**2
    monkeypatch.setattr(images, "MOST_PIXELS", 14_000**2 - 1)
    with pytest.raises(DataError, match=rf"{path}: 14000 x 14000 pixels; allowed: up to 1959"):
        get_layout("bracs", {}, CODES).index(tmp_path)
