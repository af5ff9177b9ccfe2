"""What the budget asks for against what fits into the pool, known before the first job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from al.io.pool import assign_splits, by_image
from al.io.tables import PoolRow
from al.strategies.budget import Budget


def room_warnings(settings: Mapping[str, Any], rows: Sequence[PoolRow]) -> list[str]:
    """Say where regions are larger than images, and where a budget cannot be filled.

    Of the first seed, from the rows of the pool alone. No more windows of one size fit into an
    image without overlap than stand in rows and columns, so that what is said to be too much is.

    Args:
        settings: the resolved configuration.
        rows: of the pool; none where it is still to be made.
    """
    if not rows or not settings["strategies"]:
        return []
    split = assign_splits(list(rows), settings["split"], settings["seeds"][0])
    images = list(by_image(row for row in split if row.split == "train").values())
    patches = bool(settings["patch"]) and settings["task"] != "roi"
    kinds = {patches and "pool" in settings["definitions"][n] for n in settings["strategies"]}
    told = [
        line
        for text in settings["budget"]
        for pool_wide in sorted(kinds)
        for line in _told(text, pool_wide, settings, images)
    ]
    return list(dict.fromkeys(told))  # each once, in order


def _told(
    text: str, pool_wide: bool, settings: Mapping[str, Any], images: Sequence[list[PoolRow]]
) -> Iterator[str]:
    """What is to be said of a budget and of strategies that choose patches, or images first."""
    budget = Budget.parse(text, settings["region"], settings["patch"])
    cycles, asked = settings["cycles"], budget.images * budget.regions
    what, size, fitted = "region", settings["region"], budget.window_in
    if pool_wide:
        what, size, fitted = "patch", settings["patch"], budget.box_in
        asked = budget.total(settings["task"])
    if settings["task"] == "roi":
        rooms, notes = [len(rois) for rois in images], []
    else:
        found = [(row, *fitted(row)) for row, *_ in images]
        rooms = [_room(row, fits) for row, fits, _ in found]
        notes = [note for *_, note in found if note]
    small = sum(room < budget.regions for room in rooms)
    if notes:
        named = f"{what} {'x'.join(map(str, size))}"
        yield f"{named}: larger than {len(notes)} of {len(images)} images ({notes[0]})"
    if not pool_wide and budget.images > len(images):
        yield f"budget {text}: a cycle opens {len(images)} images, the pool has no more"
    if not pool_wide and small:
        few = f"{small} of {len(rooms)} images (the smallest has room for {min(rooms)})"
        yield f"budget {text}: {budget.regions} regions do not fit into {few}"
    if asked * cycles > sum(rooms):
        yield (
            f"budget {text}: {cycles} cycles ask for {asked * cycles} regions, and no more than "
            f"{sum(rooms)} fit into the training pool: cycles will stay short or empty"
        )


def _room(row: PoolRow, size: Sequence[int]) -> int:
    """How many regions of a size fit into an image; windows stand in each slice of a volume."""
    window = len(size) < len(row.shape)
    plane = [n for a, n in enumerate(row.shape) if not (window and a == row.axis)]
    slices = prod(row.shape) // prod(plane)
    return slices * prod(n // k for n, k in zip(plane, size, strict=True))
