"""Turns class probabilities into the numbers of a prediction record, on the device they are on."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from decomp_core import Region
from glue.records import Record

from .base import UNCERTAINTIES, Request

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


def uncertainty_of(
    probabilities: Tensor, measure: str, member_entropy: Tensor | None = None
) -> Tensor:
    """Return the uncertainty of (C, N) probabilities as (N,) float32 from 0 to 1.

    ``entropy`` in units of log C; ``least_confidence`` 1 - max p in units of 1 - 1/C;
    ``margin`` 1 - (largest p - second largest p); ``mutual_information``, of the mean
    probabilities of an ensemble: their entropy less ``member_entropy``, the (N,) mean over the
    members of the entropy in nats, in units of log C (BALD). One class is never uncertain.

    Raises:
        ValueError: for an unknown measure, or a ``member_entropy`` that it lacks.
    """
    classes = probabilities.shape[0]
    if measure not in UNCERTAINTIES:
        raise ValueError(f"measure is {measure!r}; allowed: {', '.join(UNCERTAINTIES)}")
    if measure == "mutual_information" and member_entropy is None:
        raise ValueError("member_entropy is None; mutual_information needs that of an ensemble")
    if classes == 1:
        return torch.zeros_like(probabilities[0])
    if measure == "entropy":
        value = torch.special.entr(probabilities).sum(0) / math.log(classes)
    elif measure == "mutual_information":
        value = (torch.special.entr(probabilities).sum(0) - member_entropy) / math.log(classes)
    elif measure == "least_confidence":
        value = (1 - probabilities.amax(0)) / (1 - 1 / classes)
    else:
        best = probabilities.topk(2, dim=0).values
        value = 1 - (best[0] - best[1])
    return value.clamp(0, 1)


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

    def decide(part: slice) -> tuple[Tensor, Tensor, Tensor]:
        return _decide(flat[:, part], measure, None if spread is None else spread[part])

    return _count(decide, shape, flat.device, classes, valid, thresholds)


def _flat(name: str, values: Tensor, shape: torch.Size) -> Tensor:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {tuple(values.shape)}, expected {tuple(shape)}")
    return values.reshape(-1)


def _count(
    decide: Callable[[slice], tuple[Tensor, Tensor, Tensor]],
    shape: torch.Size,
    device: torch.device,
    classes: int,
    valid: Tensor | None,
    thresholds: tuple[float, ...],
) -> Condensed:
    """Condense what ``decide`` says of a part of the positions: label, confidence, uncertainty."""
    size = math.prod(shape)
    parts = (slice(start, start + CHUNK) for start in range(0, size, CHUNK))
    decided = ((part, decide(part)) for part in parts)
    return _tally(decided, shape, device, classes, valid, thresholds)


def _tally(
    decided: Iterable[tuple[slice, tuple[Tensor, Tensor, Tensor]]],
    shape: torch.Size,
    device: torch.device,
    classes: int,
    valid: Tensor | None,
    thresholds: tuple[float, ...],
) -> Condensed:
    """Condense parts of the flat positions: label, confidence and uncertainty of each."""
    mask, size = None if valid is None else _flat("valid", valid, shape), math.prod(shape)
    labels = torch.empty(size, dtype=torch.uint8, device=device)
    uncertainty = torch.empty(size, dtype=torch.uint8, device=device)
    counts = torch.zeros(1 + len(thresholds), classes, dtype=torch.int64, device=device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for part, (label, confidence, value) in decided:
        labels[part] = label.to(torch.uint8)
        uncertainty[part] = (value * 255).round().to(torch.uint8)
        if mask is not None:
            label, confidence, value = (v[mask[part]] for v in (label, confidence, value))
        counts[0] += torch.bincount(label, minlength=classes)
        for row, tau in enumerate(thresholds, start=1):
            counts[row] += torch.bincount(label[confidence > tau], minlength=classes)
        total += value.double().sum()
    number = int(counts[0].sum())
    mean = float(total) / number if number else 0.0
    return Condensed(
        number, counts[0], counts[1:], mean, labels.reshape(shape), uncertainty.reshape(shape)
    )


def decode_nested(probabilities: Tensor, order: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return exclusive labels of nested classes, and the confidence in each.

    From background (0), every region of probability above 0.5 in turn overwrites the label with
    its class, as nnU-Net decodes ``regions_class_order``. The confidence (ours) is the smallest
    max(p, 1 - p) of the region that decided and of those after it, which were declined; of all
    regions where every one was declined.

    Args:
        probabilities: (K, *spatial) float32, one sigmoid output per region.
        order: class that each region writes, K numbers from 0 to 254.

    Returns:
        Labels uint8 and confidences float32, both (*spatial).

    Raises:
        ValueError: for an ``order`` of another length or other numbers.
    """
    if len(order) != len(probabilities) or any(not 0 <= c < 255 for c in order):
        raise ValueError(f"order is {order}; it must be {len(probabilities)} classes, 0 to 254")
    shape, device = probabilities.shape[1:], probabilities.device
    labels = torch.zeros(shape, dtype=torch.uint8, device=device)
    confidence = torch.ones(shape, dtype=torch.float32, device=device)
    for p, cls in zip(probabilities, order, strict=True):
        chosen, certain = p > 0.5, torch.maximum(p, 1 - p)
        labels[chosen] = cls
        # A region that is chosen makes the decisions before it irrelevant.
        confidence = torch.where(chosen, certain, torch.minimum(confidence, certain))
    return labels, confidence


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

    def decide(part: slice) -> tuple[Tensor, Tensor, Tensor]:
        return _decide_nested(flat[:, part], order)

    return _count(decide, shape, flat.device, n_classes, valid, thresholds)


def _decide(p: Tensor, measure: str, entropy: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, confidence and uncertainty of (C, N) probabilities."""
    confidence, label = p.max(0)
    return label, confidence, uncertainty_of(p, measure, entropy)


def _decide_nested(p: Tensor, order: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, confidence and uncertainty of (K, N) sigmoid outputs."""
    label, confidence = decode_nested(p, order)
    value = 2 * torch.minimum(p, 1 - p).amax(0)
    return label.to(torch.int64), confidence, value.clamp(0, 1)


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

    def decided() -> Iterator[tuple[slice, tuple[Tensor, Tensor, Tensor]]]:
        for rows, maps, spread in slabs:
            p = maps.reshape(len(maps), -1)
            part = slice(rows.start * across, rows.stop * across)
            if order:
                found = _decide_nested(p, order)
            else:
                entropy = None if spread is None else spread.reshape(-1)
                found = _decide(p, request.uncertainty, entropy)
            yield part, tuple(value.cpu() for value in found)

    return _tally(decided(), shape, torch.device("cpu"), n_classes, valid, request.thresholds)


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
