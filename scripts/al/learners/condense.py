"""Turns class probabilities into the numbers of a prediction record, on the device they are on."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from al.io.records import Record
from decomp_core import Region

from .base import Request
from .condense_cpu import Flat, How, condense_strips
from .condense_gpu import by_triton
from .condense_torch import (
    Part,
    Rule,
    by_torch,
    check_measure,
    check_order,
    decode_nested,
    uncertainty_of,
)

__all__ = [
    "Condensed",
    "condense",
    "condense_image",
    "condense_nested",
    "condense_rois",
    "condense_slabs",
    "decode_nested",
    "digest",
    "entropy_of",
    "free_of",
    "record_of",
    "uncertainty_of",
]

CHUNK = 1 << 22  # positions at a time: bounds the temporaries on large volumes


@dataclass(frozen=True)
class Condensed:
    """Statistics and maps of one image.

    Attributes:
        count: number of valid positions.
        predicted: (C,) int64, valid positions predicted as each class.
        confident: (T, C) int64, those with a confidence above each threshold (strict).
        mean_uncertainty: mean over the valid positions, 0 (certain) to 1; 0 where none is valid.
        labels: uint8, the most probable class everywhere, the first of equal ones (of nested
            classes: the decoded one).
        uncertainty: uint8, round(255 * uncertainty) everywhere.
    """

    count: int
    predicted: Tensor
    confident: Tensor
    mean_uncertainty: float
    labels: Tensor
    uncertainty: Tensor


def entropy_of(probabilities: Tensor) -> Tensor:
    """Return the entropy of (C, *spatial) probabilities in nats, (*spatial) of the same dtype."""
    flat = probabilities.reshape(probabilities.shape[0], -1)
    value = torch.empty_like(flat[0])
    for start in range(0, len(value), CHUNK):
        part = slice(start, start + CHUNK)
        value[part] = torch.special.entr(flat[:, part]).sum(0)
    return value.reshape(probabilities.shape[1:])


def condense(
    probabilities: Tensor,
    valid: Tensor | None,
    thresholds: tuple[float, ...],
    measure: str = "entropy",
    member_entropy: Tensor | None = None,
) -> Condensed:
    """Condense probabilities.

    Args:
        probabilities: (C, *spatial) float32, summing to 1 over the first axis.
        valid: (*spatial) bool, positions that count (not annotated yet); ``None``: all.
        thresholds: confidences of the ``confident`` counts.
        measure: of ``UNCERTAINTIES``; see ``uncertainty_of``.
        member_entropy: (*spatial) float32, for ``mutual_information``.

    Raises:
        ValueError: for other shapes, an unknown measure or a missing ``member_entropy``.
    """
    classes, shape = probabilities.shape[0], probabilities.shape[1:]
    flat = probabilities.reshape(classes, -1)
    spread = None if member_entropy is None else _flat("member_entropy", member_entropy, shape)

    rule = Rule(classes, thresholds, measure)
    return _tally(_chunks(flat, spread), shape, flat.device, rule, valid)


def _flat(name: str, values: Tensor, shape: torch.Size) -> Tensor:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {tuple(values.shape)}, expected {tuple(shape)}")
    return values.reshape(-1)


def _chunks(flat: Tensor, spread: Tensor | None) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
    for start in range(0, flat.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        yield part, flat[:, part], None if spread is None else spread[part]


def _tally(
    parts: Iterable[tuple[slice, Tensor, Tensor | None]],
    shape: torch.Size,
    device: torch.device,
    rule: Rule,
    valid: Tensor | None,
) -> Condensed:
    """Condense parts of the flat positions: probabilities and entropy of the members of each."""
    mask, size = None if valid is None else _flat("valid", valid, shape), math.prod(shape)
    labels = torch.empty(size, dtype=torch.uint8, device=device)
    uncertainty = torch.empty(size, dtype=torch.uint8, device=device)
    counts = torch.zeros(1 + len(rule.thresholds), rule.classes, dtype=torch.int64)
    total = 0.0
    for part, p, spread in parts:
        inside = None if mask is None else mask[part].to(p.device)
        found = digest(p, spread, inside, rule)
        if len(found.labels) == size and found.labels.device == device:
            labels, uncertainty = found.labels, found.uncertainty
        else:
            labels[part].copy_(found.labels)
            uncertainty[part].copy_(found.uncertainty)
        counts += found.counts.cpu()
        total += found.total
    number = int(counts[0].sum())
    mean = total / number if number else 0.0
    counts = counts.to(device)
    return Condensed(
        number, counts[0], counts[1:], mean, labels.reshape(shape), uncertainty.reshape(shape)
    )


def condense_nested(
    probabilities: Tensor,
    order: tuple[int, ...],
    n_classes: int,
    valid: Tensor | None,
    thresholds: tuple[float, ...],
) -> Condensed:
    """Condense sigmoid outputs of nested classes; see ``decode_nested``.

    The uncertainty is 1 - max(p, 1 - p) of the least certain region, in units of 0.5 (ours; the
    paper says least confidence).

    Args:
        probabilities: (K, *spatial) float32, each from 0 to 1.
        order: class that each region writes.
        n_classes: number of classes, background included.
        valid: (*spatial) bool, positions that count; ``None``: all.
        thresholds: confidences of the ``confident`` counts.

    Raises:
        ValueError: for other shapes or a class in ``order`` beyond ``n_classes``.
    """
    if max(order, default=0) >= n_classes:
        raise ValueError(f"order is {order}; there are {n_classes} classes")
    flat, shape = probabilities.reshape(len(probabilities), -1), probabilities.shape[1:]
    rule = Rule(n_classes, thresholds, order=order)
    return _tally(_chunks(flat, None), shape, flat.device, rule, valid)


def condense_slabs(
    slabs: Iterable[tuple[slice, Tensor, Tensor | None]],
    shape: torch.Size,
    n_classes: int,
    order: tuple[int, ...],
    valid: Tensor | None,
    request: Request,
) -> Condensed:
    """Condense a volume whose probabilities come slab by slab and are never there as a whole.

    Args:
        slabs: rows of the first axis, one slab after the other, with their probabilities
            (C, rows, H, W) float32 (of nested classes (K, rows, H, W)) and the mean over the
            members of their entropy (rows, H, W), or ``None``.
        shape: (D, H, W) of the volume.
        n_classes: number of classes, background included.
        order: class that each nested output writes; empty where the classes are exclusive.
        valid: (D, H, W) bool, positions that count; ``None``: all.
        request: thresholds and measure.
    """
    across = math.prod(shape[1:])
    rule = Rule(n_classes, request.thresholds, request.uncertainty, order)

    def parts() -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        for rows, maps, spread in slabs:
            part = slice(rows.start * across, rows.stop * across)
            flat = maps.reshape(len(maps), -1)
            yield part, flat, None if spread is None else spread.reshape(-1)

    return _tally(parts(), shape, torch.device("cpu"), rule, valid)


def digest(p: Tensor, spread: Tensor | None, valid: Tensor | None, rule: Rule) -> Part:
    """Condense (C, N) probabilities by the fastest way there is for them.

    float32 ones in the memory of the host are read once by compiled loops, those of a CUDA device
    once by one kernel (where Triton is installed); all others by torch, operation by operation. So
    are probabilities that are none: below 0, above 1 + 2**-10 or not a number.

    Labels, confidences and counts are the same on all ways. The quantised uncertainty is exact on
    the host; the others round a float32, and can differ by one level at a boundary.

    Raises:
        ValueError: for arguments that ``check_measure`` or ``check_order`` refuses, or more classes
            than ``rule`` counts.
    """
    if rule.order:
        check_order(rule.order, len(p))
    else:
        check_measure(rule.measure, spread)
    if max(rule.order, default=len(p) - 1) >= rule.classes:
        raise ValueError(f"{len(p)} outputs, order {rule.order}; there are {rule.classes} classes")
    same = spread is None or spread.dtype == torch.float32
    if p.dtype == torch.float32 and same and p.numel():
        if p.device.type == "cpu":
            return _by_strips(p, spread, valid, rule)
        if p.device.type == "cuda":
            found = by_triton(p, spread, valid, rule)
            if found is not None:
                return found
    return by_torch(p, spread, valid, rule)


def _by_strips(p: Tensor, spread: Tensor | None, valid: Tensor | None, rule: Rule) -> Part:
    """Condense (C, N) float32 probabilities by ``condense_strips``."""
    size = p.shape[1]
    p = p.detach() if p.stride(1) == 1 else p.detach().contiguous()
    stride = p.stride(0) if len(p) > 1 else size
    flat = p.as_strided(((len(p) - 1) * stride + size,), (1,))
    labels = torch.empty(size, dtype=torch.uint8)  # apart: a record may keep only one
    uncertainty = torch.empty_like(labels)
    measure = "nested" if rule.order else "none" if len(p) == 1 else rule.measure
    found = condense_strips(
        Flat(flat.numpy(), len(p), stride, size),
        How(measure, np.array(rule.order, np.int64), rule.classes, rule.thresholds),
        None if spread is None else spread.detach().contiguous().numpy(),
        None if valid is None else valid.to(torch.bool).contiguous().numpy(),
        labels.numpy(),
        uncertainty.numpy(),
    )
    counts, total = torch.from_numpy(found.counts), found.total
    for start, stop in found.skipped.tolist():
        part = slice(start, stop)
        inner = (None if v is None else v[part] for v in (spread, valid))
        odd = by_torch(p[:, part], *inner, rule)
        labels[part], uncertainty[part] = odd.labels, odd.uncertainty
        counts += odd.counts
        total += odd.total
    return Part(labels, uncertainty, counts, total)


def free_of(taken: Collection[Region], maps: Tensor) -> Tensor | None:
    """Return (*spatial) bool for maps (C, *spatial): where nothing is taken; ``None``: nowhere."""
    if not taken:
        return None
    valid = torch.ones(maps.shape[1:], dtype=torch.bool, device=maps.device)
    for region in taken:
        valid[region.slices] = False
    return valid


def condense_image(
    image: str,
    maps: Tensor,
    valid: Tensor | None,
    request: Request,
    member_entropy: Tensor | None = None,
) -> Record:
    """Return the record of an image from its (C, *spatial) float32 probabilities."""
    found = condense(maps, valid, request.thresholds, request.uncertainty, member_entropy)
    return record_of(image, found, request)


def record_of(image: str, found: Condensed, request: Request) -> Record:
    """Return the record of what was condensed, with the maps that are asked for."""
    wanted = request.needs
    return Record(
        image,
        found.count,
        found.predicted.cpu().numpy(),
        found.confident.cpu().numpy(),
        found.mean_uncertainty,
        found.labels.cpu().numpy() if "labels" in wanted else None,
        found.uncertainty.cpu().numpy() if "uncertainty" in wanted else None,
    )


def condense_rois(
    image: str,
    rois: tuple[str, ...],
    probabilities: np.ndarray,
    taken: Collection[str],
    request: Request,
    member_entropy: np.ndarray | None = None,
) -> Record:
    """Return the record of an image of RoIs, from their (M, C) float32 probabilities.

    Counts and mean leave out the RoIs in ``taken``. The uncertainty of each, if it is asked for, is
    exact float32 (M,), 0 (certain) to 1. ``member_entropy``, (M,) float32, is what
    ``mutual_information`` needs; see ``uncertainty_of``.
    """
    p = torch.from_numpy(probabilities.T.copy())
    valid = torch.tensor([roi not in taken for roi in rois])
    spread = None if member_entropy is None else torch.from_numpy(member_entropy)
    found = condense(p, valid, request.thresholds, request.uncertainty, spread)
    asked = "uncertainty" in request.needs
    exact = uncertainty_of(p, request.uncertainty, spread).numpy() if asked else None
    return Record(
        image,
        found.count,
        found.predicted.numpy(),
        found.confident.numpy(),
        found.mean_uncertainty,
        uncertainty=exact,
        probabilities=probabilities,
        rois=rois,
    )
