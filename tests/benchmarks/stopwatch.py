"""How long people wait: a whole loop with scripted annotators in real browsers, timed.

    python -m tests.benchmarks.stopwatch [DATASET ...] [people=2] [key=value ...]

Everybody has a browser of their own; datasets are generated unless ``data_root`` is given. Prints,
for each cycle, its score, the seconds that a region took to draw, those from the last stroke to the
next region on screen, those of each job in between, and how many regions are done in an hour. That
what is stored is what was drawn, and each region by one of them, is checked.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from statistics import median

from tests.annotators.test_loop import Person, Seen, annotators, check, served, work_together
from tests.workflow.conftest import Run
from tests.workflow.test_people import Clinic

RULES = ("reveal", "train", "predict-1", "score_images", "select", "evaluate")
NAMES = ("Ada", "Bob", "Cleo", "Dan")


def seconds_of(run: Run, cycle: int) -> str:
    """Return what the jobs after a cycle's annotation took."""
    found = {}
    for file in run.folder.glob(f"benchmarks/**/cycle-{cycle:03d}/*.tsv"):
        with file.open() as lines:
            found[file.stem] = float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    return ", ".join(f"{name} {found[name]:.1f}" for name in RULES if name in found)


def measure(dataset: str, people: int, changes: dict[str, str]) -> None:
    """Print the figures of a dataset."""
    names = NAMES[:people]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clinic = Clinic.of(dataset, folder, **changes)
        clinic.run.run(program="launch")
        with annotators(folder, names) as pages, served(clinic) as (_, address):
            for page, who in zip(pages, names, strict=True):
                page.begin(address, who)
            working = [Person(clinic, page) for page in pages]
            work_together(working)
        check(clinic, names)
        print(f"{dataset}, {people} at work, load {os.getloadavg()[0]:.1f}")
        tell(clinic, sorted(row for person in working for row in person.seen))


def tell(clinic: Clinic, rows: list[Seen]) -> None:
    """Print a paragraph for each cycle, and the sum."""
    scores = {p.parent.name: p for p in clinic.results.rglob("metrics.json")}
    before = rows[0].free
    for cycle, group in groupby(rows, key=lambda row: row.cycle):
        mine = list(group)
        first, last = min(row.shown for row in mine), max(row.done for row in mine)
        waited = [row.shown - row.free for row in mine if row.free > first] or [0.0]
        held = json.loads(scores[f"cycle-{cycle:03d}"].read_text())
        print(f"  cycle {cycle}: {held['score_name']} {held['score']:.3f}")
        print(f"    {len(mine)} regions, {median(r.done - r.shown for r in mine):.1f} s each")
        print(f"    {len(mine) / (last - first) * 3600:.0f} an hour while there are some")
        print(f"    first on screen after {first - before:.1f} s, others {median(waited):.3f} s")
        print(f"    jobs after it, s: {seconds_of(clinic.run, cycle)}", flush=True)
        before = last
    hours = (before - rows[0].free) / 3600
    print(f"  {len(rows) / hours:.0f} regions an hour with what they wait for", flush=True)


def main(words: list[str]) -> None:
    """Read the command line."""
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    people = int(changes.pop("people", 1))
    names = [word for word in words if "=" not in word]
    for dataset in names or ["cityscapes_mini", "kits23_mini", "bracs_mini"]:
        measure(dataset, people, changes)


if __name__ == "__main__":
    main(sys.argv[1:])
