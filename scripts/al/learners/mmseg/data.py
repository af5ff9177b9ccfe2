"""Training samples: sample k depends on the seed and k alone, whoever makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from torch.utils.data import Dataset

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN, count_classes, read_label
from al.io.tables import LabelRow
from decomp_core import Region

from ..base import FitJob
from ..sampling import seeded
from .configs import Plan

TRIES = 20


def learnable(label: np.ndarray, held_out: Sequence[Region]) -> np.ndarray:
    """Return labels (H, W) uint8 without what is held out."""
    if held_out:
        label = label.copy()
        for region in held_out:
            label[region.slices] = UNKNOWN
    return label


def only(label: np.ndarray, held_out: Sequence[Region]) -> np.ndarray:
    """Return labels (H, W) uint8 of what is held out alone."""
    kept = np.full_like(label, UNKNOWN)
    for region in held_out:
        kept[region.slices] = label[region.slices]
    return kept


def refuse_small(shapes: Mapping[str, Sequence[int]], crop: Sequence[int], pad: bool) -> None:
    """Refuse crops larger than an image that is not to be filled up. Raises ConfigError."""
    for name, shape in shapes.items():
        if not pad and any(n < c for n, c in zip(shape, crop, strict=True)):
            raise ConfigError(
                f"mmseg.crop: {crop[0]} x {crop[1]}, but image {name} has {shape[0]} x {shape[1]} "
                "pixels; allowed: at most the smallest image, or mmseg.pad: true"
            )


def compose(plan: Plan) -> Compose:
    """Build the transforms of a sample. Raises ConfigError for what cannot be built."""
    try:
        return Compose(plan.pipeline)
    except Exception as error:  # a registry passes on whatever a constructor raises
        raise ConfigError(f"mmseg.config: pipeline: {type(error).__name__}: {error}") from error


class Samples(Dataset[dict[str, Any]]):
    """Augmented crops of revealed images, by number."""

    def __init__(self, job: FitJob, plan: Plan, pad: bool) -> None:
        self.job, self.held_out = job, job.held_out
        rows = sorted(job.labels, key=lambda r: r.image)
        self.labels = [row for row in rows if self._teaches(row)]
        if not self.labels:
            raise DataError("labels: no revealed pixel belongs to a class; nothing to learn from")
        shapes = {row.image: job.rows[row.image].shape for row in self.labels}
        refuse_small(shapes, plan.crop, pad)
        self.transforms = compose(plan)

    def _teaches(self, row: LabelRow) -> bool:
        return bool(count_classes(self._label(row), len(self.job.classes), row.path).any())

    def _label(self, row: LabelRow) -> np.ndarray:
        label = read_label(row.path, self.job.rows[row.image].shape)
        return learnable(label, self.held_out.get(row.image, ()))

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return ``inputs`` (3, h, w) uint8 BGR and ``data_samples`` with labels (1, h, w)."""
        for attempt in range(TRIES):
            rng = np.random.default_rng([self.job.seed, number, attempt])
            with seeded(int(rng.integers(2**32))):
                sample = self.transforms(self._open(int(rng.integers(len(self.labels)))))
            if sample is not None and (sample["data_samples"].gt_sem_seg.data != UNKNOWN).any():
                return sample
        raise DataError(
            f"labels: {TRIES} crops in turn held nothing revealed; the pipeline of mmseg.config "
            "scales or cuts the revealed regions away"
        )

    def _open(self, index: int) -> dict[str, Any]:
        row = self.labels[index]
        label = self._label(row)
        image = self.job.layout.open_image(self.job.rows[row.image])
        if image.shape[:2] != label.shape:
            raise DataError(f"{row.path}: {label.shape}, but image {row.image} has {image.shape}")
        return {
            "img": np.ascontiguousarray(image[..., ::-1]),
            "gt_seg_map": label,
            "seg_fields": ["gt_seg_map"],
            "img_path": row.image,
            "seg_map_path": row.path,
            "ori_shape": image.shape[:2],
            "img_shape": image.shape[:2],
            "reduce_zero_label": False,
            "label_map": None,
        }
