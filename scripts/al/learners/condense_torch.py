"""Condenses class probabilities by torch, one operation after the other, wherever they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import UNCERTAINTIES


@dataclass(frozen=True)
class Rule:
    """What is read from the probabilities of a position.

    Attributes:
        classes: number of classes counted, background of nested ones included.
        thresholds: confidences of the counts.
        measure: of ``UNCERTAINTIES``; nested classes have their own, see ``condense_nested``.
        order: class that each nested output writes; empty where the classes are exclusive.
    """

    classes: int
    thresholds: tuple[float, ...]
    measure: str = "least_confidence"
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """What N positions hold.

    Attributes:
        labels: (N,) uint8.
        uncertainty: (N,) uint8, round(255 * uncertainty).
        counts: (1 + T, C) int64: valid positions predicted as each class; then, for each
            threshold, those with a confidence above it (strict).
        total: sum of the uncertainty over the valid positions.
    """

    labels: Tensor
    uncertainty: Tensor
    counts: Tensor
    total: float


def by_torch(p: Tensor, spread: Tensor | None, valid: Tensor | None, rule: Rule) -> Part:
    """Condense probabilities of any floating type.

    Args:
        p: (C, N) probabilities; of nested classes (K, N).
        spread: (N,) mean entropy of the members in nats, for ``mutual_information``.
        valid: (N,) bool on the device of ``p``, positions that count; ``None``: all.
        rule: what to read from them.
    """
    if rule.order:
        label, confidence, value = _decide_nested(p, rule.order)
    else:
        label, confidence, value = _decide(p, rule.measure, spread)
    labels, quantised = label.to(torch.uint8), (value * 255).round().to(torch.uint8)
    if valid is not None:
        label, confidence, value = (v[valid] for v in (label, confidence, value))
    counts = [torch.bincount(label, minlength=rule.classes)]
    for tau in rule.thresholds:
        counts.append(torch.bincount(label[confidence > tau], minlength=rule.classes))
    return Part(labels, quantised, torch.stack(counts), float(value.double().sum()))


def check_measure(measure: str, member_entropy: Tensor | None) -> None:
    """Raise a ValueError for an unknown measure, or a ``member_entropy`` that it lacks."""
    if measure not in UNCERTAINTIES:
        raise ValueError(f"measure is {measure!r}; allowed: {', '.join(UNCERTAINTIES)}")
    if measure == "mutual_information" and member_entropy is None:
        raise ValueError("member_entropy is None; mutual_information needs that of an ensemble")


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
    check_measure(measure, member_entropy)
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


def check_order(order: tuple[int, ...], outputs: int) -> None:
    """Raise a ValueError for an ``order`` of another length or other numbers."""
    if len(order) != outputs or any(not 0 <= c < 255 for c in order):
        raise ValueError(f"order is {order}; it must be {outputs} classes, 0 to 254")


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
    check_order(order, len(probabilities))
    shape, device = probabilities.shape[1:], probabilities.device
    labels = torch.zeros(shape, dtype=torch.uint8, device=device)
    confidence = torch.ones(shape, dtype=torch.float32, device=device)
    for p, cls in zip(probabilities, order, strict=True):
        chosen, certain = p > 0.5, torch.maximum(p, 1 - p)
        labels[chosen] = cls
        # A region that is chosen makes the decisions before it irrelevant.
        confidence = torch.where(chosen, certain, torch.minimum(confidence, certain))
    return labels, confidence


def _decide(p: Tensor, measure: str, entropy: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, confidence and uncertainty of (C, N) probabilities."""
    confidence, label = p.max(0)
    return label, confidence, uncertainty_of(p, measure, entropy)


def _decide_nested(p: Tensor, order: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, confidence and uncertainty of (K, N) sigmoid outputs."""
    label, confidence = decode_nested(p, order)
    value = 2 * torch.minimum(p, 1 - p).amax(0)
    return label.to(torch.int64), confidence, value.clamp(0, 1)
