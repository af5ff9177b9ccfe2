"""``images.csv``: what the forward pass says of each image, before any strategy's view of it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .files import read_lines, reading, write_lines
from .records import Record

Statistics = dict[str, tuple[int, np.ndarray, np.ndarray, float]]
# Eq. 1 of the paper, for strategies that have no threshold of their own.
DEFAULT_TAU = 0.7


def _columns(classes: Sequence[str], thresholds: Iterable[object]) -> list[str]:
    starts = ["predicted", *(f"confident>{t}" for t in thresholds)]
    return ["image", "unlabelled", "uncertainty", *(f"{s}[{c}]" for s in starts for c in classes)]


def write_statistics(
    path: str | Path,
    records: Iterable[Record],
    classes: Sequence[str],
    thresholds: Sequence[float],
) -> None:
    """Write one row per image, sorted by name.

    Columns: ``image, unlabelled, uncertainty``, ``predicted[CLASS]`` per class and
    ``confident>TAU[CLASS]`` per threshold and class.
    """
    rows = [
        [r.image, r.unlabelled, repr(float(r.mean_uncertainty))]
        + r.predicted.tolist()
        + r.confident.ravel().tolist()
        for r in records
    ]
    write_lines(path, [_columns(classes, thresholds), *sorted(rows)])


def read_counts(
    path: str | Path, classes: Sequence[str], tau: float | None
) -> tuple[np.ndarray, ...]:
    """Read ``images.csv`` for one threshold.

    Args:
        path: of the file.
        classes: C names.
        tau: the threshold; ``None``: ``DEFAULT_TAU``, or the highest counted where it was not.

    Returns:
        of N images their names, the unlabelled counts (N,) int64, predicted and confident, (N, C)
        int64 each, and the mean uncertainty (N,).

    Raises:
        DataError: the file is not there, is damaged, or predictions were not counted at ``tau``.
    """
    number, whole = len(classes), np.int64
    with reading(path), read_lines(path) as file:
        header = next(csv.reader(file), [])
        thresholds = [
            name.removeprefix("confident>").removesuffix(f"[{classes[0]}]")
            for name in header[3 + number :: number]
        ]
        if header != _columns(classes, thresholds):
            raise ValueError(f"other columns than of the classes {', '.join(classes)}")
        counted = [float(text) for text in thresholds]
        if tau is None:
            tau = DEFAULT_TAU if DEFAULT_TAU in counted else max(counted, default=DEFAULT_TAU)
        if tau not in counted:
            raise ValueError(f"counted at confidences of {counted}, not of {tau}")
        row = [("image", object), ("unlabelled", whole), ("uncertainty", float)]
        row += [("predicted", whole, (number,)), ("confident", whole, (len(counted), number))]
        # The csv module takes three times as long.
        table = np.loadtxt(file, row, delimiter=",", quotechar='"', comments=None, ndmin=1)
        names, unlabelled, uncertainty, predicted, confident = (table[name] for name, *_ in row)
        for numbers in (unlabelled, uncertainty, predicted, confident):
            if not (np.isfinite(numbers) & (numbers >= 0)).all():
                raise ValueError("numbers below 0, or infinite")
    return names, unlabelled, predicted, confident[:, counted.index(tau)], uncertainty


def read_statistics(path: str | Path, classes: Sequence[str], tau: float) -> Statistics:
    """Return what ``read_counts`` does by image: count, predicted (C,), confident (C,), mean."""
    images, unlabelled, *counts, uncertainty = read_counts(path, classes, tau)
    values = zip(unlabelled.tolist(), *counts, uncertainty.tolist(), strict=True)
    return dict(zip(images, values, strict=True))
