"""The regions that strategies chose, cycle by cycle: a figure, and a chart to explore them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import altair as alt
import numpy as np

from al.io.errors import DataError
from al.io.tables import PoolRow, RegionRow, read_pool, read_regions
from al.io.thumbnails import SIDE, fitted, grey, jpeg_uri, resized, window_of
from al.layouts import get_layout
from al.layouts.volumes import VolumeLayout
from al.paths import pool_of
from al.scoring.examples import Plane

from . import tiles
from .catalogue import Look
from .charts import Chart, Rows, configured, values
from .gather import histories_of
from .tiles import Box, Place, Tile

SLICES, EXPLORED = 2, 3  # of a volume: of each strategy in the figure, of all to explore
MOST_ROIS = 40  # of a sheet
WHITE, NO_CLASS = "#ffffff", "none (white)"
NOTES = (
    "Number: the cycle of a region; the first is shared by all strategies. Strategies without a "
    "picture of an image chose nothing in it.",
    "Colour: the class that the choosing model predicted there, not ground truth; white where no "
    "class was behind the choice.",
)
# Of the picture to explore, which is as large whatever is shown; and its text.
FRAME, TEXT = (640, 400), 12
Owner = tuple[str, str]  # budget and strategy
Regions = Mapping[Owner, Sequence[RegionRow]]
# Something to look at: what it is, its pixels, and where regions are in it, as shares of it.
View = tuple[str, np.ndarray, Mapping[RegionRow, Place]]


def regions(folder: Path, look: Look, budget: str) -> Chart | None:
    """The regions of each strategy on the same few images, with the cycle of each.

    Args:
        folder: ``results/{run}``.
        look: as ``look.look_of``.
        budget: such as ``5x15``.

    Returns:
        ``None`` where nothing is annotated yet.

    Raises:
        OSError, DataError: an image that cannot be read, or a region that does not fit in it.
    """
    pool = Annotated(folder, look, [budget])
    owners = [owner for owner, own in pool.regions.items() if own]
    if not owners:
        return None
    across = {"2d": min(max(len(owners), 2), 4), "3d": 4, "roi": 2}[look["task"]]
    side, sheet, used = tiles.side_of(tiles.width_of(across)), tiles.Sheet(), set()
    for image in choose_images(pool.regions, look["overlay_images"]):
        sheet.heading(image)
        shown = [
            replace(tile, head=[owner[1], *tile.head])
            for owner in owners
            for tile in pool.tiles(image, [owner], SLICES, side)
        ]
        sheet.line(shown, across)
        used |= {box.cls for tile in shown for box in tile.boxes}
    return sheet.composed(look, budget, used, NOTES)


def regions_explorer(folder: Path, look: Look, budgets: Sequence[str]) -> Chart | None:
    """A Vega-Lite specification to walk through the cycles of each strategy.

    The picture, the budget, the strategy and the last cycle shown are chosen below it; it keeps
    its size whatever is chosen.

    Arguments, result and errors as of ``regions``, for several budgets.
    """
    pool = Annotated(folder, look, budgets)
    side = tiles.LARGEST if look["task"] == "roi" else SIDE
    images, boxes = [], []
    for image in choose_images(pool.regions, look["overlay_images"]):
        for tile in pool.tiles(image, list(pool.regions), EXPLORED, side):
            title = ", ".join([image, *tile.head])
            place = tiles.within(tile.pixels, (0, 0, *FRAME))
            url = jpeg_uri(tile.pixels)
            images.append({"picture": title, "url": url} | tiles.corners(place))
            for box in tile.boxes:
                about = {"picture": title, "budget": box.owner[0], "strategy": box.owner[1]}
                boxes.append(about | {"class": box.cls, "order": box.order} | box.row(place))
    if not boxes:
        return None
    last = max(box["cycle"] for box in boxes)
    cycles = alt.binding_range(min=1, max=last, step=1, name="up to cycle ")
    params = [
        _select("picture", [image["picture"] for image in images]),
        _select("budget", [budget for budget, _ in pool.regions]),
        _select("strategy", [strategy for _, strategy in pool.regions]),
        alt.param(name="cycle", value=last, bind=cycles),
    ]
    chart = alt.layer(*_explored(images, boxes, pool.colours)).add_params(*params)
    return configured(chart.properties(width=FRAME[0], height=FRAME[1]))


def _explored(images: Rows, boxes: Rows, colours: Mapping[str, str]) -> list[alt.Chart]:
    """Layers of the picture: a frame that is always there, the image, and boxes to point at."""
    corners = tiles.placed()
    frame = values([tiles.corners((0, 0, *FRAME))]).mark_rect(fill="#f2f2f2")
    shown = values(images).transform_filter("datum.picture == picture").mark_image(aspect=False)
    wanted = (
        "datum.picture == picture && datum.budget == budget && datum.strategy == strategy"
        " && datum.cycle <= cycle"
    )
    chosen = values(boxes).transform_filter(wanted)
    thickness = alt.condition("datum.cycle == cycle", alt.value(3), alt.value(1.6))
    held = {box["class"] for box in boxes}
    legend = alt.Legend(
        title="class behind the choice", orient="right", labelFontSize=TEXT, titleFontSize=TEXT,
        symbolSize=120,
    )  # fmt: skip
    fill = tiles.class_fill({name: c for name, c in colours.items() if name in held}, legend)
    # Invisible, so that a region answers wherever it is pointed at.
    areas = chosen.mark_rect(opacity=0)
    areas = areas.encode(*corners, fill, tooltip=["strategy:N", "cycle:Q", "order:Q", "class:N"])
    lines = tiles.outlined(chosen, thickness, 4.6, TEXT)
    return [frame.encode(*corners), shown.encode(*corners, url="url:N"), *lines, areas]


def _select(name: str, options: Sequence[str]) -> alt.Parameter:
    """A list to choose from."""
    different = list(dict.fromkeys(options))
    bind = alt.binding_select(options=different, name=f"{name} ")
    return alt.param(name=name, value=different[0], bind=bind)


class Annotated:
    """The images of a run's pool, and what its strategies annotated in them with the first seed.

    Args:
        folder: ``results/{run}``.
        look: as ``look.look_of``.
        budgets: of those wanted.

    Raises:
        OSError, DataError: pool or regions cannot be read.
    """

    def __init__(self, folder: Path, look: Look, budgets: Sequence[str]) -> None:
        layout = look["layout"]
        options, classes = layout["options"], layout["classes"]
        self.layout = get_layout(layout["name"], options, classes, unlabelled=True)
        self.colours = tiles.colours_of(look) | {NO_CLASS: WHITE}
        self.regions: dict[Owner, list[RegionRow]] = {
            (budget, name): read_regions(path)
            for budget in budgets
            for name, path in histories_of(folder, look, budget).items()
        }
        self.rows: dict[str, PoolRow] = {}
        if any(self.regions.values()):
            self.rows = {row.key: row for row in read_pool(pool_of(folder, look["seeds"][0]))}
        # Strategies ask for the same volume in turn.
        self._opened = lru_cache(maxsize=1)(lambda key: self.layout.open_image(self._row(key)))

    def tiles(self, image: str, owners: Sequence[Owner], most_slices: int, side: int) -> list[Tile]:
        """Pictures of an image with the boxes of some strategies; none where they chose nothing.

        Of a volume the slices that hold most regions, of an image with RoIs a sheet of those
        annotated last.

        Args:
            image: its name.
            owners: whose regions are shown.
            most_slices: of a volume.
            side: longest side of a picture in pixels; a sheet has up to twice as many.

        Raises:
            OSError, DataError: an image that cannot be read or is not in the pool, or a region
                that does not fit in it.
        """
        every = [r for owner in owners for r in self.regions[owner] if r.image == image]
        views: Sequence[View] = ()
        if every:
            view = self._sheet if every[0].kind == "roi" else self._planes
            views = view(image, every, most_slices, side)
        return [
            Tile([part] if part else [], pixels, boxes=self._boxes(owners, places))
            for part, pixels, places in views
        ]

    def _boxes(self, owners: Sequence[Owner], places: Mapping[RegionRow, Place]) -> list[Box]:
        found = []
        for owner in owners:
            for r in (r for r in self.regions[owner] if r in places):
                cls = NO_CLASS if r.cls is None else self.layout.classes[r.cls]
                found.append(Box(owner, r.cycle, r.order, cls, self.colours[cls], places[r]))
        return found

    def _row(self, key: str) -> PoolRow:
        if key not in self.rows:
            raise DataError(f"{key} has regions but is not in the pool of {len(self.rows)} rows")
        return self.rows[key]

    def _planes(
        self, image: str, every: Sequence[RegionRow], most: int, side: int
    ) -> Sequence[View]:
        """An image, or slices of a volume."""
        row, pixels = self._row(image), self._opened(image)
        for r in every:
            ends = np.add(r.region.start, r.region.size)
            if min(r.region.start) < 0 or any(ends > row.shape):
                raise DataError(f"{image}: {r}; allowed: within the image's shape {row.shape}")
        if row.axis is None:
            places = {r: _place(r, row.shape) for r in every}
            return [("", resized(pixels, fitted(row.shape, side)), places)]
        assert isinstance(self.layout, VolumeLayout)
        axis, window, grid = row.axis, window_of(pixels), self.layout.grid_of(row)
        sizes = zip(self.layout.spacing(row), grid.full, grid.shape, strict=True)
        spacing = [s * n / m for s, n, m in sizes]  # of what annotators see
        views = []
        for z in slices_of([r for r in every if r.cycle > 1] or every, axis, most):
            plane = grey(np.take(pixels, z, axis), window)
            size = fitted(plane.shape[:2], side, spacing[:axis] + spacing[axis + 1 :])
            places = {r: _place(r, row.shape, axis) for r in every if z in _span(r, axis)}
            part = f", {len(places)} of {len(every)} regions" if len(places) < len(every) else ""
            title = f"{Plane(axis, z, row.shape[axis])}{part}"
            views.append((title, resized(plane, size), places))
        return views

    def _sheet(
        self, image: str, every: Sequence[RegionRow], most: int, side: int
    ) -> Sequence[View]:
        """The RoIs annotated last side by side on white."""
        cycles = {r.roi: r.cycle for r in every}
        shown = sorted(sorted(cycles, key=lambda roi: (-cycles[roi], roi))[:MOST_ROIS])
        columns = math.ceil(math.sqrt(1.5 * len(shown)))
        small = {}
        for roi in shown:
            pixels = self._opened(f"{image}/{roi}")
            small[roi] = resized(pixels, fitted(pixels.shape[:2], int(1.8 * side / columns)))
        step = round(1.1 * max(n for pixels in small.values() for n in pixels.shape[:2]))
        high, wide = math.ceil(len(shown) / columns) * step, columns * step
        sheet = np.full((high, wide, 3), 255, np.uint8)
        held = {}
        for i, (roi, pixels) in enumerate(small.items()):
            y, x = i // columns * step, i % columns * step
            height, width = pixels.shape[:2]
            sheet[y : y + height, x : x + width] = pixels
            held[roi] = (x / wide, y / high, width / wide, height / high)
        places = {r: held[r.roi] for r in every if r.roi in held}
        which = f", the last {MOST_ROIS} shown" if len(cycles) > MOST_ROIS else ""
        return [(f"{len(cycles)} RoIs annotated{which}", sheet, places)]


def choose_images(regions: Regions, most: int) -> list[str]:
    """Images to show, best first, of those opened after the shared first cycle where there are any.

    The next is the one opened by most strategies that have none yet, then the one with most
    regions, then the first by name.
    """
    later = [[r.image for r in own if r.cycle > 1] for own in regions.values()]
    opened = later if any(later) else [[r.image for r in own] for own in regions.values()]
    picked: list[str] = []

    def rank(image: str) -> tuple[int, int, str]:
        fresh = [own for own in opened if image in own and not set(own) & set(picked)]
        return -len(fresh), -sum(own.count(image) for own in opened), image

    left = {image for own in opened for image in own}
    while left and len(picked) < most:
        picked.append(min(left, key=rank))
        left.remove(picked[-1])
    return picked


def slices_of(regions: Sequence[RegionRow], axis: int, most: int) -> list[int]:
    """At most ``most`` slices to show, in ascending order.

    Each time the middle slice of a region that holds most regions not shown yet, then the lowest.
    """
    left = [_span(region, axis) for region in set(regions)]
    picked: list[int] = []
    while left and len(picked) < most:
        middles = sorted(span[len(span) // 2] for span in left)
        picked.append(max(middles, key=lambda z: sum(z in span for span in left)))
        left = [span for span in left if picked[-1] not in span]
    return sorted(picked)


def _span(region: RegionRow, axis: int) -> range:
    """Slices of a region of a volume."""
    place = region.region
    return range(place.start[axis], place.start[axis] + place.size[axis])


def _place(region: RegionRow, shape: Sequence[int], axis: int | None = None) -> Place:
    """Where a region is in an image, or in a slice across ``axis``, as shares of it."""
    place, (y, x) = region.region, (a for a in range(len(shape)) if a != axis)
    left, top = place.start[x] / shape[x], place.start[y] / shape[y]
    return left, top, place.size[x] / shape[x], place.size[y] / shape[y]
