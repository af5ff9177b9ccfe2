"""One cycle's choice: images first, then regions in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from decomp_core import Region, random_regions, rotate_images
from glue.pool import by_image, openings, size_of, taken_of
from glue.records import Record
from glue.rng import generator
from glue.tables import PoolRow, RegionRow

from . import IMAGE_SELECTORS, REGION_SELECTORS
from .image_selectors import class_weights
from .registry import PoolState, RegionTask, Selector

Centres = Callable[[PoolRow], "np.ndarray | None"]


@dataclass(frozen=True)
class Budget:
    """How much a cycle annotates, and in windows of which size (unused for RoIs)."""

    images: int
    regions: int
    window: tuple[int, int]

    @classmethod
    def parse(cls, text: str, window: Sequence[int]) -> Budget:
        """Read ``5x15``: 5 images, 15 regions each."""
        images, regions = text.split("x")
        return cls(int(images), int(regions), (window[0], window[1]))


@dataclass(frozen=True)
class Choice:
    """The regions of one cycle, and what was not placed."""

    rows: list[RegionRow]
    reports: list[str]


def pool_state(
    rows: list[PoolRow],
    history: list[RegionRow],
    statistics: dict[str, tuple[int, np.ndarray, np.ndarray, float]] | None,
    task: str,
    classes: Sequence[str],
    window: tuple[int, int],
) -> PoolState:
    """Put together what image selectors see.

    ``statistics`` per image: unlabelled count, predicted (C,), confident (C,), mean uncertainty;
    ``None`` before there is a model. ``window`` is the size of windows (unused for RoIs): an image
    that has no room for one more has nothing left to annotate.
    """
    groups, taken = by_image(rows), taken_of(history)
    names = tuple(groups)
    opened = openings(history)
    empty = (np.zeros(len(classes), np.int64),) * 2
    if statistics is None:
        annotated = {name: _annotated(history, name) for name in opened}
        known = {n: (size_of(g) - annotated.get(n, 0), *empty, 0.0) for n, g in groups.items()}
    else:
        known = statistics
        missing = [n for n in names if n not in known]
        if missing:
            raise ValueError(f"no prediction of {len(missing)} images, the first is {missing[0]!r}")
    return PoolState(
        images=names,
        sizes=np.array([size_of(g) for g in groups.values()], np.int64),
        unlabelled=np.array([known[n][0] for n in names], np.int64),
        room=np.array([_has_room(groups[n][0], taken.get(n, ()), window) for n in names], bool),
        openings=np.array([opened[n] for n in names], np.int64),
        predicted=np.stack([known[n][1] for n in names]),
        confident=np.stack([known[n][2] for n in names]),
        uncertainty=np.array([known[n][3] for n in names], np.float64),
        task=task,
        classes=tuple(classes),
    )


def _has_room(row: PoolRow, taken: Iterable[Any], window: tuple[int, int]) -> bool:
    """Whether one more window fits in an image beside what is annotated; true for RoIs."""
    if row.roi or not taken:
        return True
    size, _ = clip_window(window, row)
    plane = [s for a, s in enumerate(row.shape) if a != row.axis]
    slices = 1 if row.axis is None else row.shape[row.axis]
    positions = slices * (plane[0] - size[0] + 1) * (plane[1] - size[1] + 1)
    if sum(_blocks(region, row.axis, size) for region in taken) < positions:
        return True
    rng = np.random.default_rng(0)  # whether there is any does not depend on it
    return bool(random_regions(row.shape, 1, size, rng, taken=taken, axis=row.axis))


def _blocks(region: Region, axis: int | None, size: tuple[int, int]) -> int:
    """Most positions of a window of ``size`` at which it can overlap a region."""
    height, width = (s for a, s in enumerate(region.size) if a != axis)
    depth = 1 if axis is None else region.size[axis]
    return depth * (height + size[0] - 1) * (width + size[1] - 1)


def _annotated(history: Iterable[RegionRow], image: str) -> int:
    regions = [r for r in history if r.image == image]
    return sum(1 if r.kind == "roi" else int(np.prod(r.region.size)) for r in regions)


def choose(
    state: PoolState,
    rows: list[PoolRow],
    history: list[RegionRow],
    records: Callable[[set[str]], Iterable[Record]] | None,
    definition: dict[str, Any],
    budget: Budget,
    seed: int,
    cycle: int,
    centres: Centres = lambda row: None,
) -> tuple[Choice, np.ndarray]:
    """Choose the regions of ``cycle``; also return the (N,) image scores.

    Args:
        state: what image selectors see; its images are those of ``rows``.
        rows: training rows of the pool, in any order.
        history: everything annotated so far.
        records: returns the predictions of some images; ``None`` before there is a model.
        definition: entry of strategies.yaml with its defaults filled in.
        budget: images, regions and window of a cycle.
        seed, cycle: what randomness depends on, beside the image's name.
        centres: returns the mask in which random windows of a volume are centred.
    """
    scores = np.asarray(IMAGE_SELECTORS[definition["images"]].run(state, definition), np.float64)
    pool_rng = generator(seed, cycle)
    picked = rotate_images(scores, budget.images, state.openings, state.available, pool_rng)
    names = [state.images[i] for i in picked]
    weights = class_weights(state, definition) if records is not None else None
    held = {r.image: r for r in records(set(names))} if records is not None else {}
    groups, taken = by_image(rows), taken_of(history)
    choice = Choice([], [])
    for name in names:
        _fill(
            choice, groups[name], held.get(name), taken.get(name, ()), definition, budget, weights,
            generator(seed, cycle, name), cycle, centres,
        )  # fmt: skip
    return choice, scores


def _fill(
    choice: Choice,
    group: list[PoolRow],
    record: Record | None,
    taken: Any,
    definition: dict[str, Any],
    budget: Budget,
    weights: np.ndarray | None,
    rng: np.random.Generator,
    cycle: int,
    centres: Centres,
) -> None:
    row, selector = group[0], REGION_SELECTORS[definition["regions"]]
    select = selector.run
    if row.roi:
        rois = [r.roi for r in group]
        if record is not None and list(record.rois) != rois:
            raise ValueError(f"{row.image}: the prediction's RoIs are not those of the pool")
        held = tuple(i for i, roi in enumerate(rois) if roi in taken)
        task = RegionTask(
            record, (len(rois),), None, (), held, budget.regions, weights, options=definition
        )
        chosen = [
            _roi_row(cycle, row.image, rois[i], record, i, selector) for i in select(task, rng)
        ]
    else:
        window, note = clip_window(budget.window, row)
        if note:
            choice.reports.append(note)
        task = RegionTask(
            record, row.shape, row.axis, window, tuple(taken), budget.regions, weights,
            lambda: centres(row), definition,
        )  # fmt: skip
        kind = "window" if row.axis is None else "slice_window"
        chosen = [RegionRow.of(cycle, row.image, kind, r, 0) for r in select(task, rng)]
    if len(chosen) < budget.regions:
        choice.reports.append(
            f"{row.image}: {len(chosen)} of {budget.regions} regions placed, no more are free"
        )
    first = len(choice.rows)
    choice.rows.extend(replace(r, order=first + i) for i, r in enumerate(chosen))


def _roi_row(
    cycle: int, image: str, roi: str, record: Record | None, i: int, selector: Selector
) -> RegionRow:
    cls = score = None
    if record is not None and selector.by_class:
        cls = int(record.probabilities[i].argmax())
        score = float(record.probabilities[i, cls])
    elif record is not None and "uncertainty" in selector.needs:
        score = float(record.uncertainty[i])
    return RegionRow(cycle, image, "roi", *(None,) * 6, roi, cls, score, 0)


def clip_window(window: tuple[int, int], row: PoolRow) -> tuple[tuple[int, int], str]:
    """Return the window clipped to the image (its slices), and a note when it had to be."""
    plane = tuple(s for a, s in enumerate(row.shape) if a != row.axis)
    height, width = min(window[0], plane[0]), min(window[1], plane[1])
    if (height, width) == tuple(window):
        return (height, width), ""
    return (height, width), f"{row.image}: window {window} clipped to {(height, width)}"
