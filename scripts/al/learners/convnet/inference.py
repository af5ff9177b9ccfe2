"""Prediction of whole images, in overlapping tiles where they are larger than a tile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from al.io.tables import PoolRow
from decomp_core import Region

from ..base import ImageSource
from ..nested import nested_targets
from ..record import decide, entropy_of
from ..regions import Cells, check_inside, mean_residuals, pool_regions
from .images import load_image, scale, with_position
from .model import Loaded


def tile_starts(length: int, tile: int, overlap: float, multiple: int) -> list[int]:
    """Return where tiles start along one axis: they cover it and share about ``overlap``.

    Starts are multiples of the network's stride, so that every tile samples the image on the
    grid that the whole image would have.
    """
    if length <= tile:
        return [0]
    step = max(multiple, int(tile * (1 - overlap)) // multiple * multiple)
    last = -(-(length - tile) // multiple) * multiple
    return [*range(0, last, step), last]


def tiles(shape: Sequence[int], model: Loaded) -> list[tuple[slice, ...]]:
    """Return the tiles that cover an image of that shape; one where it fits."""
    return list(itertools.product(*sides(shape, model)))


def sides(shape: Sequence[int], model: Loaded) -> list[list[slice]]:
    """Return the sides of the tiles along each axis."""
    axes = []
    tile_sizes = model.settings.tile or shape
    for n, t, m in zip(shape, tile_sizes, model.encoder.stride, strict=True):
        size = max(m, t // m * m)
        starts = tile_starts(n, size, model.settings.overlap, m)
        axes.append([slice(s, min(s + size, n)) for s in starts])
    return axes


def _weight(part: Sequence[slice], shape: Sequence[int], device: torch.device) -> Tensor:
    """Weight of a tile's pixels: falls linearly towards the sides where it meets another tile."""
    weight = torch.ones([s.stop - s.start for s in part], device=device)
    for axis, (piece, length) in enumerate(zip(part, shape, strict=True)):
        size = piece.stop - piece.start
        ramp = torch.full((size,), float(size), device=device)
        if piece.start > 0:
            ramp = torch.minimum(ramp, torch.arange(1, size + 1, device=device).float())
        if piece.stop < length:
            ramp = torch.minimum(ramp, torch.arange(size, 0, -1, device=device).float())
        view = [1] * len(part)
        view[axis] = size
        weight = weight * ramp.view(view) / size
    return weight


def open_image(model: Loaded, layout: ImageSource, row: PoolRow) -> np.ndarray:
    """Return an image as the network sees it, (channels, *spatial) float32."""
    image = scale(load_image(layout, row, model.task, model.clip))
    if not model.position:
        return image
    return with_position(image, (0,) * (image.ndim - 1), image.shape[1:])


def run_tile(
    model: Loaded, method: str, image: np.ndarray, part: Sequence[slice], member: int = 0
) -> Tensor:
    """Run ``forward`` or ``features`` on a tile: (1, C, *tile) or (1, F, *coarse) float32."""
    tile = torch.from_numpy(np.ascontiguousarray(image[(slice(None), *part)]))[None]
    return model.run(method, tile, member)


def average(
    model: Loaded, layout: ImageSource, row: PoolRow, spread: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Return the mean over the members of the probabilities of one image.

    Returns:
        (C, *spatial) float32 on the device (of nested classes (K, *spatial)), and with ``spread``
        the mean over the members of their entropy, (*spatial) in nats.
    """
    image = open_image(model, layout, row)
    mean = member_probabilities(model, image, 0)
    entropy = entropy_of(mean) if spread else None
    for member in range(1, model.members):
        p = member_probabilities(model, image, member)
        mean += p
        if entropy is not None:
            entropy += entropy_of(p)
    if model.members == 1:
        return mean, entropy
    return mean / model.members, None if entropy is None else entropy / model.members


def member_probabilities(model: Loaded, image: np.ndarray, member: int) -> Tensor:
    """Return what one member predicts for an opened image, (C, *spatial) float32."""
    shape = image.shape[1:]
    parts = tiles(shape, model)
    if len(parts) == 1:
        return model.activate(run_tile(model, "forward", image, parts[0], member)[0], 0)
    total = torch.zeros(model.outputs, *shape, device=model.device)
    norm = torch.zeros(shape, device=model.device)
    for part in parts:
        weight = _weight(part, shape, model.device)
        value = model.activate(run_tile(model, "forward", image, part, member)[0], 0)
        total[(slice(None), *part)] += value * weight
        norm[part] += weight
    return total / norm


def region_features(
    model: Loaded,
    layout: ImageSource,
    row: PoolRow,
    regions: Sequence[Region],
    pooling: str = "mean",
) -> np.ndarray:
    """Return the bottleneck pooled over each region, (R, F) float32; see ``pool_regions``.

    Raises:
        ValueError: for another ``pooling`` or a region that leaves the image.
    """
    image = open_image(model, layout, row)
    stride = model.encoder.stride

    def run(part: tuple[slice, ...]) -> Cells:
        return run_tile(model, "features", image, part)[0].cpu().numpy(), stride

    axes, width = sides(image.shape[1:], model), model.encoder.widths[-1]
    return pool_regions(regions, axes, stride, width, run, pooling)


def region_residuals(
    model: Loaded, layout: ImageSource, row: PoolRow, regions: Sequence[Region]
) -> np.ndarray:
    """Return p - onehot(argmax p) averaged over each region, (R, C) float32, first member.

    Of nested classes (R, K): p less the outputs that the decoded class belongs to (ours).

    Raises:
        ValueError: for a region that leaves the image.
    """
    image = open_image(model, layout, row)
    check_inside(regions, image.shape[1:])
    p = member_probabilities(model, image, 0)
    if model.nested is None:
        return mean_residuals(p, regions)
    targets = torch.from_numpy(nested_targets(model.nested, model.classes))
    return mean_residuals(p, regions, targets, lambda inside: decide(inside, model.order)[0])
