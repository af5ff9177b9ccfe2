"""Images as the page shows them: pictures of 2-D images and RoIs, slices of volumes."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from os import stat
from threading import Lock, Thread
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from al.annotators.targets import Target
from al.io.errors import DataError
from al.io.tables import PoolRow
from al.io.thumbnails import fitted, jpeg, resized, window_of

TILE, THUMBNAIL = 512, 160  # longest sides, in pixels
STRIP = 1024  # rows that are halved at a time
MOST_BYTES = 2 << 30  # of what is kept decoded: one image of 22 000 x 22 000, or two of 15 000
TOP = 65535
CT = -500.0  # a volume with less has Hounsfield units
PRESETS = (("soft tissue", -160.0, 240.0), ("lung", -1350.0, 150.0), ("bone", -500.0, 1300.0))
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}


@dataclass(frozen=True)
class Pyramid:
    """An image, and it halved again and again until a tile holds the whole of it.

    Attributes:
        levels: (H, W, 3) uint8 each; a pixel of level k is the mean of 2**k x 2**k of the image,
            of less at its right and lower edge.
    """

    levels: list[np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return sum(level.nbytes for level in self.levels)

    def tile(self, level: int, down: int, across: int) -> np.ndarray:
        """Return a tile of a level by its row and column; those at the edges are smaller."""
        top, left = down * TILE, across * TILE
        return self.levels[level][top : top + TILE, left : left + TILE]


@dataclass(frozen=True)
class Volume:
    """A volume in levels: uint16, 0 where it is ``low`` and 65535 where it is ``high``.

    Attributes:
        levels: on the annotator's grid, in the file's array order.
        low, high: smallest and largest value.
        contrast: values between which most of it lies.
    """

    levels: np.ndarray
    low: float
    high: float
    contrast: tuple[float, float]

    @property
    def nbytes(self) -> int:
        """Bytes of the levels."""
        return self.levels.nbytes

    def presets(self) -> list[dict[str, Any]]:
        """Return windows to look through, the first one first."""
        tissues = list(PRESETS) if self.low < CT else []
        full, contrast = ("full range", self.low, self.high), ("contrast", *self.contrast)
        found = [*tissues, full] if tissues else [contrast, full]
        return [dict(zip(("name", "low", "high"), one, strict=True)) for one in found]


def tiles_of(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Return how many rows and columns of tiles each level of an image has."""
    sides, found = tuple(shape), []
    while not found or found[-1] != (1, 1):
        found.append((-(-sides[0] // TILE), -(-sides[1] // TILE)))
        sides = (-(-sides[0] // 2), -(-sides[1] // 2))
    return found


def pyramid_of(image: np.ndarray) -> Pyramid:
    """Return the levels of an image, (H, W, 3) uint8."""
    levels = [image]
    for _ in tiles_of(image.shape[:2])[1:]:
        whole = levels[-1]
        # A part at a time: Pillow takes a copy of four bytes a pixel.
        strips = (whole[top : top + STRIP] for top in range(0, len(whole), STRIP))
        levels.append(np.concatenate([np.asarray(Image.fromarray(s).reduce(2)) for s in strips]))
    return Pyramid(levels)


def levels_of(volume: np.ndarray, path: str) -> Volume:
    """Bring a volume, float32, to levels. Raises DataError, naming ``path``, where it has NaN."""
    low, high = float(volume.min()), float(volume.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{path}: NaN or infinite values; allowed: finite ones")
    levels = np.empty(volume.shape, np.uint16, order="F" if volume.flags.f_contiguous else "C")
    axis = volume.ndim - 1 if volume.flags.f_contiguous else 0
    step = TOP / (high - low) if high > low else 0.0
    # A part at a time: a CT of 600 slices takes 0.6 GB already.
    parts = zip(np.moveaxis(volume, axis, 0), np.moveaxis(levels, axis, 0), strict=True)
    for values, into in parts:
        into[...] = np.clip(np.rint((values - np.float32(low)) * np.float32(step)), 0, TOP)
    contrast = window_of(volume)
    return Volume(levels, low, high, contrast if contrast[0] < contrast[1] else (low, high))


def spacing_of(layout: Any, row: PoolRow) -> list[float]:
    """Return the voxel size in mm of the grid that annotators see, in array axes."""
    full = layout.grid_of(row).full
    sizes = zip(layout.spacing(row), full, row.shape, strict=True)
    return [size * n / seen for size, n, seen in sizes]


def orientation_of(layout: Any, row: PoolRow) -> list[str]:
    """Return letters of where the axes begin and end: six, L R A P S I, in array axes."""
    ends = nib.aff2axcodes(layout.affine(row))
    return [letter for end in ends for letter in (OPPOSITE[end], end)]


class Views:
    """Pictures and volumes of a layout's images; what was decoded last is kept.

    Args:
        layout: its readers decode the images.
        most: bytes kept; the last one is, whatever its size.
    """

    def __init__(self, layout: Any, most: int = MOST_BYTES) -> None:
        self.layout = layout
        self.most = most
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, Lock] = defaultdict(Lock)
        self._ahead = Lock()

    def tile(self, row: PoolRow, level: int, down: int, across: int) -> bytes:
        """Return a tile of an image or RoI. Raises DataError.

        Pixels of the image itself come as they are, as BMP, which takes no time; reduced ones as
        JPEG, a tenth as long.
        """
        pixels = self.pyramid(row).tile(level, down, across)
        return jpeg(pixels) if level else _bmp(pixels)

    def thumbnail(self, row: PoolRow) -> bytes:
        """Return a small picture of an image or RoI, JPEG. Raises DataError."""

        def make() -> bytes:
            return jpeg(resized(self.pyramid(row).levels[-1], fitted(row.shape, THUMBNAIL)))

        return self._get(row, "thumbnail", make)

    def pyramid(self, row: PoolRow) -> Pyramid:
        """Return an image or RoI in all levels. Raises DataError."""
        return self._get(row, "pyramid", lambda: pyramid_of(self._read(row)))

    def volume(self, row: PoolRow) -> Volume:
        """Return a volume in levels. Raises DataError."""

        def make() -> Volume:
            return levels_of(self._read(row), row.path)

        return self._get(row, "volume", make)

    def slice(self, row: PoolRow, axis: int, index: int) -> bytes:
        """Return a plane of levels in C order, uint16 little-endian. Raises DataError."""
        at = (*(slice(None),) * axis, index)  # `take` would copy a volume in Fortran's order
        return self.volume(row).levels[at].astype("<u2").tobytes()

    def ahead(self, *targets: Target) -> None:
        """Have what is shown of regions ready soon, in the background; not while that is done."""

        def make() -> None:
            try:
                for target in targets:
                    with suppress(Exception):  # told when the region is opened
                        row = target.row
                        self.pyramid(row) if row.axis is None else self.volume(row)
            finally:
                self._ahead.release()

        if self._ahead.acquire(blocking=False):
            Thread(target=make, daemon=True).start()

    def _read(self, row: PoolRow) -> np.ndarray:
        image = self.layout.open_image(row)
        if image.shape[: len(row.shape)] != row.shape:
            raise DataError(f"{row.path}: shape {image.shape}, in the pool {row.shape}")
        return image

    def _get(self, row: PoolRow, what: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept of a file as it is now, or make it, once at a time."""
        try:
            about = stat(row.path)
        except OSError as error:
            raise DataError(f"{row.path}: unreadable ({error})") from error
        key = (row.path, about.st_size, about.st_mtime_ns, what)
        with self._lock:
            making = self._making[key]
        try:
            with making:
                with self._lock:
                    if key in self._kept:
                        self._kept.move_to_end(key)
                        return self._kept[key]
                value = make()
                with self._lock:
                    self._kept[key] = value
                    held = sum(map(_bytes, self._kept.values()))
                    while held > self.most and len(self._kept) > 1:
                        held -= _bytes(self._kept.popitem(last=False)[1])
                return value
        finally:
            with self._lock:
                self._making.pop(key, None)


def _bmp(pixels: np.ndarray) -> bytes:
    packed = BytesIO()
    Image.fromarray(pixels).save(packed, "BMP")
    return packed.getvalue()


def _bytes(value: Any) -> int:
    return len(value) if isinstance(value, bytes) else int(value.nbytes)
