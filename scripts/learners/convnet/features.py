"""What the bottleneck of the first member holds of a region."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from decomp_core import Region
from glue.tables import PoolRow

from ..base import POOLINGS, ImageSource
from .inference import check_inside, open_image, run_tile, sides
from .model import Loaded


def region_features(
    model: Loaded,
    layout: ImageSource,
    row: PoolRow,
    regions: Sequence[Region],
    pooling: str = "mean",
) -> np.ndarray:
    """Return the bottleneck pooled over each region, (R, F) float32.

    ``mean``: each cell weighted by the part of it inside, then brought to length 1. ``max``: the
    largest over the cells that touch the region, as it is.

    A region is read from the tile whose centre is nearest to its own; one that is not wholly in
    that tile from every tile it touches, each cell from the tile in which it lies deepest.

    Raises:
        ValueError: for another ``pooling`` or a region that leaves the image.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; allowed: {', '.join(POOLINGS)}")
    image = open_image(model, layout, row)
    check_inside(regions, image.shape[1:])
    axes, stride = sides(image.shape[1:], model), model.encoder.stride
    todo: dict[tuple[int, ...], list[tuple[int, Region]]] = {}
    for index, region in enumerate(regions):
        for tile, box in _sources(region, axes, stride):
            todo.setdefault(tile, []).append((index, box))
    first = 0 if pooling == "mean" else -np.inf
    rows = np.full((len(regions), model.encoder.widths[-1]), first, dtype=np.float32)
    for tile in sorted(todo):
        part = [pieces[i] for i, pieces in zip(tile, axes, strict=True)]
        cells = run_tile(model, "features", image, part)[0].cpu().numpy()
        origin = [s.start for s in part]
        for index, box in todo[tile]:
            if pooling == "max":
                rows[index] = np.maximum(rows[index], _largest(cells, box, origin, stride))
            else:
                share = np.prod(box.size) / np.prod(regions[index].size)
                rows[index] += np.float32(share) * _mean(cells, box, origin, stride)
    return unit_length(rows) if pooling == "mean" else rows


def _sources(
    region: Region, axes: Sequence[Sequence[slice]], stride: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Region]]:
    """Yield the tiles to read a region from, by their number per axis, and the part in each."""
    home, whole, spread = [], True, []
    for low, high, pieces, step in zip(region.start, region.stop, axes, stride, strict=True):
        distance = [abs(s.start + s.stop - low - high) for s in pieces]
        nearest = distance.index(min(distance))
        home.append(nearest)
        whole &= pieces[nearest].start <= low and high <= pieces[nearest].stop
        spread.append(_split(low, high, pieces, step))
    if whole:
        yield tuple(home), region
        return
    for parts in itertools.product(*spread):
        tile, start, size = zip(*parts, strict=True)
        yield tile, Region(start, size)


def _split(low: int, high: int, pieces: Sequence[slice], step: int) -> list[tuple[int, int, int]]:
    """Split an interval among tiles, each cell to one: number of the tile, start and length."""
    # Where two tiles meet, the middle of what they share, on the grid of the cells.
    inner = [(a.stop + b.start) // 2 // step * step for a, b in itertools.pairwise(pieces)]
    found = []
    for number, (first, last) in enumerate(itertools.pairwise([low, *inner, high])):
        start, stop = max(low, first), min(high, last)
        if start < stop:
            found.append((number, start, stop - start))
    return found


def _mean(
    cells: np.ndarray, box: Region, origin: Sequence[int], stride: Sequence[int]
) -> np.ndarray:
    """Mean of (F, *coarse) over a box, each cell weighted by the part of it inside."""
    value = cells
    for start, stop, zero, step in zip(box.start, box.stop, origin, stride, strict=True):
        place = np.arange(value.shape[1]) * step + zero
        inside = np.minimum(place + step, stop) - np.maximum(place, start)
        weight = inside.clip(0).astype(np.float32)
        # Each turn removes the first of the remaining spatial axes, which stand after F.
        value = np.tensordot(value, weight / weight.sum(), (1, 0))
    return value


def _largest(
    cells: np.ndarray, box: Region, origin: Sequence[int], stride: Sequence[int]
) -> np.ndarray:
    """Maximum of (F, *coarse) over the cells that touch a box."""
    touched = tuple(
        slice((start - zero) // step, -(-(stop - zero) // step))
        for start, stop, zero, step in zip(box.start, box.stop, origin, stride, strict=True)
    )
    return cells[(slice(None), *touched)].max(tuple(range(1, cells.ndim)))


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scale the rows of (R, F) to length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-12)).astype(np.float32)
