"""A run's folder as the workflow leaves it, with scores made up and pictures that are real."""

from __future__ import annotations

import csv
import html
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from al.cli import report
from al.config.settings import load_settings, save_settings
from al.generators import generate
from al.io.files import write_json
from al.io.images_csv import write_statistics
from al.io.labels import UNKNOWN
from al.io.pool import assign_splits, by_image, taken_of
from al.io.records import Record
from al.io.tables import PoolRow, RegionRow, write_pool, write_regions
from al.layouts import get_layout
from al.paths import EXAMPLES, ROOT
from al.report.gather import read_run
from al.report.look import PREDICTIONS
from al.report.running import page_of
from al.scoring.cases import DICE, F1, IOU, Cases, write_metrics
from al.scoring.costs import count_truth
from al.scoring.examples import Examples
from al.scoring.scores import groups_of
from al.strategies import needs_of
from al.strategies.budget import validation_images
from decomp_core import random_regions
from tests.journal_files import add_attempt

SIZES = {
    "cityscapes_mini": {"train": 6, "val": 3, "height": 64, "width": 96},
    "bracs_mini": {"train": 6, "val": 4, "test": 4},
    "kits23_mini": {"cases": 6, "depth": 8, "side": 32},
}
SCORES = {"2d": ("mIoU", IOU), "roi": ("weighted F1", F1), "3d": ("mean Dice", DICE)}
SPEED = {"random": 0.18, "uncertainty": 0.3, "decomp": 0.5}
PIXELS = 400  # of a class in a test image, made up


class Where(NamedTuple):
    """Which result it is; references have no budget and cycle 0."""

    budget: str
    strategy: str
    seed: int
    cycle: int

    @property
    def folder(self) -> str:
        """Its folder in ``results/{run}`` and ``benchmarks/{run}``."""
        if not self.cycle:
            return f"references/{self.strategy}/seed-{self.seed}"
        return f"{self.budget}/{self.strategy}/seed-{self.seed}/cycle-{self.cycle:03d}"


def quality(where: Where) -> float:
    """Score aimed at: full annotation has 0.8; ``decomp`` gets near it first, ``random`` never."""
    noise = 0.01 * np.random.default_rng([*where.strategy.encode(), *where[2:]]).normal()
    if not where.cycle:
        return 0.8 + noise
    top = 0.6 if where.strategy == "random" else 0.8
    return top - (top - 0.35) * np.exp(-2 * SPEED.get(where.strategy, 0.4) * (where.cycle - 1))


@dataclass
class RunFiles:
    """Writes one run below ``folder``: ``results/{run}`` and ``benchmarks/{run}``.

    A result that is not ``there`` has no file at all. ``rows`` is the pool as the first seed sees
    it.
    """

    folder: Path
    settings: dict[str, Any]
    there: Callable[[Where], bool] = lambda where: True
    rows: list[PoolRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.results = self.folder / "results" / self.settings["run"]
        self.benchmarks = self.folder / "benchmarks" / self.settings["run"]
        self.report = self.results / "report"

    def write(self) -> RunFiles:
        """Write all of it."""
        s = self.settings
        self.results.mkdir(parents=True)
        save_settings(s, self.results / "config.yaml")
        self.layout = get_layout(s["layout"], s["layout_options"], s["classes"])
        pool = self.layout.index(Path(s["data_root"]))
        write_pool(self.results / "pool.csv", pool)
        splits = ["train", "val"] if s["validation_images"] else ["train"]
        truth: dict[str, list[int]] = {}
        for seed in s["seeds"]:
            rows = assign_splits(pool, s["split"], seed)
            write_pool(self.results / f"pools/seed-{seed}.csv", rows)
            self.rows = self.rows or rows
            left = [r for r in rows if r.split in splits and r.image not in truth]
            truth |= count_truth(self.layout, left, len(s["classes"]))
            self._seed(seed, by_image(r for r in rows if r.split in splits), rows)
        write_json(self.results / "truth.json", truth)
        return self

    @property
    def _share(self) -> str:
        return "rois_percent" if self.settings["task"] == "roi" else "area_percent"

    def _seed(self, seed: int, images: dict[str, list[PoolRow]], rows: list[PoolRow]) -> None:
        s = self.settings
        tested = [r for r in rows if r.split == "test"]
        for name in s["references"]:
            where = Where("", name, seed, 0)
            if self.there(where):
                costs = {"images": len(images), "regions": 0}
                shares = ("images_percent", self._share, "foreground_percent")
                self._result(where, tested, costs | dict.fromkeys(shares, 100.0), {})
        for budget in s["budget"] if s["strategies"] else []:
            first = self._chosen(Where(budget, "initial", seed, 1), images, [])
            self._cycle(Where(budget, "initial", seed, 1), first, images, tested)
            for name in s["strategies"]:
                history = list(first)
                for cycle in range(2, s["cycles"] + 1):
                    where = Where(budget, name, seed, cycle)
                    history += self._chosen(where, images, history)
                    self._cycle(where, history, images, tested)

    def _chosen(
        self, where: Where, images: dict[str, list[PoolRow]], history: Sequence[RegionRow]
    ) -> list[RegionRow]:
        """Places drawn at random, none twice; of validation images as many as are asked for."""
        rng = np.random.default_rng([*where.budget.encode(), *where.strategy.encode(), *where[2:]])
        n_images, n_regions = map(int, where.budget.split("x"))
        wanted = validation_images(self.settings["validation_images"], n_images)
        found: list[RegionRow] = []
        for split, count in (("train", n_images), ("val", wanted)):
            names = [n for n, own in images.items() if own[0].split == split]
            for image in rng.permutation(names)[:count]:
                own, taken = images[image], taken_of(history).get(image, ())
                if own[0].roi:
                    free = rng.permutation([r.roi for r in own if r.roi not in taken])
                    of_roi = (where.cycle, image, "roi", *(None,) * 6)
                    rows = [RegionRow(*of_roi, str(r), None, 0.5, 0) for r in free[:n_regions]]
                else:
                    shape, axis = tuple(self.settings["region"]), own[0].axis
                    kind = "window" if axis is None else "slice_window"
                    drawn = random_regions(own[0].shape, n_regions, shape, rng, taken, axis=axis)
                    rows = [RegionRow.of(where.cycle, image, kind, r, 0) for r in drawn]
                for order, row in enumerate(rows):
                    cls = None if where.cycle == 1 or where.strategy == "random" else order % 3
                    found.append(replace(row, cls=cls, order=order))
        return found

    def _cycle(
        self,
        where: Where,
        history: list[RegionRow],
        images: dict[str, list[PoolRow]],
        tested: list[PoolRow],
    ) -> None:
        if not self.there(where):
            return
        s, folder = self.settings, self.results / where.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_regions(folder / "history.csv", history)
        self._result(where, tested, *self._costs(history, images))
        of = s["strategies"] if where.cycle == 1 else [where.strategy]
        read = any(needs_of(s["definitions"][n]) & PREDICTIONS for n in of)
        if read and where.cycle < s["cycles"]:
            self._statistics(where, images, folder / "images.csv")
            self._benchmark(where, "predict")
        self._benchmark(where, "train", "evaluate", *["select"] * (where.cycle > 1))

    def _costs(
        self, history: list[RegionRow], images: dict[str, list[PoolRow]]
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """Costs that grow with the regions; shares of the classes, made up."""
        s, opened = self.settings, {r.image for r in history}
        share = 100 * len(history) / (1000 + len(history))
        costs = {"images": len(opened), "images_percent": 100 * len(opened) / len(images)}
        costs |= {"regions": len(history), self._share: share}
        costs["foreground_percent"] = None if s["background"] is None else 2 * share
        if s["validation_images"]:
            steering = [r.image for r in history if images[r.image][0].split == "val"]
            costs |= {"validation_images": len(set(steering)), "validation_regions": len(steering)}
        return costs, {name: share / (1 + i) for i, name in enumerate(s["classes"])}

    def _result(
        self, where: Where, tested: list[PoolRow], costs: dict[str, Any], annotated: dict[str, Any]
    ) -> None:
        s = self.settings
        cases = self._cases(where, tested)
        ones = np.ones(len(cases.names))
        per_class = zip(cases.classes, cases.per_class(ones).tolist(), strict=True)
        head = {**{key: s[key] for key in ("dataset", "run", "task", "classes")}, **where._asdict()}
        scores = {
            "score": cases.score(ones),
            "score_name": SCORES[s["task"]][0],
            "per_class": {n: None if v != v else v for n, v in per_class},
            "secondary": {},
            "cases": cases.to_json(),
        }
        spent = {"costs": costs, "annotated": annotated, "steps": 10, "train_seconds": 2.5}
        write_metrics(self.results / where.folder / "metrics.json", head | scores | spent)
        if where.seed == s["seeds"][0] and self._is_last(where):
            self._examples(where, tested, cases)
        if not where.cycle:
            self._benchmark(where, "train")

    def _is_last(self, where: Where) -> bool:
        """Whether a report shows what this model sees."""
        later = where._replace(cycle=where.cycle + 1)
        return where.cycle in (0, 1, self.settings["cycles"]) or not self.there(later)

    def _examples(self, where: Where, tested: list[PoolRow], cases: Cases) -> None:
        """Pictures of real images; what is predicted is the truth moved to the side."""
        s, shift = self.settings, round(12 * (1 - quality(where)))
        examples = Examples(self.layout, s["classes"], s["background"])
        if s["task"] == "roi":
            true, predicted = cases.values.T
            found = np.full((len(tested), len(s["classes"])), 0.3 / len(s["classes"]))
            found[np.arange(len(tested)), predicted] += 0.7
            examples.classified(tested, true, found)
        else:
            opened = self.layout.open_label if s["task"] == "2d" else self.layout.open_scored_label
            pairs = (
                (t, np.where((p := np.roll(t, shift, -1)) == UNKNOWN, 0, p))
                for t in map(opened, tested)
            )
            for _ in examples.watch(tested, pairs):
                pass
        examples.write(self.results / where.folder / EXAMPLES, s["task"], cases)

    def _cases(self, where: Where, tested: list[PoolRow]) -> Cases:
        """Test cases whose score is about the one that is aimed at."""
        s, aim = self.settings, quality(where)
        rng = np.random.default_rng([*where.strategy.encode(), *where[2:]])
        classes, kind = list(s["classes"]), SCORES[s["task"]][1]
        if kind == DICE:
            classes = list(groups_of(s["groups"], classes, s["background"]))
        n, count = len(tested), len(classes)
        if kind == IOU:
            share = np.clip(aim + 0.03 * rng.normal(size=(n, count)), 0, 1)
            hits = np.rint(PIXELS * share).astype(np.int64)
            values = np.stack([hits, np.zeros_like(hits), PIXELS - hits], 2)
        elif kind == F1:
            true, right = np.arange(n) % count, np.arange(n) * 0.37 % 1 < aim
            values = np.stack([true, np.where(right, true, (true + 1) % count)], 1)
        else:
            values = np.clip(aim + 0.03 * rng.normal(size=(n, count)), 0, 1)
        names, groups = tuple(r.key for r in tested), tuple(r.image for r in tested)
        return Cases(kind, tuple(classes), names, groups, values)

    def _statistics(self, where: Where, images: dict[str, list[PoolRow]], path: Path) -> None:
        s = self.settings
        n, taus = len(s["classes"]), s["thresholds"]
        predicted = 100 + 10 * np.arange(n)
        rates = [(1 - t) * np.linspace(0.3, 0.9, n) * where.cycle / s["cycles"] for t in taus]
        confident = (predicted * np.array(rates)).astype(int)
        records = [Record(i, int(predicted.sum()), predicted, confident, 0.3) for i in images]
        write_statistics(path, records, s["classes"], taus)

    def _benchmark(self, where: Where, *rules: str) -> None:
        for rule in rules:
            path = self.benchmarks / where.folder / f"{rule}.jsonl"
            add_attempt(path, wall=60.0, cpu=50.0, peak_mb=300.0)
            path.with_suffix(".tsv").write_text("s\tmax_rss\n12.5\t300.0\n")


@dataclass
class Data:
    """Small generated datasets in a folder, each made when it is first asked for."""

    folder: Path

    def root(self, dataset: str) -> Path:
        """Its folder."""
        if not (self.folder / dataset).exists():
            generate(dataset, self.folder / dataset, 0, **SIZES[dataset])
        return self.folder / dataset


def resolved(dataset: str, data: Data, **changes: Any) -> dict[str, Any]:
    """The configuration of a run as Snakemake and ``load_settings`` make it."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    own = yaml.safe_load((ROOT / f"config/datasets/{dataset}.yaml").read_text())
    given = {"dataset": dataset, "data_root": str(data.root(dataset)), **changes}
    for more in (own, given):
        update_config(config, more)
    return load_settings(config, ROOT)


def look_at(run: RunFiles, *changes: str) -> dict[str, Any]:
    """What the report of a run shows, as the command line reads it."""
    return report.read_look(run.settings["run"], run.folder / "results", list(changes))


def write_some(run: RunFiles) -> str:
    """Write tables and page of a run without figures, which take most of the time of a report."""
    look = look_at(run)
    return page_of(run.results, look, read_run(run.results, look)).read_text(encoding="utf-8")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plain(page: str) -> str:
    """Text of HTML without tags and scripts, its spaces made one."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def section(page: str, name: str) -> str:
    """Text of one section of a page."""
    found = re.search(rf'<section id="{re.escape(name)}"(.*?)</section>', page, re.DOTALL)
    assert found, f"no section {name}"
    return plain(f"<p {found[1]}")


def call(folder: Path, *words: str) -> int:
    """Run ``scripts/al/cli/report.py`` in a folder and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["report.py", *words])
        return report.main()
