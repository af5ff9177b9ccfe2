"""What a run's cycles are made of, from the files that Snakemake and the journals left.

    python -m tests.benchmarks.limits.cycle RUNFOLDER ... [--start]

A folder is ``benchmarks/{run}``, or one that holds ``benchmarks``. Seconds are by the clock, from
Snakemake's benchmark files, the start of Python and its imports included; processor seconds from
the journals of the jobs that came to an end. The cycles of strategies count; ``initial`` is listed
apart, references and what a run does once are left out. ``--start`` also measures, here and now,
how long Python takes to start and to import each script, which a job of it takes at least; torch
and the learners are imported later.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from al.paths import INITIAL, Place
from al.report.journals import read_journal

from . import ROOT

PARTS = {
    "train": "training",
    "predict": "forward passes",
    "embed": "forward passes",
    "patches": "forward passes",
    "evaluate": "forward passes",
    "score_images": "selection",
    "propose": "selection",
    "select": "selection",
}
SCRIPTS = {
    "train": "train",
    "predict": "predict",
    "embed": "embed_regions",
    "patches": "propose_patches",
    "evaluate": "evaluate",
    "score_images": "score_images",
    "propose": "propose_regions",
    "select": "select_regions",
    "reveal": "reveal_labels",
}
REST = "the rest"
ORDER = ("training", "forward passes", "selection", REST)


@dataclass(frozen=True)
class Job:
    """One job: its rule and cycle, seconds by the clock, and of the processors where known."""

    rule: str
    strategy: str
    cycle: tuple[str, str, int | None, int | None]
    seconds: float
    cpu: float | None

    @property
    def part(self) -> str:
        """Training, forward passes, selection or the rest."""
        return PARTS.get(self.rule, REST)


def read_jobs(folder: Path) -> list[Job]:
    """Return the jobs of all cycles under ``benchmarks/{run}``; one that ran twice adds up."""
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        place = Place.parse(path.relative_to(folder))
        if place is None or place.is_reference:
            continue
        with path.open(newline="") as file:
            seconds = sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
        cycle = (place.budget, place.strategy, place.seed, place.cycle)
        rule = path.stem.partition("-")[0]
        found.append(Job(rule, place.strategy, cycle, seconds, _cpu(path.with_suffix(".jsonl"))))
    return found


def _cpu(journal: Path) -> float | None:
    if not journal.exists():
        return None
    done = [a.cpu for a in read_journal(journal) if a.outcome == "done"]
    return done[-1] if done else None


def per_rule(jobs: Sequence[Job]) -> Iterator[tuple[str, str, int, float, float, float | None]]:
    """Yield part, rule, jobs, seconds per cycle, median seconds and CPU seconds per cycle.

    CPU seconds are ``None`` where a job has no journal.
    """
    cycles = len({job.cycle for job in jobs})
    names = {job.rule for job in jobs}
    for rule in sorted(names, key=lambda name: (ORDER.index(PARTS.get(name, REST)), name)):
        held = [job for job in jobs if job.rule == rule]
        used = [job.cpu for job in held if job.cpu is not None]
        cpu = sum(used) / cycles if len(used) == len(held) else None
        seconds = [job.seconds for job in held]
        each = sum(seconds) / cycles
        yield held[0].part, rule, len(held), each, statistics.median(seconds), cpu


def shares(jobs: Iterable[Job]) -> dict[str, float]:
    """Return what share of all seconds each part takes; all 0 where there are none."""
    sums = dict.fromkeys(ORDER, 0.0)
    for job in jobs:
        sums[job.part] += job.seconds
    total = sum(sums.values())
    return {part: value / total if total else 0.0 for part, value in sums.items()}


def report(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield the lines of a table, and of the shares."""
    cycles = len({job.cycle for job in jobs})
    yield "| part | rule | jobs | s per cycle | median s of a job | CPU s per cycle |"
    yield "|---|---|---:|---:|---:|---:|"
    for part, rule, count, each, middle, cpu in per_rule(jobs):
        used = "–" if cpu is None else f"{cpu:.2f}"
        yield f"| {part} | {rule} | {count} | {each:.2f} | {middle:.2f} | {used} |"
    total = sum(job.seconds for job in jobs)
    held = shares(jobs)
    other = sum(v for part, v in held.items() if part not in ORDER[:2])
    yield ""
    yield f"{cycles} cycle{'s' * (cycles != 1)}, {total / cycles:.2f} s each: " + ", ".join(
        f"{part} {100 * share:.1f} %" for part, share in held.items()
    )
    yield f"neither training nor forward passes: {100 * other:.2f} %"


def folders_of(path: Path) -> list[Path]:
    """Return the folders of runs' benchmarks that a path stands for: itself, or those within.

    A run's folder holds folders of budgets, such as ``2x10``.
    """
    if any(_is_budget(child.name) for child in path.iterdir()):
        return [path]
    inside = path / "benchmarks" if (path / "benchmarks").is_dir() else path
    return [run for run in sorted(inside.iterdir()) if run.is_dir() and _has_budget(run)]


def _is_budget(name: str) -> bool:
    return all(word.isdecimal() for word in name.split("x")) and "x" in name


def _has_budget(folder: Path) -> bool:
    return any(_is_budget(child.name) for child in folder.iterdir())


def starts(repeats: int = 5) -> dict[str, float]:
    """Return median seconds to start Python and import the script of each rule."""
    found = {}
    for rule, script in SCRIPTS.items():
        words = [sys.executable, "-c", f"import {script}"]
        spent = []
        for _ in range(repeats):
            began = time.perf_counter()
            subprocess.run(words, cwd=ROOT / "scripts", check=True)
            spent.append(time.perf_counter() - began)
        found[rule] = statistics.median(spent)
    return found


def main() -> None:
    """Print a table per run; with several runs also one of their shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--start", action="store_true", help="measure the start of Python as well")
    given = parser.parse_args()
    runs = [run for folder in given.folders for run in folders_of(folder)]
    if not runs:
        sys.exit("no benchmark files of a run in " + ", ".join(map(str, given.folders)))
    lines = []
    for run in runs:
        jobs = read_jobs(run)
        for title, some in (
            ("cycles of strategies", [j for j in jobs if j.strategy != INITIAL]),
            ("first cycle", [j for j in jobs if j.strategy == INITIAL]),
        ):
            if some:
                print(f"\n### {run.name}: {title}\n\n" + "\n".join(report(some)))
                cells = " | ".join(f"{100 * v:.1f}" for v in shares(some).values())
                lines.append(f"| {run}, {title} | {cells} |")
    print("\n| run | " + " | ".join(f"{part}, %" for part in ORDER) + " |")
    print("|---|" + "---:|" * len(ORDER) + "\n" + "\n".join(lines))
    if given.start:
        print("\n| rule | s to start Python and import its script, here |\n|---|---:|")
        for rule, seconds in starts().items():
            print(f"| {rule} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
