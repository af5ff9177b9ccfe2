"""``truth.json``: what the ground truth of each image holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .files import read_json, reading


def read_truth(
    path: str | Path, images: Iterable[str] | None = None, classes: int | None = None
) -> dict[str, np.ndarray]:
    """Return what ground truth holds: pixels (RoIs) of each class, void last, (C + 1,) int64.

    Args:
        path: of the file.
        images: that are wanted; ``None``: all that are there.
        classes: how many there are, C.

    Raises:
        DataError: the file is not there, is damaged, or lacks an image.
    """
    held = read_json(path)
    with reading(path):
        found = {}
        for image in held if images is None else images:
            counts = held[image]
            if not isinstance(counts, list) or any(type(n) is not int or n < 0 for n in counts):
                raise ValueError(f"{image}: {counts!r} in place of counts")
            if len(counts) != (len(counts) if classes is None else classes + 1) or not counts:
                raise ValueError(f"{image}: {len(counts)} counts, expected {classes} and void")
            found[image] = np.array(counts, np.int64)
    return found
