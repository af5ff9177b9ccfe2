"""Images as the page shows them: pictures of 2-D images and RoIs, slices of volumes."""

from __future__ import annotations

import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from os import stat
from threading import Lock, Thread
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from PIL import Image

from al.annotators.targets import Target
from al.io.errors import DataError
from al.io.tables import PoolRow
from al.io.thumbnails import fitted, jpeg, resized, window_of

OVERVIEW, DETAIL, THUMBNAIL = 1600, 2048, 160  # longest sides, in pixels
LEAST_MARGIN = 128  # pixels of an image around a region
MOST_BYTES = 1 << 30  # of what is kept decoded
TOP = 65535
CT = -500.0  # a volume with less has Hounsfield units
PRESETS = (("soft tissue", -160.0, 240.0), ("lung", -1350.0, 150.0), ("bone", -500.0, 1300.0))
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}


class View(NamedTuple):
    """A picture of a part of an image: its place and size in pixels of the image.

    ``scale``: pixels of the picture by pixel of the image, at most 1.
    """

    name: str
    top: int
    left: int
    height: int
    width: int
    scale: float


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


def views_of(target: Target) -> list[View]:
    """Return the pictures of a region, apart from its thumbnail; none of a volume."""
    if target.row.axis is not None:
        return []
    whole = (0, 0, *target.row.shape)
    if target.row.roi:
        return [View("detail", *whole, _scale(whole, DETAIL))]
    box = target.region.region
    side = max(box.size)
    margin = max(0, min(max(side, LEAST_MARGIN), (DETAIL - side) // 2))
    low = [max(0, at - margin) for at in box.start]
    high = [min(n, at + margin) for at, n in zip(box.stop, target.row.shape, strict=True)]
    part = (*low, high[0] - low[0], high[1] - low[1])
    return [
        View("overview", *whole, _scale(whole, OVERVIEW)),
        View("detail", *part, _scale(part, DETAIL)),
    ]


def _scale(part: tuple[int, ...], most: int) -> float:
    return min(1.0, most / max(part[2:]))


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

    def picture(self, target: Target, name: str) -> bytes | None:
        """Return a picture, or ``None`` where there is none of that name. Raises DataError.

        A detail that is not reduced comes as it is, as PNG; all else as JPEG, which takes a tenth
        of the time.
        """
        found = {view.name: view for view in views_of(target)}
        if target.row.roi:
            whole = (0, 0, *target.row.shape)
            found["thumbnail"] = View("thumbnail", *whole, _scale(whole, THUMBNAIL))
        view = found.get(name)
        if view is None:
            return None

        def make() -> bytes:
            pixels = self._image(target.row)
            part = pixels[view.top : view.top + view.height, view.left : view.left + view.width]
            longest = round(view.scale * max(view.height, view.width))
            size = fitted((view.height, view.width), longest)
            exact = name == "detail" and size == part.shape[:2]
            return _png(part) if exact else jpeg(resized(part, size))

        return self._get(target.row, view, make)

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
                        if target.row.axis is not None:
                            self.volume(target.row)
                        for view in views_of(target):
                            self.picture(target, view.name)
            finally:
                self._ahead.release()

        if self._ahead.acquire(blocking=False):
            Thread(target=make, daemon=True).start()

    def _image(self, row: PoolRow) -> np.ndarray:
        return self._get(row, "image", lambda: self._read(row))

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


def _png(pixels: np.ndarray) -> bytes:
    packed = BytesIO()
    # Runs alone: in photos longer matches are few, and looking for them takes most of the time.
    Image.fromarray(pixels).save(packed, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return packed.getvalue()


def _bytes(value: Any) -> int:
    return len(value) if isinstance(value, bytes) else int(value.nbytes)
