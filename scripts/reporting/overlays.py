"""What each strategy chose: boxes on images, boxes on slices of volumes, mosaics of RoIs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from glue.errors import DataError
from glue.tables import PoolRow, RegionRow

from .boxes import Rectangle, draw_box, place_names
from .style import INK, class_colours, new_figure, save

FIRST = "#FFFFFF"
# Panels side by side: strategies of 2-D images, mosaics of RoIs, slices of volumes.
ACROSS, MOSAICS_ACROSS, SLICES_ACROSS = 6, 4, 8
MAX_SLICES = 4
FEW_SLICES = 2  # of each volume where more than ACROSS strategies are shown
MAX_PIXELS = 20000  # a side of the figure; what would be longer is drawn more coarsely
MAX_ROIS = 15
ROI_COLUMNS = 5
ROI_PIXELS = 96


class Opens(Protocol):
    """The part of a layout that overlays use."""

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return (H, W, 3) uint8, or (D, H, W) float32."""
        ...


@dataclass(frozen=True)
class _Look:
    """Class names and colours of one figure."""

    classes: Sequence[str]
    colours: Sequence[tuple[float, float, float]]

    def colour(self, region: RegionRow) -> Any:
        return FIRST if region.cls is None else self.colours[region.cls]

    def name(self, region: RegionRow) -> str:
        return "" if region.cls is None else self.classes[region.cls]


def choose_images(regions: Mapping[str, Sequence[RegionRow]], n_images: int) -> list[str]:
    """Images to show, best first: those that most strategies opened after the shared first cycle.

    Ties go to the image with more regions, then to the name. With a first cycle alone, or where
    later cycles opened too few images, those of the first cycle fill up.
    """
    every = Counter(r.image for rows in regions.values() for r in rows)
    later = [Counter(r.image for r in rows if r.cycle > 1) for rows in regions.values()]

    def rank(image: str) -> tuple[int, int, int, str]:
        counts = [own[image] for own in later]
        return -sum(n > 0 for n in counts), -sum(counts), -every[image], image

    return sorted(every, key=rank)[:n_images]


def plot_overlays(
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Mapping[str, Sequence[RegionRow]],
    classes: Sequence[str],
    out: Path,
    n_images: int = 3,
) -> None:
    """Draw the regions that each strategy chose on the same few images.

    2-D: one column per strategy. Volumes: one row per image and strategy, with up to four of its
    slices that hold most windows. RoIs: a mosaic per image and strategy. Of many strategies the
    panels of one image wrap over several rows, and volumes show two slices. Boxes have the colour
    and the name of the class behind the choice; white ones have no class behind them (the shared
    first cycle, dashed, and strategies that do not choose by class).

    Args:
        layout: opens images.
        rows: the pool, by ``PoolRow.key``.
        regions: rows of ``history.csv`` per strategy, in the order to show.
        classes: names of the classes.
        out: PNG (or PDF) to write, by rename.
        n_images: how many images to show.

    Raises:
        DataError: no region at all, or a region whose image or RoI is not in the pool.
        ValueError: ``n_images`` below 1.
    """
    if n_images < 1:
        raise ValueError(f"n_images is {n_images}, allowed is 1 or more")
    images = choose_images(regions, n_images)
    if not images:
        raise DataError(f"no regions to show for {', '.join(regions) or 'no strategy'}")
    look = _Look(classes, class_colours(len(classes)))
    shown = {
        image: {name: [r for r in own if r.image == image] for name, own in regions.items()}
        for image in images
    }
    kinds = {r.kind for own in regions.values() for r in own}
    if kinds == {"roi"}:
        figure = _mosaics(layout, rows, shown, look)
    elif kinds <= {"slice_window", "patch"}:
        figure = _volumes(layout, rows, shown, look)
    elif kinds == {"window"}:
        figure = _flat_images(layout, rows, shown, look)
    else:
        raise DataError(f"regions of kinds {sorted(kinds)} cannot be shown together")
    _legend(figure, shown, look)
    save(figure, out, dpi=min(160, int(MAX_PIXELS / max(figure.get_size_inches()))))


def _row(rows: Mapping[str, PoolRow], key: str) -> PoolRow:
    if key not in rows:
        raise DataError(f"{key} has regions but is not in the pool of {len(rows)} rows")
    return rows[key]


def _wrap(count: int, most: int) -> tuple[int, int]:
    """Rows and columns of a grid of ``count`` panels, at most ``most`` across, rows alike."""
    rows = -(-count // most)
    return rows, -(-count // rows)


def _flat_images(
    layout: Opens, rows: Mapping[str, PoolRow], shown: Mapping[str, Any], look: _Look
) -> Any:
    names = list(next(iter(shown.values())))
    high, wide = _wrap(len(names), ACROSS)
    height, width = next(_row(rows, image).shape[:2] for image in shown)
    panel = 7.0 if len(names) == 1 else max(3.0, min(5.0, 13.5 / wide))
    figure = new_figure(panel * wide, (panel * height / width + 0.3) * len(shown) * high + 0.5)
    grid = figure.subplots(len(shown) * high, wide, squeeze=False).reshape(len(shown), -1)
    for line, (image, chosen) in zip(grid, shown.items(), strict=True):
        array = layout.open_image(_row(rows, image))
        for axes, name in zip(line, names, strict=False):
            _panel(axes, array, f"{name} · {image}")
            _boxes(axes, chosen[name], [_rectangle(r) for r in chosen[name]], look)
        _remove(line[len(names) :])
    return figure


def _remove(panels: Sequence[Any]) -> None:
    """Take the panels that a wrapped grid leaves over out of the figure."""
    for axes in panels:
        axes.remove()


def _rectangle(region: RegionRow, axis: int | None = None) -> Rectangle:
    """(top, left, height, width) in a picture, or in a slice across ``axis``, for drawing.

    The centre of the first pixel is at 0, its outer edge at -0.5.
    """
    start, size = region.region.start, region.region.size
    if axis is not None:
        start, size = np.delete(start, axis), np.delete(size, axis)
    return start[0] - 0.5, start[1] - 0.5, float(size[0]), float(size[1])


def _panel(axes: Any, array: np.ndarray, title: str, **options: Any) -> None:
    axes.imshow(array, interpolation="nearest" if max(array.shape) < 200 else "auto", **options)
    axes.set_title(title, fontsize=8, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])


def _boxes(
    axes: Any,
    regions: Sequence[RegionRow],
    rectangles: Sequence[Rectangle],
    look: _Look,
) -> None:
    if not regions:
        _note(axes, "nothing annotated")
        return
    for region, rectangle in zip(regions, rectangles, strict=True):
        draw_box(axes, rectangle, look.colour(region), dashed=region.cycle == 1)
    names = [(look.name(r), look.colour(r)) for r in regions]
    place_names(axes, list(rectangles), names)


def _note(axes: Any, text: str) -> None:
    axes.text(
        0.5,
        0.5,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=8,
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none"},
    )


def _slice_of(region: RegionRow, axis: int) -> int:
    """Slice on which a region is shown: its own, or the middle one of a patch."""
    return region.region.start[axis] + region.region.size[axis] // 2


def _slices(regions: Sequence[RegionRow], axis: int, most: int) -> list[int]:
    """At most ``most`` slices in ascending order: latest cycles' first, then fullest."""
    held: dict[int, list[RegionRow]] = {}
    for region in regions:
        held.setdefault(_slice_of(region, axis), []).append(region)
    best = sorted(held, key=lambda z: (max(r.cycle for r in held[z]) == 1, -len(held[z]), z))
    return sorted(best[:most])


def _volumes(
    layout: Opens, rows: Mapping[str, PoolRow], shown: Mapping[str, Any], look: _Look
) -> Any:
    names = list(next(iter(shown.values())))
    many = len(names) > ACROSS
    most = FEW_SLICES if many else MAX_SLICES
    axis = {image: _row(rows, image).axis or 0 for image in shown}
    picked = {(i, n): _slices(shown[i][n], axis[i], most) for i in shown for n in names}
    columns = max(1, *(len(z) for z in picked.values()))
    high, wide = _wrap(len(names), SLICES_ACROSS // columns) if many else (len(names), 1)
    plane = np.delete(_row(rows, next(iter(shown))).shape, axis[next(iter(shown))])
    panel = 2.6
    height = panel * min(1.6, plane[0] / plane[1]) + 0.25
    figure = new_figure(panel * columns * wide, height * len(shown) * high + 0.5)
    grid = figure.subplots(len(shown) * high, columns * wide, squeeze=False)
    # columns of one strategy side by side: (image, strategy, slice)
    grid = grid.reshape(len(shown), high * wide, columns)
    for lines, (image, chosen) in zip(grid, shown.items(), strict=True):
        volume = layout.open_image(_row(rows, image))
        limits = np.percentile(volume, (1, 99.5))
        for line, name in zip(lines, names, strict=False):
            title, slices = f"{name} · {image}", picked[image, name]
            _slice_panels(line, volume, limits, axis[image], slices, title)
            for axes, z in zip(line, slices, strict=False):
                here = [r for r in chosen[name] if _slice_of(r, axis[image]) == z]
                _boxes(axes, here, [_rectangle(r, axis[image]) for r in here], look)
            _remove(line[max(1, len(slices)) :])
        _remove(lines[len(names) :].flat)
    return figure


def _slice_panels(
    line: Sequence[Any],
    volume: np.ndarray,
    limits: np.ndarray,
    axis: int,
    slices: Sequence[int],
    title: str,
) -> None:
    """Draw slices across ``axis`` side by side, grey between ``limits``; or say there is none."""
    if not slices:
        line[0].set_axis_off()
        line[0].set_title(title, fontsize=8, loc="left")
        _note(line[0], "nothing annotated")
        return
    for place, (axes, z) in enumerate(zip(line, slices, strict=False)):
        first = "" if place else title
        text = f"{first}\nslice {z} of {volume.shape[axis]}"
        _panel(axes, np.take(volume, z, axis), text, cmap="gray", vmin=limits[0], vmax=limits[1])


def _mosaics(
    layout: Opens, rows: Mapping[str, PoolRow], shown: Mapping[str, Any], look: _Look
) -> Any:
    names = list(next(iter(shown.values())))
    wide = _wrap(len(names), MOSAICS_ACROSS)[1]
    blocks = [names[i : i + wide] for i in range(0, len(names), wide)]
    lines = [
        max(1, *(-(-min(len(shown[image][n]), MAX_ROIS) // ROI_COLUMNS) for n in block))
        for image in shown
        for block in blocks
    ]
    figure = new_figure(3.9 * wide, 0.98 * sum(lines) + 0.3 * len(lines) + 0.5)
    grid = figure.subplots(len(lines), wide, squeeze=False, height_ratios=lines)
    places = [(image, block) for image in shown for block in blocks]
    for line, height, (image, block) in zip(grid, lines, places, strict=True):
        for axes, name in zip(line, block, strict=False):
            _mosaic(axes, layout, rows, shown[image][name], f"{name} · {image}", height, look)
        _remove(line[len(block) :])
    return figure


def _mosaic(
    axes: Any,
    layout: Opens,
    rows: Mapping[str, PoolRow],
    regions: Sequence[RegionRow],
    title: str,
    height: int,
    look: _Look,
) -> None:
    """Draw the latest RoIs of one image and strategy in a panel of ``height`` lines of tiles."""
    latest = sorted(regions, key=lambda r: (-r.cycle, r.order))[:MAX_ROIS]
    part = f", {len(latest)} of {len(regions)}" if latest else ""
    axes.set_title(title + part, fontsize=8, loc="left")
    axes.set_axis_off()
    axes.set_xlim(0, ROI_COLUMNS)
    axes.set_ylim(height * 1.25, 0)
    axes.set_aspect("equal")
    if not latest:
        _note(axes, "nothing annotated")
    for place, region in enumerate(latest):
        tile = _thumbnail(layout.open_image(_row(rows, f"{region.image}/{region.roi}")))
        _tile(axes, tile, place, region, look)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Fit a RoI of any shape into a white square of ``ROI_PIXELS``."""
    from PIL import Image, ImageOps

    fitted = ImageOps.pad(
        Image.fromarray(image), (ROI_PIXELS, ROI_PIXELS), Image.Resampling.BICUBIC, "white"
    )
    return np.asarray(fitted)


def _tile(axes: Any, tile: np.ndarray, place: int, region: RegionRow, look: _Look) -> None:
    y, x = divmod(place, ROI_COLUMNS)
    top = y * 1.25
    axes.imshow(tile, extent=(x + 0.04, x + 0.96, top + 0.96, top + 0.04))
    draw_box(axes, (top + 0.04, x + 0.04, 0.92, 0.92), look.colour(region), region.cycle == 1)
    if name := look.name(region):
        axes.text(x + 0.5, top + 1.0, name, ha="center", va="top", fontsize=6.5, color=INK)


def _legend(figure: Any, shown: Mapping[str, Any], look: _Look) -> None:
    """Name the colours in the figure, and what white and dashed boxes mean."""
    from matplotlib.lines import Line2D

    drawn = [r for chosen in shown.values() for own in chosen.values() for r in own]
    used = sorted({r.cls for r in drawn if r.cls is not None})
    handles = [Line2D([], [], color=look.colours[c], lw=3, label=look.classes[c]) for c in used]
    if any(r.cls is None and r.cycle > 1 for r in drawn):
        handles.append(_white("no class behind the choice", "-"))
    if any(r.cycle == 1 for r in drawn):
        handles.append(_white("first cycle, shared by all", (0, (2, 1))))
    columns = max(1, int(figure.get_figwidth() / 1.5))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), columns),
        fontsize=8,
        facecolor="#BBBBBB",
        edgecolor="none",
    )


def _white(label: str, line: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=FIRST, lw=2, linestyle=line, label=label)
