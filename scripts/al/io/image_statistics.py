"""``images.csv``: what the forward pass says of each image, before any strategy's view of it."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from .files import atomic_path
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
        ValueError: predictions were not counted at ``tau``.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        place = {name: i for i, name in enumerate(next(reader, []))}
        if f"confident>{tau}[{classes[0]}]" not in place:
            raise ValueError(f"{path}: predictions were not counted at a confidence of {tau}")
        kinds = ("predicted", f"confident>{tau}")
        columns = [place[f"{kind}[{c}]"] for kind in kinds for c in classes]
        counts, image, mean = itemgetter(place["unlabelled"], *columns), place["image"], []
        names, held = [], array("q")
        for row in filter(None, reader):
            names.append(row[image])
            mean.append(float(row[place["uncertainty"]]))
            held.extend(map(int, counts(row)))
    # one table for all images: arrays of text, made row by row, took half of the time
    table = np.frombuffer(held, np.int64).reshape(len(names), 1 + len(columns))
    split = 1 + len(classes)
    return {
        name: (int(row[0]), row[1:split], row[split:], uncertainty)
        for name, row, uncertainty in zip(names, table, mean, strict=True)
    }
