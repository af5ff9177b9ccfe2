"""From class probabilities to the record of an image: labels, counts (Eq. 1) and uncertainty.

A few torch operations, where the probabilities are, on some positions at a time: only the label,
the confidence and the uncertainty of a position travel to the host.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from al.io.records import Record
from decomp_core import Region, class_counts

from .base import Request

CHUNK = 1 << 14  # positions at a time: their temporaries stay in a cache
# A part of an image along its first axis; probabilities (C, *part) float32, of nested classes
# sigmoid outputs (K, *part); the members' mean entropy (*part) in nats where it was asked for.
Slab = tuple[slice, Tensor, Tensor | None]


def decide(p: Tensor, order: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Return the label of every position and the confidence in it.

    Exclusive classes: the most probable one, the first of equal ones, and its probability.

    Nested classes: from background (0), every output above 0.5 in turn overwrites the label with
    its class, as nnU-Net decodes ``regions_class_order``. The confidence (ours) is the smallest
    max(p, 1 - p) of the output that decided and of those after it, which were declined; of all
    outputs where every one was declined.

    Args:
        p: (C, *spatial) float32 probabilities; of nested classes (K, *spatial) sigmoid outputs.
        order: class that each nested output writes, K numbers; empty for exclusive classes.

    Returns:
        Labels uint8 and confidences float32, both (*spatial), on the device of ``p``.
    """
    if not order:
        confidence, label = p.max(0)
        return label.to(torch.uint8), confidence
    label = torch.zeros(p.shape[1:], dtype=torch.uint8, device=p.device)
    confidence = torch.ones_like(p[0])
    for output, cls in zip(p, order, strict=True):
        chosen, certain = output > 0.5, torch.maximum(output, 1 - output)
        label[chosen] = cls
        # An output that is chosen makes the decisions before it irrelevant.
        confidence = torch.where(chosen, certain, torch.minimum(confidence, certain))
    return label, confidence


def entropy_of(p: Tensor) -> Tensor:
    """Return the entropy of (C, *spatial) probabilities in nats, (*spatial) of the same dtype."""
    parts = [torch.special.entr(part).sum(0) for part in p.flatten(1).split(CHUNK, 1)]
    return torch.cat(parts).reshape(p.shape[1:])


def uncertainty_of(p: Tensor, measure: str, member_entropy: Tensor | None = None) -> Tensor:
    """Return the uncertainty of (C, N) probabilities, (N,) of the same dtype, from 0 to 1.

    One class is never uncertain.

    Args:
        p: probabilities.
        measure: ``entropy`` in units of log C; ``least_confidence``: 1 - max p in units of
            1 - 1/C; ``margin``: 1 - (largest p - second largest p); ``mutual_information``: of the
            mean probabilities of an ensemble, their entropy less ``member_entropy``, in units of
            log C (BALD).
        member_entropy: (N,) mean over the members of the entropy in nats.
    """
    classes = len(p)
    if classes == 1:
        return torch.zeros_like(p[0])
    if measure == "least_confidence":
        value = (1 - p.amax(0)) / (1 - 1 / classes)
    elif measure == "margin":
        best = p.topk(2, dim=0).values
        value = 1 - (best[0] - best[1])
    elif measure == "mutual_information":
        value = (entropy_of(p) - member_entropy) / math.log(classes)
    else:
        value = entropy_of(p) / math.log(classes)
    return value.clamp(0, 1)


def nested_uncertainty(p: Tensor) -> Tensor:
    """Return the uncertainty of (K, N) sigmoid outputs of nested classes, (N,), from 0 to 1.

    1 - max(p, 1 - p) of the least certain output, in units of 0.5 (ours; the paper says least
    confidence).
    """
    return 2 * torch.minimum(p, 1 - p).amax(0)


def free_of(taken: Collection[Region], shape: Sequence[int]) -> np.ndarray | None:
    """Return where nothing is taken, bool of ``shape``; ``None``: everywhere."""
    if not taken:
        return None
    valid = np.ones(shape, bool)
    for region in taken:
        valid[region.slices] = False
    return valid


def record_of(
    image: str,
    slabs: Iterable[Slab],
    shape: Sequence[int],
    classes: int,
    request: Request,
    valid: np.ndarray | None = None,
    order: Sequence[int] = (),
) -> Record:
    """Return the record of an image whose probabilities come slab by slab.

    The levels of the uncertainty are those of float64 arithmetic. Counts and mean are of the valid
    positions; a confidence is compared with a threshold as float32.

    Args:
        image: its name.
        slabs: one after the other along the first axis.
        shape: of the image.
        classes: number of classes, background included.
        request: maps, thresholds (at least one) and measure.
        valid: bool of ``shape``, positions that count; ``None``: all.
        order: class that each nested output writes; empty where the classes are exclusive.

    Raises:
        ValueError: slabs that are not as large as the image, a label beyond ``classes``, or a
            confidence that is no probability.
    """
    size = math.prod(shape)
    labels, levels = np.empty(size, np.uint8), np.empty(size, np.uint8)
    free = None if valid is None else valid.reshape(size)
    predicted = np.zeros(classes, np.int64)
    taus = request.thresholds
    confident = np.zeros((len(taus), classes), np.int64)
    at, total = 0, 0.0
    for label, confidence, value in _decided(slabs, request.uncertainty, order):
        part = slice(at, at + len(label))
        inside = None if free is None else free[part]
        try:
            counts = [class_counts(label, confidence, classes, t, inside) for t in taus]
        except ValueError as error:
            raise ValueError(f"prediction of {image}: {error}") from error
        predicted += counts[0][0]
        confident += [above for _, above in counts]
        labels[part], levels[part] = label, np.rint(255 * value)
        total += float((value if inside is None else value[inside]).sum())
        at = part.stop
    if at != size:
        raise ValueError(f"{image}: slabs of {at} positions; the image has {size}")
    count = int(predicted.sum())
    return Record(
        image,
        count,
        predicted,
        confident,
        total / count if count else 0.0,
        labels.reshape(shape) if "labels" in request.needs else None,
        levels.reshape(shape) if "uncertainty" in request.needs else None,
    )


def _decided(
    slabs: Iterable[Slab], measure: str, order: Sequence[int]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield label, confidence and uncertainty (float64) of positions, some at a time, (N,) each."""
    for _, maps, entropy in slabs:
        flat = maps.flatten(1)
        for start in range(0, flat.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            p = flat[:, part]
            if order:
                value = nested_uncertainty(p)
            else:
                spread = None if entropy is None else entropy.flatten()[part]
                value = uncertainty_of(p.double(), measure, spread)
            yield tuple(v.cpu().numpy() for v in (*decide(p, order), value.double()))


def record_of_rois(
    image: str,
    rois: tuple[str, ...],
    probabilities: np.ndarray,
    taken: Collection[str],
    request: Request,
    member_entropy: np.ndarray | None = None,
) -> Record:
    """Return the record of an image of RoIs.

    Args:
        image: its name.
        rois: M identifiers.
        probabilities: (M, C) float32.
        taken: identifiers that counts and mean leave out.
        request: thresholds, measure and whether the uncertainty of each RoI is asked for: exact
            float32 (M,), 0 (certain) to 1.
        member_entropy: (M,) float32; see ``uncertainty_of``.
    """
    p = torch.from_numpy(probabilities.T.copy())
    spread = None if member_entropy is None else torch.from_numpy(member_entropy)
    valid = np.array([roi not in taken for roi in rois], bool)
    slabs = [(slice(0, len(rois)), p, spread)]
    found = record_of(image, slabs, (len(rois),), len(p), request, valid)
    asked = "uncertainty" in request.needs
    exact = uncertainty_of(p, request.uncertainty, spread).numpy() if asked else None
    return replace(found, labels=None, uncertainty=exact, probabilities=probabilities, rois=rois)
