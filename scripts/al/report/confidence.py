"""Class confidence of the models of a run, and how it agrees with their scores on the test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import reading
from al.io.images_csv import read_counts
from al.io.tables import read_pool
from al.paths import INITIAL, places_in, pool_of

from .curves import Point
from .statistics import mean_ranks_of
from .tables import read_csv, write_csv
from .view import Confidence, View, once

HEADER = ("budget", "strategy", "seed", "cycle", "class", "predicted", "confident", "confidence")
# A rank correlation of two classes is 1 or -1, whatever they are.
FEWEST = 3


def read_confidence(folder: Path, look: Mapping[str, Any]) -> list[Confidence]:
    """Sum what the models of a run say of each class over the images of the training pool.

    These are the counts of Eq. 1 of the paper over the whole pool; DECOMP itself sums them over
    the images not yet opened in the current loop. Validation images do not count. The first cycle
    (``initial``) is given to every strategy, at the strategy's own threshold. Files that are not
    there are left out: strategies that read no predictions have none.

    Args:
        folder: ``results/{run}``, with ``pools/seed-K.csv`` and the ``images.csv`` of each cycle.
        look: as ``look.look_of``. Strategies without ``tau`` are read at 0.7, or at the highest
            threshold counted where 0.7 was not.

    Returns:
        rows in the order of budgets, strategies and seeds as given, cycles ascending, classes.

    Raises:
        DataError: a table that does not fit: columns, counts, or images of the pool it lacks.
    """
    classes = look["classes"]
    pool = cache(lambda seed: {row.image for row in read_pool(pool_of(folder, seed), "train")})
    counts = cache(lambda path, seed, tau: _counts(path, pool(seed), classes, tau))
    tables: dict[tuple[str, str, int], list[tuple[int, Path]]] = {}
    for place, path in places_in(folder, "images.csv"):
        key = (place.budget, place.strategy, place.seed)
        tables.setdefault(key, []).append((place.cycle, path))
    rows: list[Confidence] = []
    for key in product(look["budgets"], look["strategies"], look["seeds"]):
        budget, strategy, seed = key
        tau = look["definitions"].get(strategy, {}).get("tau")
        for cycle, path in tables.get((budget, INITIAL, seed), []) + tables.get(key, []):
            held = zip(classes, *counts(path, seed, tau), strict=True)
            rows += [Confidence(*key, cycle, name, int(p), int(c)) for name, p, c in held]
    return rows


def _counts(path: Path, images: set[str], classes: Sequence[str], tau: float | None) -> np.ndarray:
    """Predicted and confident counts, (2, C) int64, summed over some images of a table."""
    names, _, predicted, confident, _ = read_counts(path, classes, tau)
    own = np.array([name in images for name in names], bool)
    if own.sum() != len(images):
        raise DataError(f"{path}: has {own.sum()} of the {len(images)} training images")
    return np.stack([predicted[own].sum(axis=0), confident[own].sum(axis=0)])


def write_confidence(rows: Iterable[Confidence], path: Path) -> None:
    """Write ``confidence.csv`` by rename: one row per model and class.

    ``confidence`` is confident / predicted, empty for a class that is never predicted.
    """
    write_csv([asdict(r) | {"class": r.cls, "confidence": r.rate} for r in rows], path, HEADER)


def read_confidence_csv(path: Path) -> list[Confidence]:
    """Read ``confidence.csv``, rows in file order. Raises DataError where it is damaged."""
    rows = read_csv(path)
    with reading(path):
        return [
            Confidence(
                **{key: row[key] for key in ("budget", "strategy")},
                cls=row["class"],
                **{key: int(row[key]) for key in ("seed", "cycle", "predicted", "confident")},
            )
            for row in rows
        ]


@dataclass(frozen=True)
class Correlation:
    """How class confidence agrees with the test scores of the same model.

    Attributes:
        budget, strategy, seed, cycle: of the model.
        rho: Spearman's rank correlation over the classes; NaN where there are fewer than ``FEWEST``
            or all have the same confidence or score.
        classes: how many have both, a prediction and a test score.
    """

    budget: str
    strategy: str
    seed: int
    cycle: int
    rho: float
    classes: int


@once
def rank_correlations(view: View) -> list[Correlation]:
    """Rank correlation of class confidence and test score, model by model, over its classes.

    Both are of the same model: confidence on the training pool, score on the test set. This
    describes the models and is no test. In the order of ``view.confidence``, of the view's budget.
    """
    points = {(p.strategy, p.seed, p.cycle): p for p in view.points if p.budget == view.budget}
    models: dict[tuple[str, int, int], list[Confidence]] = {}
    for row in view.confidence:
        if row.budget == view.budget:
            models.setdefault((row.strategy, row.seed, row.cycle), []).append(row)
    # Before any strategy goes on from it, the first model has a name of its own.
    return [
        _correlate(rows, points.get(key) or points.get((INITIAL, *key[1:])))
        for key, rows in models.items()
    ]


def _correlate(rows: Sequence[Confidence], point: Point | None) -> Correlation:
    scores = point.per_class if point else {}
    used = [r for r in rows if r.predicted and r.cls in scores]
    # Spearman's is Pearson's of the ranks.
    confidence = mean_ranks_of(np.array([r.rate for r in used]))
    score = mean_ranks_of(np.array([scores[r.cls] for r in used]))
    rho = nan
    if len(used) >= FEWEST and np.ptp(confidence) and np.ptp(score):
        rho = float(np.corrcoef(confidence, score)[0, 1])
    first = rows[0]
    return Correlation(first.budget, first.strategy, first.seed, first.cycle, rho, len(used))
