"""Reading image files, and the base of all layouts of 2-D segmentation."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN
from al.io.tables import PoolRow
from al.io.threads import in_order

from .base import THREADS, Layout, Problems, described

# Named to Pillow, whatever a file is called: others start interpreters, or drop what they hold.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
COLOUR_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
LOSSY = frozenset({"jpeg", "tiff_jpeg", "webp"})
TURNED, ON_SIDE = frozenset(range(2, 9)), frozenset(range(5, 9))  # EXIF orientations
EXIF = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
OUTSIDE = 254
# 22 000 x 22 000: a large RoI of a slide. Pillow's own limit, against files that fill the memory,
# is below that.
MOST_PIXELS = 22_000**2
Image.MAX_IMAGE_PIXELS = None
LARGE = 50_000_000  # pixels; threads decode images above one after the other
_large = RLock()


def is_picture(path: Path) -> bool:
    """Whether a file is named as an image; hidden ones, as a Mac leaves beside others, are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


@contextmanager
def opened(
    path: str | Path, shape: Sequence[int] | None = None, downsample: int = 1
) -> Iterator[Image.Image]:
    """Open an image file of one page; whatever goes wrong in reading it becomes a DataError.

    ``shape``: of the image in the pool, after ``downsample``; one of another size is not decoded.
    """
    try:
        # By name, Pillow 13 would map uncompressed TIFFs and scramble those that lie on their side.
        with Path(path).open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{path}: {image.width} x {image.height} pixels; allowed: up to "
                    f"{MOST_PIXELS} in all"
                )
            found = [-(-side // downsample) for side in (image.height, image.width)]
            if shape is not None and sorted(found) != sorted(shape):  # it may lie on its side
                raise DataError(f"{path}: shape {tuple(found)}, in the pool {tuple(shape)}")
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if pages > 1:  # of a JPEG they are previews
                raise DataError(f"{path}: {pages} pages; allowed: one")
            with _large if image.width * image.height > LARGE else nullcontext():
                yield image
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow has a dozen kinds for damaged bytes
        raise DataError(f"{path}: unreadable or truncated image ({error!r})") from error


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) in pixels from the header alone, as the image is looked at."""
    with opened(path) as image:
        # Pillow reads all of a PNG whose header says nothing, and turns TIFFs by itself.
        told = image.format != "TIFF" and (image.format != "PNG" or EXIF & image.info.keys())
        if told and _orientation(image) in ON_SIDE:
            return image.width, image.height
        return image.height, image.width


def upright(image: Image.Image) -> Image.Image:
    """Decode an image and turn it as its EXIF orientation says."""
    image.load()
    return ImageOps.exif_transpose(image) if _orientation(image) in TURNED else image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 where what is there cannot be read, as viewers take it."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError):
        return 1


def read_rgb(
    path: str | Path,
    downsample: int = 1,
    on_white: bool = False,
    shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Read an image of 8 bits a channel as (H, W, 3) uint8, area-averaged by ``downsample``.

    ``on_white``: what is transparent becomes white; otherwise transparency is ignored. ``shape``:
    as of ``opened``.
    """
    with opened(path, shape, downsample) as image:
        if image.mode not in COLOUR_MODES:
            raise DataError(
                f"{path}: image mode {image.mode}; allowed: {', '.join(sorted(COLOUR_MODES))}"
            )
        deep = any(";16" in str(tile.args) for tile in image.tile)
        if deep and image.format in ("PNG", "TIFF"):  # a BMP has 5 or 6 of its 16
            raise DataError(f"{path}: 16 bits a channel; allowed: 8 (Pillow would drop the rest)")
        image = upright(image)
        if on_white and image.has_transparency_data:
            image = _on_white(image)
        colours = image.convert("RGB")
        return np.asarray(colours.reduce(downsample) if downsample > 1 else colours)


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    if layer.getextrema()[3][0] == 255:  # opaque, as most are: a large RoI would be there thrice
        return layer
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer)


def read_ids(
    path: str | Path, shape: Sequence[int] | None = None, downsample: int = 1
) -> np.ndarray:
    """Read a label image of one channel, (H, W), whole numbers as they are in the file.

    ``shape`` and ``downsample``: as of ``opened``; the image that is returned is that of the file.

    Raises:
        DataError: unreadable, several channels or pages, lossy compression, fractions or NaN.
    """
    with opened(path, shape, downsample) as image:
        compression = image.info.get("compression")
        if image.format in ("JPEG", "MPO") or compression in LOSSY:
            raise DataError(
                f"{path}: {image.format} with losses; allowed: formats that keep class ids, as PNG"
            )
        if image.format == "TIFF" and image.tag_v2.get(262) == 0:
            raise DataError(f"{path}: 0 is white (PhotometricInterpretation); allowed: black or P")
        ids, mode = np.asarray(upright(image)), image.mode
    if ids.ndim != 2:
        raise DataError(
            f"{path}: image mode {mode}; allowed: one channel of class ids (P, L, ...); colours "
            "are not turned into them"
        )
    if ids.dtype.kind == "f":
        broken = ids[~(np.isfinite(ids) & (ids == np.round(ids)))]
        if broken.size:
            found = np.unique(broken)[:8].tolist()
            raise DataError(f"{path}: label values {found}; allowed: whole numbers")
    return ids.astype(np.uint8) if ids.dtype == bool else ids


def _palette_of(path: str) -> tuple[str, bytes] | None:
    """Return the palette of a label image as its header holds it, if it has one."""
    with opened(path) as image:
        held = image.palette if image.mode == "P" else None
        return None if held is None else (held.rawmode or held.mode, bytes(held.palette))


def fault_of_palettes(paths: Sequence[str], void: Sequence[int]) -> str | None:
    """Say which two label files mean different classes by one id, by the colours they give it.

    Files without a palette say nothing. Where palettes differ, ids count that are in the image.
    """
    palettes = list(in_order(_palette_of, paths, THREADS))
    if len(set(palettes) - {None}) < 2:
        return None
    first: dict[int, tuple[list[int], str]] = {}
    for path, palette in zip(paths, palettes, strict=True):
        if palette is None:
            continue
        with opened(path) as image:
            colours = image.getpalette("RGB") or []
        for value in np.unique(read_ids(path)).tolist():
            own = colours[3 * value : 3 * value + 3]
            if value in void or len(own) < 3:
                continue
            colour, other = first.setdefault(value, (own, path))
            if colour != own:
                return (
                    f"{path}: id {value} has the colour {own}, in {other} {colour}; allowed: one "
                    "palette in all label files"
                )
    return None


def remap(ids: np.ndarray, table: np.ndarray, path: str | Path) -> np.ndarray:
    """Turn ids into class indices by a table (256,) uint8 in which ``OUTSIDE`` is refused."""
    if ids.dtype != np.uint8 and ids.size and (ids.min() < 0 or ids.max() > 255):
        raise DataError(f"{path}: label values {ids.min()} to {ids.max()}; allowed: 0 to 255")
    ids = ids.astype(np.uint8, copy=False)
    labels = table[ids]
    if (labels == OUTSIDE).any():
        wrong = np.unique(ids[labels == OUTSIDE])[:8].tolist()
        allowed = np.flatnonzero(table != OUTSIDE).tolist()
        raise DataError(f"{path}: label values {wrong} outside the classes; allowed: {allowed}")
    return labels


class Pair(NamedTuple):
    """An image file and its label file, if it has one."""

    image: str
    split: str
    path: Path
    label_path: Path | None


class ImageLayout(Layout):
    """2-D segmentation: an image file and a label file of ids per image.

    Common option ``downsample: k``: images are averaged over k x k pixels, labels take every
    k-th pixel; shapes in the pool are those that result, rounded up.
    """

    task = "2d"
    DEFAULTS: ClassVar[dict[str, Any]] = {"downsample": 1}
    table: np.ndarray

    def configure(self) -> None:
        """Validate ``downsample``."""
        step = self.options["downsample"]
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= 64:
            raise ConfigError(
                f"layout_options.downsample of {self.name}: {step!r}; allowed: a whole number "
                "from 1 to 64"
            )

    def rows_of(self, pairs: list[Pair], root: Path) -> list[PoolRow]:
        """Read the headers of all pairs; raises DataError where shapes differ."""
        problems = Problems(f"{self.name} in {root}")

        def row_of(pair: Pair) -> PoolRow:
            shape = image_size(pair.path)
            if pair.label_path and shape != (label_shape := image_size(pair.label_path)):
                raise DataError(
                    f"{pair.label_path}: shape {label_shape}; allowed: the image's, {shape}"
                )
            step = self.options["downsample"]
            small = tuple(-(-side // step) for side in shape)
            label = str(pair.label_path or "")
            return PoolRow(pair.image, "", pair.split, str(pair.path), label, small)

        rows = problems.without(described(row_of, pairs))
        problems.stop()
        return rows

    def check(
        self, rows: Sequence[PoolRow], after: Callable[[PoolRow], None] | None = None
    ) -> list[np.ndarray]:
        """Open every image and label, and compare the palettes of the labels; see ``Layout``."""
        counts = super().check(rows, after)
        void = np.flatnonzero(self.table == UNKNOWN).tolist()
        problems = Problems(self.name)
        if fault := fault_of_palettes([r.label_path for r in rows if r.label_path], void):
            problems.add(fault)
        problems.stop()
        return counts

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read an image: (H, W, 3) uint8."""
        return read_rgb(row.path, self.options["downsample"], shape=row.shape)

    def _read_label(self, row: PoolRow) -> np.ndarray:
        """Read a label map: (H, W) uint8, class indices, 255 void."""
        step = self.options["downsample"]
        labels = remap(read_ids(row.label_path, row.shape, step), self.table, row.label_path)
        return np.ascontiguousarray(labels[::step, ::step])


def id_table(classes: dict[int, int], void: list[int]) -> np.ndarray:
    """Return the (256,) uint8 table from file ids to class indices; void ids become 255."""
    table = np.full(256, OUTSIDE, np.uint8)
    for value in void:
        table[value] = UNKNOWN
    for value, index in classes.items():
        table[value] = index
    return table
