"""The simulated annotator: ground truth under the chosen regions, nothing else."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import file_name
from al.io.labels import UNKNOWN, label_suffix, read_label, write_label
from al.io.pool import by_image
from al.io.shapes import pixels_of
from al.io.tables import LabelRow, PoolRow, RegionRow


def reveal(
    layout: Any,
    pool: list[PoolRow],
    new: Iterable[RegionRow],
    before: list[LabelRow],
    folder: Path,
    shape: str = "square",
) -> tuple[list[LabelRow], int]:
    """Reveal the labels of new regions on top of what was revealed before.

    Writes one label file per image that changed into ``folder`` (uint8, 255 where nothing is
    revealed) and returns where the labels of every image annotated so far are, with paths relative
    to ``folder``'s parent, and how many of the new regions hold no ground truth. ``shape`` is that
    of windows (``al.io.shapes``).

    Raises:
        DataError: a region of an image that is of neither training nor validation.
    """
    groups = by_image(r for r in pool if r.split in ("train", "val"))
    by_name: dict[str, list[RegionRow]] = defaultdict(list)
    for region in new:
        if region.image not in groups:
            raise DataError(f"region in {region.image!r}, an image of neither train nor val")
        by_name[region.image].append(region)
    parent = folder.parent
    held = {(r.image, r.roi): relative(r, parent) for r in before}
    empty = 0
    for image, regions in sorted(by_name.items()):
        if regions[0].kind == "roi":
            rois = {row.roi: row for row in groups[image]}
            for region in regions:
                label = int(layout.open_label(rois[region.roi]))
                held[image, region.roi] = LabelRow(image, region.roi, "", label)
            continue
        row, old = groups[image][0], held.get((image, ""))
        labels = (
            np.full(row.shape, UNKNOWN, np.uint8)
            if old is None
            else read_label(os.path.normpath(parent / old.path), row.shape).copy()
        )
        truth = layout.open_label(row)
        for region in regions:
            at, mask = region.region.slices, pixels_of(region, row, shape)
            mask = np.ones(truth[at].shape, bool) if mask is None else mask
            labels[at] = np.where(mask, truth[at], labels[at])
            empty += not (truth[at][mask] != UNKNOWN).any()
        file = folder / (file_name(image) + label_suffix(labels.ndim))
        write_label(file, labels)
        held[image, ""] = LabelRow(image, "", os.path.relpath(file, parent), None)
    return [held[key] for key in sorted(held)], empty


def reveal_all(
    layout: Any, pool: list[PoolRow], folder: Path, splits: Sequence[str] = ("train",)
) -> list[LabelRow]:
    """Reveal all of the splits that are annotated, for the full-annotation references."""
    rows = []
    for row in (r for r in pool if r.split in splits):
        if row.roi:
            rows.append(LabelRow(row.image, row.roi, "", int(layout.open_label(row))))
            continue
        file = folder / (file_name(row.image) + label_suffix(len(row.shape)))
        write_label(file, layout.open_label(row))
        rows.append(LabelRow(row.image, "", os.path.relpath(file, folder.parent), None))
    return rows


def relative(row: LabelRow, parent: Path) -> LabelRow:
    """Return where a label is, its path relative to a folder."""
    path = os.path.relpath(row.path, parent) if row.path else ""
    return LabelRow(row.image, row.roi, path, row.label)
