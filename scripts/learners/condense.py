"""Turns class probabilities into the numbers of a prediction record, on the device they are on."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
        labels: uint8, the most probable class everywhere, the first of equal ones.
        uncertainty: uint8, round(255 * uncertainty) everywhere.
    """

    count: int
    predicted: Tensor
    confident: Tensor
    mean_uncertainty: float
    labels: Tensor
    uncertainty: Tensor


def uncertainty_of(probabilities: Tensor, measure: str) -> Tensor:
    """Return the uncertainty of (C, N) probabilities as (N,) float32 from 0 to 1.

    ``entropy`` in units of log C; ``least_confidence`` 1 - max p in units of 1 - 1/C;
    ``margin`` 1 - (largest p - second largest p). One class is never uncertain.
    """
    classes = probabilities.shape[0]
    if measure not in UNCERTAINTIES:
        raise ValueError(f"measure is {measure!r}; allowed: {', '.join(UNCERTAINTIES)}")
    if classes == 1:
        return torch.zeros_like(probabilities[0])
    if measure == "entropy":
        value = torch.special.entr(probabilities).sum(0) / math.log(classes)
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
) -> Condensed:
    """Condense probabilities.

    Args:
        probabilities: (C, *spatial) float32, summing to 1 over the first axis.
        valid: (*spatial) bool, positions that count (not annotated yet); ``None``: all.
        thresholds: confidences of the ``confident`` counts.
        measure: ``entropy``, ``least_confidence`` or ``margin``.

    Raises:
        ValueError: for other shapes or an unknown measure.
    """
    classes, shape = probabilities.shape[0], probabilities.shape[1:]
    if valid is not None and valid.shape != shape:
        raise ValueError(f"valid has shape {tuple(valid.shape)}, expected {tuple(shape)}")
    flat = probabilities.reshape(classes, -1)
    mask = None if valid is None else valid.reshape(-1)
    size, device = flat.shape[1], flat.device
    labels = torch.empty(size, dtype=torch.uint8, device=device)
    uncertainty = torch.empty(size, dtype=torch.uint8, device=device)
    counts = torch.zeros(1 + len(thresholds), classes, dtype=torch.int64, device=device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for start in range(0, size, CHUNK):
        part = slice(start, start + CHUNK)
        confidence, label = flat[:, part].max(0)
        value = uncertainty_of(flat[:, part], measure)
        labels[part] = label.to(torch.uint8)
        uncertainty[part] = (value * 255).round().to(torch.uint8)
        if mask is not None:
            confidence, label, value = (v[mask[part]] for v in (confidence, label, value))
        counts[0] += torch.bincount(label, minlength=classes)
        for row, tau in enumerate(thresholds, start=1):
            counts[row] += torch.bincount(label[confidence > tau], minlength=classes)
        total += value.double().sum()
    number = int(counts[0].sum())
    mean = float(total) / number if number else 0.0
    return Condensed(
        number, counts[0], counts[1:], mean, labels.reshape(shape), uncertainty.reshape(shape)
    )


def condense_rois(
    image: str,
    rois: tuple[str, ...],
    probabilities: np.ndarray,
    taken: Collection[str],
    request: Request,
) -> Record:
    """Return the record of an image of RoIs, from their (M, C) float32 probabilities.

    Counts and mean leave out the RoIs in ``taken``. The uncertainty of each, if it is asked for, is
    exact float32 (M,), 0 (certain) to 1.
    """
    p = torch.from_numpy(probabilities.T.copy())
    valid = torch.tensor([roi not in taken for roi in rois])
    found = condense(p, valid, request.thresholds, request.uncertainty)
    asked = "uncertainty" in request.needs
    return Record(
        image,
        found.count,
        found.predicted.numpy(),
        found.confident.numpy(),
        found.mean_uncertainty,
        uncertainty=uncertainty_of(p, request.uncertainty).numpy() if asked else None,
        probabilities=probabilities,
        rois=rois,
    )
