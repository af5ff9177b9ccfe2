"""What every strategy must keep to, for every task it supports; the suite runs over all entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from al.io.pool import by_image, openings, taken_of
from al.io.records import Record
from al.io.tables import PoolRow, RegionRow
from al.strategies import STARTS, needs_of, resolve
from al.strategies.batch import Candidates
from al.strategies.budget import Budget
from al.strategies.choose import Choice, Query, choose, propose
from al.strategies.definitions import parts_of
from al.strategies.offer import Offer
from al.strategies.patches import find_patches
from al.strategies.validation import in_parts
from decomp_core import Region

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ENTRIES = yaml.safe_load((ROOT / "config/strategies.yaml").read_text())
ENTRIES["diverse"] = STARTS["diverse"]
CLASSES = ("sky", "road", "sign", "rider")
TAU = 0.7
RANDOM = {"images": "random", "regions": "random", "spread": 1}


def definition(name: str) -> dict[str, Any]:
    """Return an entry of strategies.yaml with its defaults."""
    return resolve(name, ENTRIES[name], CONFIG)


def supported(*tasks: str) -> list[tuple[str, str]]:
    """Return every (strategy, task) that config/strategies.yaml and the registry allow."""
    return [
        (name, task)
        for name, entry in ENTRIES.items()
        for task in tasks or ("2d", "3d", "roi")
        if all(task in part.tasks for part in parts_of(entry))
    ]


def pairs() -> list[tuple[str, str]]:
    """Return (strategy, task) of the first entry of each combination of selectors."""
    first: dict[tuple, str] = {}
    for name, entry in ENTRIES.items():
        parts = [entry.get(key) for key in ("images", "regions", "pool")]
        first.setdefault((*parts, entry.get("strata", True)), name)
    return [(name, task) for name, task in supported() if name in first.values()]


@dataclass
class World:
    """A small pool with predictions made from a seed, and cycles played on it.

    Attributes:
        maps: pseudo-labels (RoIs: probabilities) by image.
        uncertainty: uint8 maps (RoIs: 0..1) by image.
        truth: labels by image; asking for them is a mistake of most strategies.
        order: seed of the order in which files and their rows come; -1: sorted.
        offer: which regions may be chosen.
    """

    task: str
    rows: list[PoolRow]
    maps: dict[str, np.ndarray]
    uncertainty: dict[str, np.ndarray]
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    order: int = -1
    offer: Offer = field(default_factory=Offer)

    @classmethod
    def make(
        cls, task: str, seed: int = 0, n: int = 7, flat: bool = False, classes: int = len(CLASSES)
    ) -> World:
        """Draw a pool; ``flat``: one class everywhere and equal uncertainty."""
        rng = np.random.default_rng(seed)
        world = cls(task, [], {}, {})
        for i in range(n):
            name = f"image{i:02d}"
            if task == "roi":
                world._add_rois(name, rng, flat, classes)
                continue
            shape = (30, 40) if task == "2d" else (5, 20, 24)
            shape = tuple(s + int(rng.integers(0, 4)) for s in shape)
            world.rows.append(
                PoolRow(name, "", "train", "", "", shape, None if task == "2d" else 0)
            )
            labels, world.truth[name] = (_blocks(shape, classes, rng) for _ in range(2))
            world.maps[name] = np.ones_like(labels) if flat else labels
            noise = rng.integers(0, 256, shape, dtype=np.uint8)
            world.uncertainty[name] = np.full(shape, 9, np.uint8) if flat else noise
        return world

    def _add_rois(self, name: str, rng: np.random.Generator, flat: bool, classes: int) -> None:
        m = int(rng.integers(2, 9))
        self.rows += [PoolRow(name, f"r{j}", "train", "", "", (8, 8)) for j in range(m)]
        p = np.zeros((m, len(CLASSES)), np.float32)
        p[:, :classes] = rng.dirichlet(np.full(classes, 0.4), m)
        if flat:
            p[:] = np.eye(len(CLASSES), dtype=np.float32)[1]
        self.maps[name] = p
        self.uncertainty[name] = -(p * np.log(np.maximum(p, 1e-9))).sum(1) / np.log(len(CLASSES))

    def probabilities(self, name: str) -> np.ndarray:
        """Return (C, *S) float32 that agree with labels and uncertainty."""
        labels, u = self.maps[name], self.uncertainty[name] / np.float32(255)
        others = 0.6 * u / (len(CLASSES) - 1)
        p = np.broadcast_to(others, (len(CLASSES), *labels.shape)).astype(np.float32)
        np.put_along_axis(p, labels[None].astype(np.int64), (1 - 0.6 * u)[None], axis=0)
        return p

    def hide_truth(self) -> None:
        """Make the truth void but for a corner: everywhere in the first image, not in the last."""
        first, *others, _ = self.truth
        for name in (first, *others):
            corner = tuple(slice(n // 2 - 3, n // 2) for n in self.truth[name].shape)
            mask = np.zeros(self.truth[name].shape, bool)
            mask[corner] = name != first
            self.truth[name] = np.where(mask, self.truth[name], np.uint8(255))
        masks = {name: self.truth[name] != 255 for name in (first, *others)}
        void = {name: int((~mask).sum()) for name, mask in masks.items()}
        masks.pop(first)  # to be asked for what is known is a mistake
        self.offer = Offer(void, lambda row: masks[row.image])

    def records(self, history: list[RegionRow]) -> dict[str, Record]:
        """Return predictions whose counts leave out what is annotated."""
        taken, out = taken_of(history), {}
        roi, n = self.task == "roi", len(CLASSES)
        for name, group in by_image(self.rows).items():
            if roi:
                p = self.maps[name]
                free = np.array([r.roi not in taken.get(name, ()) for r in group])
                labels, confidence = p.argmax(1), p.max(1)
            else:
                labels, free = self.maps[name], np.ones(self.maps[name].shape, bool)
                for region in taken.get(name, ()):
                    free[region.slices] = False
                confidence = 1 - self.uncertainty[name] / 255
            mean = float(self.uncertainty[name][free].mean()) if free.any() else 0.0
            out[name] = Record(
                name,
                int(free.sum()),
                np.bincount(labels[free], minlength=n)[:n],
                np.bincount(labels[free & (confidence > TAU)], minlength=n)[:n][None],
                mean,
                labels=None if roi else labels,
                uncertainty=self.uncertainty[name],
                probabilities=self.maps[name] if roi else None,
                rois=tuple(r.roi for r in group) if roi else (),
            )
        return out

    def query(
        self,
        entry: dict[str, Any],
        history: list[RegionRow],
        cycle: int,
        budget: Budget,
        seed: int = 3,
    ) -> Query:
        """Return the question of a cycle, holding what the strategy declared and nothing else."""
        needs, records = needs_of(entry), self.records(history)
        query = Query(
            self._shuffled(self.rows), history, entry, budget, self.task, CLASSES, 0, seed, cycle
        )
        query = replace(query, offer=self.offer)
        if "statistics" in needs:
            statistics = {
                k: (r.unlabelled, r.predicted, r.confident[0], r.mean_uncertainty)
                for k, r in records.items()
            }
            query = replace(query, statistics=statistics)
        if needs & {"labels", "uncertainty"}:
            hidden = {"labels", "uncertainty"} - needs
            found = {k: replace(r, **dict.fromkeys(hidden)) for k, r in records.items()}
            query = replace(query, records=lambda names: self._some(found, names))
        if "images" in needs:
            query = replace(query, pixels=self._pixels)
        if "truth" in needs:
            query = replace(query, truth=lambda row: self.truth[row.image])
        if "patches" in needs:
            query = replace(query, patches=self._patches(query))
        if "features" in needs:
            query = replace(query, candidates=self._candidates(query))
        return query

    def _pixels(self, row: PoolRow) -> np.ndarray:
        """Return an image whose brightness goes with its labels (RoIs: the probabilities)."""
        if self.task == "roi":
            place = [r.roi for r in by_image(self.rows)[row.image]].index(row.roi)
            shades = np.tile(self.maps[row.image][place], (len(CLASSES), 1)) * 255
        else:
            shades = self.maps[row.image] * 60.0
        return shades if self.task == "3d" else np.repeat(shades.astype(np.uint8)[..., None], 3, 2)

    def _shuffled(self, items: Iterable[Any]) -> list[Any]:
        items = list(items)
        if self.order < 0:
            return items
        return [items[i] for i in np.random.default_rng(self.order).permutation(len(items))]

    def _some(self, records: dict[str, Record], names: set[str] | None) -> Iterator[Record]:
        wanted = records if names is None else names
        return (records[n] for n in self._shuffled(sorted(wanted)))

    def _patches(self, query: Query) -> list[RegionRow]:
        rows = [group[0] for group in query.groups.values()]
        return [
            patch
            for row in self._shuffled(rows)
            for patch in find_patches(
                query,
                row,
                self.probabilities(row.image),
                self.uncertainty[row.image].astype(np.float32)
                if "ensemble" in needs_of(query.definition)
                else None,
            )
        ]

    def _candidates(self, query: Query) -> Candidates:
        ((_, proposed),) = in_parts(propose, query)
        rows = proposed.rows
        found = [self._feature(query, r) for r in rows]
        features = np.array(found, np.float32).reshape(len(rows), len(found[0]) if found else 1)
        residuals = None
        if "residuals" in needs_of(query.definition):
            residuals = features[:, : len(CLASSES)] - np.float32(0.25)
        return Candidates(rows, features, residuals, None, query.definition)

    def _feature(self, query: Query, row: RegionRow) -> np.ndarray:
        if row.kind == "roi":
            place = [r.roi for r in query.groups[row.image]].index(row.roi)
            return self.maps[row.image][place]
        at = row.region.slices
        share = np.bincount(self.maps[row.image][at].ravel(), minlength=len(CLASSES))
        return np.append(share, self.uncertainty[row.image][at].std()) / share.sum()

    def cycle(
        self,
        entry: dict[str, Any],
        history: list[RegionRow],
        cycle: int,
        budget: Budget,
        seed: int = 3,
    ) -> Choice:
        """Choose one cycle's regions."""
        ((_, choice),) = in_parts(choose, self.query(entry, history, cycle, budget, seed))
        return choice

    def play(
        self, entry: dict[str, Any], cycles: int, budget: Budget, seed: int = 3
    ) -> list[RegionRow]:
        """Choose a random cycle 1 and ``cycles`` further ones, each knowing those before."""
        history = self.cycle(RANDOM, [], 1, budget, seed).rows
        for cycle in range(2, cycles + 2):
            history = history + self.cycle(entry, history, cycle, budget, seed).rows
        return history

    def renamed(self, names: dict[str, str]) -> World:
        """Return the same pool under other names."""
        return World(
            self.task,
            [replace(r, image=names[r.image]) for r in self.rows],
            *({names[k]: v for k, v in held.items()} for held in (self.maps, self.uncertainty)),
        )


def _blocks(shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> np.ndarray:
    blocks = rng.integers(0, classes, [-(-s // 5) for s in shape])
    full = blocks.repeat(5, -1).repeat(5, -2)
    full = full.repeat(5, 0) if len(shape) == 3 else full
    return full[tuple(slice(0, s) for s in shape)].astype(np.uint8)


def has_room(
    world: World, history: list[RegionRow], image: str, size: tuple[int, ...] | None = None
) -> bool:
    """Whether a box (a window of 6 x 7, a RoI) is offered, by looking at every position."""
    taken, group = taken_of(history).get(image, ()), by_image(world.rows)[image]
    if world.task == "roi":
        return len(taken) < len(group)
    size = size or ((6, 7) if world.task == "2d" else (1, 6, 7))
    starts = np.ndindex(*(n - k + 1 for n, k in zip(group[0].shape, size, strict=True)))
    boxes = [Region(start, size) for start in starts]
    if image in world.offer.void:
        boxes = [box for box in boxes if (world.truth[image][box.slices] != 255).any()]
    return any(not any(box.overlaps(r) for r in taken) for box in boxes)


def check_valid(world: World, history: list[RegionRow]) -> None:
    """Inside the image, unique, never overlapping anything annotated before."""
    groups = by_image(world.rows)
    if world.task == "roi":
        keys = [(r.image, r.roi) for r in history]
        assert len(set(keys)) == len(keys)
        assert set(keys) <= {(r.image, r.roi) for r in world.rows}
        return
    for image in {r.image for r in history}:
        shape = groups[image][0].shape
        covered = np.zeros(shape, int)
        for region in (r.region for r in history if r.image == image):
            assert all(e <= size for e, size in zip(region.stop, shape, strict=True))
            covered[region.slices] += 1
        assert covered.max() == 1


def check_rotation(world: World, history: list[RegionRow], cycles: int) -> None:
    """No image is opened again while one with room for a region has been opened less often."""
    for cycle in range(2, cycles + 2):
        earlier = [r for r in history if r.cycle < cycle]
        before = openings(earlier)
        opened = {r.image for r in history if r.cycle == cycle}
        left = [i for i in by_image(world.rows) if i not in opened and has_room(world, earlier, i)]
        if opened and left:
            assert max(before[i] for i in opened) <= min(before[i] for i in left)
