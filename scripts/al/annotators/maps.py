"""Label maps made of a store, for other programs: they are derived, and written anew at will."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from al.io.files import atomic_path, file_name, short_name, write_lines
from al.io.labels import write_label
from al.io.pool import by_image
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

from .assignment import Sums
from .store import Store
from .targets import DONE, Target


def write_maps(store: Store, layout: Any, rows: Iterable[PoolRow], sums: Sums) -> list[Path]:
    """Write what is known of each image to ``labels/`` in the folder of the store.

    uint8 class indices, 255 where nothing is known: PNG for images, NIfTI on the file's grid for
    volumes; of RoIs one table ``labels.csv``, always of all that have a class.

    Args:
        store: of the dataset.
        layout: of the dataset.
        rows: images to write, those of which nothing is known are left out; or RoIs.
        sums: gives the SHA-256 of a file by its path.

    Returns:
        the files.
    """
    known = last_times(store)
    held = {image: group for image, group in by_image(rows).items() if image in known}
    files = []
    for group in held.values():
        file = map_of(store, group[0])
        if group[0].roi:
            write_lines(file, _table(store))
            return [file]
        labels, _ = store.known(whole(group[0], sums(group[0].path)))
        _write(file, layout, group[0], labels)
        files.append(file)
    return files


def stale(store: Store, rows: Iterable[PoolRow]) -> list[PoolRow]:
    """Return those of ``rows`` whose map is missing, or older than what was annotated last.

    The times of annotations have whole seconds, so that one of the same second counts as older.
    """
    known = last_times(store)
    found = []
    for row in (row for row in rows if row.image in known):
        file, time = map_of(store, row), datetime.fromisoformat(known[row.image]).timestamp()
        if not file.exists() or file.stat().st_mtime < time + 1:
            found.append(row)
    return found


def last_times(store: Store) -> dict[str, str]:
    """Return when each image was annotated last (ISO, UTC)."""
    return {event.image: event.time for event in store.events() if event.action == DONE}


def map_of(store: Store, row: PoolRow) -> Path:
    """Return the file that an image's map, or a RoI's class, is written to."""
    folder = store.folder / "labels"
    if row.roi:
        return folder / "labels.csv"
    plain = not {"/", "%"} & set(row.image)  # other programs pair files by name
    name = short_name(row.image) if plain else file_name(row.image)
    return folder / (name + (".png" if row.axis is None else ".nii.gz"))


def whole(row: PoolRow, sha256: str = "") -> Target:
    """Return all of an image as a target."""
    size = Region((0,) * len(row.shape), row.shape)
    kind = "window" if row.axis is None else "patch"
    return Target(RegionRow.of(0, row.image, kind, size, 0), row, sha256=sha256)


def _table(store: Store) -> list[list[Any]]:
    last = {(event.image, event.roi): event for event in store.events() if event.action == DONE}
    lines = [[*key, store.classes[e.label], e.annotator] for key, e in sorted(last.items())]
    return [["image", "roi", "class", "annotator"], *lines]


def _write(file: Path, layout: Any, row: PoolRow, labels: np.ndarray) -> None:
    if row.axis is None:
        return write_label(file, labels)
    import nibabel as nib

    full = layout.to_scored(row, labels)
    volume = nib.Nifti1Image(full.astype(np.uint8, copy=False), layout.affine(row))
    with atomic_path(file) as temporary:
        temporary.write_bytes(gzip.compress(volume.to_bytes(), compresslevel=1, mtime=0))
