"""Features of regions, pooled from the cells of a network's coarse map."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from decomp_core import Region

from .base import POOLINGS

Cells = tuple[np.ndarray, Sequence[float]]


def pool_regions(
    regions: Sequence[Region],
    axes: Sequence[Sequence[slice]],
    align: Sequence[int],
    run: Callable[[tuple[slice, ...]], Cells],
    pooling: str = "mean",
) -> np.ndarray:
    """Return features pooled over regions of one image, (R, F) float32; of no regions (0, 0).

    ``mean``: each cell weighted by the part of it inside, then brought to length 1. ``max``: the
    largest over the cells that touch the region, as it is.

    A region is read from the tile whose centre is nearest to its own; one that is not wholly in
    that tile from every tile it touches, each cell from the tile in which it lies deepest.

    Args:
        regions: boxes inside the image.
        axes: the sides of the tiles along each axis, of one shape from ``0`` to the image's end.
        align: where two tiles meet, a boundary is a multiple of this.
        run: returns the cells of a tile, (F, *coarse) float32, and the size of a cell in pixels.
        pooling: of ``POOLINGS``.

    Raises:
        ValueError: for another ``pooling`` or a region that leaves the image.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; allowed: {', '.join(POOLINGS)}")
    check_inside(regions, [pieces[-1].stop for pieces in axes])
    todo: dict[tuple[int, ...], list[tuple[int, Region]]] = {}
    for index, region in enumerate(regions):
        for tile, box in sources(region, axes, align):
            todo.setdefault(tile, []).append((index, box))
    rows = np.zeros((0, 0), np.float32)
    for tile in sorted(todo):
        part = tuple(pieces[i] for i, pieces in zip(tile, axes, strict=True))
        cells, step = run(part)
        if not len(rows):
            first = 0 if pooling == "mean" else -np.inf
            rows = np.full((len(regions), len(cells)), first, np.float32)
        origin = [s.start for s in part]
        for index, box in todo[tile]:
            if pooling == "max":
                rows[index] = np.maximum(rows[index], _largest(cells, box, origin, step))
            else:
                share = np.prod(box.size) / np.prod(regions[index].size)
                rows[index] += np.float32(share) * _mean(cells, box, origin, step)
    return unit_length(rows) if pooling == "mean" else rows


def mean_residuals(
    p: Tensor,
    regions: Sequence[Region],
    targets: Tensor | None = None,
    decide: Callable[[Tensor], Tensor] | None = None,
) -> np.ndarray:
    """Return p less the outputs of the decided class, averaged over regions, (R, K) float32.

    Args:
        p: (K, *spatial) float32 outputs of one image.
        regions: boxes inside the image.
        targets: (C, K) bool, outputs that belong to a class; ``None``: one each.
        decide: returns the classes (N,) of outputs (K, N); ``None``: the largest.

    Raises:
        ValueError: for a region that leaves the image.
    """
    check_inside(regions, p.shape[1:])
    rows = np.zeros((len(regions), len(p)), dtype=np.float32)
    targets = (torch.eye(len(p)) if targets is None else targets).to(p).double()
    for index, region in enumerate(regions):
        inside = p[(slice(None), *region.slices)].flatten(1)
        label = inside.argmax(0) if decide is None else decide(inside)
        counts = torch.bincount(label.long(), minlength=len(targets)).double()
        mean = inside.mean(1, dtype=torch.float64) - counts @ targets / len(label)
        rows[index] = mean.float().cpu().numpy()
    return rows


def check_inside(regions: Sequence[Region], shape: Sequence[int]) -> None:
    """Refuse regions that leave an image.

    Raises:
        ValueError: naming the first of them.
    """
    for region in regions:
        if len(region.stop) != len(shape) or any(
            b > n for b, n in zip(region.stop, shape, strict=True)
        ):
            raise ValueError(f"regions: {region}; allowed: inside an image of {tuple(shape)}")


def sources(
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
    cells: np.ndarray, box: Region, origin: Sequence[int], stride: Sequence[float]
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
    cells: np.ndarray, box: Region, origin: Sequence[int], stride: Sequence[float]
) -> np.ndarray:
    """Maximum of (F, *coarse) over the cells that touch a box."""
    touched = tuple(
        slice(int((start - zero) // step), int(-(-(stop - zero) // step)))
        for start, stop, zero, step in zip(box.start, box.stop, origin, stride, strict=True)
    )
    return cells[(slice(None), *touched)].max(tuple(range(1, cells.ndim)))


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scale the rows of (R, F) to length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-12)).astype(np.float32)
