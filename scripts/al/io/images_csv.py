"""``images.csv``: what the forward pass says of each image, before any strategy's view of it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path

import numpy as np

from .files import atomic_path, read_lines, reading
from .records import Record

Statistics = dict[str, tuple[int, np.ndarray, np.ndarray, float]]


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
    header = ["image", "unlabelled", "uncertainty"]
    header += [f"predicted[{c}]" for c in classes]
    header += [f"confident>{t}[{c}]" for t in thresholds for c in classes]
    rows = [
        [r.image, r.unlabelled, repr(float(r.mean_uncertainty))]
        + r.predicted.tolist()
        + r.confident.ravel().tolist()
        for r in records
    ]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(sorted(rows))


def read_statistics(path: str | Path, classes: Sequence[str], tau: float) -> Statistics:
    """Read ``images.csv`` for one threshold.

    Returns:
        per image the unlabelled count, predicted (C,) int64, confident (C,) int64 and the mean
        uncertainty.

    Raises:
        DataError: the file is not there, is damaged, or predictions were not counted at ``tau``.
    """
    with reading(path):
        header, *rows = csv.reader(read_lines(path), strict=True)
        place = {name: i for i, name in enumerate(header)}
        if f"confident>{tau}[{classes[0]}]" not in place:
            raise ValueError(f"predictions were not counted at a confidence of {tau}")

        def counts(row: Sequence[str], kind: str) -> np.ndarray:
            return np.array([int(row[place[f"{kind}[{c}]"]]) for c in classes], np.int64)

        found = {}
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"{len(row)} cells, expected {len(header)}")
            statistics = (
                int(row[place["unlabelled"]]),
                counts(row, "predicted"),
                counts(row, f"confident>{tau}"),
                float(row[place["uncertainty"]]),
            )
            if not isfinite(statistics[3]) or min(statistics[0], *map(min, statistics[1:3])) < 0:
                raise ValueError(f"{row[place['image']]}: numbers below 0, or infinite")
            found[row[place["image"]]] = statistics
    return found
