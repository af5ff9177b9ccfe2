"""What annotation cost so far, in every unit the report can use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.labels import count_classes, count_labels, read_label
from al.io.pool import by_image, size_of
from al.io.shapes import pixels_of
from al.io.tables import LabelRow, PoolRow, RegionRow
from al.io.threads import in_order
from al.io.truth import read_truth


def count_truth(layout: Any, rows: list[PoolRow], n_classes: int) -> dict[str, list[int]]:
    """Count ground truth per image: C classes, then void."""
    counts: dict[str, np.ndarray] = {}

    def count(row: PoolRow) -> np.ndarray:
        return count_labels(layout.open_label(row), n_classes, row.label_path)

    for row, held in zip(rows, in_order(count, rows, layout.threads()), strict=True):
        counts[row.image] = held + counts.get(row.image, 0)
    return {image: c.tolist() for image, c in counts.items()}


def annotation_costs(
    pool: list[PoolRow],
    history: list[RegionRow],
    labels: list[LabelRow],
    truth: str | Path,
    classes: Sequence[str],
    background: int | None,
    shape: str = "square",
    splits: Sequence[str] = ("train",),
) -> dict[str, Any]:
    """Return ``costs`` (images, regions, RoIs or area, foreground) and ``annotated``.

    Percentages are of all images of ``splits``, those that may be annotated; ``annotated`` gives
    for each class the percentage of its pixels (RoIs) that has been annotated. Void pixels count in
    the area. ``shape``: of windows. Where an image has no label nobody knows how much there is of a
    class: those percentages are ``None``, and so is the foreground.
    """
    groups = by_image(r for r in pool if r.split in splits)
    named = {r.image for r in history} | {r.image for r in labels}
    if strange := sorted(named - groups.keys()):
        raise DataError(
            f"history.csv and labels.csv: image {strange[0]!r} is not in the pool. To do: delete "
            "the one it stands in, or the pool of the seed: the same command makes it again"
        )
    roi = next(iter(groups.values()))[0].roi != ""
    total = np.sum(list(read_truth(truth, len(classes), groups).values()), axis=0)
    seen = _revealed(labels, groups, len(classes))
    sizes = {image: size_of(rows) for image, rows in groups.items()}
    area = sum(_area(r, groups[r.image][0], shape) for r in history)
    opened = {r.image for r in history}
    costs: dict[str, Any] = {
        "images": len(opened),
        "images_percent": 100 * len(opened) / len(groups),
        "regions": len(history),
        "rois_percent" if roi else "area_percent": 100 * area / sum(sizes.values()),
        "foreground_percent": None,
    }
    if "val" in splits:
        steering = [r for r in history if groups[r.image][0].split == "val"]
        costs["validation_images"] = len({r.image for r in steering})
        costs["validation_regions"] = len(steering)
    known = all(r.label_path for rows in groups.values() for r in rows)
    annotated = {
        name: 100 * float(seen[i] / total[i]) if known and total[i] else None
        for i, name in enumerate(classes)
    }
    if background is not None and known:
        keep = np.arange(len(classes)) != background
        costs["foreground_percent"] = 100 * float(
            seen[: len(classes)][keep].sum() / max(1, total[: len(classes)][keep].sum())
        )
    return {"costs": costs, "annotated": annotated}


def _area(region: RegionRow, row: PoolRow, shape: str) -> int:
    if region.kind == "roi":
        return 1
    mask = pixels_of(region, row, shape)
    return int(np.prod(region.region.size) if mask is None else mask.sum())


def _revealed(
    labels: list[LabelRow], groups: dict[str, list[PoolRow]], n_classes: int
) -> np.ndarray:
    seen = np.zeros(n_classes, np.int64)
    for row in labels:
        if row.label is not None:
            if row.label >= n_classes:
                raise DataError(f"labels: class {row.label} of RoI {row.roi}, of {n_classes}")
            seen[row.label] += 1
        else:
            label = read_label(row.path, groups[row.image][0].shape)
            seen += count_classes(label, n_classes, row.path)
    return seen
