"""Label files: uint8 arrays in which 255 is void or not revealed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .arrays import read_arrays
from .checksums import compare_sums
from .errors import DataError
from .files import atomic_path, reading

UNKNOWN = 255
PART = 1 << 22  # pixels counted at a time
MOST = 1 << 31  # pixels (voxels) of a label map whose image is not at hand


def count_classes(label: np.ndarray, classes: int, source: str | Path) -> np.ndarray:
    """Return how many pixels of a label map have each class, (C,) int64; 255 does not count.

    Raises:
        DataError: for another value, naming ``source``.
    """
    flat, counts = label.ravel(order="K"), np.zeros(classes, np.int64)
    for start in range(0, flat.size, PART):  # a whole CT as numbers of 64 bits takes a gigabyte
        counts += _count_part(flat[start : start + PART], classes, source)
    return counts


def _count_part(label: np.ndarray, classes: int, source: str | Path) -> np.ndarray:
    counts = np.bincount(label, minlength=256)
    wrong = [v for v in np.flatnonzero(counts) if v >= classes and v != UNKNOWN]
    if wrong:
        raise DataError(f"{source}: label {wrong[0]}; allowed: 0 to {classes - 1}, {UNKNOWN}")
    return counts[:classes]


def label_suffix(ndim: int) -> str:
    """Suffix of a label file: PNG for an image, compressed npz for a volume."""
    return ".png" if ndim == 2 else ".npz"


def write_label(path: str | Path, labels: np.ndarray) -> None:
    """Write a uint8 label map, (H, W) as PNG or (D, H, W) as npz, by rename."""
    if labels.dtype != np.uint8 or labels.ndim not in (2, 3):
        raise ValueError(f"labels must be uint8 in 2 or 3 axes, not {labels.dtype} {labels.shape}")
    with atomic_path(path) as temporary:
        if labels.ndim == 2:
            Image.fromarray(labels).save(temporary)
        else:
            with temporary.open("wb") as file:
                np.savez_compressed(file, labels=labels)


def read_label(path: str | Path, shape: Sequence[int] | None = None) -> np.ndarray:
    """Read a label map written by ``write_label``: uint8, (H, W) or (D, H, W).

    Args:
        path: of the file.
        shape: of its image in the pool; a map of another one is not read.

    Raises:
        DataError: the file is not there, is damaged, or of another shape.
    """
    expected = None if shape is None else tuple(shape)
    most = MOST if expected is None else math.prod(expected)
    with reading(path, "labels"):
        if Path(path).suffix == ".png":
            compare_sums(path)
            with Image.open(path, formats=["PNG"]) as image:
                if image.mode != "L" or image.width * image.height > most:
                    raise ValueError(f"{image.size} pixels of mode {image.mode}")
                labels = np.asarray(image)
        else:
            labels = read_arrays(path, most)["labels"]
        if labels.dtype != np.uint8 or labels.shape != (expected or labels.shape):
            raise ValueError(f"{labels.dtype} {labels.shape}, in the pool {expected}")
    return labels


def count_labels(label: np.ndarray | int, classes: int, source: str | Path) -> np.ndarray:
    """Return what a label map, or a RoI's class (255: none), holds: (C + 1,) int64, void last."""
    if not isinstance(label, np.ndarray):
        return np.eye(classes + 1, dtype=np.int64)[classes if label == UNKNOWN else label]
    counts = count_classes(label, classes, source)
    return np.append(counts, label.size - counts.sum())
