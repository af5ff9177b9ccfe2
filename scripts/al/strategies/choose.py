"""One cycle's choice: images first and then regions in each, or pool-wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from al.io.records import Record
from al.io.tables import RegionRow
from al.io.threads import in_order
from decomp_core import Region, rotate_images

from .budget import kind_of
from .definitions import needs_of
from .pool_wide import check_rois, choose_pool_wide, propose_pool_wide, roi_row
from .query import Choice, Query
from .registry import IMAGE_SELECTORS, REGION_SELECTORS, Selector
from .state import RegionTask
from .weights import class_weights

__all__ = ["Choice", "Query", "choose", "propose"]


def choose(query: Query) -> Choice:
    """Choose the regions of a cycle."""
    if "pool" in query.definition:
        return choose_pool_wide(query)
    scores, opened = _open_images(query)
    if REGION_SELECTORS[query.definition["regions"]].batch:
        choice = _choose_batch(query, scores, opened)
    else:
        choice = _choose_per_image(query, scores, opened)
    wanted = query.budget.images * query.budget.regions
    if (asked := sum(opened.values())) < wanted:
        choice.reports.append(f"{asked} of {wanted} regions placed, {len(opened)} images are left")
    return choice


def propose(query: Query) -> Choice:
    """Return the most uncertain regions of the images a batch selector will choose from.

    ``candidates`` times as many as will be annotated in each image, without overlap (METHODS).
    """
    if "pool" in query.definition:
        return propose_pool_wide(query)
    _, opened = _open_images(query)

    def propose_in(image: str, record: Record, reports: list[str]) -> list[RegionRow]:
        n = query.definition["candidates"] * opened[image]
        return _most_uncertain(query, image, record, n, reports)

    made = _in_each(query, opened, propose_in)
    rows = [row for image in sorted(opened) for row in made[image][0]]
    reports = [line for image in sorted(opened) for line in made[image][1]]
    return Choice([replace(r, order=i) for i, r in enumerate(rows)], reports)


def _in_each(
    query: Query, opened: dict[str, int], work: Callable[[str, Record, list[str]], list[RegionRow]]
) -> dict[str, tuple[list[RegionRow], list[str]]]:
    """Return rows and reports of each opened image, whose predictions need not lie in order."""

    def one(record: Record) -> tuple[str, tuple[list[RegionRow], list[str]]]:
        reports: list[str] = []
        try:
            return record.image, (work(record.image, record, reports), reports)
        except Exception as error:
            error.add_note(f"while regions of {record.image} were chosen")
            raise

    made = dict(in_order(one, query.records(set(opened)), query.threads))
    if missing := opened.keys() - made.keys():
        raise ValueError(f"no prediction of {min(missing)!r}, which is opened in this cycle")
    return made


def _most_uncertain(
    query: Query, image: str, record: Record, n: int, reports: list[str]
) -> list[RegionRow]:
    from decomp_core import uncertain_regions, uncertain_rois

    row, taken = query.groups[image][0], query.taken.get(image, ())
    if row.roi:
        rois = check_rois(record, query.groups[image])
        held = [i for i, roi in enumerate(rois) if roi in taken]
        return [
            roi_row(query.cycle, image, rois[i], None, float(record.uncertainty[i]))
            for i in uncertain_rois(record.uncertainty, n, held)
        ]
    window, note = query.budget.window_in(row)
    reports += [note] if note else []
    found = uncertain_regions(record.uncertainty, n, window, taken=taken, axis=row.axis)
    return [RegionRow.of(query.cycle, image, kind_of(row, r.size), r, 0) for r in found]


def _open_images(query: Query) -> tuple[np.ndarray, dict[str, int]]:
    """Return the (N,) image scores and, best first, the regions wanted of each opened image."""
    state, definition = query.state, query.definition
    scores = IMAGE_SELECTORS[definition["images"]].run(state, definition)
    scores = np.asarray(scores, np.float64)
    quotas = query.budget.spread(definition["spread"], int(state.available.sum()))
    picked = rotate_images(scores, len(quotas), state.openings, state.available, query.rng())
    return scores, {state.images[i]: n for i, n in zip(picked, quotas, strict=True)}


def _choose_batch(query: Query, scores: np.ndarray, opened: dict[str, int]) -> Choice:
    candidates = query.candidates
    if stray := {r.image for r in candidates.rows} - set(opened):
        raise ValueError(f"candidates of {sorted(stray)[0]!r}, which is not opened in this cycle")
    n = sum(opened.values())
    per_image = query.definition["per_image"] * max(opened.values(), default=1)
    selector = REGION_SELECTORS[query.definition["regions"]]
    indices = selector.run(candidates, n, per_image, query.rng()) if candidates.rows else []
    rows = [replace(candidates.rows[i], order=k) for k, i in enumerate(indices)]
    reports = []
    if query.task != "roi":
        notes = [query.budget.window_in(query.groups[image][0])[1] for image in opened]
        reports += [note for note in notes if note]
    if len(rows) < n:
        reports.append(f"{len(rows)} of {n} regions placed, there are no more candidates")
    return Choice(rows, reports, scores)


def _choose_per_image(query: Query, scores: np.ndarray, opened: dict[str, int]) -> Choice:
    needs = needs_of(query.definition)
    weights = class_weights(query.state, query.definition) if "statistics" in needs else None

    def choose_in(image: str, record: Record | None, reports: list[str]) -> list[RegionRow]:
        return _choose_in(query, image, opened[image], record, weights, reports)

    made = {}
    if needs & {"labels", "uncertainty"}:
        made = _in_each(query, opened, choose_in)
    rows: list[RegionRow] = []
    reports: list[str] = []
    for image, n in opened.items():
        found, told = made[image] if made else (choose_in(image, None, reports), [])
        reports += told
        if len(found) < n:
            reports.append(f"{image}: {len(found)} of {n} regions placed, no more are free")
        rows += found
    return Choice([replace(r, order=i) for i, r in enumerate(rows)], reports, scores)


def _choose_in(
    query: Query,
    image: str,
    n: int,
    record: Record | None,
    weights: np.ndarray | None,
    reports: list[str],
) -> list[RegionRow]:
    selector = REGION_SELECTORS[query.definition["regions"]]
    row, taken = query.groups[image][0], query.taken.get(image, ())
    rng = query.rng(image)
    if row.roi:
        group = query.groups[image]
        rois = check_rois(record, group) if record is not None else [r.roi for r in group]
        held = tuple(i for i, roi in enumerate(rois) if roi in taken)
        task = RegionTask(
            record, (len(rois),), None, (), held, n, weights, options=query.definition
        )
        places = selector.run(task, rng)
        return [_named_roi(query.cycle, image, rois[i], record, i, selector) for i in places]
    window, note = query.budget.window_in(row)
    reports += [note] if note else []
    task = RegionTask(
        record, row.shape, row.axis, query.budget.shape_of(window), tuple(taken), n, weights,
        lambda: query.centres(row), query.definition,
    )  # fmt: skip
    regions: list[Region] = selector.run(task, rng)
    return [RegionRow.of(query.cycle, image, kind_of(row, r.size), r, 0) for r in regions]


def _named_roi(
    cycle: int, image: str, roi: str, record: Record | None, i: int, selector: Selector
) -> RegionRow:
    cls = score = None
    if record is not None and selector.by_class:
        cls = int(record.probabilities[i].argmax())
        score = float(record.probabilities[i, cls])
    elif record is not None and "uncertainty" in selector.needs:
        score = float(record.uncertainty[i])
    return roi_row(cycle, image, roi, cls, score)
