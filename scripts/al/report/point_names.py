"""Names beside points, where they cover neither points nor each other; numbers in a crowd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SIZE = 7
# Side of the box kept free around a point, and distances of texts from it to try, in 1/72 inch.
POINT = 6.0
REACH = (3.5, 6, 9)
ANGLES = np.deg2rad([0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200])


def name_points(
    axes: Any, points: Mapping[str, Sequence[tuple[float, float]]], numbers: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """Write the name of each class beside the mean of its points; in a crowd its number.

    Each takes the nearest free place, the points with the most room first. The figure must have
    been laid out, and the limits of the axes be set.

    Args:
        axes: where the points are drawn.
        points: name -> (x, y) in data units, one or more.
        numbers: name -> what stands for it.

    Returns:
        names for which numbers stand, and those for which there is no room at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    unit = axes.figure.dpi / 72
    means = {name: np.mean(values, axis=0) for name, values in points.items()}
    places = {name: axes.transData.transform(mean) for name, mean in means.items()}
    taken = [_box(xy, np.full(2, POINT * unit)) for xy in places.values()]
    frame = axes.get_window_extent(renderer)

    def write(name: str, text: str) -> bool:
        size = _size(axes, text, renderer)
        offset = _free(places[name], size, taken, frame, unit)
        if offset is None:
            return False
        taken.append(_box(places[name] + offset, size))
        axes.annotate(
            text,
            means[name],
            xytext=tuple(offset / unit),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=SIZE,
            zorder=4,
        ).set_in_layout(False)
        return True

    order = sorted(places, key=lambda n: (-_room(places, n), n))
    crowded = [name for name in order if not write(name, name)]
    numbered = [name for name in crowded if write(name, str(numbers[name]))]
    return numbered, [name for name in crowded if name not in numbered]


def _size(axes: Any, text: str, renderer: Any) -> np.ndarray:
    """Width and height of a text in pixels, (2,)."""
    probe = axes.text(0, 0, text, fontsize=SIZE)
    box = probe.get_window_extent(renderer)
    probe.remove()
    return np.array([box.width, box.height])


def _free(
    xy: np.ndarray, size: np.ndarray, taken: list[Any], frame: Any, unit: float
) -> np.ndarray | None:
    """Offset in pixels of the first free place around a point, (2,), or ``None``."""
    for reach in REACH:
        for angle in ANGLES:
            offset = np.array([np.cos(angle), np.sin(angle)]) * (reach * unit + size / 2)
            box = _box(xy + offset, size)
            inside = frame.contains(*box.min) and frame.contains(*box.max)
            if inside and not box.count_overlaps(taken):
                return offset
    return None


def _box(centre: np.ndarray, size: np.ndarray) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox([centre - size / 2, centre + size / 2])


def _room(places: Mapping[str, np.ndarray], name: str) -> float:
    """Distance to the nearest other point."""
    others = [np.hypot(*(xy - places[name])) for n, xy in places.items() if n != name]
    return min(others, default=np.inf)
