"""The human annotator: what the store knows of the regions of a run."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import file_name
from al.io.labels import UNKNOWN, label_suffix, read_label, write_label
from al.io.tables import LabelRow, RegionRow, read_pool
from al.paths import annotations_of, pool_of

from .assignment import Assignment, annotated_cycles, cycle_folder
from .simulated import relative
from .store import Store
from .targets import Target


@dataclass(frozen=True)
class People:
    """How far people are in a run.

    Attributes:
        run: its name.
        cycles: of the configuration.
        trained: cycles that they are through with, and that can be trained; 0 before the first.
        tested: whether there are labelled test images to score models on.
        waiting: what they are asked for, if regions are chosen that wait.
        left: regions of it that nobody has annotated.
        seconds: median time that a region took, if there were any.
    """

    run: str
    cycles: int
    trained: int
    tested: bool
    waiting: Assignment | None = None
    left: Sequence[Target] = ()
    seconds: float | None = None

    @property
    def asked(self) -> int | None:
        """The cycle whose regions they are asked for next; ``None`` after the last."""
        return self.trained + 1 if self.trained < self.cycles else None

    def told(self) -> list[str]:
        """Say who waits for whom, a line or none."""
        if not self.left:
            if self.waiting is None and self.asked is None:
                return [f"all {self.cycles} cycles are annotated; to go on, start with more"]
            if self.waiting is None:
                return []
            if not self.waiting.n:
                return ["nothing is left to choose: all of the pool is annotated"]
            return [
                f"cycle {self.waiting.cycle} of {self.cycles} is annotated: start the run again"
            ]
        images = len({target.region.image for target in self.left})
        time = "" if self.seconds is None else f", about {minutes(self.seconds * len(self.left))}"
        return [
            f"cycle {self.trained + 1} of {self.cycles}: {len(self.left)} regions in {images} "
            f"images wait for annotators{time}. To annotate: make annotate RUN={self.run}"
        ]


def minutes(seconds: float) -> str:
    """Return a time as people say it."""
    number = max(1, round(seconds / 60))
    return f"{number} minute{'s' * (number > 1)}"


def people_of(folder: Path, settings: Mapping[str, Any], main: bool) -> People | None:
    """Return how far people are in a run; ``None`` where annotators are simulated.

    Args:
        folder: ``results/{run}``.
        settings: its configuration.
        main: what people did since counts. In a job it does not: what it reads was there when it
            was planned.
    """
    if settings.get("annotator") != "human":
        return None
    pool = pool_of(folder, settings["seeds"][0])
    rows = read_pool(pool) if pool.exists() else []
    tested = any(row.split == "test" for row in rows)
    same = {"run": settings["run"], "cycles": settings["cycles"], "tested": tested}
    if not main:
        made = (cycle_folder(folder, settings, c + 1) for c in range(settings["cycles"]))
        scored = takewhile(lambda place: (place / "metrics.json").exists(), made)
        return People(trained=sum(1 for _ in scored), **same)
    store = store_of(settings["dataset"], settings["task"], settings["classes"])
    trained, asked = annotated_cycles(folder, settings, store, rows)
    left = asked.waiting(store) if asked else []
    seconds = store.median_seconds()
    return People(trained=trained, waiting=asked, left=left, seconds=seconds, **same)


def store_of(dataset: str, task: str, classes: Sequence[str]) -> Store:
    """Open the annotations of a dataset, beside ``results/``. Raises DataError."""
    return Store(annotations_of(dataset), task, classes)


def annotated(assignment: Assignment, store: Store) -> list[RegionRow]:
    """Return the regions of a cycle, those that were skipped and what took their place included.

    Raises:
        DataError: some wait for annotators.
    """
    if waiting := assignment.waiting(store):
        raise DataError(
            f"cycle {assignment.cycle}: {len(waiting)} of {assignment.n} regions wait for "
            f"annotators; to do: make annotate RUN={assignment.run}"
        )
    active = assignment.active(store)
    return [replace(target.region, order=i) for i, target in enumerate(active)]


def reveal(
    targets: Sequence[Target],
    before: Sequence[LabelRow],
    folder: Path,
    store: Store,
) -> tuple[list[LabelRow], dict[str, int]]:
    """Write what the store knows of all regions of a run on top of what was known before.

    Writes a label file per image that changed into ``folder`` (uint8, 255 where nothing is known).

    Args:
        targets: all regions of the run so far.
        before: where labels were after the cycle before.
        folder: ``labels/`` of the cycle.
        store: of the dataset.

    Returns:
        Where the labels of every image are, paths relative to ``folder``'s parent; by image,
        how many pixels (RoIs) have another class than before.
    """
    by_name: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        by_name[target.region.image].append(target)
    held = {(r.image, r.roi): relative(r, folder.parent) for r in before}
    corrected: dict[str, int] = {}
    for group in (by_name[name] for name in sorted(by_name)):
        look = _rois if group[0].row.roi else _map
        for row, changed in look(group, held, folder, store):
            if changed:
                corrected[row.image] = corrected.get(row.image, 0) + changed
            held[row.image, row.roi] = row
    return [held[key] for key in sorted(held)], corrected


def _map(
    group: Sequence[Target], held: dict[tuple[str, str], LabelRow], folder: Path, store: Store
) -> list[tuple[LabelRow, int]]:
    row = group[0].row
    old = held.get((row.image, ""))
    if old is None:
        before = np.full(row.shape, UNKNOWN, np.uint8)
    else:
        before = read_label(os.path.normpath(folder.parent / old.path), row.shape)
    labels = before.copy()
    for target in group:
        known, covered = store.known(target)
        mask = target.mask()
        at = target.region.region.slices
        labels[at] = np.where(covered if mask is None else covered & mask, known, labels[at])
    if old is not None and np.array_equal(labels, before):
        return []
    file = folder / (file_name(row.image) + label_suffix(labels.ndim))
    write_label(file, labels)
    changed = int(((labels != before) & (before != UNKNOWN)).sum())
    return [(LabelRow(row.image, "", os.path.relpath(file, folder.parent), None), changed)]


def _rois(
    group: Sequence[Target], held: dict[tuple[str, str], LabelRow], folder: Path, store: Store
) -> list[tuple[LabelRow, int]]:
    found = []
    for row, label in ((target.row, store.label(target)) for target in group):
        if label is not None:
            old = held.get((row.image, row.roi))
            new = LabelRow(row.image, row.roi, "", label)
            found.append((new, int(old is not None and old.label != label)))
    return found
