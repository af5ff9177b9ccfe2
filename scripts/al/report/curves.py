"""From one ``metrics.json`` per cycle to one tidy table, and from there to learning curves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import check_keys, read_json, reading
from al.paths import CONSTRAINTS, INITIAL, REFERENCES, Place

from .tables import read_csv, write_csv

FULL, FULL_SAME_STEPS = REFERENCES
PLACE = ("run", "budget", "strategy", "seed", "cycle")
FIXED = ("dataset", *PLACE, "task", "score_name", "score", "steps", "train_seconds")
# Columns of one value per class or measure, and where metrics have them.
KEYS: dict[str, Any] = dict.fromkeys(("dataset", *PLACE, "task", "score_name"), str)
KEYS |= {"seed": int, "cycle": int, "score": float, "steps": int, "train_seconds": float}
KEYS |= {"costs": dict, "per_class": dict}
FAMILIES = {"score[": "per_class", "annotated[": "annotated", "secondary[": "secondary"}


@dataclass(frozen=True)
class Point:
    """Score and costs of one model: one row of ``curves.csv``.

    Attributes:
        run, budget, strategy, seed, cycle: where it stands; references have cycle 0.
        task: ``2d``, ``3d`` or ``roi``.
        score_name, score: the main score, 0 to 1.
        costs: what was annotated up to here, by name (counts, percentages).
        per_class: score of each class; classes without a score are left out.
        annotated: percent of each class that was annotated; classes the pool lacks are left out.
        steps: of its training.
    """

    run: str
    budget: str
    strategy: str
    seed: int
    cycle: int
    task: str
    score_name: str
    score: float
    costs: dict[str, float]
    per_class: dict[str, float]
    annotated: dict[str, float] = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True)
class Curve:
    """Score against cost of one strategy and seed, cycles ascending; all three arrays are (K,)."""

    strategy: str
    seed: int
    cycle: np.ndarray
    x: np.ndarray
    score: np.ndarray


def _read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Metrics of a run in the order of tables, the first cycle under each strategy of its seed.

    Raises:
        DataError: as ``collect_curves``.
    """
    read: dict[tuple[Any, ...], dict[str, Any]] = {}
    users: dict[tuple[Any, ...], set[str]] = {}
    for path in paths:
        metrics = _metrics(path)
        key = tuple(metrics[name] for name in PLACE)
        if key in read:
            raise DataError(f"{path}: a second result of {', '.join(map(str, key))}")
        read[key] = metrics
        run, budget, strategy, seed, _ = key
        if strategy not in (INITIAL, *REFERENCES):
            users.setdefault((run, budget, seed), set()).add(strategy)
    if not read:
        raise DataError("no metrics to collect")
    shared = []
    for (run, budget, strategy, seed, _), metrics in read.items():
        names = users.get((run, budget, seed), {INITIAL}) if strategy == INITIAL else {strategy}
        shared += [{**metrics, "strategy": name} for name in names]
    return sorted(shared, key=lambda metrics: [metrics[name] for name in PLACE])


def _metrics(path: Path) -> dict[str, Any]:
    """Read a metrics file. Raises DataError where it is damaged, or is not that of its place."""
    metrics = read_json(path, **KEYS)
    place = Place.parse(path.parent)
    with reading(path):
        for name in FAMILIES.values():
            check_keys(metrics.get(name, {}), {})
        _point(metrics)
        found = Place(*(metrics[name] for name in PLACE[1:]))
        if place is not None and found != place:
            raise ValueError(f"the result of {found.path}")
        if not re.fullmatch(CONSTRAINTS["run"], metrics["run"]):
            raise ValueError(f"run {metrics['run']!r}")
    return metrics


def collect_curves(metrics: Sequence[Path], out: Path) -> None:
    """Gather metrics files into one table, by rename.

    One row per run, budget, strategy, seed and cycle, sorted by these. The first cycle, trained
    once for all strategies (``initial``), appears under each strategy that goes on from it; it
    keeps its own name where none does. Columns: those of ``FIXED``, one per cost (plain name),
    ``score[CLASS]``, ``annotated[CLASS]`` (percent of the class that was annotated) and
    ``secondary[NAME]``; what a file has as null is empty.

    Raises:
        DataError: no file, a file that lacks a key, or two files for the same row.
    """
    rows = []
    for held in _read(metrics):
        row = {name: held[name] for name in FIXED} | held["costs"]
        for family, name in FAMILIES.items():
            row |= {f"{family}{n}]": value for n, value in held.get(name, {}).items()}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [n for n in names if not n.startswith(tuple(FAMILIES))]
    columns += [n for family in FAMILIES for n in names if n.startswith(family)]
    write_csv(rows, out, columns)


def read_points(metrics: Sequence[Path]) -> list[Point]:
    """The rows that ``collect_curves`` would write, without a table between.

    Raises:
        DataError: as ``collect_curves``.
    """
    return [_point(held) for held in _read(metrics)]


def read_curves(path: Path) -> list[Point]:
    """Read ``curves.csv``, rows in file order. Raises DataError where it is damaged."""
    rows = read_csv(path)
    with reading(path):
        names = [n for n in (rows[0] if rows else ()) if n not in FIXED]
        groups = {"costs": {n: n for n in names if not n.startswith(tuple(FAMILIES))}}
        for family, name in FAMILIES.items():
            groups[name] = {n: n[len(family) : -1] for n in names if n.startswith(family)}
        return [
            _point(row | {g: {s: row[n] for n, s in own.items()} for g, own in groups.items()})
            for row in rows
        ]


def _point(held: Mapping[str, Any]) -> Point:
    """A point from metrics, or their texts; what is empty is left out."""
    return Point(
        **{name: held[name] for name in ("run", "budget", "strategy", "task", "score_name")},
        **{name: int(held[name]) for name in ("seed", "cycle", "steps")},
        **{name: _known(held.get(name, {})) for name in ("costs", "per_class", "annotated")},
        score=float(held["score"]),
    )


def _known(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value not in (None, "")}


def budgets(points: Iterable[Point]) -> list[str]:
    """Budgets that have learning curves, sorted by size."""
    found = {p.budget for p in points if p.strategy not in REFERENCES}
    return sorted(found, key=lambda b: ([int(v) for v in b.split("x") if v.isdigit()], b))


def of_class(points: Iterable[Point], name: str) -> list[Point]:
    """The same points with the score of one class in place of the main score."""
    return [replace(p, score=p.per_class[name]) for p in points if name in p.per_class]


def curves_of(points: Sequence[Point], budget: str, x: str) -> list[Curve]:
    """Learning curves of one budget, one per strategy and seed, references left out.

    Args:
        points: rows of ``curves.csv`` of one run.
        budget: such as ``5x15``.
        x: the cost on the horizontal axis, such as ``area_percent``.

    Raises:
        DataError: ``x`` is not known of a point.
    """
    grouped: dict[tuple[str, int], list[Point]] = {}
    for p in points:
        if p.budget == budget and p.strategy not in REFERENCES:
            grouped.setdefault((p.strategy, p.seed), []).append(p)
    return [_curve(name, seed, rows, x) for (name, seed), rows in sorted(grouped.items())]


def _curve(strategy: str, seed: int, rows: list[Point], x: str) -> Curve:
    rows = sorted(rows, key=lambda p: p.cycle)
    for p in rows:
        if x not in p.costs:
            where = f"{p.run}, {p.budget}, {strategy}, seed {seed}, cycle {p.cycle}"
            raise DataError(f"{where}: no cost {x!r}, there are {', '.join(sorted(p.costs))}")
    cost = np.array([p.costs[x] for p in rows], float)
    score = np.array([p.score for p in rows], float)
    return Curve(strategy, seed, np.array([p.cycle for p in rows]), cost, score)


def reference(points: Sequence[Point], budget: str, strategy: str) -> np.ndarray:
    """Scores of a reference over seeds, (S,): those of this budget, else those of any budget."""
    found = [p for p in points if p.strategy == strategy]
    same = [p for p in found if p.budget == budget]
    return np.array([p.score for p in same or found], float)
