"""The cycle of a run that waits for people: which regions it asks for, and what is left of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from al.io.arrays import read_arrays
from al.io.errors import DataError
from al.io.fingerprints import sums_of
from al.io.pool import by_image
from al.io.tables import PoolRow, RegionRow, read_pool, read_regions
from al.paths import CHOSEN, DATA, PROPOSALS, SPARES, Place, pool_of

from .store import Store
from .targets import OPEN, SKIPPED, Target

Sums = Callable[[str], str]
LABELLED = "labelled"  # the word of `initial` for what is labelled already
REVEALED = "labels.csv"  # a cycle that has it is closed
# Keys of the configuration that an assignment depends on
ABOUT = ("run", "dataset", "task", "classes", "background", "footprint", "initial")


@dataclass(frozen=True)
class Assignment:
    """What a cycle asks people for.

    Attributes:
        run, dataset, task: of the configuration.
        classes: names, in index order.
        background: index of the background class, if there is one.
        cycle, cycles: which of how many.
        targets: regions that were chosen, then those that take the place of skipped ones; the
            ``order`` of each is its position.
        n: how many were chosen.
        proposals: file of what the model makes of them; ``None`` where there was no model.
        labelled: the dataset's own labels are taken, nobody is asked.
    """

    run: str
    dataset: str
    task: str
    classes: Sequence[str]
    background: int | None
    cycle: int
    cycles: int
    targets: Sequence[Target]
    n: int
    proposals: Path | None = None
    labelled: bool = False

    def active(self, store: Store) -> list[Target]:
        """Return the regions of the cycle: those chosen, and a spare for each that was skipped.

        Where the same image has a spare left it is that one.
        """
        active, spares = list(self.targets[: self.n]), list(self.targets[self.n :])
        # In the order of the log, so that what took a place keeps it.
        events = ((event, t) for t in self.targets for event in store.history_of(t))
        skips = [(event.number, t) for event, t in events if event.action == SKIPPED]
        first: dict[str, tuple[int, Target]] = {}
        for number, target in sorted(skips, key=lambda skip: skip[0]):
            first.setdefault(target.key, (number, target))
        for number, skipped in first.values():
            gone = skipped in active
            while gone and spares:
                same = [t for t in spares if t.region.image == skipped.region.image]
                active.append((same or spares)[0])
                spares.remove(active[-1])
                # Before it was asked for, in another run
                gone = first.get(active[-1].key, (number,))[0] < number
        return active

    def waiting(self, store: Store) -> list[Target]:
        """Return the regions that nobody has annotated or skipped."""
        if self.labelled:
            return []
        return [target for target in self.active(store) if store.state(target) == OPEN]

    def proposal(self, target: Target) -> np.ndarray | None:
        """Return what the model makes of a region; ``None`` where there was no model.

        uint8 labels of its box; of a RoI (C,) float32 probabilities. Raises DataError.
        """
        if self.proposals is None or not self.proposals.exists():
            return None
        pixels = sum(math.prod(t.shape) for t in self.targets)
        most = 4 * len(self.classes) * len(self.targets) if target.row.roi else pixels
        return read_arrays(self.proposals, most).get(str(target.region.order))


def targets_of(
    regions: Sequence[RegionRow], pool: Sequence[PoolRow], footprint: str, sums: Sums
) -> list[Target]:
    """Return regions as targets.

    Args:
        regions: of a run.
        pool: rows of the run.
        footprint: shape of its windows.
        sums: gives the SHA-256 of a file by its path.

    Raises:
        DataError: a region of no image of the pool, or a file that cannot be read.
    """
    groups = by_image(pool)
    found = []
    for region in regions:
        rows = [r for r in groups.get(region.image, ()) if r.roi == region.roi]
        if not rows:
            raise DataError(f"region in {region.image!r}: not in the pool of the run")
        found.append(Target(region, rows[0], footprint, sums(rows[0].path)))
    return found


def cycle_folder(folder: Path, settings: Mapping[str, Any], cycle: int) -> Path:
    """Return the folder of a cycle of a human run, which has one budget, strategy and seed."""
    budget, strategy, seed = (settings[k][0] for k in ("budget", "strategies", "seeds"))
    return folder / Place.of(budget, strategy, seed, cycle).path


def assignment_in(
    place: Path, pool: Sequence[PoolRow], about: Mapping[str, Any], cycle: int, sums: Sums
) -> Assignment:
    """Return what a cycle asks for. Raises DataError where its files are damaged.

    Args:
        place: its folder, in which regions are chosen.
        pool: rows of the run.
        about: ``ABOUT`` of the configuration, and ``cycles`` where it is to be shown.
        cycle: from 1.
        sums: as of ``targets_of``.
    """
    chosen, spares = read_regions(place / CHOSEN), read_regions(place / SPARES)
    regions = [replace(r, order=i) for i, r in enumerate([*chosen, *spares])]
    return Assignment(
        **{key: about[key] for key in ("run", "dataset", "task", "classes", "background")},
        cycle=cycle,
        cycles=about.get("cycles", cycle),
        targets=targets_of(regions, pool, about["footprint"], sums),
        n=len(chosen),
        proposals=place / PROPOSALS,
        labelled=cycle == 1 and about["initial"] == LABELLED,
    )


def assignment_at(
    folder: Path, settings: Mapping[str, Any], cycle: int, pool: Sequence[PoolRow] | None = None
) -> Assignment:
    """Return what a cycle of the run in ``results/{run}`` asks for, as ``assignment_in``.

    ``pool``: rows of the run, where they are read already.
    """
    if pool is None:
        pool = read_pool(pool_of(folder, settings["seeds"][0]), "train", "val")
    place, sums = cycle_folder(folder, settings, cycle), sums_in(folder, settings)
    return assignment_in(place, pool, settings, cycle, sums)


def sums_in(folder: Path, settings: Mapping[str, Any]) -> Sums:
    """Return what gives the SHA-256 of the files of a run, as it was last started."""
    return sums_of(folder / DATA, Path(settings["data_root"]))


def annotated_cycles(
    folder: Path, settings: Mapping[str, Any], store: Store, pool: Sequence[PoolRow]
) -> tuple[int, Assignment | None]:
    """Return how many cycles people are through with, and what the open one asks for.

    Args:
        folder: ``results/{run}``.
        settings: its configuration.
        store: of the dataset.
        pool: rows of the run.
    """
    done, first = 0, None
    for cycle in range(1, settings["cycles"] + 1):
        place = cycle_folder(folder, settings, cycle)
        if not (place / REVEALED).exists():
            labelled = cycle == 1 and settings["initial"] == LABELLED
            if (place / CHOSEN).exists():
                asked = assignment_at(folder, settings, cycle, pool)
                first = first or asked
                # Nothing is left, or somebody is needed
                if not labelled and (not asked.n or asked.waiting(store)):
                    break
            elif not labelled:
                break
        done = cycle
    return done, first


def open_cycle(folder: Path, settings: Mapping[str, Any]) -> int | None:
    """Return the first cycle whose regions are chosen and that is not closed, if there is one."""
    for cycle in range(1, settings["cycles"] + 1):
        place = cycle_folder(folder, settings, cycle)
        if not (place / REVEALED).exists():
            return cycle if (place / CHOSEN).exists() else None
    return None


def review_of(folder: Path, settings: Mapping[str, Any]) -> Assignment:
    """Return all regions of the cycles that are closed, to be looked at again.

    Raises:
        DataError: there is none.
    """
    last = max(
        (
            cycle
            for cycle in range(1, settings["cycles"] + 1)
            if (cycle_folder(folder, settings, cycle) / REVEALED).exists()
        ),
        default=0,
    )
    if not last:
        raise DataError(f"{folder}: no cycle is annotated yet, so that there is nothing to review")
    rows = read_regions(cycle_folder(folder, settings, last) / "history.csv")
    if settings["initial"] == LABELLED:  # what the dataset brought along nobody has drawn
        rows = [row for row in rows if row.cycle > 1]
    regions = [replace(row, order=i) for i, row in enumerate(rows)]
    pool = read_pool(pool_of(folder, settings["seeds"][0]), "train", "val")
    return Assignment(
        **{key: settings[key] for key in ("run", "dataset", "task", "classes", "background")},
        cycle=last,
        cycles=settings["cycles"],
        targets=targets_of(regions, pool, settings["footprint"], sums_in(folder, settings)),
        n=len(regions),
    )
