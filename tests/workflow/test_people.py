"""Runs in which people annotate: they end where people are needed and go on from there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from al.annotators.assignment import Assignment, assignment_at, open_cycle
from al.annotators.store import Store
from al.annotators.targets import Target, Work
from al.cli.report import read_look
from al.config.settings import read_settings
from al.generators import generate
from al.io.errors import DataError
from al.io.labels import UNKNOWN, read_label
from al.io.tables import read_labels, read_pool, read_regions
from al.layouts import get_layout

from .conftest import TINY, Run
from .test_small import CONVNET, SIZES

pytestmark = pytest.mark.slow
PLACE = "results/tiny/2x2/{}/seed-0/cycle-{:03d}"
Paint = Callable[[Target], "np.ndarray | int"]


class Clinic:
    """A run that asks people, and somebody who answers by a rule."""

    def __init__(self, run: Run) -> None:
        self.run, self.results = run, run.folder / "results/tiny"

    @classmethod
    def of(cls, dataset: str, folder: Path, **changes: str) -> Clinic:
        """Return one in ``folder``, on a generated dataset or on that in ``data_root``."""
        if "data_root" not in changes:
            generate(dataset, folder / "data", 0, **SIZES[dataset])
        settings = {**TINY, "dataset": dataset, "cycles": "2", "steps": "3", "budget": "2x2"}
        settings |= {"annotator": "human", "strategies": "decomp", "convnet": f"{{{CONVNET}}}"}
        run = Run(folder / "run", {**settings, "data_root": str(folder / "data"), **changes})
        run.folder.mkdir()
        return cls(run)

    @property
    def settings(self) -> dict:
        return read_settings(self.results / "config.yaml")

    @property
    def store(self) -> Store:
        held = self.settings
        return Store(
            self.run.folder / "annotations" / held["dataset"], held["task"], held["classes"]
        )

    def asked(self) -> Assignment:
        cycle = open_cycle(self.results, self.settings)
        assert cycle is not None
        return assignment_at(self.results, self.settings, cycle)

    def annotate(self, paint: Paint, skip: int = 0) -> list[Target]:
        """Skip some of what waits, annotate the rest; returns what was annotated."""
        store, done = self.store, []
        for target in self.asked().waiting(store)[:skip]:
            store.skip(target, "spoilt", Work(annotator="an"))
        for target in self.asked().waiting(store):
            work = Work(annotator="an", seconds=30.0, sha256=sum_of(target))
            store.done(target, paint(target), work)
            done.append(target)
        return done

    def labels(self, strategy: str, cycle: int) -> dict[str, np.ndarray]:
        """Return the label maps that a cycle is trained on."""
        rows = read_labels(self.run.folder / PLACE.format(strategy, cycle) / "labels.csv")
        return {row.image: read_label(row.path) for row in rows}


def sum_of(target: Target) -> str:
    return hashlib.sha256(Path(target.row.path).read_bytes()).hexdigest()


def drawn(target: Target) -> np.ndarray:
    """What somebody might paint."""
    rng = np.random.default_rng(sum(map(ord, target.key)))
    return rng.choice([0, 1, 2, UNKNOWN], target.shape).astype(np.uint8)


def expected(store: Store, clinic: Clinic, done: list[Target]) -> dict[str, np.ndarray]:
    """Label maps of what was painted, put together pixel by pixel."""
    maps: dict[str, np.ndarray] = {}
    for event in store.events():
        if event.key not in {t.key for t in done} or event.action != "done":
            continue
        shape = next(t.row.shape for t in done if t.region.image == event.image)
        held = maps.setdefault(event.image, np.full(shape, UNKNOWN, np.uint8))
        for place in np.ndindex(*event.size):
            at = tuple(a + b for a, b in zip(event.start, place, strict=True))
            held[at] = event.labels[place]
    return maps


def unlabelled(folder: Path, **changes: str) -> Clinic:
    """Return a run on pictures without labels: there is nothing to score, and no report."""
    clinic, pictures = Clinic.of("cityscapes_mini", folder, **changes), folder / "pictures"
    pictures.mkdir()
    for file in (folder / "data").rglob("*_leftImg8bit.png"):
        shutil.copy(file, pictures / file.name)
    own = {"dataset": "images", "data_root": str(pictures), "classes": "road,car,other"}
    clinic.run.settings |= {**own, "region": "16x16"}
    return clinic


def test_a_run_stops_for_people_and_goes_on(tmp_path: Path) -> None:
    clinic = unlabelled(tmp_path, cycles="3", initial="diverse")
    run = clinic.run
    printed = run.run(program="launch")
    assert "cycle 1 of 3: 4 regions in 2 images wait for annotators. To annotate: make" in printed
    first = clinic.annotate(drawn, skip=1)
    active = clinic.asked().active(clinic.store)
    assert [t.region.order for t in active[:4]] == [0, 1, 2, 3] and len(first) == 4
    assert active[4].region.image == active[0].region.image

    printed = run.run(program="launch")
    assert "cycle 2 of 3: 4 regions in 2 images wait for annotators, about 2 minutes" in printed
    cycle = run.folder / PLACE.format("initial", 1)
    regions = read_regions(cycle / "regions.csv")
    assert len(regions) == 5, "what was skipped was looked at"
    found = clinic.labels("initial", 1)
    wanted = expected(clinic.store, clinic, first)
    assert found.keys() - wanted.keys() <= {regions[0].image}
    for image, labels in wanted.items():
        np.testing.assert_array_equal(found[image], labels)
    assert not list(clinic.results.rglob("metrics.json"))
    with pytest.raises(DataError, match="no image with labels is in the split test"):
        read_look("tiny", clinic.results.parent, [])
    assert {row.label_path for row in read_pool(clinic.results / "pool.csv")} == {""}
    before = (cycle / "model/weights.pt").stat().st_mtime_ns

    # Somebody corrects the first cycle while the second waits; it counts from then on.
    clinic.store.done(first[0], np.ones(first[0].shape, np.uint8), Work(annotator="an"))
    printed = run.run(program="launch")
    assert "4 regions in 2 images wait" in printed
    assert (cycle / "model/weights.pt").stat().st_mtime_ns == before
    second = clinic.annotate(drawn)
    asked = clinic.asked()
    assert (asked.proposal(second[0]) is not None) and len(second) == 4
    run.run(program="launch")
    np.testing.assert_array_equal(clinic.labels("initial", 1)[first[0].region.image],
                                  wanted[first[0].region.image])  # fmt: skip
    wanted = expected(clinic.store, clinic, [*first, *second])
    for image, labels in clinic.labels("decomp", 2).items():
        np.testing.assert_array_equal(labels, wanted.get(image, np.full(labels.shape, UNKNOWN)))
    log = (run.folder / "logs/tiny/2x2/decomp/seed-0/cycle-002/reveal.log").read_text()
    assert f"corrected since the last cycle, and learnt from now on: {first[0].region.image}" in log


def test_what_another_run_annotated_costs_nothing(tmp_path: Path) -> None:
    clinic = unlabelled(tmp_path)
    clinic.run.run(program="launch")
    clinic.annotate(drawn)
    clinic.run.settings["run"] = "other"
    assert "cycle 1 of 2 is annotated: start" in clinic.run.run(program="launch")
    pictures = tmp_path / "pictures"
    # Another picture under the name of one that was annotated is asked about, and not learnt from.
    annotated = clinic.store.events()[0].image
    other = next(p for p in pictures.iterdir() if p.stem != annotated)
    shutil.copy(other, pictures / f"{annotated}.png")
    clinic.run.settings["run"] = "third"
    clinic.run.run(program="launch")
    assert "4 regions" not in (printed := clinic.run.run(program="launch"))
    assert "regions in 1 images wait for annotators" in printed
    clinic.results = clinic.run.folder / "results/third"
    assert {t.region.image for t in clinic.asked().waiting(clinic.store)} == {annotated}
    # More cycles are noted at once, though nothing is to be done yet.
    clinic.run.run(program="launch", cycles="7")
    assert clinic.settings["cycles"] == 7


@pytest.mark.parametrize(
    ("dataset", "split"),
    [("kits23_mini", "{train: 0.7, val: 0, test: 0.3}"), ("bracs_mini", "null")],
)
def test_labels_that_are_there_are_the_start(tmp_path: Path, dataset: str, split: str) -> None:
    net = CONVNET + ", input_size: [32, 32]" * (dataset == "bracs_mini")
    changes = {"initial": "labelled", "split": split, "convnet": f"{{{net}}}"}
    clinic = Clinic.of(dataset, tmp_path, **changes)
    printed = clinic.run.run(program="launch")
    held = clinic.settings
    layout = get_layout(held["layout"], held["layout_options"], held["classes"])
    pool = {r.key: r for r in read_pool(clinic.results / "pools/seed-0.csv", "train")}
    rows = read_labels(clinic.run.folder / PLACE.format("initial", 1) / "labels.csv")
    assert {f"{r.image}/{r.roi}" if r.roi else r.image for r in rows} == pool.keys()
    for row in rows:
        truth = layout.open_label(pool[f"{row.image}/{row.roi}" if row.roi else row.image])
        found = row.label if row.label is not None else read_label(row.path)
        np.testing.assert_array_equal(found, truth)
    # Nothing is left to ask for: all of the pool has a label.
    assert "wait for annotators" not in printed
