"""How long people wait: a whole loop with a scripted annotator in a real browser, timed.

    python -m tests.benchmarks.stopwatch [DATASET ...] [key=value ...]

Prints, for each cycle, the seconds that a region took to draw, those from the last stroke to the
next region on screen, those of each job in between, and the score. That what is stored is what was
drawn is checked.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.annotators.page_object import annotator
from tests.annotators.test_loop import ENDED, IDLE, Person, check, served
from tests.workflow.conftest import Run
from tests.workflow.test_people import Clinic

RULES = ("reveal", "train", "predict-1", "score_images", "select", "evaluate")


class Timed(Person):
    """Keeps when each region came on screen and when it was done."""

    def go(self) -> list[tuple[int, float, float]]:
        """Annotate all; returns of each region its cycle and the seconds waited and at work."""
        found, ended = [], time.monotonic()
        while not self.ada.page.run(ENDED):
            if not self.ada.page.run(IDLE):
                time.sleep(0.02)
                continue
            shown = time.monotonic()
            target = self.target()
            cycle = self.clinic.asked().cycle
            self.annotate(target)
            found.append((cycle, shown - ended, time.monotonic() - shown))
            ended = time.monotonic()
        return found


def seconds_of(run: Run, cycle: int) -> str:
    """Return what the jobs after a cycle's annotation took."""
    found = {}
    for file in run.folder.glob(f"benchmarks/**/cycle-{cycle:03d}/*.tsv"):
        with file.open() as lines:
            found[file.stem] = float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    return ", ".join(f"{name} {found[name]:.1f}" for name in RULES if name in found)


def measure(dataset: str, changes: dict[str, str]) -> None:
    """Print the figures of a dataset."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clinic = Clinic.of(dataset, folder, **changes)
        clinic.run.run(program="launch")
        with annotator(folder) as ada, served(clinic) as (_, address):
            ada.begin(address, "Ada")
            rows = Timed(clinic, ada).go()
        check(clinic, clinic.settings["cycles"])  # what is stored is what was drawn
        scores = {p.parent.name: p for p in clinic.results.rglob("metrics.json")}
        for cycle in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == cycle]
            held = json.loads(scores[f"cycle-{cycle:03d}"].read_text())
            print(f"{dataset} cycle {cycle}: {held['score_name']} {held['score']:.3f}")
            print(f"  {len(mine)} regions, {median(r[2] for r in mine):.1f} s each at work")
            print(f"  first on screen after {mine[0][1]:.1f} s, others {later(mine):.3f} s")
            print(f"  jobs after it, s: {seconds_of(clinic.run, cycle)}", flush=True)


def later(rows: list[tuple[int, float, float]]) -> float:
    """Median of the seconds waited for all regions of a cycle but the first."""
    return median([waited for _, waited, _ in rows[1:]] or [0.0])


def main(words: list[str]) -> None:
    """Read the command line."""
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if "=" not in word]
    for dataset in names or ["cityscapes_mini", "kits23_mini", "bracs_mini"]:
        measure(dataset, changes)


if __name__ == "__main__":
    main(sys.argv[1:])
