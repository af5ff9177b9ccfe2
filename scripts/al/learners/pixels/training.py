"""The training: batches of revealed pixels, voxels or RoIs, resumable at every checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from al.io.errors import DataError
from al.io.labels import UNKNOWN, count_classes, read_label
from al.io.tables import LabelRow, PoolRow

from ..base import FitJob
from ..training import Training
from .network import Perceptron
from .settings import PixelsSettings, cells_of, factors_of
from .store import Store, compute, store_of


class Samples:
    """Features and classes of what is revealed.

    Attributes:
        x: (N, F) float16.
        y: (N,) int64.
    """

    def __init__(self, job: FitJob, settings: PixelsSettings, store: Store) -> None:
        """Read them. Raises DataError where nothing is revealed, or was not prepared."""
        self.job, self.settings, self.store = job, settings, store
        read = self._roi if job.task == "roi" else self._pixels
        parts = [read(row) for row in sorted(job.labels, key=lambda r: (r.image, r.roi))]
        self.y = np.concatenate([np.zeros(0, np.int64), *(y for _, y in parts)])
        if not len(self.y):
            word = "labelled RoI" if job.task == "roi" else "revealed pixel belongs to a class"
            raise DataError(f"labels: no {word}; nothing to learn from")
        self.x = np.concatenate([x for x, y in parts if len(y)])

    def _features(self, key: str) -> np.ndarray:
        row = self.job.rows[key]
        found = self.store.features(row)
        return compute(self.job.layout, row, self.settings) if found is None else found

    def _roi(self, row: LabelRow) -> tuple[np.ndarray, np.ndarray]:
        if row.label is None or row.label == UNKNOWN:
            return np.zeros((0, 0), np.float16), np.zeros(0, np.int64)
        if not 0 <= row.label < len(self.job.classes):
            allowed = f"0 to {len(self.job.classes) - 1}"
            raise DataError(f"labels: class {row.label}; allowed: {allowed}")
        x = self._features(f"{row.image}/{row.roi}")
        return np.asarray(x)[None], np.array([row.label])

    def _pixels(self, row: LabelRow) -> tuple[np.ndarray, np.ndarray]:
        label = read_label(row.path, self.job.rows[row.image].shape)
        count_classes(label, len(self.job.classes), row.path)
        flat = np.flatnonzero(label != UNKNOWN)
        if not len(flat):
            return np.zeros((0, 0), np.float16), np.zeros(0, np.int64)
        if len(flat) > self.settings.most_pixels:
            digest = int.from_bytes(sha256(row.image.encode()).digest()[:8])
            rng = np.random.default_rng([self.job.seed, digest])
            flat = np.sort(rng.choice(flat, self.settings.most_pixels, replace=False))
        features = self._features(row.image)
        places = np.unravel_index(flat, label.shape)
        factors = factors_of(label.shape, self.settings)
        coarse = tuple(p // f for p, f in zip(places, factors, strict=True))
        shape = cells_of(label.shape, self.settings)
        if features.shape[:-1] != shape:
            found, wanted = features.shape[:-1], shape
            raise DataError(f"{self.store.folder}: features {found} of {row.image}, not {wanted}")
        table = features.reshape(-1, features.shape[-1])
        x = table[np.ravel_multi_index(coarse, shape)]
        return x, label.reshape(-1)[flat].astype(np.int64)


class PixelsTraining(Training):
    """Cross-entropy, AdamW along a cosine."""

    same = ("task", "classes", "features", "hidden")

    def __init__(self, job: FitJob, settings: PixelsSettings, device: torch.device) -> None:
        """Open what was prepared; see ``store_of``."""
        super().__init__(job, settings, device)
        self.store = store_of(job, settings)

    def facts(self) -> list[Any]:
        """Settings, features, seed, steps, classes, first weights."""
        job = self.job
        head = [self.settings.science(), self.store.key, job.seed, job.steps, list(job.classes)]
        # Of these images is the mean that features are standardised by.
        seen = sha256(repr(sorted(row.key for row in self._seen())).encode()).hexdigest()
        return [*head, job.task, seen, self.start_digest()]

    def _seen(self) -> list[PoolRow]:
        return [row for row in self.job.rows.values() if row.split == "train"]

    def build(self) -> None:
        """Read the samples and build network and optimiser."""
        settings = self.settings
        self.data = Samples(self.job, settings, self.store)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.job.seed)
            net = Perceptron(self.data.x.shape[1], settings.hidden, len(self.job.classes))
        if (first := self.first_weights()) is not None:
            net.load_state_dict(first)
        else:
            net.standardise(*self.store.moments(self.job.layout, settings, self._seen()))
        self.net = net.to(self.device).train()
        groups = [
            {"params": [p for p in net.parameters() if p.ndim > 1]},
            {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay or 0, fused=True
        )
        self.class_weights = self._class_weights()

    def _class_weights(self) -> Tensor | None:
        if self.settings.class_weights == "none":
            return None
        counts = np.bincount(self.data.y, minlength=len(self.job.classes))
        weights = np.where(counts, 1 / np.sqrt(np.maximum(counts, 1)), 0)
        found = torch.from_numpy(weights / weights[counts > 0].mean())
        return found.float().to(self.device)

    def advance(self) -> None:
        """One batch."""
        rng = np.random.default_rng([self.job.seed, self.step])
        drawn = rng.integers(len(self.data.y), size=self.settings.batch or 1)
        x, y = (torch.from_numpy(v[drawn]).to(self.device) for v in (self.data.x, self.data.y))
        noise = rng.standard_normal(x.shape, np.float32) * np.float32(self.settings.noise or 0)
        seen = self.net.scaled(x) + torch.from_numpy(noise).to(self.device)
        for group in self.optimizer.param_groups:
            share = 0.5 + 0.5 * math.cos(math.pi * self.step / self.job.steps)
            group["lr"] = self.settings.learning_rate * share
        loss = F.cross_entropy(self.net.head(self.net.hidden(seen)), y, self.class_weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()
        self.step += 1

    def state(self) -> dict[str, Any]:
        """Weights and the optimiser's memory."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo ``state``."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def pixels(self) -> int:
        """Pixels (voxels, RoIs) of all batches."""
        return self.step * (self.settings.batch or 1)

    def more_stats(self) -> dict[str, Any]:
        """Samples learnt from, and the key of the features."""
        return {"samples": len(self.data.y), "plans": self.store.key}

    def description(self) -> dict[str, Any]:
        """Return what the network is made of, and how and where its features are made."""
        return {
            "task": self.job.task,
            "classes": list(self.job.classes),
            "features": self.data.x.shape[1],
            "hidden": list(self.settings.hidden),
            "made": self.store.settings,
            "prepared": str(self.store.folder),
        }

    def weights(self) -> Mapping[str, Tensor]:
        """Return the last weights."""
        return self.net.state_dict()
