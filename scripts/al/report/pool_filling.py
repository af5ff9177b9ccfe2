"""How the pool fills up over the cycles: a cell per image, in the colour of its first cycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from al.io.tables import PoolRow, RegionRow

from .boxes import FONT_POINTS, TITLE_POINTS, blank, draw_box, panel, write
from .pictures import Opens, Picture, Regions, pictures_of, row_of
from .style import INK

WIDTH = 7.0  # inches
GAP, NAME, TITLE = 0.08, 0.18, 0.16  # inches
GRID = (2.25, 1.15)  # inches, width and height that cells may fill
LARGEST_CELL, WHITE = 0.2, 0.13  # inches; white between cells, as a share of a cell
MOST_CELLS = 600
PICTURES, PICTURE, SIDE = 4, 1.05, 400  # how many in a row, their width in inches, their pixels
BAR, BAR_WIDTH = 0.5, 2.6  # inches: height below the panels, width of the colour bar
LONGEST = 36  # letters of a strategy's name, which stands over its cells
NEVER = (0.87, 0.87, 0.87)

Colour = Callable[[int], tuple[float, float, float]]


@dataclass(frozen=True)
class Pool:
    """The images that can be annotated, and how they are put into cells.

    Attributes:
        images: what an annotator opens, in the order of the pool.
        validation: how many of them are annotated for validation.
        per_cell: images of a cell; the last cell may have fewer.
    """

    images: Sequence[str]
    validation: int
    per_cell: int

    @property
    def cells(self) -> list[Sequence[str]]:
        """The images of each cell."""
        starts = range(0, len(self.images), self.per_cell)
        return [self.images[i : i + self.per_cell] for i in starts]


def columns_of(regions: Regions, most: int = 5) -> list[int]:
    """At most ``most`` cycles spread evenly over the run, first and last among them."""
    cycles = sorted({r.cycle for own in regions.values() for r in own})
    places = np.linspace(0, len(cycles) - 1, min(most, len(cycles)))
    return [cycles[round(p)] for p in places]


def pool_images(rows: Mapping[str, PoolRow], regions: Regions, most: int = MOST_CELLS) -> Pool:
    """Return the images of the pool: those to train with, and others that have regions.

    Rows that the dataset puts into no split count as images to train with.

    Args:
        rows: the pool of all splits, by ``PoolRow.key``.
        regions: rows of ``history.csv`` per strategy.
        most: cells; of a larger pool, equally many images share a cell.

    Raises:
        DataError: a region whose image or RoI is not in the pool.
    """
    chosen = [r for own in regions.values() for r in own]
    used = {row_of(rows, f"{r.image}/{r.roi}" if r.roi else r.image).image for r in chosen}
    splits = {row.image: row.split for row in rows.values()}
    images = [i for i, split in splits.items() if split in ("train", "") or i in used]
    validation = sum(splits[i] == "val" for i in images)
    return Pool(images, validation, max(1, math.ceil(len(images) / most)))


def first_cycles(regions: Sequence[RegionRow]) -> dict[str, int]:
    """Return the cycle in which each image with regions was first annotated."""
    first: dict[str, int] = {}
    for region in regions:
        first[region.image] = min(region.cycle, first.get(region.image, region.cycle))
    return first


def grid_shape(n_cells: int, width: float, height: float) -> tuple[int, int]:
    """Rows and columns of the largest square cells that fit, rather wide than tall.

    Args:
        n_cells: 1 or more.
        width, height: of the grid in inches; a cell has at most ``LARGEST_CELL``.
    """

    def side(columns: int) -> float:
        return min(width / columns, height / math.ceil(n_cells / columns), LARGEST_CELL)

    columns = max(range(1, n_cells + 1), key=lambda columns: (side(columns), columns))
    return math.ceil(n_cells / columns), columns


def draw_pool(
    layout: Opens, rows: Mapping[str, PoolRow], regions: Regions, strategies: int, shape: str
) -> Any:
    """Draw how the pool fills up: a row per strategy, a cell per image.

    A cell has the colour of the cycle in which its image was first annotated, the earliest one
    where images share a cell, and is grey without any. Beside the cells are up to ``PICTURES``
    images, each the first that the strategy opened in that cycle, with its regions.

    Args:
        layout: opens images.
        rows: the pool of all splits, by ``PoolRow.key``.
        regions: rows of ``history.csv`` of the strategies to show, in their order; not all empty.
        strategies: how many there are, which the figure says where it shows fewer.
        shape: what fills a window: ``square``, ``disc`` or ``annulus``.

    Raises:
        DataError: as ``pictures_of``, and a region whose image or RoI is not in the pool.
    """
    pool = pool_images(rows, regions)
    cycles = sorted({r.cycle for own in regions.values() for r in own})
    colour = cycle_colours(cycles)
    lines, across = grid_shape(len(pool.cells), *GRID)
    cell = min(LARGEST_CELL, GRID[0] / across, GRID[1] / lines)
    shown = {name: _pictures(layout, rows, name, own, regions) for name, own in regions.items()}
    heights = [PICTURE * _aspect(p) for own in shown.values() for p in own.values()]
    tallest = max(lines * cell, TITLE + max(heights))
    figure = blank(WIDTH, GAP + len(regions) * (NAME + tallest + GAP) + BAR)
    y = GAP
    for name, own in regions.items():
        first = first_cycles(own)
        word = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        write(figure, GAP, y, word, fontsize=TITLE_POINTS, style="italic")
        count = f"{len(first)} of {len(pool.images)} images annotated"
        write(figure, 3 * GAP + GRID[0], y, count)
        y += NAME
        _draw_cells(figure, pool, first, colour, across, (GAP, y, cell * across, cell * lines))
        _draw_pictures(figure, shown[name], columns_of(regions, PICTURES), colour, y, shape)
        y += tallest + GAP
    draw_bar(figure, cycles)
    _draw_notes(figure, pool, len(regions), strategies)
    return figure


def _pictures(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    name: str,
    own: Sequence[RegionRow],
    regions: Regions,
) -> dict[int, Picture]:
    """The first image that a strategy opened in each of the cycles to show, if any."""
    found = {}
    for cycle in columns_of(regions, PICTURES):
        here = [r for r in own if r.cycle == cycle]
        if here:
            image = min(here, key=lambda r: r.order).image
            (found[cycle],) = pictures_of(layout, rows, {name: here}, [image], 1, SIDE)
    return found


def _aspect(picture: Picture) -> float:
    """Height in widths; what is taller than wide is drawn narrower."""
    rows, columns = picture.pixels.shape[:2]
    return min(1.0, rows / columns)


def _draw_cells(
    figure: Any,
    pool: Pool,
    first: Mapping[str, int],
    colour: Colour,
    across: int,
    place: tuple[float, float, float, float],
) -> None:
    """Draw the cells row by row from the top left."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    left, top, width, height = place
    wide, down = figure.get_size_inches()
    axes = figure.add_axes((left / wide, 1 - (top + height) / down, width / wide, height / down))
    patches, colours = [], []
    for i, images in enumerate(pool.cells):
        at = (i % across + WHITE / 2, i // across + WHITE / 2)
        patches.append(Rectangle(at, 1 - WHITE, 1 - WHITE))
        known = [first[image] for image in images if image in first]
        colours.append(colour(min(known)) if known else NEVER)
    axes.add_collection(PatchCollection(patches, facecolors=colours, edgecolors="none"))
    axes.set(xlim=(0, across), ylim=(math.ceil(len(patches) / across), 0))
    axes.set_axis_off()


def _draw_pictures(
    figure: Any,
    pictures: Mapping[int, Picture],
    columns: Sequence[int],
    colour: Colour,
    top: float,
    shape: str,
) -> None:
    """Draw pictures with their regions; the same cycles of all strategies are below each other."""
    for i, cycle in enumerate(columns):
        if cycle not in pictures:
            continue
        picture = pictures[cycle]
        rows, across = picture.pixels.shape[:2]
        left = 3 * GAP + GRID[0] + i * (PICTURE + GAP)
        height = PICTURE * _aspect(picture)
        part = picture.title.removeprefix(picture.image).split(" of ")[0]
        title = f"cycle {cycle}{part if part.startswith(', slice') else ''}"
        place = (left, top + TITLE, height * across / rows, height)
        tiles = any(box.kind == "roi" for box in picture.boxes)
        axes = panel(figure, picture, place, "", frame=not tiles)
        axes.set_title(title, fontsize=FONT_POINTS, loc="left", pad=2.5, color=INK)
        for box in picture.boxes:
            filled = shape if box.kind not in ("patch", "roi") else "square"
            draw_box(axes, box.rectangle, colour(cycle), shape=filled, thick=1.1)


def cycle_colours(cycles: Sequence[int]) -> Colour:
    """Colour of a cycle: viridis from the first to the last of ``cycles``, which ascend."""
    from matplotlib import colormaps

    span = max(1, cycles[-1] - cycles[0])
    return lambda cycle: colormaps["viridis"]((cycle - cycles[0]) / span)[:3]


def draw_bar(figure: Any, cycles: Sequence[int]) -> None:
    """Draw the colours of the cycles at the bottom left of a figure."""
    wide, down = figure.get_size_inches()
    colour = cycle_colours(cycles)
    numbers = range(cycles[0], cycles[-1] + 1)
    axes = figure.add_axes((2 * GAP / wide, 0.3 / down, BAR_WIDTH / wide, 0.1 / down))
    axes.imshow([[colour(n) for n in numbers]], aspect="auto", interpolation="nearest")
    step = math.ceil(len(numbers) / 12)
    axes.set_xticks(range(0, len(numbers), step), [str(n) for n in numbers[::step]])
    axes.tick_params(labelsize=FONT_POINTS, length=2, pad=1.5)
    axes.set_yticks([])
    axes.set_xlabel("annotated in cycle", fontsize=FONT_POINTS, labelpad=1, color=INK)


def _draw_notes(figure: Any, pool: Pool, shown: int, strategies: int) -> None:
    """Say what a cell is, beside the colour bar."""
    from matplotlib.patches import Rectangle

    wide, down = figure.get_size_inches()
    left, top = BAR_WIDTH + 0.4, down - BAR + 0.06
    n = pool.per_cell
    cell = "an image" if n == 1 else f"{n} images, with the colour of the first annotated"
    notes = [f"A cell is {cell}; in the order of the pool."]
    if shown < strategies:
        notes.append(f"The first {shown} of {strategies} strategies are shown.")
    side = 0.1
    grey = Rectangle((left / wide, 1 - (top + side) / down), side / wide, side / down)
    grey.set(facecolor=NEVER, edgecolor="none", transform=figure.transFigure)
    figure.add_artist(grey)
    write(figure, left + side + 0.06, top, "not annotated")
    if pool.validation:
        plural = "image is" if pool.validation == 1 else "images are"
        write(figure, left + 1.2, top, f"{pool.validation} {plural} for validation.")
    for i, note in enumerate(notes):
        write(figure, left, top + 0.13 * (i + 1), note)
