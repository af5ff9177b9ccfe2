"""Training batches: batch number k depends on the seed and k alone, so a resumed training sees
what an undisturbed one would have seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from al.io.errors import DataError
from al.io.labels import UNKNOWN, count_classes, read_label
from al.io.tables import LabelRow

from ..base import FitJob
from ..cache import Cache
from .images import common_size, load_image, scale, with_position
from .settings import ConvnetSettings

TRIES = 32


def shade(crop: np.ndarray, settings: ConvnetSettings, rng: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness and colour of (channels, *spatial), and add noise."""
    channels = (crop.shape[0],) + (1,) * (crop.ndim - 1)
    gain = 1 + settings.contrast * rng.uniform(-1, 1)
    shift = settings.contrast * (rng.uniform(-1, 1) + 0.5 * rng.uniform(-1, 1, channels))
    crop = crop * np.float32(gain) + shift.astype(np.float32)
    if settings.noise:
        crop = crop + np.float32(settings.noise) * rng.standard_normal(crop.shape, np.float32)
    return crop


def turn(
    crop: np.ndarray, label: np.ndarray, settings: ConvnetSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flip and turn a crop (channels, *spatial) and its labels (*spatial; or 0-d)."""
    for axis in settings.flips or ():
        if rng.random() < 0.5:
            crop = np.flip(crop, axis + 1)
            label = np.flip(label, axis) if label.ndim else label
    if settings.rotate and crop.shape[-1] == crop.shape[-2]:
        turns = int(rng.integers(4))
        crop = np.rot90(crop, turns, (-2, -1))
        label = np.rot90(label, turns, (-2, -1)) if label.ndim else label
    return crop, label


def cut(
    array: np.ndarray, start: Sequence[int], size: Sequence[int], fill: int | None = None
) -> np.ndarray:
    """Return ``array[start : start + size]`` over the first axes.

    What lies outside becomes ``fill``, or (``None``) the nearest value inside.
    """
    axes = range(len(size))
    low = [max(0, start[a]) for a in axes]
    high = [min(array.shape[a], start[a] + size[a]) for a in axes]
    inside = array[tuple(slice(low[a], high[a]) for a in axes)]
    if inside.shape[: len(size)] == tuple(size):
        return inside
    pad = [(low[a] - start[a], start[a] + size[a] - high[a]) for a in axes]
    pad += [(0, 0)] * (array.ndim - len(size))
    if fill is None:
        return np.pad(inside, pad, mode="edge")
    return np.pad(inside, pad, constant_values=fill)


class Crops:
    """Crops of images, centred on revealed pixels."""

    def __init__(self, job: FitJob, settings: ConvnetSettings) -> None:
        self.job, self.settings = job, settings
        self.cache = Cache(settings.cache_mb << 20, lambda array: array.nbytes)
        rows = sorted(job.labels, key=lambda r: r.image)
        counts = [self._count(row) for row in rows]
        keep = [i for i, c in enumerate(counts) if c.sum()]
        if not keep:
            raise DataError("labels: no revealed pixel belongs to a class; nothing to learn from")
        self.labels = [rows[i] for i in keep]
        self.counts = np.stack([counts[i] for i in keep])
        self.present = np.flatnonzero(self.counts.sum(0))

    @property
    def frequencies(self) -> np.ndarray:
        """(C,) int64: revealed pixels per class."""
        return self.counts.sum(0)

    def _count(self, row: LabelRow) -> np.ndarray:
        return count_classes(self._label(row), len(self.job.classes), row.path)

    def _label(self, row: LabelRow) -> np.ndarray:
        return read_label(row.path, self.job.rows[row.image].shape)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return crops (B, channels, *crop) float32 and labels (B, *crop) int64 (255: ignore)."""
        rng = np.random.default_rng([self.job.seed, step])
        pairs = [self._crop(rng) for _ in range(self.settings.batch or 1)]
        images, labels = zip(*pairs, strict=True)
        return np.stack(images), np.stack(labels).astype(np.int64)

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        cls = -1
        if rng.random() < self.settings.balanced_crops:
            cls = int(rng.choice(self.present))
            number = int(rng.choice(np.flatnonzero(self.counts[:, cls])))
        else:
            number = int(rng.integers(len(self.labels)))
        row = self.labels[number]
        label = self.cache.get(("label", row.image), lambda: self._label(row))
        image = self.cache.get(("image", row.image), lambda: self._image(row))
        if image.shape[: label.ndim] != label.shape:
            raise DataError(f"{row.path}: {label.shape}, but image {row.image} has {image.shape}")
        centre = _pick(label, cls, rng)
        size = self.settings.crop or ()
        start = [
            min(max(0, c - s // 2), n - s) if n >= s else (n - s) // 2
            for c, s, n in zip(centre, size, label.shape, strict=True)
        ]
        crop, target = scale(cut(image, start, size)), cut(label, start, size, UNKNOWN)
        if self.settings.augment:
            crop = shade(crop, self.settings, rng)
        if self.settings.position:
            crop = with_position(crop, start, label.shape)
        if self.settings.augment:
            crop, target = turn(crop, target, self.settings, rng)
        return crop, target

    def _image(self, row: LabelRow) -> np.ndarray:
        job = self.job
        return load_image(job.layout, job.rows[row.image], job.task, self.settings.clip)


def _pick(label: np.ndarray, cls: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a pixel uniformly: of the class, or (-1) any that is revealed."""
    if cls < 0:
        # Where most pixels are revealed, a few tries spare the search of the whole map.
        for flat in rng.integers(label.size, size=TRIES):
            if label.flat[flat] != UNKNOWN:
                return tuple(int(v) for v in np.unravel_index(flat, label.shape))
    places = np.flatnonzero(label != UNKNOWN if cls < 0 else label == cls)
    flat = places[rng.integers(len(places))]
    return tuple(int(v) for v in np.unravel_index(flat, label.shape))


class Rois:
    """Whole RoIs, each with one class."""

    def __init__(self, job: FitJob, settings: ConvnetSettings) -> None:
        self.job, self.settings = job, settings
        known = [r for r in job.labels if r.label is not None and r.label != UNKNOWN]
        rows = sorted(known, key=lambda r: (r.image, r.roi))
        if not rows:
            raise DataError("labels: no labelled RoI; nothing to learn from")
        self.targets = np.array([r.label for r in rows], dtype=np.int64)
        if self.targets.min() < 0 or self.targets.max() >= len(job.classes):
            raise DataError(
                f"labels: class {self.targets.max()}; allowed: 0 to {len(job.classes) - 1}"
            )
        self.keys = [f"{r.image}/{r.roi}" for r in rows]
        self.groups = [np.flatnonzero(self.targets == c) for c in np.unique(self.targets)]
        self.cache = Cache(settings.cache_mb << 20, lambda array: array.nbytes)

    @property
    def frequencies(self) -> np.ndarray:
        """(C,) int64: labelled RoIs per class."""
        return np.bincount(self.targets, minlength=len(self.job.classes))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return RoIs (B, 3, H, W) float32 and classes (B,) int64."""
        rng = np.random.default_rng([self.job.seed, step])
        numbers = [self._draw(rng) for _ in range(self.settings.batch or 1)]
        images = [self._image(self.keys[n]) for n in numbers]
        common_size(images)
        crops = [scale(image) for image in images]
        if self.settings.augment:
            crops = [shade(crop, self.settings, rng) for crop in crops]
            crops = [turn(crop, np.zeros(()), self.settings, rng)[0] for crop in crops]
        return np.stack(crops), self.targets[numbers]

    def _draw(self, rng: np.random.Generator) -> int:
        if rng.random() < self.settings.balanced_crops:
            return int(rng.choice(self.groups[rng.integers(len(self.groups))]))
        return int(rng.integers(len(self.targets)))

    def _image(self, key: str) -> np.ndarray:
        job, size = self.job, self.settings.input_size
        return self.cache.get(key, lambda: load_image(job.layout, job.rows[key], "roi", size=size))
