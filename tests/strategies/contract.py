"""What every strategy must keep to, for every task it supports; the suite runs over all entries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from glue.pool import by_image, openings, taken_of
from glue.records import Record
from glue.tables import PoolRow, RegionRow
from strategies import IMAGE_SELECTORS, REGION_SELECTORS
from strategies.choose import Budget, Choice, choose, pool_state

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ENTRIES = yaml.safe_load((ROOT / "config/strategies.yaml").read_text())
CLASSES = ("sky", "road", "sign", "rider")
TAU = 0.7


def definition(name: str) -> dict[str, Any]:
    """Return an entry of strategies.yaml with its defaults."""
    return {**CONFIG["decomp"], **ENTRIES[name]}


def supported() -> list[tuple[str, str]]:
    """Return every (strategy, task) that config/strategies.yaml and the registry allow."""
    return [
        (name, task)
        for name, entry in ENTRIES.items()
        for task in ("2d", "3d", "roi")
        if task in IMAGE_SELECTORS[entry["images"]].tasks & REGION_SELECTORS[entry["regions"]].tasks
    ]


@dataclass
class World:
    """A small pool with predictions made from a seed, and cycles played on it."""

    task: str
    rows: list[PoolRow]
    maps: dict[str, np.ndarray]
    uncertainty: dict[str, np.ndarray]

    @classmethod
    def make(cls, task: str, seed: int = 0, n: int = 7, flat: bool = False) -> World:
        """Draw a pool; ``flat``: one class everywhere and equal uncertainty."""
        rng = np.random.default_rng(seed)
        rows, maps, uncertainty = [], {}, {}
        for i in range(n):
            name = f"image{i:02d}"
            if task == "roi":
                m = int(rng.integers(2, 9))
                rows += [PoolRow(name, f"r{j}", "train", "", "", (8, 8)) for j in range(m)]
                p = rng.dirichlet(np.full(len(CLASSES), 0.4), m).astype(np.float32)
                if flat:
                    p[:] = np.eye(len(CLASSES), dtype=np.float32)[1]
                maps[name] = p
                safe = np.maximum(p, 1e-9)
                uncertainty[name] = -(p * np.log(safe)).sum(1) / np.log(len(CLASSES))
                continue
            shape = (30, 40) if task == "2d" else (5, 20, 24)
            shape = tuple(s + int(rng.integers(0, 4)) for s in shape)
            rows.append(PoolRow(name, "", "train", "", "", shape, None if task == "2d" else 0))
            blocks = rng.integers(0, len(CLASSES), [-(-s // 5) for s in shape])
            full = blocks.repeat(5, -1).repeat(5, -2)
            full = full.repeat(5, 0) if task == "3d" else full
            labels = full[tuple(slice(0, s) for s in shape)].astype(np.uint8)
            maps[name] = np.ones_like(labels) if flat else labels
            noise = rng.integers(0, 256, shape, dtype=np.uint8)
            uncertainty[name] = np.full(shape, 9, np.uint8) if flat else noise
        return cls(task, rows, maps, uncertainty)

    def records(self, history: list[RegionRow]) -> dict[str, Record]:
        """Return predictions whose counts leave out what is annotated."""
        taken, out = taken_of(history), {}
        for name, group in by_image(self.rows).items():
            if self.task == "roi":
                p = self.maps[name]
                free = np.array([r.roi not in taken.get(name, ()) for r in group])
                labels, confidence = p.argmax(1), p.max(1)
            else:
                labels = self.maps[name]
                free = np.ones(labels.shape, bool)
                for region in taken.get(name, ()):
                    free[
                        tuple(
                            slice(s, s + n) for s, n in zip(region.start, region.size, strict=True)
                        )
                    ] = False
                confidence = 1 - self.uncertainty[name] / 255
            n = len(CLASSES)
            predicted = np.bincount(labels[free], minlength=n)[:n]
            confident = np.bincount(labels[free & (confidence > TAU)], minlength=n)[:n]
            mean = float(self.uncertainty[name][free].mean()) if free.any() else 0.0
            roi = self.task == "roi"
            out[name] = Record(
                name,
                int(free.sum()),
                predicted,
                confident[None],
                mean,
                labels=None if roi else labels,
                uncertainty=self.uncertainty[name],
                probabilities=self.maps[name] if roi else None,
                rois=tuple(r.roi for r in group) if roi else (),
            )
        return out

    def cycle(
        self,
        entry: dict[str, Any],
        history: list[RegionRow],
        cycle: int,
        budget: Budget,
        seed: int = 3,
    ) -> Choice:
        """Choose one cycle's regions."""
        records = self.records(history)
        statistics = {
            k: (r.unlabelled, r.predicted, r.confident[0], r.mean_uncertainty)
            for k, r in records.items()
        }
        state = pool_state(self.rows, history, statistics, self.task, CLASSES, budget.window)
        choice, _ = choose(
            state, self.rows, history, lambda names: [records[n] for n in sorted(names)],
            entry, budget, seed, cycle,
        )  # fmt: skip
        return choice

    def play(
        self, entry: dict[str, Any], cycles: int, budget: Budget, seed: int = 3
    ) -> list[RegionRow]:
        """Choose several cycles, each knowing those before."""
        history: list[RegionRow] = []
        for cycle in range(2, cycles + 2):
            history += self.cycle(entry, history, cycle, budget, seed).rows
        return history

    def renamed(self, names: dict[str, str]) -> World:
        """Return the same pool under other names."""
        return World(
            self.task,
            [replace(r, image=names[r.image]) for r in self.rows],
            {names[k]: v for k, v in self.maps.items()},
            {names[k]: v for k, v in self.uncertainty.items()},
        )


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
            ends = [s + n for s, n in zip(region.start, region.size, strict=True)]
            assert all(s >= 0 for s in region.start)
            assert all(e <= size for e, size in zip(ends, shape, strict=True))
            covered[tuple(slice(s, e) for s, e in zip(region.start, ends, strict=True))] += 1
        assert covered.max() == 1


def check_rotation(world: World, history: list[RegionRow], cycles: int) -> None:
    """No image is opened twice before every image with something left was opened once."""
    for cycle in range(3, cycles + 2):
        before = openings(r for r in history if r.cycle < cycle)
        after = openings(r for r in history if r.cycle <= cycle)
        counts = [after[image] for image in by_image(world.rows)]
        if max(counts) - min(counts) > 1:
            exhausted = [i for i in by_image(world.rows) if after[i] == min(counts)]
            assert all(before[i] == after[i] for i in exhausted)
