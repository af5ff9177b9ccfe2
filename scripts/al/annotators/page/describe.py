"""Regions as the page is told of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from al.annotators.assignment import Assignment
from al.annotators.store import Store
from al.annotators.targets import DONE, OPEN, SKIPPED, VOID, Target, Work
from al.io.errors import DataError
from al.io.labels import UNKNOWN

from .bodies import text_of
from .views import Views, orientation_of, spacing_of


def line_of(store: Store, target: Target, session: str) -> dict[str, Any]:
    """Return a line of the list of regions, as a tab is told of it."""
    state, by, held = store.state(target), store.by(target), store.holder(target)
    if state == OPEN and held is not None and held["session"] != session:
        state, by = "busy", held["annotator"]
    elif state == OPEN and (drew := _drew(store, target)) is not None:
        state, by = "draft", drew
    region = target.region
    finished = [event for event in store.history_of(target) if event.action == DONE]
    return {
        "id": region.order,
        "image": region.image,
        "roi": region.roi,
        "kind": region.kind,
        "state": state,
        "by": by,
        "cycle": region.cycle,
        "corrected": len({(e.label, e.pixels) for e in finished}) > 1,
        "label": store.label(target) if target.row.roi else None,
    }


def progress_of(store: Store, assignment: Assignment | None, session: str) -> dict[str, Any]:
    """Return how far a cycle is, region by region, as a tab is told of it."""
    active = [] if assignment is None else assignment.active(store)
    regions = [{**line_of(store, t, session), "number": i} for i, t in enumerate(active, 1)]
    asked = [r for r in regions if r["state"] != SKIPPED]
    done = sum(r["state"] == DONE for r in asked)
    median = store.median_seconds()
    return {
        "total": len(asked),
        "done": done,
        "seconds_median": median,
        "minutes_left": None if median is None else (len(asked) - done) * median / 60,
        "regions": regions,
    }


def _drew(store: Store, target: Target) -> str | None:
    """Return who drew in a region that is not finished, if anybody did."""
    try:
        draft = store.draft(target)
    except DataError:  # told when it is opened
        return ""
    return None if draft is None else draft[1].annotator


def description_of(target: Target, layout: Any, views: Views) -> dict[str, Any]:
    """Return where a region lies and how its image is shown. Raises DataError."""
    row, box = target.row, None if target.row.roi else target.region.region
    mask = target.mask()
    volume = None if row.axis is None else views.volume(row)
    return {
        "axis": row.axis,
        "image_shape": row.shape,
        "start": None if box is None else box.start,
        "size": None if box is None else box.size,
        "spacing": None if volume is None else spacing_of(layout, row),
        "orientation": None if volume is None else orientation_of(layout, row),
        "levels": None if volume is None else {"low": volume.low, "high": volume.high},
        "presets": [] if volume is None else volume.presets(),
        "mask": None if mask is None else text_of(mask),
    }


def known_of(store: Store, target: Target) -> np.ndarray:
    """Return what is known of a region's box as of a draft: 254 void, 255 not known."""
    labels, covered = store.known(target)
    return np.where(covered & (labels == UNKNOWN), np.uint8(VOID), labels)


def drawn_in(
    store: Store, target: Target, draft: tuple[np.ndarray, Work, str] | None
) -> dict[str, Any]:
    """Return what is drawn in a region, on what is known of it, and how long that took so far."""
    pixels, work, _ = draft or (None, Work(annotator="nobody"), "")
    held: dict[str, Any] = {"seconds": work.seconds, "tools": work.tools}
    if target.row.roi:
        return {**held, "pixels": None, "known": None}
    known = known_of(store, target)
    shown = known if pixels is None else np.where(pixels == UNKNOWN, known, pixels)
    told = text_of(known) if (known != UNKNOWN).any() else None
    return {**held, "pixels": text_of(shown), "known": told}
