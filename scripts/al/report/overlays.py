"""What each strategy chose: boxes on images, boxes on slices of volumes, mosaics of RoIs."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from al.io.tables import PoolRow, RegionRow

from .boxes import (
    DASHES,
    FIRST,
    FONT_POINTS,
    Colour,
    Look,
    Place,
    blank,
    draw_box,
    panel,
    place_names,
    save_pictures,
    write,
)
from .pictures import (
    Box,
    Opens,
    Picture,
    Regions,
    boxes_of,
    pictures_of,
    regions_in,
    row_of,
    sheet_of,
    slice_pictures,
    slices_of,
    task_of,
)
from .style import INK

WIDTH = 7.2  # inches, the width of a page's text
WIDEST, TALLEST = 4.5, 1.3  # of a panel: inches, and height in its widths
GAP, TITLE, NOTE = 0.08, 0.17, 0.14  # inches: between panels, above them, a line of text below
CHARACTERS = 120  # of a line of text
ACROSS, MOSAICS_ACROSS = 4, 2
SIDE = 1000  # pixels of a picture
SLICES, FEW_SLICES = 4, 2  # of a volume, and where more than ACROSS strategies are shown
MAX_ROIS = 15
ROI_COLUMNS, ROI_PIXELS, ROI_BELOW = 5, 128, 0.3
LONGEST = 13  # characters of a class name below a RoI
MEANING = (
    "Colour and name of a box: the class that the choosing model predicted there "
    "(a pseudo-label, not ground truth)"
)


@dataclass(frozen=True)
class _Panel:
    """A picture with the boxes of one strategy."""

    title: str
    picture: Picture


@dataclass(frozen=True)
class _Group:
    """Panels of one image, a block per strategy that stays together, and texts around them."""

    title: str
    blocks: list[list[_Panel]]
    note: str = ""


def choose_images(regions: Regions, n_images: int) -> list[str]:
    """Images to show, best first: those that most strategies opened after the shared first cycle.

    Ties go to the image opened by more strategies that have none yet, then to the one with more
    regions, then to the name. With a first cycle alone, or where later cycles opened too few
    images, those of the first cycle fill up.
    """
    every = Counter(r.image for rows in regions.values() for r in rows)
    later = [Counter(r.image for r in rows if r.cycle > 1) for rows in regions.values()]
    picked: list[str] = []

    def rank(image: str) -> tuple[int, int, int, int, str]:
        opened = [own for own in later if own[image]]
        fresh = sum(not any(own[i] for i in picked) for own in opened)
        return -len(opened), -fresh, -sum(own[image] for own in opened), -every[image], image

    while len(picked) < min(n_images, len(every)):
        picked.append(min(every.keys() - set(picked), key=rank))
    return picked


def plot_overlays(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Regions,
    classes: Sequence[str],
    png: Path,
    pdf: Path | None = None,
    n_images: int = 3,
    colours: Sequence[Colour] | None = None,
    shape: str = "square",
) -> None:
    """Save ``draw_regions`` as PNG, and as a PDF of less than 2 MB."""
    figure = draw_regions(layout, rows, regions, classes, n_images, colours, shape)
    save_pictures(figure, png, pdf)


def draw_regions(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Regions,
    classes: Sequence[str],
    n_images: int = 3,
    colours: Sequence[Colour] | None = None,
    shape: str = "square",
) -> Any:
    """Draw the regions that each strategy chose on the same few images, as Fig. 8 of the paper.

    A panel is an image (2-D), a slice (volumes; the up to four that hold most regions of the
    strategy, two of many strategies) or a mosaic of the latest RoIs. Strategies that chose
    nothing in an image after the shared first cycle are named below it. One that is in none of
    the images shown gets its own best image at the end.

    Boxes have the colour and the name of the class behind the choice, which the model predicted;
    white ones have none (the shared first cycle, dashed, and strategies that do not choose by
    class).

    Args:
        layout: opens images.
        rows: the pool, by ``PoolRow.key``.
        regions: rows of ``history.csv`` per strategy, in the order to show.
        classes: names of the classes.
        n_images: how many images to show.
        colours: of the classes, (C, 3) in 0..1; ``None``: ours.
        shape: what fills a window: ``square``, ``disc`` or ``annulus``.

    Raises:
        DataError: no region at all, a region whose image or RoI is not in the pool or which
            does not fit in it, or not one colour per class.
        ValueError: ``n_images`` below 1.
    """
    if n_images < 1:
        raise ValueError(f"n_images is {n_images}, allowed is 1 or more")
    task = task_of(regions)
    look = Look.of(classes, colours)
    groups = _groups(layout, rows, regions, n_images)
    boxes = [b for g in groups for block in g.blocks for p in block for b in p.picture.boxes]
    legend = _handles(boxes, look)
    lines = [_lines(group, MOSAICS_ACROSS if task == "roi" else ACROSS) for group in groups]
    places, height = _places(groups, lines)
    figure = blank(WIDTH, height + _legend_height(legend))
    for item, place in places:
        if isinstance(item, _Panel):
            axes = panel(figure, item.picture, place, item.title, frame=task != "roi")
            _draw_boxes(axes, item.picture.boxes, look, shape)
        else:
            write(figure, place[0], place[1], item[0], weight=item[1])
    _draw_legend(figure, legend, any(b.cls is not None for b in boxes))
    return figure


def _groups(
    layout: Opens, rows: Mapping[str, PoolRow], regions: Regions, n_images: int
) -> list[_Group]:
    """Panels of the images that most strategies opened, then of those of the other strategies."""
    groups, seen = [], set()
    for image in choose_images(regions, n_images):
        chosen = regions_in(rows, regions, image)
        later = [n for n, own in chosen.items() if any(r.cycle > 1 for r in own)]
        shown = later or [n for n, own in chosen.items() if own]
        seen.update(shown)
        absent = [name for name in regions if name not in shown]
        when = " after the first cycle" if later else ""
        note = f"Nothing chosen here{when} by {', '.join(absent)}" if absent else ""
        blocks = _blocks(layout, rows, image, {n: chosen[n] for n in shown}, len(regions))
        groups.append(_Group(_title(rows, image), blocks, note))
    own_best = {n: choose_images({n: own}, 1) for n, own in regions.items() if n not in seen}
    blocks = []
    for name, best in own_best.items():
        for image in best:
            chosen = {name: regions_in(rows, {name: regions[name]}, image)[name]}
            for block in _blocks(layout, rows, image, chosen, len(regions)):
                blocks.append([_Panel(f"{p.title} · {image}", p.picture) for p in block])
    none = [name for name, best in own_best.items() if not best]
    if own_best:
        title = "Strategies in none of these images, each on the image it chose most of"
        note = f"No regions at all: {', '.join(none)}" if none else ""
        groups.append(_Group(title if blocks else "", blocks, note))
    return groups


def _title(rows: Mapping[str, PoolRow], image: str) -> str:
    row = rows.get(image)  # a slide is none, its RoIs are
    if row is None or row.axis is None:
        return image
    return f"{image}, {row.shape[row.axis]} slices"


def _blocks(
    layout: Opens, rows: Mapping[str, PoolRow], image: str, chosen: Regions, strategies: int
) -> list[list[_Panel]]:
    """Panels of one image, a block per strategy."""
    task = task_of(chosen)
    if task == "roi":
        return [[_mosaic(layout, rows, image, name, own)] for name, own in chosen.items()]
    if task == "2d":
        (picture,) = pictures_of(layout, rows, chosen, [image], 1, SIDE)
        return [[_Panel(name, picture.of(name))] for name in chosen]
    row = row_of(rows, image)
    most = FEW_SLICES if strategies > ACROSS else SLICES
    slices = {name: slices_of(own, row.axis or 0, most) for name, own in chosen.items()}
    used = sorted({z for own in slices.values() for z in own})
    pictures = dict(
        zip(used, slice_pictures(layout.open_image(row), row, chosen, used, SIDE), strict=True)
    )
    return [
        [_Panel(f"{name} · slice {z}", pictures[z].of(name)) for z in own]
        for name, own in slices.items()
    ]


def _mosaic(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    image: str,
    name: str,
    regions: Sequence[RegionRow],
) -> _Panel:
    """The latest RoIs of one image and strategy, with room for a class name below each."""
    latest = sorted(regions, key=lambda r: (-r.cycle, r.order))[:MAX_ROIS]
    rois = [r.roi for r in latest]
    sheet = sheet_of(layout, rows, image, rois, ROI_COLUMNS, ROI_PIXELS, ROI_BELOW)
    boxes = boxes_of({name: latest}, lambda r: sheet.tiles[r.roi])
    title = f"{name} · {len(latest)} of {len(regions)} RoIs"
    return _Panel(title, Picture(image, title, sheet.pixels, boxes))


def _lines(group: _Group, across: int) -> list[list[_Panel]]:
    """Panels side by side, at most ``across``; a block goes on where it fits on the line."""
    lines: list[list[_Panel]] = []
    for block in group.blocks:
        if lines and len(lines[-1]) + len(block) <= across:
            lines[-1].extend(block)
        else:
            lines.append(list(block))
    return lines


def _places(
    groups: Sequence[_Group], lines: Sequence[Sequence[Sequence[_Panel]]]
) -> tuple[list[tuple[Any, Place]], float]:
    """Place panels, (text, weight) above and below them; a line is as high as its highest panel.

    Returns these with their places, and the height of all, in inches from the top left.
    """
    columns = max(len(line) for own in lines for line in own)
    width = min((WIDTH - (columns + 1) * GAP) / columns, WIDEST)
    places: list[tuple[Any, Place]] = []
    y = GAP

    def text(words: str, weight: str) -> None:
        nonlocal y
        for line in textwrap.wrap(words, CHARACTERS):
            places.append(((line, weight), (GAP, y, WIDTH, NOTE)))
            y += NOTE

    for group, own in zip(groups, lines, strict=True):
        text(group.title, "bold")
        for line in own:
            y += TITLE
            sizes = [_size(p.picture, width) for p in line]
            for i, (item, size) in enumerate(zip(line, sizes, strict=True)):
                places.append((item, (GAP + i * (width + GAP), y, *size)))
            y += max(height for _, height in sizes) + GAP / 2
        text(group.note, "normal")
        y += 1.5 * GAP
    return places, y


def _size(picture: Picture, width: float) -> tuple[float, float]:
    """Width and height of a panel in inches; a tall picture is made narrower."""
    rows, columns = picture.pixels.shape[:2]
    height = min(width * rows / columns, TALLEST * width)
    return height * columns / rows, height


def _draw_boxes(axes: Any, boxes: Sequence[Box], look: Look, shape: str) -> None:
    for box in boxes:
        filled = shape if box.kind in ("window", "slice_window") else "square"
        draw_box(axes, box.rectangle, look.colour(box), box.cycle == 1, filled)
    if boxes and boxes[0].kind == "roi":
        for box in boxes:
            y, x, tall, wide = box.rectangle
            text = look.name(box)
            text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
            middle = (x + wide / 2, y + tall * (1 + ROI_BELOW / 2))
            axes.text(*middle, text, ha="center", va="center", fontsize=FONT_POINTS, color=INK)
        return
    names = [(look.name(b), look.colour(b)) for b in boxes]
    place_names(axes, [b.rectangle for b in boxes], names)


def _handles(boxes: Sequence[Box], look: Look) -> list[Any]:
    """Legend entries: the colours of the classes, and what white and dashed boxes mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    used = sorted({b.cls for b in boxes if b.cls is not None})
    handles: list[Any] = [
        Patch(facecolor=look.colours[c], edgecolor=INK, linewidth=0.5, label=look.classes[c])
        for c in used
    ]
    whites = []
    if any(b.cls is None and b.cycle > 1 for b in boxes):
        whites.append(("no class behind the choice", "-"))
    if any(b.cycle == 1 for b in boxes):
        whites.append(("first cycle, shared by all", DASHES))
    for label, line in whites:
        handles.append(Line2D([], [], color=FIRST, lw=1.6, linestyle=line, label=label))
    return handles


def _columns(handles: Sequence[Any]) -> int:
    longest = max(len(h.get_label()) for h in handles)
    return max(1, min(len(handles), int(WIDTH * 72 / (4.2 * longest + 34))))


def _legend_height(handles: Sequence[Any]) -> float:
    return 0.16 * math.ceil(len(handles) / _columns(handles)) + 0.36


def _draw_legend(figure: Any, handles: Sequence[Any], classes: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import Normal, Stroke

    legend = figure.legend(
        handles=handles,
        loc="lower center",
        ncols=_columns(handles),
        fontsize=FONT_POINTS + 0.5,
        title=MEANING if classes else None,
        title_fontsize=FONT_POINTS + 0.5,
        frameon=False,
        borderaxespad=0.2,
    )
    for line in legend.get_lines():
        if isinstance(line, Line2D):
            line.set_path_effects([Stroke(linewidth=3, foreground="black"), Normal()])
