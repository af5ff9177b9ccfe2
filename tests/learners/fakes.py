"""A layout that holds arrays, and small toys that a learner can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from al.io.labels import UNKNOWN, write_label
from al.io.tables import LabelRow, PoolRow
from al.layouts.grid import Grid
from al.learners import FitJob
from al.learners.learner import Learner, Preparing

CLASSES = ["ground", "bright", "dark"]


class FakeLayout:
    """Images from memory; asking it for a label is a mistake of the learner."""

    def __init__(self, images: dict[str, np.ndarray]) -> None:
        self.images = images

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return the image of the row."""
        return self.images[row.key]

    def open_full(self, row: PoolRow) -> np.ndarray:
        """Return the volume of the row, on its only grid."""
        return self.images[row.key]

    def affine(self, row: PoolRow) -> np.ndarray:
        """Return voxels of 1 mm whose axes run superior, anterior and right."""
        return np.diag(np.ones(4))[[2, 1, 0, 3]]

    def grid_of(self, row: PoolRow) -> Grid:
        """Return the only grid of the volume of the row."""
        return Grid(row.shape, row.shape)


class Toy:
    """A pool of one task: images, pool rows and true labels by key."""

    def __init__(self, task: str, count: int = 6, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.task, self.images, self.rows, self.truth = task, {}, {}, {}
        for number in range(count):
            image, truth = {"2d": scene, "3d": volume, "roi": patch}[task](rng, number)
            name, roi = (
                (f"slide{number // 4}", f"r{number}") if task == "roi" else (f"i{number}", "")
            )
            axis = 0 if task == "3d" else None
            shape = image.shape if task == "3d" else image.shape[:2]
            row = PoolRow(name, roi, "train", "", "", shape, axis)
            self.images[row.key], self.rows[row.key], self.truth[row.key] = image, row, truth
        self.layout = FakeLayout(self.images)

    def labels(self, folder: Path, hidden: Any = None) -> list[LabelRow]:
        """Write labels (255 where ``hidden``) and return their rows."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for key, row in self.rows.items():
            if self.task == "roi":
                rows.append(LabelRow(row.image, row.roi, "", self.truth[key]))
                continue
            label = self.truth[key].copy()
            if hidden is not None:
                label[hidden(label)] = UNKNOWN
            path = folder / f"{key}{'.png' if label.ndim == 2 else '.npz'}"
            write_label(path, label)
            rows.append(LabelRow(row.image, "", str(path), None))
        return rows

    def job(self, folder: Path, labels: list[LabelRow], steps: int, **changes: Any) -> FitJob:
        """Return a job whose model goes to ``folder / "model"``."""
        values: dict[str, Any] = {
            "layout": self.layout,
            "rows": self.rows,
            "labels": labels,
            "out": folder / "model",
            "work": folder / "work",
            "seed": 7,
            "steps": steps,
            "settings": {},
            "classes": CLASSES,
            "task": self.task,
        }
        return FitJob(**{**values, **changes})


def prepared(learner: Learner, job: FitJob) -> FitJob:
    """Return a job whose data are prepared beside its work folder, where the learner does so."""
    if job.prepared is not None or not isinstance(learner, Preparing):
        return job
    folder = job.work.parent / "prepared"
    learner.prepare(job.layout, list(job.rows.values()), folder, job.settings, job.classes)
    return replace(job, prepared=folder)


def scene(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey image (48, 64, 3) with a bright and a dark rectangle, and its classes."""
    truth = np.zeros((48, 64), np.uint8)
    for cls, column in ((1, 0), (2, 32)):
        y, x = rng.integers(2, 24), rng.integers(2, 12) + column
        truth[y : y + 20, x : x + 16] = cls
    grey = np.array([120, 200, 40])[truth][..., None] + rng.normal(0, 12, (48, 64, 3))
    return grey.clip(0, 255).astype(np.uint8), truth


def volume(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume (12, 30, 26) with a bright and a dark box, and its classes."""
    truth = np.zeros((12, 30, 26), np.uint8)
    truth[2:9, 3:14, 4:16] = 1
    truth[3:10, 16:27, 8:22] = 2
    shift = tuple(int(v) for v in rng.integers(-2, 3, 3))
    truth = np.roll(truth, shift, (0, 1, 2))
    values = np.array([0.0, 300.0, -300.0])[truth] + rng.normal(0, 40, truth.shape)
    return values.astype(np.float32), truth


def patch(rng: np.random.Generator, number: int) -> tuple[np.ndarray, int]:
    """A noisy patch (24, 24, 3) whose brightness is its class."""
    cls = number % 3
    grey = [120, 170, 70][cls] + rng.normal(0, 30, (24, 24, 3))
    return grey.clip(0, 255).astype(np.uint8), cls
