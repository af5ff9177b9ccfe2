"""How an image, a volume, a slide or else the pool fills up over the cycles of each strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from al.io.shapes import pixels_of
from al.io.tables import PoolRow, RegionRow

from .boxes import FONT_POINTS, TITLE_POINTS, Place, blank, draw_box, panel, save_pictures, write
from .pictures import (
    Opens,
    Picture,
    Rectangle,
    Regions,
    boxes_of,
    fitted,
    on_slice,
    rectangle,
    regions_in,
    row_of,
    sheet_of,
    slice_pictures,
    span,
    task_of,
)
from .pool_filling import BAR, BAR_WIDTH, Colour, columns_of, cycle_colours, draw_bar, draw_pool

WIDTH = 7.2  # inches, the width of a page's text
GAP, HEADER, NAME, TITLE = 0.08, 0.18, 0.12, 0.16  # inches
WIDEST, TALLEST = 2.3, 1.3  # of a panel: inches, and height in its widths
STRIP, STRIP_GAP = 0.07, 0.05  # inches, beside a slice
COLUMNS, MOST_STRATEGIES, MOST_ROIS = 5, 6, 40
SIDE, TILE = 500, 64  # pixels of a picture, and of a tile of a slide
OPACITY = 0.6  # of the colours over what is annotated
LIFTED = 0.3  # white over the other pixels, so that dark colours are seen on dark pictures
FADED = 0.65  # white over RoIs that are not annotated
NEW, OLD = 2.6, 1.1  # points, borders of RoIs
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class _Ground:
    """What fills up: an image, a slice of a volume or the sheet of a slide.

    Attributes:
        picture: without boxes.
        where: place of a region in the picture, ``None`` where it is not in it.
        mask: pixels of a region within its place, bool; ``None``: all of them.
        row: of a volume, else ``None``.
        z: slice that is shown.
        shape: what fills a window.
        tiles: whether regions are tiles of a sheet.
    """

    picture: Picture
    where: Callable[[RegionRow], Rectangle | None]
    mask: Callable[[RegionRow], np.ndarray | None] = lambda region: None
    row: PoolRow | None = None
    z: int = 0
    shape: str = "square"
    tiles: bool = False


def images_that_fill(regions: Regions, n_images: int) -> list[str]:
    """Images to show, best first: those that most strategies came back to in another cycle.

    Ties go to the image with more cycles, summed over strategies, then more regions, then to the
    name.
    """
    every = {r.image for own in regions.values() for r in own}

    def rank(image: str) -> tuple[int, int, int, str]:
        return *(-n for n in _filled_by(regions, lambda r: r.image == image)), image

    return sorted(every, key=rank)[:n_images]


def fills(regions: Regions) -> bool:
    """Tell whether any strategy annotated an image in two cycles; the shared first one counts."""
    for own in regions.values():
        opened = {(r.image, r.cycle) for r in own}
        if len(opened) > len({image for image, _ in opened}):
            return True
    return False


def _filled_by(regions: Regions, held: Callable[[RegionRow], bool]) -> tuple[int, int, int]:
    """Of the regions that are held: strategies with two cycles or more, cycles, regions."""
    cycles = [[r.cycle for r in own if held(r)] for own in regions.values()]
    return (
        sum(len(set(own)) > 1 for own in cycles),
        sum(len(set(own)) for own in cycles),
        sum(map(len, cycles)),
    )


def plot_filling(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Regions,
    out_png: Path | None,
    out_pdf: Path | None,
    n_images: int = 1,
    shape: str = "square",
) -> None:
    """Save ``draw_filling`` as PNG, and as a PDF of less than 2 MB; says so if nothing is there."""
    figure = draw_filling(layout, rows, regions, n_images, shape)
    if figure is None:
        figure = blank(WIDTH, 0.5)
        write(figure, GAP, 0.15, "No regions yet.")
    save_pictures(figure, out_png, out_pdf)


def draw_filling(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Regions,
    n_images: int = 1,
    shape: str = "square",
) -> Any | None:
    """Draw how images fill up: a row per strategy, a column per cycle, up to five of the run.

    What is annotated up to a cycle has the colour of the cycle it came in; what came in since the
    column before has a white outline. Of a volume, the slice that is annotated in most cycles is
    shown, and beside it a strip of all its slices, the one shown marked. Of a slide, its RoIs are
    (up to ``MOST_ROIS``): grey until they are annotated, then with a border, a thick one if new.

    Where no image that is shown would fill up, as no strategy came back to any in another cycle,
    ``pool_filling.draw_pool`` draws how the pool fills up instead.

    Args:
        layout: opens images.
        rows: the pool of all splits, by ``PoolRow.key``.
        regions: rows of ``history.csv`` per strategy, in the order to show; of many the first
            ``MOST_STRATEGIES`` are drawn, which the figure says.
        n_images: how many images to show, one below the other; not of a pool.
        shape: what fills a window: ``square``, ``disc`` or ``annulus``.

    Returns:
        The figure, or ``None`` without any region.

    Raises:
        DataError: regions of 2-D images, volumes and RoIs mixed, or a region whose image or RoI
            is not in the pool or which does not fit in it.
        ValueError: ``n_images`` below 1.
    """
    if n_images < 1:
        raise ValueError(f"n_images is {n_images}, allowed is 1 or more")
    names = list(regions)[:MOST_STRATEGIES]
    shown = {name: regions[name] for name in names}
    if not any(shown.values()):
        return None
    task_of(shown)  # refuses regions that cannot be shown together
    if not fills(shown):
        return draw_pool(layout, rows, shown, len(regions), shape)
    return _draw_images(layout, rows, shown, images_that_fill(shown, n_images), len(regions), shape)


def _draw_images(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    shown: Regions,
    images: Sequence[str],
    strategies: int,
    shape: str,
) -> Any:
    """Draw images that fill up, one below the other; ``shown`` are some of the strategies."""
    columns = columns_of(shown, COLUMNS)
    every = sorted({r.cycle for own in shown.values() for r in own})
    chosen = {i: regions_in(rows, shown, i) for i in images}
    grounds = [_ground(layout, rows, i, own, shape) for i, own in chosen.items()]
    width = min(WIDEST, (WIDTH - GAP) / len(columns) - GAP)
    heights = [_height(ground, width) for ground in grounds]
    total = sum(HEADER + len(shown) * (NAME + TITLE + h + GAP) for h in heights)
    figure = blank(WIDTH, GAP + total + BAR)
    y = GAP
    for ground, own, height in zip(grounds, chosen.values(), heights, strict=True):
        write(figure, GAP, y, ground.picture.title, weight="bold", fontsize=TITLE_POINTS)
        y += HEADER
        for name in shown:
            write(figure, GAP, y, name, fontsize=TITLE_POINTS, style="italic")
            place = (GAP, y + NAME + TITLE, width, height)
            _draw_row(figure, ground, own[name], columns, cycle_colours(every), place)
            y += NAME + TITLE + height + GAP
    draw_bar(figure, every)
    _draw_notes(figure, grounds[0], len(shown), strategies)
    return figure


def _ground(
    layout: Opens, rows: Mapping[str, PoolRow], image: str, chosen: Regions, shape: str
) -> _Ground:
    """Open what is to fill up: the image, the slice with most cycles, or the slide's RoIs."""
    task = task_of(chosen)
    if task == "roi":
        return _slide(layout, rows, image, chosen)
    row = row_of(rows, image)
    pixels = layout.open_image(row)
    if task == "2d":
        picture = Picture(image, image, pixels)
        return _Ground(picture, rectangle, lambda r: pixels_of(r, row, shape), shape=shape)
    axis = row.axis or 0

    def rank(z: int) -> tuple[int, ...]:
        return *_filled_by(chosen, lambda r: on_slice(r, axis, z)), -z

    spans = {span(r, axis) for own in chosen.values() for r in own}
    z = max((z for z in range(row.shape[axis]) if any(a <= z < b for a, b in spans)), key=rank)
    (picture,) = slice_pictures(pixels, row, {}, [z], max(row.shape))

    def where(region: RegionRow) -> Rectangle | None:
        return rectangle(region, axis) if on_slice(region, axis, z) else None

    def mask(region: RegionRow) -> np.ndarray | None:
        found = pixels_of(region, row, shape)
        return None if found is None else found.squeeze(axis)

    return _Ground(picture, where, mask, row, z, shape)


def _slide(layout: Opens, rows: Mapping[str, PoolRow], image: str, chosen: Regions) -> _Ground:
    """The RoIs of a slide; of many, evenly spaced ones of those that any strategy chose."""
    own = sorted(row.roi for row in rows.values() if row.image == image)
    used = {r.roi for regions in chosen.values() for r in regions}
    shown = _spread([roi for roi in own if roi in used], MOST_ROIS)
    shown += _spread([roi for roi in own if roi not in used], MOST_ROIS - len(shown))
    columns = math.ceil(math.sqrt(1.3 * len(shown)))
    sheet = sheet_of(layout, rows, image, sorted(shown), columns, TILE)
    title = f"{image}, {len(shown)} of {len(own)} RoIs"
    if len(shown) < len(used):
        title += f" (of the {len(used)} that any strategy chose)"
    picture = Picture(image, title, sheet.pixels)
    return _Ground(picture, lambda r: sheet.tiles.get(r.roi), tiles=True)


def _spread(names: Sequence[str], most: int) -> list[str]:
    """At most ``most`` of the names, evenly spaced."""
    count = max(0, min(most, len(names)))
    return [names[i * len(names) // count] for i in range(count)]


def painted(
    pixels: np.ndarray,
    annotated: Sequence[tuple[Rectangle, np.ndarray | None, tuple[float, float, float]]],
) -> np.ndarray:
    """Return a picture in light grey with colour over what is annotated.

    Args:
        pixels: (H, W, 3) uint8.
        annotated: for each region its (top, left, height, width) in whole pixels, its pixels in
            there (bool; ``None``: all of them) and its colour in 0..1.

    Returns:
        (H, W, 3) uint8.
    """
    grey = _grey(pixels, LIFTED)
    for where, mask, colour in annotated:
        y, x, height, width = map(round, where)
        part = grey[y : y + height, x : x + width]
        inside = np.ones(part.shape[:2], bool) if mask is None else mask
        part[inside] = (1 - OPACITY) * part[inside] + OPACITY * 255 * np.array(colour)
    return np.rint(grey).astype(np.uint8)


def revealed(pixels: np.ndarray, tiles: Sequence[Rectangle]) -> np.ndarray:
    """Return a sheet (H, W, 3) uint8 in faded grey, the given tiles in their own colours."""
    result = np.rint(_grey(pixels, FADED)).astype(np.uint8)
    for y, x, height, width in (map(round, tile) for tile in tiles):
        result[y : y + height, x : x + width] = pixels[y : y + height, x : x + width]
    return result


def _grey(pixels: np.ndarray, white: float) -> np.ndarray:
    """(H, W, 3) float64 in 0..255: the luminance, and a share of white."""
    return np.repeat(255 * white + (1 - white) * (pixels @ LUMA)[..., None], 3, axis=2)


def _height(ground: _Ground, width: float) -> float:
    rows, columns = ground.picture.pixels.shape[:2]
    return min((width - _beside(ground)) * rows / columns, TALLEST * width)


def _beside(ground: _Ground) -> float:
    return STRIP + STRIP_GAP if ground.row is not None else 0.0


def _draw_row(
    figure: Any,
    ground: _Ground,
    regions: Sequence[RegionRow],
    columns: Sequence[int],
    colour: Colour,
    place: Place,
) -> None:
    """Draw the panels of one strategy, the first at ``place``."""
    left, top, step, height = place
    rows, across = ground.picture.pixels.shape[:2]
    width = height * across / rows
    before = -1
    for i, cycle in enumerate(columns):
        held = [r for r in regions if r.cycle <= cycle]
        x = left + i * (step + GAP)
        word = "RoI" if ground.tiles else "region"
        title = f"cycle {cycle}: {len(held)} {word}{'' if len(held) == 1 else 's'}"
        picture = _state(ground, held, colour)
        axes = panel(figure, picture, (x, top, width, height), title, frame=not ground.tiles)
        axes.title.set_fontsize(FONT_POINTS)
        for box in picture.boxes:
            new = box.cycle > before
            if ground.tiles:
                thick = NEW if new else OLD
                draw_box(axes, box.rectangle, colour(box.cycle), thick=thick, rim=False)
            elif new:
                shape = "square" if box.kind == "patch" else ground.shape
                draw_box(axes, box.rectangle, "white", shape=shape, thick=0.8)
        if ground.row is not None:
            strip = (x + width + STRIP_GAP, top, STRIP, height)
            _draw_strip(figure, ground.row, ground.z, held, colour, strip)
        before = cycle


def _state(ground: _Ground, held: Sequence[RegionRow], colour: Colour) -> Picture:
    """The picture once these regions are annotated, with a box for each."""
    boxes = boxes_of({"": held}, ground.where)
    pixels = ground.picture.pixels
    if ground.tiles:
        pixels = revealed(pixels, [b.rectangle for b in boxes])
    else:
        here = [(w, ground.mask(r), colour(r.cycle)) for r in held if (w := ground.where(r))]
        pixels = painted(pixels, here)
    return fitted(replace(ground.picture, pixels=pixels, boxes=boxes), SIDE)


def _draw_strip(
    figure: Any,
    row: PoolRow,
    z: int,
    held: Sequence[RegionRow],
    colour: Colour,
    place: Place,
) -> None:
    """Draw which slices are annotated, slice 0 at the bottom; a tick marks the one shown."""
    axis = row.axis or 0
    depth = row.shape[axis]
    column = np.full((depth, 1, 3), 225, np.uint8)
    for region in sorted(held, key=lambda r: -r.cycle):  # the first cycle is drawn last
        start, stop = span(region, axis)
        column[start:stop] = np.rint(255 * np.array(colour(region.cycle)))
    axes = panel(figure, Picture(row.image, "", column[::-1]), place, "")
    axes.set_aspect("auto")
    axes.set_yticks([depth - z - 0.5])
    axes.tick_params(left=True, labelleft=False, length=2.5, width=1.2, color="#CC0000")
    for spine in axes.spines.values():
        spine.set_linewidth(0.4)


def _draw_notes(figure: Any, ground: _Ground, shown: int, strategies: int) -> None:
    notes = [f"{'Thick border' if ground.tiles else 'White outline'}: new since the column before."]
    if ground.row is not None:
        notes.append("Counts and strip: whole volume, slice 0 at the bottom; tick: slice shown.")
    if shown < strategies:
        notes.append(f"The first {shown} of {strategies} strategies are shown.")
    for i, note in enumerate(notes):
        top = figure.get_figheight() - BAR + 0.06 + 0.13 * i
        write(figure, BAR_WIDTH + 0.4, top, note)
