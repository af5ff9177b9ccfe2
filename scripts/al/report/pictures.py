"""Pictures of what was annotated, as plain data: pixels, and a box per region.

Figures are drawn from these, and so is the region browser of the report's page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from al.io.errors import DataError
from al.io.tables import PoolRow, RegionRow

Rectangle = tuple[float, float, float, float]
Regions = Mapping[str, Sequence[RegionRow]]

WINDOW = (1, 99.5)  # percentiles of a volume that are drawn black and white
MOST_ROIS = 60  # tiles of a sheet
MOST_TILE = 160  # pixels, the largest side of a tile
TASKS = {"window": "2d", "slice_window": "3d", "patch": "3d", "roi": "roi"}


class Opens(Protocol):
    """The part of a layout that pictures use."""

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return (H, W, 3) uint8, or (D, H, W) float32."""
        ...


@dataclass(frozen=True)
class Box:
    """A region in a picture.

    Attributes:
        strategy, cycle, order, kind: of the region; ``order`` is its place within the cycle.
        cls: index of the class behind the choice, which the model that chose predicted there.
        rectangle: (top, left, height, width) in pixels of the picture; the outer edge of its
            first pixel is at 0. Of a disc or an annulus it is the box around it.
    """

    strategy: str
    cycle: int
    order: int
    cls: int | None
    rectangle: Rectangle
    kind: str


@dataclass(frozen=True)
class Picture:
    """An image, a slice of a volume or a sheet of RoIs, and what was annotated in it.

    Attributes:
        image: name of what an annotator opens.
        title: such as ``case_01, slice 12 of 36``; slices count from 0, as in ``history.csv``.
        pixels: (H, W, 3) uint8.
        boxes: in the order of the strategies, then of their regions.
    """

    image: str
    title: str
    pixels: np.ndarray
    boxes: tuple[Box, ...] = ()

    def of(self, strategy: str) -> Picture:
        """The same with the boxes of one strategy."""
        return replace(self, boxes=tuple(b for b in self.boxes if b.strategy == strategy))


@dataclass(frozen=True)
class Sheet:
    """RoIs side by side.

    Attributes:
        pixels: (H, W, 3) uint8, white between the tiles.
        tiles: RoI -> (top, left, height, width) of its tile.
    """

    pixels: np.ndarray
    tiles: Mapping[str, Rectangle]


def pictures_of(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Regions,
    images: Sequence[str],
    most_slices: int,
    side: int,
) -> list[Picture]:
    """Pictures of some images with the boxes of all strategies; each image is opened once.

    2-D: the image. Volumes: the slices that hold most regions (``slices_of``), grey between the
    percentiles ``WINDOW`` of the volume. RoIs: a sheet of all RoIs of the image that any strategy
    chose, at most ``MOST_ROIS``, those chosen earliest. An image without regions has no picture.

    Args:
        layout: opens images.
        rows: the pool, by ``PoolRow.key``.
        regions: rows of ``history.csv`` per strategy.
        images: names, in the order to show.
        most_slices: of a volume.
        side: longest side of a picture in pixels; larger ones are averaged down, boxes with them.

    Raises:
        DataError: no region at all, regions of 2-D images, volumes and RoIs mixed, or a region
            whose image is not in the pool or which does not fit in it.
        ValueError: ``most_slices`` or ``side`` below 1.
    """
    for name, value in (("most_slices", most_slices), ("side", side)):
        if value < 1:
            raise ValueError(f"{name} is {value}, allowed is 1 or more")
    task = task_of(regions)
    pictures: list[Picture] = []
    for image in images:
        chosen = regions_in(rows, regions, image)
        if not any(chosen.values()):
            continue
        if task == "roi":
            pictures.append(_sheet_picture(layout, rows, image, chosen, side))
        elif task == "3d":
            row = row_of(rows, image)
            every = [r for own in chosen.values() for r in own]
            slices = slices_of(every, row.axis or 0, most_slices)
            pictures += slice_pictures(layout.open_image(row), row, chosen, slices, side)
        else:
            pixels = layout.open_image(row_of(rows, image))
            pictures.append(
                fitted(Picture(image, image, pixels, boxes_of(chosen, rectangle)), side)
            )
    return pictures


def task_of(regions: Regions) -> str:
    """Return ``2d``, ``3d`` or ``roi``; raises DataError for none, or several of them."""
    kinds = {r.kind for own in regions.values() for r in own}
    if not kinds:
        raise DataError(f"no regions to show for {', '.join(regions) or 'no strategy'}")
    tasks = {TASKS.get(kind, kind) for kind in kinds}
    if len(tasks) > 1:
        raise DataError(f"regions of kinds {sorted(kinds)} cannot be shown together")
    return tasks.pop()


def row_of(rows: Mapping[str, PoolRow], key: str) -> PoolRow:
    """Return a row of the pool; raises DataError where there is none."""
    if key not in rows:
        raise DataError(f"{key} has regions but is not in the pool of {len(rows)} rows")
    return rows[key]


def regions_in(
    rows: Mapping[str, PoolRow], regions: Regions, image: str
) -> dict[str, list[RegionRow]]:
    """Return the regions of one image per strategy; raises DataError where one does not fit."""
    chosen = {name: [r for r in own if r.image == image] for name, own in regions.items()}
    for region in (r for own in chosen.values() for r in own):
        if region.kind == "roi":
            row_of(rows, f"{image}/{region.roi}")
            continue
        shape, place = row_of(rows, image).shape, region.region
        stop = tuple(a + n for a, n in zip(place.start, place.size, strict=True))
        if len(stop) != len(shape) or min(place.start) < 0 or any(np.greater(stop, shape)):
            raise DataError(
                f"{image}: a region of cycle {region.cycle} from {place.start} to {stop}; "
                f"allowed: within the image's shape {shape}"
            )
    return chosen


def rectangle(region: RegionRow, axis: int | None = None) -> Rectangle:
    """Return (top, left, height, width) in an image, or in a slice across ``axis``."""
    start, size = list(region.region.start), list(region.region.size)
    if axis is not None:
        del start[axis], size[axis]
    return float(start[0]), float(start[1]), float(size[0]), float(size[1])


def on_slice(region: RegionRow, axis: int, z: int) -> bool:
    """Tell whether a region of a volume has voxels in a slice."""
    start, stop = span(region, axis)
    return start <= z < stop


def span(region: RegionRow, axis: int) -> tuple[int, int]:
    """Return the first slice of a region of a volume, and the first one behind it."""
    start = (region.z, region.y, region.x)[axis] or 0
    return start, start + ((region.depth, region.height, region.width)[axis] or 0)


def slices_of(regions: Sequence[RegionRow], axis: int, most: int) -> list[int]:
    """At most ``most`` slices to show, in ascending order.

    Each time the slice that holds most regions not shown yet, of cycles after the first, which
    strategies share, then of all; then the lowest. A region that strategies share counts once.
    A patch is on every slice it spans; only middle slices of regions are taken.
    """
    left = list(dict.fromkeys(regions))
    places = {(start + stop) // 2 for start, stop in (span(r, axis) for r in left)}
    picked: list[int] = []
    while left and len(picked) < most:
        gains = []
        for z in places:
            here = [r for r in left if on_slice(r, axis, z)]
            gains.append((sum(r.cycle > 1 for r in here), len(here), -z))
        best = -max(gains)[-1]
        picked.append(best)
        left = [r for r in left if not on_slice(r, axis, best)]
    return sorted(picked)


def slice_pictures(
    volume: np.ndarray,
    row: PoolRow,
    chosen: Regions,
    slices: Sequence[int],
    side: int,
) -> list[Picture]:
    """Pictures of slices across ``row.axis`` of a volume (D, H, W), with all regions on them."""
    axis = row.axis or 0
    low, high = np.percentile(volume, WINDOW)
    pictures = []
    for z in slices:
        plane = (np.take(volume, z, axis) - low) / max(high - low, np.finfo(np.float32).tiny)
        grey = np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)
        pixels = np.repeat(grey[..., None], 3, axis=2)
        title = f"{row.image}, slice {z} of {volume.shape[axis]}"

        def place(region: RegionRow, z: int = z) -> Rectangle | None:
            return rectangle(region, axis) if on_slice(region, axis, z) else None

        pictures.append(fitted(Picture(row.image, title, pixels, boxes_of(chosen, place)), side))
    return pictures


def boxes_of(chosen: Regions, place: Callable[[RegionRow], Rectangle | None]) -> tuple[Box, ...]:
    """Boxes of the regions that have a place in the picture."""
    return tuple(
        Box(name, r.cycle, r.order, r.cls, where, r.kind)
        for name, own in chosen.items()
        for r in own
        if (where := place(r)) is not None
    )


def fitted(picture: Picture, side: int) -> Picture:
    """Average a picture down so that its longer side is at most ``side``, with its boxes."""
    from PIL import Image

    height, width = picture.pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.BOX))
    across, down = size[0] / width, size[1] / height
    boxes = tuple(
        replace(b, rectangle=(y * down, x * across, tall * down, wide * across))
        for b in picture.boxes
        for y, x, tall, wide in [b.rectangle]
    )
    return replace(picture, pixels=pixels, boxes=boxes)


def _sheet_picture(
    layout: Opens, rows: Mapping[str, PoolRow], image: str, chosen: Regions, side: int
) -> Picture:
    every = sorted((r for own in chosen.values() for r in own), key=lambda r: (r.cycle, r.order))
    names = list(dict.fromkeys(r.roi for r in every))
    shown = sorted(names[:MOST_ROIS])
    part = f"the first {len(shown)} of {len(names)}" if names[MOST_ROIS:] else f"{len(names)}"
    columns = math.ceil(math.sqrt(1.5 * len(shown)))
    tile = max(1, min(MOST_TILE, round(side / columns / 1.08)))
    sheet = sheet_of(layout, rows, image, shown, columns, tile)
    boxes = boxes_of(chosen, lambda r: sheet.tiles.get(r.roi))
    title = f"{image}, {part} RoIs that any strategy chose"
    return fitted(Picture(image, title, sheet.pixels, boxes), side)


def sheet_of(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    image: str,
    rois: Sequence[str],
    columns: int,
    tile: int,
    below: float = 0.08,
) -> Sheet:
    """Put RoIs of one image side by side, row by row, each fitted into a square on white.

    Args:
        rois: names, in the order to show.
        columns: tiles in a row.
        tile: side of a tile in pixels.
        below: space under a tile, as a share of its side; beside a tile it is 0.08.

    Raises:
        DataError: a RoI that is not in the pool.
    """
    across, down = tile + max(1, round(0.08 * tile)), tile + max(1, round(below * tile))
    lines = max(1, math.ceil(len(rois) / columns))
    pixels = np.full((lines * down, columns * across, 3), 255, np.uint8)
    tiles: dict[str, Rectangle] = {}
    for i, roi in enumerate(rois):
        y, x = i // columns * down, i % columns * across
        opened = layout.open_image(row_of(rows, f"{image}/{roi}"))
        pixels[y : y + tile, x : x + tile] = _thumbnail(opened, tile)
        tiles[roi] = (float(y), float(x), float(tile), float(tile))
    return Sheet(pixels, tiles)


def _thumbnail(image: np.ndarray, tile: int) -> np.ndarray:
    """Fit a RoI of any shape into a white square."""
    from PIL import Image, ImageOps

    way = Image.Resampling.BOX if max(image.shape) > tile else Image.Resampling.BICUBIC
    return np.asarray(ImageOps.pad(Image.fromarray(image), (tile, tile), way, "white"))
