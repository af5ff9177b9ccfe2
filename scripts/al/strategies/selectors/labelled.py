"""The start from labels that are there already, where people annotate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from al.io.labels import UNKNOWN
from decomp_core import Region

from ..query import Pick, Query
from ..registry import register_pool


@register_pool("labelled", needs=frozenset({"truth"}))
def labelled(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Boxes that hold all labels of each image and little else, or its RoIs with a class."""
    found: list[tuple[str, Pick]] = []
    for image, rows in query.groups.items():
        if rows[0].roi:
            have = [i for i, row in enumerate(rows) if query.truth(row) != UNKNOWN]
            found += [(image, i) for i in have]
        elif rows[0].label_path:
            known, axis = query.truth(rows[0]) != UNKNOWN, rows[0].axis
            found += [(image, region) for region in boxes(known, axis, query.budget.window)]
    return found


def boxes(known: np.ndarray, axis: int | None, tile: Sequence[int]) -> Iterator[Region]:
    """Yield boxes without overlap that cover a mask: one where it is one, else by slices and tiles.

    Args:
        known: bool, (H, W) or (D, H, W).
        axis: slice axis of a volume.
        tile: (height, width) of the tiles of a plane; each becomes the smallest box that will do.
    """
    if not known.any():
        return
    start, size = _bounds(known)
    within = known[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))]
    if within.all() or (axis is None and all(n <= t for n, t in zip(size, tile, strict=True))):
        yield Region(start, size)
    elif axis is not None:
        for index in range(size[axis]):
            for box in boxes(within.take(index, axis), None, tile):
                place, sides = list(box.start), list(box.size)
                place.insert(axis, index)
                sides.insert(axis, 1)
                yield Region(_moved(place, start), tuple(sides))
    else:
        for y in range(0, size[0], tile[0]):
            for x in range(0, size[1], tile[1]):
                part = within[y : y + tile[0], x : x + tile[1]]
                if part.any():
                    place, sides = _bounds(part)
                    yield Region(_moved((place[0] + y, place[1] + x), start), sides)


def _bounds(mask: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Start and size of the smallest box that holds what is True."""
    places = np.nonzero(mask)
    start = tuple(int(axis.min()) for axis in places)
    return start, tuple(int(a.max()) + 1 - s for a, s in zip(places, start, strict=True))


def _moved(place: Sequence[int], by: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(place, by, strict=True))
