"""Features of a dataset, computed once and shared by all trainings.

``features/DIGITS/IMAGE.npy``, float16, ``statistics.npz``, and last of all ``plans.json``. Each
file appears by rename: what a killed job has finished is kept. Those of an image depend on nothing
but it, so that images may be added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from al.io.arrays import read_arrays, write_arrays
from al.io.errors import ConfigError
from al.io.files import atomic_path, file_name, read_json, reading, sweep, write_json
from al.io.locking import locked
from al.io.tables import PoolRow
from al.io.threads import in_order, with_progress

from ..base import FitJob, ImageSource
from .settings import PixelsSettings

PLANS, STATISTICS, FOLDER = "plans.json", "statistics.npz", "features"


def prepare(
    layout: ImageSource, rows: Sequence[PoolRow], folder: Path, settings: PixelsSettings
) -> None:
    """Make the features that are missing in ``folder``.

    Raises:
        ConfigError: for an encoder that cannot be used.
        DataError: for images that cannot be read.
        LockedError: while another process makes them.
    """
    task = "roi" if rows[0].roi else "2d" if rows[0].axis is None else "3d"
    settings = settings.for_task(task)
    settings.check(task, None)
    decides = settings.decides()
    if settings.encoder is not None:
        from .encoder import open_encoder  # once, before threads ask for it

        open_encoder(settings.encoder, settings.weights or "")
        torch.set_num_threads(1)
    with locked(folder):
        sweep(folder)
        # What is made by other weights, or another version of a library, lies elsewhere.
        digest = sha256(repr(sorted(decides.items())).encode()).hexdigest()
        store = Store(folder, digest, folder / FOLDER / digest[:10], decides)
        ordered = sorted(rows, key=lambda row: row.key)
        found = in_order(partial(store.made, layout, settings), ordered, settings.workers or 1)
        table = np.stack(list(with_progress(found, len(ordered), "features")))
        keys = np.array([row.key for row in ordered])
        write_arrays(folder / STATISTICS, {"keys": keys, "moments": table})
        about = {"key": digest, "features": str(Path(FOLDER, digest[:10])), "settings": decides}
        write_json(folder / PLANS, about)


def path_in(place: Path, row: PoolRow) -> Path:
    """Return where the features of an image or a RoI lie."""
    return place / f"{file_name(row.key)}.npy"


def compute(layout: ImageSource, row: PoolRow, settings: PixelsSettings) -> np.ndarray:
    """Return the features of an image, (*coarse, F), or of a RoI, (F,), float16."""
    from .filters import features_of, features_of_roi  # imports scikit-image, which takes seconds

    make = features_of_roi if row.roi else features_of
    return make(layout.open_image(row), settings)


def open_features(path: Path) -> np.ndarray:
    """Open features; what is used of them is read. Raises DataError."""
    with reading(path, "the features"):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@dataclass(frozen=True)
class Store:
    """What ``prepare`` made.

    Attributes:
        folder: where it lies.
        key: changes with all that decides features.
        place: folder of the features.
        settings: those that decided it, and what else did.
    """

    folder: Path
    key: str
    place: Path
    settings: dict[str, Any]

    def features(self, row: PoolRow) -> np.ndarray | None:
        """Return the features of an image or a RoI; ``None`` where there are none."""
        path = path_in(self.place, row)
        return open_features(path) if path.exists() else None

    def made(self, layout: ImageSource, settings: PixelsSettings, row: PoolRow) -> np.ndarray:
        """Make the features of an image, unless they are there.

        Returns:
            Their means and mean squares, (2, F) float64.

        Raises:
            ConfigError, DataError: they cannot be made.
        """
        features = self.features(row)
        if features is None:
            features, path = compute(layout, row, settings), path_in(self.place, row)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, features, allow_pickle=False)
        flat = features.reshape(-1, features.shape[-1])
        total = np.zeros((2, flat.shape[1]))
        for start in range(0, len(flat), 1 << 18):
            part = flat[start : start + (1 << 18)].astype(np.float64)
            total += part.sum(0), (part**2).sum(0)
        return total / len(flat)

    def moments(
        self, layout: ImageSource, settings: PixelsSettings, rows: Sequence[PoolRow]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of the features over images, each counting once, (F,) float32.

        Those of images that were added since ``prepare`` are made now.
        """
        held = read_arrays(self.folder / STATISTICS)
        with reading(self.folder / STATISTICS):
            known = dict(zip(held["keys"].tolist(), held["moments"], strict=True))
        each = [
            known[row.key] if row.key in known else self.made(layout, settings, row)
            for row in sorted(rows, key=lambda row: row.key)
        ]
        mean, square = np.mean(each, axis=0)
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-8))
        return mean.astype(np.float32), deviation.astype(np.float32)


def open_store(folder: Path) -> Store | None:
    """Open what ``prepare`` finished in a folder; ``None`` where it has not."""
    if not (folder / PLANS).exists():
        return None
    held = read_json(folder / PLANS, key=str, features=str, settings=dict)
    return Store(folder, held["key"], folder / held["features"], held["settings"])


def store_of(job: FitJob, settings: PixelsSettings) -> Store:
    """Return what was prepared for a job.

    Raises:
        ConfigError: something else or nothing is prepared, or what the cycle before did not have.
    """
    store = None if job.prepared is None else open_store(job.prepared)
    if store is None or store.settings != settings.decides():
        found = "nothing is" if store is None else "by other settings something else is"
        raise ConfigError(
            f"{job.prepared}: {found} prepared there. To do: delete {PLANS} in it and start the "
            "target prepare_learner"
        )
    if (job.before or {}).get("plans", store.key) != store.key:
        raise ConfigError(
            f"{store.folder}: its features are not those of the cycle before: it was made anew "
            "since. Start a new run (run=...); results would mix"
        )
    return store
