"""How far a run is, from its files alone: nothing is asked of Snakemake or of SLURM."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from al.io.errors import DataError
from al.io.files import check_keys, read_json, reading
from al.paths import INITIAL, Place

from .journals import Attempt, Job, read_jobs

Row = tuple[str, str, int | None]  # budget, strategy and seed, as in Place
REST: Row = ("", "", None)
UNFINISHED = ("failed", "cut off", "stopped")  # outcomes of attempts
# What a plan is read from
PLAN = {"dataset": str, "learner": str, "budget": list, "strategies": list, "references": list}
PLAN |= {"seeds": list, "cycles": int}


@dataclass(frozen=True)
class Plan:
    """What a run was last started with."""

    dataset: str
    learner: str
    budgets: list[str]
    strategies: list[str]
    references: list[str]
    seeds: list[int]
    cycles: int
    people: bool = False  # annotate, and there may be nothing to score

    def rows(self) -> Iterator[tuple[Row, list[int]]]:
        """Every row of the status with its cycles; references have one, without a number (0)."""
        for budget in self.budgets:
            for strategy in (INITIAL, *self.strategies) if self.strategies else ():
                first, last = (1, 1) if strategy == INITIAL else (2, self.cycles)
                for seed in self.seeds:
                    yield (budget, strategy, seed), list(range(first, last + 1))
        for reference in self.references:
            for seed in self.seeds:
                yield ("", reference, seed), [0]


@dataclass
class Standing:
    """How far one strategy is with one seed.

    ``hours`` are those used so far, in the unit of the whole status, and ``to_come`` those expected
    until the end; None where no cycle to judge by is finished. ``running`` are jobs at work,
    ``failed`` those whose last attempt failed, or was stopped, and that nothing has made up for.
    """

    row: Row
    planned: int
    done: list[int] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    failed: list[Job] = field(default_factory=list)
    score: tuple[str, float] | None = None
    hours: float = 0.0
    to_come: float | None = 0.0


@dataclass(frozen=True)
class Status:
    """The status of a run; ``unit`` of its hours is GPU, or CPU where none was used."""

    run: str
    plan: Plan
    unit: str
    standings: list[Standing]


def read_plan(file: Path) -> Plan:
    """Read what is planned from a run's ``config.yaml``.

    Raises:
        DataError: the file cannot be read, or lacks a key.
    """
    with reading(file):
        # The loader in C where there is one: definitions of many strategies are long.
        held = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        check_keys(held, PLAN)
        return Plan(
            dataset=held["dataset"],
            learner=held["learner"],
            budgets=list(held["budget"]),
            strategies=list(held["strategies"]),
            references=list(held["references"]),
            seeds=[int(seed) for seed in held["seeds"]],
            cycles=held["cycles"],
            people=held.get("annotator") == "human",
        )


def read_status(run: str, results: Path, now: float | None = None) -> Status:
    """Status of a run while it may be going on.

    Args:
        run: a folder of ``results`` with a ``config.yaml``; its journals lie in a folder of the
            same name in ``benchmarks`` beside ``results``.
        now: seconds of the epoch that tell a running job from one cut off; default: now.

    Raises:
        DataError: as ``read_plan``.
    """
    now = time.time() if now is None else now
    folder = results / run
    plan = read_plan(folder / "config.yaml")
    jobs = read_jobs(results.parent / "benchmarks" / run, now)
    gpu = any(attempt.gpus for job in jobs for attempt in job.attempts)
    held: dict[Row, list[Job]] = {}
    for job in jobs:
        held.setdefault(_row(job), []).append(job)
    standings, spent = [], {}
    for row, cycles in plan.rows():
        mine = held.pop(row, [])
        spent[row] = _hours_per_cycle(mine, gpu)
        hours = sum(spent[row].values())
        standings.append(_standing(folder, row, cycles, mine, hours, plan.people))
    _expect(standings, spent)
    rest = [job for jobs in held.values() for job in jobs]
    if rest:  # what all share, and strategies of earlier starts
        hours = sum(_hours(a, gpu) for job in rest for a in job.attempts)
        standings.append(
            Standing(REST, 0, running=_running(rest), failed=_failed(rest, []), hours=hours)
        )
    return Status(run, plan, "GPU" if gpu else "CPU", standings)


def _row(job: Job) -> Row:
    place = job.place
    return REST if place is None else (place.budget, place.strategy, place.seed)


def _cycle(job: Job) -> int:
    return 0 if job.place is None else job.place.cycle


def _hours(attempt: Attempt, gpu: bool) -> float:
    return (attempt.gpu_seconds if gpu else attempt.cpu) / 3600


def _hours_per_cycle(jobs: Iterable[Job], gpu: bool) -> dict[int, float]:
    hours: dict[int, float] = {}
    for job in jobs:
        cycle = _cycle(job)
        hours[cycle] = hours.get(cycle, 0.0) + sum(_hours(a, gpu) for a in job.attempts)
    return hours


def _standing(
    folder: Path, row: Row, cycles: Sequence[int], jobs: list[Job], hours: float, people: bool
) -> Standing:
    ends = [(c, metrics_of(folder, row, c)) for c in cycles]
    done = [c for c, file in ends if file.exists() or people and _trained(file)]
    return Standing(
        row,
        planned=len(cycles),
        done=done,
        running=_running(jobs),
        failed=_failed(jobs, done),
        score=_score(metrics_of(folder, row, done[-1])) if done else None,
        hours=hours,
    )


def metrics_of(folder: Path, row: Row, cycle: int) -> Path:
    """Path of what a cycle, or a reference (cycle 0), ends with."""
    budget, strategy, seed = row
    return folder / Place(budget, strategy, seed or 0, cycle).path / "metrics.json"


def _trained(metrics: Path) -> bool:
    return metrics.with_name("training.json").exists()


def _score(metrics: Path) -> tuple[str, float] | None:
    """Name and value of a score; None if the file has just gone."""
    try:
        held = read_json(metrics, score_name=str, score=float)
        return held["score_name"], held["score"]
    except (OSError, DataError):
        return None


def _running(jobs: Iterable[Job]) -> list[Job]:
    return sorted((j for j in jobs if j.last.outcome == "running"), key=lambda j: j.last.started)


def _failed(jobs: Sequence[Job], done: Sequence[int]) -> list[Job]:
    """Jobs whose last attempt was not finished, the latest first.

    One that belongs to a finished cycle and was left behind by a later cycle is of the past.
    """
    latest: dict[int, float] = {}
    for job in jobs:
        cycle = _cycle(job)
        latest[cycle] = max(latest.get(cycle, 0.0), job.last.started)
    failed = []
    for job in jobs:
        cycle, since = _cycle(job), job.last.started
        passed = any(c > cycle and started > since for c, started in latest.items())
        if job.last.outcome in UNFINISHED and not (cycle in done and passed):
            failed.append(job)
    return sorted(failed, key=lambda j: -j.last.started)


def _expect(standings: Sequence[Standing], spent: dict[Row, dict[int, float]]) -> None:
    """Fill in ``to_come``: the mean hours of finished cycles times the cycles that are left.

    The mean is that of the strategy at this budget; before it has finished one, of all at this
    budget, then of all. A reference takes no cycle's time: only its own counts.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for standing in standings:
        budget, strategy, _ = standing.row
        for cycle in standing.done:
            hours = spent[standing.row].get(cycle, 0.0)
            for key in _keys(budget, strategy):
                known.setdefault(key, []).append(hours)
    for standing in standings:
        left = standing.planned - len(standing.done)
        mean = next((known[k] for k in _keys(*standing.row[:2]) if k in known), None)
        if left:
            standing.to_come = sum(mean) / len(mean) * left if mean else None


def _keys(budget: str, strategy: str) -> list[tuple[str, ...]]:
    return [(budget, strategy), (budget,), ()] if budget else [("", strategy)]
