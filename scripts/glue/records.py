"""Prediction records and the shard files that hold them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .files import atomic_path

ARRAYS = ("predicted", "confident", "labels", "uncertainty", "probabilities")


@dataclass(frozen=True)
class Record:
    """What selection knows of one image after the forward pass.

    Attributes:
        image: identifier in the pool.
        unlabelled: number of pixels (voxels, RoIs) not annotated yet; the counts run over these.
        predicted: (C,) int64, how often each class is predicted.
        confident: (T, C) int64, how often with a confidence above each of the T thresholds.
        mean_uncertainty: mean over the unlabelled pixels (RoIs), 0 where there is none.
        labels: (H, W) or (D, H, W) uint8 pseudo-labels; ``None`` for RoIs.
        uncertainty: uint8, same shape, 0..255 for 0..the measure's maximum, if asked for; RoIs:
            (M,) float32, 0..1.
        probabilities: (M, C) float32 of the image's RoIs; ``None`` for segmentation.
        rois: identifiers of these M RoIs.
    """

    image: str
    unlabelled: int
    predicted: np.ndarray
    confident: np.ndarray
    mean_uncertainty: float
    labels: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    rois: tuple[str, ...] = field(default=())


def write_shard(path: str | Path, records: Iterable[Record]) -> None:
    """Write records one after the other to one compressed file, by rename."""
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
    ):
        index = []
        for number, record in enumerate(records):
            held = [name for name in ARRAYS if getattr(record, name) is not None]
            for name in held:
                with archive.open(f"{number}/{name}.npy", "w", force_zip64=True) as file:
                    array = np.ascontiguousarray(getattr(record, name))
                    np.lib.format.write_array(file, array, allow_pickle=False)
            index.append(
                {
                    "image": record.image,
                    "unlabelled": record.unlabelled,
                    "mean_uncertainty": record.mean_uncertainty,
                    "rois": list(record.rois),
                    "arrays": held,
                }
            )
        archive.writestr("index.json", json.dumps(index))


def read_records(
    paths: Iterable[str | Path], images: set[str] | None = None, maps: bool = True
) -> Iterator[Record]:
    """Yield the records of shards, of all images or of some, one in memory at a time.

    With ``maps=False`` the label and uncertainty maps stay on disk (they come as ``None``).
    """
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for number, entry in enumerate(json.loads(archive.read("index.json"))):
                if images is not None and entry["image"] not in images:
                    continue
                arrays = {}
                for name in entry.pop("arrays"):
                    if not maps and name in ("labels", "uncertainty"):
                        continue
                    with archive.open(f"{number}/{name}.npy") as file:
                        arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                entry["rois"] = tuple(entry["rois"])
                yield Record(**entry, **arrays)
