"""Prediction of whole images, in overlapping tiles where they are larger than a tile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from decomp_core import Region
from glue.tables import PoolRow

from ..base import ImageSource
from .images import load_image, scale, with_position
from .model import Loaded

ROIS_AT_A_TIME = 256


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
    axes = []
    tile_sizes = model.settings.tile or shape
    for n, t, m in zip(shape, tile_sizes, model.net.encoder.stride, strict=True):
        size = max(m, t // m * m)
        starts = tile_starts(n, size, model.settings.overlap, m)
        axes.append([slice(s, min(s + size, n)) for s in starts])
    return list(itertools.product(*axes))


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


def _tensor(image: np.ndarray, part: Sequence[slice]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image[(slice(None), *part)]))[None]


def _open(model: Loaded, layout: ImageSource, row: PoolRow) -> np.ndarray:
    image = scale(load_image(layout, row, model.task, model.clip))
    if not model.position:
        return image
    return with_position(image, (0,) * (image.ndim - 1), image.shape[1:])


def probabilities(model: Loaded, layout: ImageSource, row: PoolRow) -> Tensor:
    """Return the class probabilities of one image, (C, *spatial) float32 on the device."""
    image = _open(model, layout, row)
    shape = image.shape[1:]
    parts = tiles(shape, model)
    if len(parts) == 1:
        return model.run("forward", _tensor(image, parts[0]))[0].softmax(0)
    total = torch.zeros(model.classes, *shape, device=model.device)
    norm = torch.zeros(shape, device=model.device)
    for part in parts:
        weight = _weight(part, shape, model.device)
        value = model.run("forward", _tensor(image, part))[0].softmax(0)
        total[(slice(None), *part)] += value * weight
        norm[part] += weight
    return total / norm


def region_features(
    model: Loaded, layout: ImageSource, row: PoolRow, regions: Sequence[Region]
) -> np.ndarray:
    """Return the bottleneck averaged over each region, (R, F) float32 of length 1.

    A region is read from the tile whose centre is nearest to its own.
    """
    image = _open(model, layout, row)
    parts = tiles(image.shape[1:], model)
    middle = np.array([[(s.start + s.stop) / 2 for s in part] for part in parts])
    home = [
        int(((middle - np.add(r.start, np.divide(r.size, 2))) ** 2).sum(1).argmin())
        for r in regions
    ]
    rows = np.zeros((len(regions), model.net.encoder.widths[-1]), dtype=np.float32)
    for number in sorted(set(home)):
        features = model.run("features", _tensor(image, parts[number]))[0].cpu().numpy()
        for index in np.flatnonzero(np.equal(home, number)):
            origin = [s.start for s in parts[number]]
            rows[index] = _pool(features, regions[index], origin, model.net.encoder.stride)
    return unit_length(rows)


def _pool(
    features: np.ndarray, region: Region, origin: Sequence[int], stride: Sequence[int]
) -> np.ndarray:
    """Mean of (F, *coarse) over a region, each cell weighted by the part of it inside."""
    value = features
    for start, size, zero, step in zip(region.start, region.size, origin, stride, strict=True):
        cells = np.arange(value.shape[1]) * step + zero
        inside = np.minimum(cells + step, start + size) - np.maximum(cells, start)
        weight = inside.clip(0).astype(np.float32)
        # Each turn removes the first of the remaining spatial axes, which stand after F.
        value = np.tensordot(value, weight / max(weight.sum(), 1e-9), (1, 0))
    return value


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scale the rows of (R, F) to length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-12)).astype(np.float32)


def roi_outputs(
    model: Loaded, layout: ImageSource, rows: Sequence[PoolRow], method: str
) -> np.ndarray:
    """Run ``forward`` or ``features`` on RoIs: (M, C) or (M, F) float32."""
    found = []
    for start in range(0, len(rows), ROIS_AT_A_TIME):
        part = rows[start : start + ROIS_AT_A_TIME]
        images = [load_image(layout, row, "roi", size=model.input_size) for row in part]
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(image.shape, []).append(index)
        values: list[np.ndarray] = [np.empty(0)] * len(part)
        for indices in groups.values():
            batch = torch.from_numpy(np.stack([scale(images[i]) for i in indices]))
            for index, value in zip(indices, model.run(method, batch).cpu().numpy(), strict=True):
                values[index] = value
        found.extend(values)
    return np.stack(found) if found else np.zeros((0, model.classes), dtype=np.float32)
