"""From one ``metrics.json`` per cycle to one tidy table, and from there to learning curves."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import atomic_path, read_json
from al.paths import INITIAL, REFERENCES

FULL, FULL_SAME_STEPS = REFERENCES
FIXED = (
    "dataset",
    "run",
    "budget",
    "strategy",
    "seed",
    "cycle",
    "task",
    "score_name",
    "score",
    "steps",
    "train_seconds",
)


# Columns of one value per class or measure.
FAMILIES = ("score[", "annotated[", "secondary[")


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


@dataclass(frozen=True)
class Curve:
    """Score against cost of one strategy and seed, cycles ascending; all three arrays are (K,)."""

    strategy: str
    seed: int
    cycle: np.ndarray
    x: np.ndarray
    score: np.ndarray


def _key(metrics: dict[str, Any]) -> tuple[str, str, str, int, int]:
    return (
        metrics["run"],
        metrics["budget"],
        metrics["strategy"],
        int(metrics["seed"]),
        int(metrics["cycle"]),
    )


def _read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read metrics files; the same run, budget, strategy, seed and cycle twice is refused."""
    seen: dict[tuple[str, str, str, int, int], Path] = {}
    read = []
    for path in paths:
        metrics = read_json(path)
        lacking = [name for name in (*FIXED, "costs", "per_class") if name not in metrics]
        if lacking:
            raise DataError(f"{path}: lacks {', '.join(lacking)}")
        first = seen.setdefault(_key(metrics), path)
        if first != path:
            raise DataError(f"{path}: same run, budget, strategy, seed and cycle as {first}")
        read.append(metrics)
    return read


def _share_initial(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the shared first cycle to every strategy of its run, budget and seed."""
    strategies: dict[tuple[str, str, int], set[str]] = {}
    held = {_key(m) for m in metrics}
    for m in metrics:
        if m["strategy"] not in (INITIAL, *REFERENCES):
            strategies.setdefault((m["run"], m["budget"], int(m["seed"])), set()).add(m["strategy"])
    shared = []
    for m in metrics:
        users = strategies.get((m["run"], m["budget"], int(m["seed"])), set())
        if m["strategy"] != INITIAL or not users:
            shared.append(m)
            continue
        copies = [{**m, "strategy": name} for name in sorted(users)]
        shared.extend(copy for copy in copies if _key(copy) not in held)
    return shared


def _flat(metrics: dict[str, Any]) -> dict[str, Any]:
    costs = metrics["costs"]
    if clash := sorted(set(costs) & set(FIXED)):
        raise DataError(f"costs may not be named {', '.join(clash)}: the table has such columns")
    return (
        {name: metrics[name] for name in FIXED}
        | costs
        | {f"score[{name}]": value for name, value in metrics["per_class"].items()}
        | {f"annotated[{name}]": value for name, value in metrics.get("annotated", {}).items()}
        | {f"secondary[{name}]": value for name, value in metrics.get("secondary", {}).items()}
    )


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Fixed columns, costs, classes, secondary scores, each in the order they first appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return sorted(names, key=lambda n: n.startswith(FAMILIES) and 1 + FAMILIES.index(_family(n)))


def _family(name: str) -> str:
    return name[: name.index("[") + 1]


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
    rows = _rows(metrics)
    with atomic_path(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _rows(metrics: Sequence[Path]) -> list[dict[str, Any]]:
    if not metrics:
        raise DataError("no metrics to collect")
    return [_flat(m) for m in sorted(_share_initial(_read(metrics)), key=_key)]


def read_points(metrics: Sequence[Path]) -> list[Point]:
    """The rows that ``collect_curves`` would write, without a table between.

    Raises:
        DataError: as ``collect_curves``.
    """
    texts = ({k: "" if v is None else str(v) for k, v in row.items()} for row in _rows(metrics))
    return [_point(row) for row in texts]


def read_curves(path: Path) -> list[Point]:
    """Read ``curves.csv``, rows in file order."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [_point(row) for row in csv.DictReader(file)]


def _point(row: dict[str, str]) -> Point:
    floats = {
        name: float(text)
        for name, text in row.items()
        if text and name not in FIXED and not name.startswith("secondary[")
    }
    return Point(
        row["run"],
        row["budget"],
        row["strategy"],
        int(row["seed"]),
        int(row["cycle"]),
        row["task"],
        row["score_name"],
        float(row["score"]),
        {name: value for name, value in floats.items() if not name.startswith(FAMILIES)},
        _members(floats, "score["),
        _members(floats, "annotated["),
    )


def _members(values: dict[str, float], family: str) -> dict[str, float]:
    """Return the columns of a family by the name in their brackets."""
    return {n[len(family) : -1]: v for n, v in values.items() if n.startswith(family)}


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
        DataError: ``x`` is not known of a point, or falls from one cycle to the next.
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
    if (np.diff(cost) < 0).any():
        raise DataError(f"{strategy}, seed {seed}: {x} falls from one cycle to the next: {cost}")
    score = np.array([p.score for p in rows], float)
    return Curve(strategy, seed, np.array([p.cycle for p in rows]), cost, score)


def reference(points: Sequence[Point], budget: str, strategy: str) -> np.ndarray:
    """Scores of a reference over seeds, (S,): those of this budget, else those of any budget."""
    found = [p for p in points if p.strategy == strategy]
    same = [p for p in found if p.budget == budget]
    return np.array([p.score for p in same or found], float)
