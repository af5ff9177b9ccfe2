"""``truth.json``: what the ground truth of each image holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .files import read_json, reading


def read_truth(
    path: str | Path, classes: int, images: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return what ground truth holds: pixels (RoIs) of each class, void last, (C + 1,) int64.

    Args:
        path: of the file.
        classes: how many there are, C.
        images: that are wanted; ``None``: all that are there.

    Raises:
        DataError: the file is not there, is damaged, or lacks an image.
    """
    held = read_json(path)
    with reading(path):
        found = {image: held[image] for image in (held if images is None else images)}
        for image, counts in found.items():
            if len(counts) != classes + 1 or any(type(n) is not int or n < 0 for n in counts):
                raise ValueError(
                    f"{image}: {counts!r} in place of counts of {classes} classes, void"
                )
        return {image: np.array(counts, np.int64) for image, counts in found.items()}
