"""Class confidence of the models of a run, and how it agrees with their scores on the test set."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import atomic_path
from al.io.tables import read_pool
from al.paths import INITIAL, Place, places_in, pool_of

from .curves import Point
from .view import Confidence, View

# Eq. 1 of the paper, for strategies that have no threshold of their own.
DEFAULT_TAU = 0.7
HEADER = ("budget", "strategy", "seed", "cycle", "class", "predicted", "confident", "confidence")
# A rank correlation of two classes is 1 or -1, whatever they are.
FEWEST = 3
Counts = tuple[np.ndarray, np.ndarray]


def taus_of(definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Thresholds of the strategies that have one of their own, by name."""
    return {name: float(d["tau"]) for name, d in definitions.items() if "tau" in d}


def read_confidence(
    results: Path,
    budgets: Sequence[str],
    strategies: Sequence[str],
    seeds: Sequence[int],
    classes: Sequence[str],
    tau_of: Mapping[str, float],
) -> list[Confidence]:
    """Sum what the models say of each class over the images of the training pool.

    These are the counts of Eq. 1 of the paper over the whole pool; DECOMP itself sums them over
    the images not yet opened in the current loop. Validation images do not count. The first cycle
    (``initial``) is given to every strategy, at the strategy's own threshold. Files that are not
    there are left out: strategies that read no predictions have none.

    Args:
        results: folder of the run, with ``pools/seed-K.csv`` and the ``images.csv`` of each cycle.
        budgets, strategies, seeds: those to read.
        classes: names of all classes.
        tau_of: strategy -> its threshold. Strategies it lacks are read at 0.7, or at the highest
            threshold counted where 0.7 was not.

    Returns:
        rows in the order of budgets, strategies and seeds as given, cycles ascending, classes.

    Raises:
        DataError: a table that does not fit: columns, counts, or images of the pool it lacks.
    """
    rows: list[Confidence] = []
    counts: dict[tuple[Path, float | None], Counts] = {}
    pools: dict[int, set[str]] = {}
    tables = dict(places_in(results, "images.csv"))
    for budget in budgets:
        for strategy in strategies:
            tau = tau_of.get(strategy)
            for seed in seeds:
                for cycle, path in _files(tables, budget, strategy, seed):
                    if seed not in pools:
                        pools[seed] = _pool(pool_of(results, seed), path)
                    if (path, tau) not in counts:
                        counts[path, tau] = _sum(path, pools[seed], classes, tau)
                    rows += [
                        Confidence(budget, strategy, seed, cycle, name, int(p), int(c))
                        for name, p, c in zip(classes, *counts[path, tau], strict=True)
                    ]
    return rows


def _files(
    tables: Mapping[Place, Path], budget: str, strategy: str, seed: int
) -> list[tuple[int, Path]]:
    """``images.csv`` by cycle: those of the strategy, and the shared first one."""
    return [
        (place.cycle, path)
        for place, path in sorted(tables.items(), key=lambda item: item[0].cycle)
        if place.strategy in (INITIAL, strategy) and (place.budget, place.seed) == (budget, seed)
    ]


def _pool(path: Path, needed_by: Path) -> set[str]:
    """Names of the training images of one seed."""
    if not path.is_file():
        raise DataError(f"{path}: not there; {needed_by} cannot be read without it")
    return {row.image for row in read_pool(path, "train")}


def _sum(path: Path, images: set[str], classes: Sequence[str], tau: float | None) -> Counts:
    """Predicted and confident counts, (C,) int64 each, over some images of a table."""
    import pandas as pd

    predicted, confident = _columns(path, classes, tau)
    types = dict.fromkeys([*predicted, *confident], np.int64)
    try:
        table = pd.read_csv(
            path,
            usecols=["image", *types],
            dtype={"image": str, **types},
            keep_default_na=False,
            encoding="utf-8",
        )
    except ValueError as error:
        raise DataError(f"{path}: counts must be whole numbers: {error}") from None
    if repeated := sorted(set(table.image[table.image.duplicated()])):
        raise DataError(f"{path}: image {repeated[0]!r} appears twice; allowed: once")
    if missing := sorted(images - set(table.image)):
        raise DataError(
            f"{path}: lacks {len(missing)} training images, the first is {missing[0]!r}; "
            "it must have them all"
        )
    own = table[table.image.isin(images)]
    sums = tuple(own[names].to_numpy(np.int64).sum(0) for names in (predicted, confident))
    if (sums[1] > sums[0]).any() or (own[predicted + confident].to_numpy() < 0).any():
        raise DataError(f"{path}: counts must be at least 0, and confident ones among predicted")
    return sums


def _columns(path: Path, classes: Sequence[str], tau: float | None) -> tuple[list[str], list[str]]:
    """Names of the columns to sum: predictions, and those above a threshold."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    pattern = re.compile(rf"confident>([-+.0-9e]+){re.escape(f'[{classes[0]}]')}")
    found = [match[1] for name in header if (match := pattern.fullmatch(name))]
    texts = {float(text): text for text in found}
    if not texts:
        raise DataError(f"{path}: has no column confident>TAU[{classes[0]}]")
    if tau is None:
        tau = DEFAULT_TAU if DEFAULT_TAU in texts else max(texts)
    if tau not in texts:
        raise DataError(
            f"{path}: predictions were not counted at a confidence of {tau}; "
            f"allowed: {', '.join(texts[t] for t in sorted(texts))}"
        )
    predicted = [f"predicted[{name}]" for name in classes]
    confident = [f"confident>{texts[tau]}[{name}]" for name in classes]
    if lacking := [name for name in ("image", *predicted, *confident) if name not in header]:
        raise DataError(f"{path}: lacks the columns {', '.join(lacking)}")
    return predicted, confident


def write_confidence(rows: Iterable[Confidence], path: str | Path) -> None:
    """Write ``confidence.csv`` by rename: one row per model and class.

    ``confidence`` is confident / predicted, empty for a class that is never predicted.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for r in rows:
            rate = repr(r.rate) if r.predicted else ""
            names = (r.budget, r.strategy, r.seed, r.cycle, r.cls)
            writer.writerow((*names, r.predicted, r.confident, rate))


def read_confidence_csv(path: str | Path) -> list[Confidence]:
    """Read ``confidence.csv``, rows in file order.

    Raises:
        DataError: other columns, or counts that are no counts.
    """
    rows = []
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != HEADER:
            raise DataError(f"{path}: columns are {reader.fieldnames}, expected {list(HEADER)}")
        for r in reader:
            try:
                numbers = [int(r[n]) for n in ("seed", "cycle", "predicted", "confident")]
            except (TypeError, ValueError):
                raise DataError(
                    f"{path}, line {reader.line_num}: seed, cycle, predicted and confident must "
                    f"be whole numbers, found {list(r.values())}"
                ) from None
            seed, cycle, predicted, confident = numbers
            if not 0 <= confident <= predicted:
                raise DataError(
                    f"{path}, line {reader.line_num}: {confident} confident of {predicted} "
                    "predicted; allowed: from 0 to predicted"
                )
            rows.append(
                Confidence(
                    r["budget"], r["strategy"], seed, cycle, r["class"], predicted, confident
                )
            )
    return rows


@dataclass(frozen=True)
class Correlation:
    """How class confidence agrees with the test scores of the same model.

    Attributes:
        budget, strategy, seed, cycle: of the model.
        rho: Spearman's rank correlation over the classes; NaN where there is none.
        classes: how many classes it is over.
        never_predicted: classes left out because the model never predicts them.
        untested: classes left out because they have no test score.
        reason: why there is no correlation; empty where there is one.
    """

    budget: str
    strategy: str
    seed: int
    cycle: int
    rho: float
    classes: int
    never_predicted: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()
    reason: str = ""


def untested(points: Iterable[Point]) -> dict[int, set[str]]:
    """Classes absent from the test set, by seed.

    IoU and F1 are unknown of a class that is neither in the test set nor predicted, and 0 of one
    that is predicted alone. So a class that any model of a seed has no score for is not in the
    test set of that seed, and its zeros elsewhere are no scores. Dice is never unknown: of volumes
    there is nothing to tell.
    """
    points = [p for p in points if p.per_class and p.task != "3d"]
    names = {name for p in points for name in p.per_class}
    found: dict[int, set[str]] = {}
    for p in points:
        found.setdefault(p.seed, set()).update(names - p.per_class.keys())
    return found


def rank_correlations(view: View) -> list[Correlation]:
    """Rank correlation of class confidence and test score, model by model, over its classes.

    Both are of the same model: confidence on the training pool, score on the test set. This
    describes the models and is no test. In the order of ``view.confidence``; of the view's budget,
    or of all where it has none.
    """
    points = {(p.budget, p.strategy, p.seed, p.cycle): p for p in view.points}
    models: dict[tuple[str, str, int, int], list[Confidence]] = {}
    for row in view.confidence:
        if view.budget not in ("", row.budget):
            continue
        models.setdefault((row.budget, row.strategy, row.seed, row.cycle), []).append(row)
    absent = untested(view.points)
    return [_correlate(k, rows, _point(points, k), absent) for k, rows in models.items()]


def _point(points: Mapping[tuple[str, str, int, int], Point], key: Any) -> Point | None:
    """The scores of a model; before any strategy goes on from it, the first has its own name."""
    budget, _, seed, cycle = key
    return points.get(key) or (points.get((budget, INITIAL, seed, 1)) if cycle == 1 else None)


def _correlate(
    key: tuple[str, str, int, int],
    rows: Sequence[Confidence],
    point: Point | None,
    absent: Mapping[int, set[str]],
) -> Correlation:
    from scipy.stats import spearmanr

    if point is None or not point.per_class:
        return Correlation(*key, math.nan, 0, reason="no test scores of this model")
    scored = point.per_class.keys() - absent.get(point.seed, set())
    used = [r for r in rows if r.predicted and r.cls in scored]
    left = (
        tuple(r.cls for r in rows if not r.predicted),
        tuple(r.cls for r in rows if r.predicted and r.cls not in scored),
    )
    rates = np.array([r.rate for r in used])
    scores = np.array([point.per_class[r.cls] for r in used])
    reason = ""
    if len(used) < FEWEST:
        reason = f"{len(used)} of {len(rows)} classes; a rank correlation needs {FEWEST}"
    elif np.ptp(rates) == 0 or np.ptp(scores) == 0:
        what = "confidence" if np.ptp(rates) == 0 else "test score"
        reason = f"the {what} of all {len(used)} classes is the same"
    rho = math.nan if reason else float(spearmanr(rates, scores).statistic)
    return Correlation(*key, rho, len(used), *left, reason)
