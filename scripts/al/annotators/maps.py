"""Label maps made of a store, for other programs: they are derived, and written anew at will."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from al.io.files import atomic_path, file_name, write_lines
from al.io.labels import write_label
from al.io.pool import by_image
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

from .store import Store
from .targets import Target


def write_maps(store: Store, layout: Any, rows: Iterable[PoolRow]) -> list[Path]:
    """Write what is known of each image to ``labels/`` in the folder of the store.

    uint8 class indices, 255 where nothing is known: PNG for images, NIfTI on the file's grid for
    volumes; of RoIs one table ``labels.csv``.

    Args:
        store: of the dataset.
        layout: of the dataset.
        rows: images or RoIs to write; those of which nothing is known are left out.

    Returns:
        the files.
    """
    folder, known = store.folder / "labels", {event.image for event in store.events()}
    held = {image: group for image, group in by_image(rows).items() if image in known}
    if any(group[0].roi for group in held.values()):
        lines: list[list[Any]] = [["image", "roi", "class", "annotator"]]
        for group in held.values():
            lines += [line for row in group if (line := _line(store, row))]
        write_lines(folder / "labels.csv", lines)
        return [folder / "labels.csv"]
    files = []
    for image, (row,) in held.items():
        labels, _ = store.known(whole(row))
        files.append(_write(folder / file_name(image), layout, row, labels))
    return files


def whole(row: PoolRow) -> Target:
    """Return all of an image as a target."""
    size = Region((0,) * len(row.shape), row.shape)
    kind = "window" if row.axis is None else "patch"
    return Target(RegionRow.of(0, row.image, kind, size, 0), row)


def _line(store: Store, row: PoolRow) -> list[Any]:
    target = roi_target(row)
    label = store.label(target)
    return [] if label is None else [row.image, row.roi, store.classes[label], store.by(target)]


def roi_target(row: PoolRow, cycle: int = 0) -> Target:
    """Return a RoI as a target."""
    return Target(RegionRow(cycle, row.image, "roi", *(None,) * 6, row.roi, None, None, 0), row)


def _write(stem: Path, layout: Any, row: PoolRow, labels: np.ndarray) -> Path:
    if row.axis is None:
        file = stem.with_name(stem.name + ".png")
        write_label(file, labels)
        return file
    import nibabel as nib

    file = stem.with_name(stem.name + ".nii.gz")
    full = layout.to_scored(row, labels)
    volume = nib.Nifti1Image(full.astype(np.uint8, copy=False), layout.affine(row))
    with atomic_path(file) as temporary:
        temporary.write_bytes(gzip.compress(volume.to_bytes(), compresslevel=1, mtime=0))
    return file
