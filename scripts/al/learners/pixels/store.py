"""Features of a dataset, computed once and shared by all trainings.

``features/IMAGE.npy``, float16, ``statistics.npz``, and last of all ``plans.json``. Each file
appears by rename: what a killed job has finished is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from al.io.arrays import read_arrays, write_arrays
from al.io.errors import ConfigError, DataError
from al.io.files import atomic_path, file_name, read_json, reading, sweep, write_json
from al.io.locking import locked
from al.io.tables import PoolRow
from al.io.threads import in_order

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
    decides = {**settings.preparation(), "made_by": settings.made_by(), **weights_of(settings)}
    with locked(folder):
        sweep(folder)
        # Another version of a library, or other weights, make other files.
        digest = sha256(repr(sorted(decides.items())).encode()).hexdigest()
        place = folder / FOLDER / digest[:10]
        ordered = sorted(rows, key=lambda row: row.key)
        make = partial(_moments, layout, place, settings)
        found = []
        for moments in in_order(make, ordered, settings.workers or 1):
            found.append(moments)
            if len(found) % max(1, len(ordered) // 10) == 0 or len(found) == len(ordered):
                print(f"features: {len(found)} of {len(ordered)}", flush=True)
        table = np.array(found, np.float64)
        keys = [row.key for row in ordered]
        key = sha256(table.tobytes() + repr([digest, keys]).encode()).hexdigest()
        write_arrays(folder / STATISTICS, {"keys": np.array(keys), "moments": table})
        about = {"key": key, "features": str(Path(FOLDER, digest[:10])), "settings": decides}
        write_json(folder / PLANS, about)


def weights_of(settings: PixelsSettings) -> dict[str, str]:
    """Return what tells an encoder's weights from others; {} without one. Raises ConfigError."""
    if settings.weights is None:
        return {}
    try:
        return {"sha256": sha256(Path(settings.weights).read_bytes()).hexdigest()}
    except OSError as error:
        raise ConfigError(
            f"pixels.weights: {settings.weights}: {error.strerror}; allowed: a file of weights"
        ) from None


def path_in(place: Path, row: PoolRow) -> Path:
    """Return where the features of an image or a RoI lie."""
    return place / f"{file_name(row.key)}.npy"


def compute(layout: ImageSource, row: PoolRow, settings: PixelsSettings) -> np.ndarray:
    """Return the features of an image, (*coarse, F), or of a RoI, (F,), float16."""
    from .filters import features_of, features_of_roi  # imports scikit-image, which takes seconds

    make = features_of_roi if row.roi else features_of
    return make(layout.open_image(row), settings)


def _moments(
    layout: ImageSource, place: Path, settings: PixelsSettings, row: PoolRow
) -> np.ndarray:
    """Make one file, unless it is there; return mean and mean square of its features, (2, F)."""
    path = path_in(place, row)
    if path.exists():
        features = open_features(path)
    else:
        features = compute(layout, row, settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, features, allow_pickle=False)
    flat = features.reshape(-1, features.shape[-1])
    total = np.zeros((2, flat.shape[1]))
    for start in range(0, len(flat), 1 << 18):
        part = flat[start : start + (1 << 18)].astype(np.float64)
        total += part.sum(0), (part**2).sum(0)
    return total / len(flat)


def open_features(path: Path) -> np.ndarray:
    """Open features; what is used of them is read. Raises DataError."""
    with reading(path, "the features"):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@dataclass(frozen=True)
class Store:
    """What ``prepare`` made.

    Attributes:
        folder: where it lies.
        key: changes with all that decides trainings.
        place: folder of the features.
        settings: those that decided it, and what else did.
    """

    folder: Path
    key: str
    place: Path
    settings: dict[str, Any]

    def features(self, row: PoolRow) -> np.ndarray | None:
        """Return the features of an image or a RoI; ``None`` where it was not prepared."""
        path = path_in(self.place, row)
        return open_features(path) if path.exists() else None

    def moments(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of the features over images, each counting once, (F,) float32.

        Raises:
            DataError: some were not prepared.
        """
        held = read_arrays(self.folder / STATISTICS)
        with reading(self.folder / STATISTICS):
            places = {key: i for i, key in enumerate(held["keys"].tolist())}
        if missing := sorted(set(keys) - places.keys()):
            raise DataError(f"{self.folder}: no features of {missing[0]}; made from other images")
        mean, square = held["moments"][[places[key] for key in sorted(keys)]].mean(0)
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
    asked = settings.preparation()
    if store is None or {key: store.settings.get(key) for key in asked} != asked:
        found = "nothing is" if store is None else "with other settings something else is"
        raise ConfigError(f"{job.prepared}: {found} prepared there")
    if (job.before or {}).get("plans", store.key) != store.key:
        raise ConfigError(
            f"{store.folder}: its features are not those of the cycle before: it was made anew "
            "since. Start a new run (run=...); results would mix"
        )
    return store
