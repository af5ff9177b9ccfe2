"""What the budget asks for against what fits into the pool, known before the first job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from al.io.pool import assign_splits, by_image
from al.io.tables import PoolRow
from al.strategies.budget import Budget

Fitted = Callable[[PoolRow], tuple[tuple[int, ...], str]]


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
    groups = by_image(row for row in split if row.split == "train")
    pool_wide = ["pool" in settings["definitions"][name] for name in settings["strategies"]]
    patches = bool(settings["patch"]) and settings["task"] != "roi"
    told: dict[str, None] = {}  # each once, in order
    for text in settings["budget"]:
        budget = Budget.parse(text, settings["region"], settings["patch"])
        if not patches or not all(pool_wide):
            told |= dict.fromkeys(_of_images(text, budget, settings, groups))
        if patches and any(pool_wide):
            asked = budget.total(settings["task"])
            size = "x".join(map(str, settings["patch"]))
            told |= dict.fromkeys(
                _clipped(f"patch {size}", budget.box_in, groups)
                + _short(text, asked, settings, _rooms(budget.box_in, groups))
            )
    return list(told)


def _of_images(
    text: str, budget: Budget, settings: Mapping[str, Any], groups: Mapping[str, list[PoolRow]]
) -> list[str]:
    """What is to be said of strategies that choose images first."""
    clipped: list[str] = []
    if settings["task"] == "roi":
        rooms = [len(rows) for rows in groups.values()]
    else:
        size = "x".join(map(str, budget.window))
        clipped = _clipped(f"region {size}", budget.window_in, groups)
        rooms = _rooms(budget.window_in, groups)
    lines = []
    if budget.images > len(groups):
        lines.append(f"budget {text}: a cycle opens {len(groups)} images, the pool has no more")
    if small := sum(room < budget.regions for room in rooms):
        lines.append(
            f"budget {text}: {budget.regions} regions do not fit into {small} of {len(rooms)} "
            f"images (the smallest has room for {min(rooms)})"
        )
    return clipped + lines + _short(text, budget.images * budget.regions, settings, rooms)


def _rooms(fitted: Fitted, groups: Mapping[str, list[PoolRow]]) -> list[int]:
    """How many regions fit into each image."""
    found = []
    for row, *_ in groups.values():
        size, shape = fitted(row)[0], row.shape
        if len(size) < len(shape):  # a window stands in each slice
            slices = shape[row.axis or 0]
            shape = tuple(n for axis, n in enumerate(shape) if axis != row.axis)
        else:
            slices = 1
        found.append(slices * prod(n // k for n, k in zip(shape, size, strict=True)))
    return found


def _clipped(what: str, fitted: Fitted, groups: Mapping[str, list[PoolRow]]) -> list[str]:
    notes = [note for rows in groups.values() if (note := fitted(rows[0])[1])]
    if not notes:
        return []
    return [f"{what}: larger than {len(notes)} of {len(groups)} images ({notes[0]})"]


def _short(text: str, asked: int, settings: Mapping[str, Any], rooms: Sequence[int]) -> list[str]:
    total, cycles = asked * settings["cycles"], settings["cycles"]
    if total <= sum(rooms):
        return []
    return [
        f"budget {text}: {cycles} cycles ask for {total} regions, and no more than {sum(rooms)} "
        "fit into the training pool: cycles will stay short or empty"
    ]
