"""From a run's configuration and files to the views that its report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from al.io.tables import read_pool
from al.io.truth import read_truth
from al.paths import Place, pool_of

from .confidence import read_confidence, read_confidence_csv
from .curves import Point, read_curves, read_points
from .view import Confidence, View

# Named alike in a look and in a view.
SAME = (
    *("x", "strategies", "definitions", "classes", "colours", "known", "share", "notes"),
    *("background", "folds", "seeds", "cycles"),
)


def _view(
    folder: Path, look: Mapping[str, Any], points: Sequence[Point], confidence: Sequence[Confidence]
) -> View:
    title = f"{look['dataset']}, {look['learner']}"
    return View(
        points=points,
        budget="",
        **{key: look[key] for key in SAME},
        title="\n".join(line for line in (title, look["remark"]) if line),
        confidence=confidence,
        truth=truth_counts(folder, look),
        given_colours=look["class_colours"] or (),
    )


def beside(folder: Path, kind: str) -> Path:
    """The folder of a run (``results/{run}``) among its ``logs`` or ``benchmarks``."""
    return folder.parent.parent / kind / folder.name


def truth_counts(folder: Path, look: Mapping[str, Any]) -> dict[str, int]:
    """Pixels (voxels, RoIs) of each class in the training pool of the first seed.

    Empty where ground truth was not counted yet.
    """
    pool, truth = pool_of(folder, look["seeds"][0]), folder / "truth.json"
    if not (pool.is_file() and truth.is_file()):
        return {}
    images = sorted({row.image for row in read_pool(pool) if row.split in look["splits"]})
    total = np.sum(list(read_truth(truth, len(look["classes"]), images).values()), axis=0)
    return {name: int(n) for name, n in zip(look["classes"], total, strict=False)}


def metrics_of(folder: Path, look: Mapping[str, Any]) -> list[Path]:
    """Metrics of the planned cycles and references that are there."""
    found = [
        Place.of(budget, name, seed, cycle)
        for budget in look["budgets"]
        for name in look["strategies"]
        for seed in look["seeds"]
        for cycle in range(1, look["cycles"] + 1)
    ]
    found += [
        Place.of_reference(name, seed) for name in look["references"] for seed in look["seeds"]
    ]
    files = dict.fromkeys(folder / place.path / "metrics.json" for place in found)
    return [file for file in files if file.is_file()]


def histories_of(folder: Path, look: Mapping[str, Any], budget: str) -> dict[str, Path]:
    """What each strategy annotated so far with the first seed: the latest ``history.csv``."""
    found = {}
    for name in look["strategies"]:
        for cycle in range(look["cycles"], 0, -1):
            file = folder / Place.of(budget, name, look["seeds"][0], cycle).path / "history.csv"
            if file.is_file():
                found[name] = file
                break
    return found


def missing_of(look: Mapping[str, Any], points: Iterable[Point]) -> tuple[list[str], int, int]:
    """What a run in progress lacks, a line per strategy and reference; how many, and of how many.

    The shared first cycle counts for each strategy: all start from it.
    """
    held = {(p.budget if p.cycle else "", p.strategy, p.seed, p.cycle) for p in points}
    held |= {(b, name, s, 1) for b, _, s, c in held if c == 1 for name in look["strategies"]}
    cycles = range(1, look["cycles"] + 1)
    wanted = [(b, name, cycles) for b in look["budgets"] for name in look["strategies"]]
    wanted += [("", name, range(1)) for name in look["references"]]
    lines, lacking = [], 0
    for budget, name, planned in wanted:
        gaps: dict[tuple[int, ...], list[int]] = {}
        for seed in look["seeds"]:
            gone = tuple(c for c in planned if (budget, name, seed, c) not in held)
            gaps.setdefault(gone, []).append(seed)
        for gone, seeds in gaps.items():
            lacking += len(gone) * len(seeds)
            what = _numbers("seed", seeds)
            if gone and budget:
                lines.append(f"{name}, budget {budget}: {_numbers('cycle', gone)} of {what}")
            elif gone:
                lines.append(f"reference {name}: {what}")
    return lines, lacking, len(look["seeds"]) * sum(len(planned) for *_, planned in wanted)


def _numbers(what: str, numbers: Sequence[int]) -> str:
    return f"{what}{'s' * (len(numbers) > 1)} {ranges(numbers)}"


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as text: ``1-3, 5``."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def read_run(folder: Path, look: Mapping[str, Any]) -> View:
    """The view of a run from its own files alone, finished or not.

    Raises:
        DataError: no result is there yet.
    """
    points = read_points(metrics_of(folder, look))
    return _view(folder, look, points, read_confidence(folder, look))


def view_from_tables(curves: Path, confidence: Path, look: Mapping[str, Any]) -> View:
    """The view of a finished run from its tables; ``curves`` lies in ``results/{run}``."""
    return _view(curves.parent, look, read_curves(curves), read_confidence_csv(confidence))
