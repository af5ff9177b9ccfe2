"""One cycle's choice: images first and then regions in each, or pool-wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from al.io.errors import DataError
from al.io.records import Record
from al.io.tables import RegionRow
from al.io.threads import in_order
from decomp_core import rotate_images

from .appearance import looks_of_images
from .definitions import needs_of
from .query import Choice, ImageQuery, Pick, Query
from .registry import IMAGE_SELECTORS, POOL_SELECTORS, REGION_SELECTORS, Selector

__all__ = ["Choice", "Query", "choose", "propose"]


def choose(query: Query) -> Choice:
    """Choose the regions of a cycle."""
    if "pool" in query.definition:
        selector = POOL_SELECTORS[query.definition["pool"]]
        return _pool_wide(query, selector, query.total)
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
    """Return the most uncertain regions that a strategy with features will choose from.

    ``candidates`` times as many as will be annotated, without overlap: in each image that is
    opened, or in the whole pool (METHODS).
    """
    factor = query.definition["candidates"]
    if "pool" in query.definition:
        return _pool_wide(query, POOL_SELECTORS["uncertainty"], factor * query.total, told=False)
    _, opened = _open_images(query)

    def propose_in(record: Record, reports: list[str]) -> list[RegionRow]:
        asked = ImageQuery(query, record.image, factor * opened[record.image], record)
        return _most_uncertain(asked, reports)

    made = _in_each(query, opened, propose_in)
    rows = [row for image in sorted(opened) for row in made[image][0]]
    return Choice(rows, [line for image in sorted(opened) for line in made[image][1]])


def _pool_wide(query: Query, selector: Selector, n: int, told: bool = True) -> Choice:
    """Choose with a pool-wide selector; ``told``: say what was clipped or is missing."""
    places = selector.run(query, n)
    reports = []
    if told and query.task != "roi":
        notes = [query.budget.box_in(query.groups[image][0])[1] for image in dict(places)]
        reports = sorted(note for note in notes if note)
    if told and len(places) < n:
        reports.append(f"{len(places)} of {n} regions placed, no more are free")
    return Choice([query.row(image, place) for image, place in places], reports)


def _in_each(
    query: Query, opened: dict[str, int], work: Callable[[Record, list[str]], list[RegionRow]]
) -> dict[str, tuple[list[RegionRow], list[str]]]:
    """Return rows and reports of each opened image, whose predictions need not lie in order."""

    def one(record: Record) -> tuple[str, tuple[list[RegionRow], list[str]]]:
        reports: list[str] = []
        try:
            return record.image, (work(record, reports), reports)
        except Exception as error:
            error.add_note(f"while regions of {record.image} were chosen")
            raise

    made = dict(in_order(one, query.predictions(set(opened)), query.threads))
    if missing := opened.keys() - made.keys():
        raise DataError(f"no prediction of {min(missing)!r}, which is opened in this cycle")
    return made


def _most_uncertain(asked: ImageQuery, reports: list[str]) -> list[RegionRow]:
    from decomp_core import uncertain_regions, uncertain_rois

    query, uncertainty = asked.query, asked.record.uncertainty
    rng = query.rng(asked.image)
    if query.task == "roi":
        places = uncertain_rois(uncertainty, asked.n, asked.taken, rng=rng)
        return [query.row(asked.image, (i, float(uncertainty[i]))) for i in places]
    _note_window(asked, reports)
    found = uncertain_regions(
        uncertainty,
        asked.n,
        asked.window,
        asked.taken,
        asked.axis,
        annotatable=asked.annotatable(),
        rng=rng,
    )
    return [query.row(asked.image, region) for region in found]


def _note_window(asked: ImageQuery, reports: list[str]) -> None:
    """Report a window that had to be clipped to its image."""
    note = asked.query.budget.window_in(asked.query.groups[asked.image][0])[1]
    reports += [note] if note else []


def _open_images(query: Query) -> tuple[np.ndarray, dict[str, int]]:
    """Return the (N,) image scores and, best first, the regions wanted of each opened image."""
    state, definition = query.state, query.definition
    quotas = query.budget.spread(definition["spread"], int(state.available.sum()))
    selector = IMAGE_SELECTORS[definition["images"]]
    if "images" in selector.needs:
        looks = looks_of_images(query)
        state = replace(state, looks=looks, wanted=len(quotas), rng=query.rng())
    scores = np.asarray(selector.run(state, definition), np.float64)
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
    reports: list[str] = []
    if query.task != "roi":
        for image, wanted in opened.items():
            _note_window(ImageQuery(query, image, wanted), reports)
    if len(indices) < n:
        reports.append(f"{len(indices)} of {n} regions placed, there are no more candidates")
    return Choice([candidates.rows[i] for i in indices], reports, scores)


def _choose_per_image(query: Query, scores: np.ndarray, opened: dict[str, int]) -> Choice:
    needs = needs_of(query.definition)
    weights = None
    if "statistics" in needs:
        weights = query.state.class_weights(query.definition)

    def choose_in(image: str, record: Record | None, reports: list[str]) -> list[RegionRow]:
        return _choose_in(ImageQuery(query, image, opened[image], record, weights), reports)

    made = {}
    if needs & {"labels", "uncertainty"}:
        made = _in_each(query, opened, lambda record, told: choose_in(record.image, record, told))
    rows: list[RegionRow] = []
    reports: list[str] = []
    for image, n in opened.items():
        found, told = made[image] if made else (choose_in(image, None, reports), [])
        reports += told
        if len(found) < n:
            reports.append(f"{image}: {len(found)} of {n} regions placed, no more are free")
        rows += found
    return Choice(rows, reports, scores)


def _choose_in(asked: ImageQuery, reports: list[str]) -> list[RegionRow]:
    query = asked.query
    selector = REGION_SELECTORS[query.definition["regions"]]
    if query.task != "roi":
        _note_window(asked, reports)
    places: list[Pick] = selector.run(asked, query.rng(asked.image))
    return [query.row(asked.image, p, *_why(asked.record, p, selector)) for p in places]


def _why(record: Record | None, place: Pick, selector: Selector) -> tuple[int | None, float | None]:
    """Return the class behind the choice of a RoI, and its score; regions carry their own."""
    if record is None or not isinstance(place, int | np.integer):
        return None, None
    if selector.by_class:
        cls = int(record.probabilities[place].argmax())
        return cls, float(record.probabilities[place, cls])
    if "uncertainty" in selector.needs:
        return None, float(record.uncertainty[place])
    return None, None
