"""Damaged images and label images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from PIL import Image

from al.io.checksums import check_whole
from al.io.labels import read_label
from al.layouts.images import id_table, image_size, read_ids, read_rgb, remap

from . import FUZZING
from .mutations import damaged, with_new_checksums
from .outcomes import tried
from .readers import bmp_rgb, png_ids

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 5, (11, 14), np.uint8)
RGB = cv2.resize(RNG.integers(0, 255, (3, 4, 3), np.uint8), (14, 11))


def encoded(array: np.ndarray, kind: str, mode: str | None = None, **options) -> bytes:
    """Return an image file."""
    held, image = BytesIO(), Image.fromarray(array)
    if mode == "P":
        image.putpalette(list(range(0, 240, 3)) * 3)
    elif mode:
        image = image.convert(mode)
    image.save(held, kind, **options)
    return held.getvalue()


TURNED = Image.Exif()
TURNED[0x0112] = 6
PICTURES = [
    encoded(RGB, "PNG"),
    encoded(RGB, "PNG", "RGBA"),
    encoded(RGB, "PNG", "LA"),
    encoded(RGB, "PNG", exif=TURNED),
    encoded(IDS * 50, "PNG"),
    encoded(IDS, "PNG", "P"),
    encoded(RGB, "JPEG", quality=95),
    encoded(RGB, "JPEG", exif=TURNED),
    encoded(RGB, "BMP"),
    encoded(IDS * 50, "BMP"),
    encoded(RGB, "TIFF"),
    encoded(RGB, "TIFF", compression="tiff_adobe_deflate"),
]
LABELS = [
    encoded(IDS, "PNG"),
    encoded(IDS, "PNG", "P"),
    encoded(IDS, "PNG", "1"),
    encoded(IDS.astype(np.uint16), "PNG"),
    encoded(IDS > 2, "TIFF"),
    encoded(IDS, "TIFF"),
    encoded(IDS, "TIFF", compression="tiff_adobe_deflate"),
    encoded(IDS.astype(np.float32), "TIFF"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "a.png"  # whatever it is: contents decide


@FUZZING
@given(damaged(PICTURES))
def test_pictures(file: Path, made: tuple[bytes, bytes]) -> None:
    file.write_bytes(made[1])
    found = tried(lambda: (check_whole(file), image_size(file), read_rgb(file)), file.name)
    if found is None:
        return
    _, size, pixels = found
    assert pixels.dtype == np.uint8 and pixels.shape == (*size, 3)
    assert _confirmed(pixels, _pictures, made)


def _pictures(content: bytes) -> Iterator[np.ndarray]:
    """Yield what other readers see, (H, W, 3) uint8."""
    if (seen := cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)) is not None:
        yield seen[..., ::-1]
    for other in (bmp_rgb, lambda content: tifffile.imread(BytesIO(content))):
        with suppress(Exception):  # of a damaged file it may say nothing
            yield other(content)


def _confirmed(
    found: np.ndarray, seen: Callable[[bytes], Iterator[np.ndarray]], made: tuple[bytes, bytes]
) -> bool:
    """Whether others see the same; where they see nothing any more, whether it was that before."""
    whole, damaged_one = made
    return any(_same(found, other) for other in list(seen(damaged_one)) or seen(whole))


def _same(pixels: np.ndarray, other: np.ndarray) -> bool:
    if pixels.shape != other.shape:
        return False
    most = 3 if pixels.ndim == 3 else 0  # JPEGs are rounded
    return int(np.abs(pixels.astype(int) - other).max(initial=0)) <= most


def _labels_of(file: Path) -> np.ndarray:
    check_whole(file)
    return remap(read_ids(file), id_table({value: value for value in range(5)}, []), file)


@FUZZING
@given(damaged(LABELS, with_new_checksums))
def test_labels(file: Path, made: tuple[bytes, bytes]) -> None:
    file.write_bytes(made[1])
    ids = tried(lambda: _labels_of(file), file.name)
    assert ids is None or _confirmed(ids, _ids, made)


def _ids(content: bytes) -> Iterator[np.ndarray]:
    """Yield what other readers see, (H, W) whole numbers."""
    with suppress(Exception):
        yield png_ids(content) if content[:4] == b"\x89PNG" else tifffile.imread(BytesIO(content))


@FUZZING
@given(damaged(LABELS[:1], with_new_checksums))
def test_revealed_labels(file: Path, made: tuple[bytes, bytes]) -> None:
    file.write_bytes(made[1])
    labels = tried(lambda: read_label(file), file.name)
    assert labels is None or _confirmed(labels, _ids, made)
