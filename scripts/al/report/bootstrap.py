"""Intervals over the test cases: how far a score would move with other images (slides, patients).

They stand beside the t-interval over seeds, which says how far it moves with another start.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from al.io.errors import DataError
from al.paths import INITIAL, REFERENCES
from al.scoring.cases import Cases, cases_of

RESAMPLES = 2000
FEW = 10  # groups; a percentile interval of fewer is clearly too narrow
_CHUNK = 2**20  # weights drawn at a time
_TOLERANCE = 1e-9  # between a stored score and the one of its cases
K = TypeVar("K", bound=Hashable)
Row = tuple[str, str]  # budget, strategy


@dataclass(frozen=True)
class Interval:
    """A score, or a difference of two, and where it would lie with other test cases.

    Attributes:
        mean: of the seeds, on the test cases as they are.
        low, high: bounds of the percentile interval; NaN where ``note`` says why.
        groups, cases: how many different ones were resampled, over all seeds.
        note: what to bear in mind, or why there is no interval; empty for neither.
    """

    mean: float
    low: float
    high: float
    groups: int
    cases: int
    note: str = ""


@dataclass(frozen=True)
class CaseRow:
    """One strategy (or reference) of one budget: a row of the table of intervals over test cases.

    Attributes:
        budget, strategy: where it stands; references have the budget of their files, often ``""``.
        seeds: those with cases, ascending.
        cycle: of the models; 0 for references.
        score_name: of the main score.
        over_cases: of the score, seeds averaged.
        against: other strategy of the budget, or any reference -> its score taken away from this
            one's, paired: above 0 this one is better.
    """

    budget: str
    strategy: str
    seeds: tuple[int, ...]
    cycle: int
    score_name: str
    over_cases: Interval
    against: Mapping[str, Interval]


def draw_weights(rng: np.random.Generator, groups: Sequence[str], n: int) -> np.ndarray:
    """Draw groups with replacement, then as many cases as it has in each group drawn.

    A group that is drawn twice has its cases drawn twice, independently.

    Args:
        rng: the source of all draws.
        groups: group of each case, (N,).
        n: number of resamples.

    Returns:
        (n, N) int64: how often each case is in each resample.
    """
    _, place, sizes = np.unique(list(groups), return_inverse=True, return_counts=True)
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=n)
    weights = drawn[:, place]
    for group in np.flatnonzero(sizes > 1):
        size = sizes[group]
        within = rng.multinomial(drawn[:, group] * size, np.full(size, 1 / size))
        weights[:, place == group] = within
    return weights


def resampled_scores(
    models: Mapping[K, Cases], rng: np.random.Generator, n_resamples: int = RESAMPLES
) -> dict[K, np.ndarray]:
    """Score each model on resamples of its test cases.

    Models with the same test cases have the same draws, so that their scores are paired; test
    sets that differ (folds of a cross-validation) are drawn one by one, in order of appearance.

    Returns:
        (n_resamples,) float64 by model; NaN where a resample has nothing to score.
    """
    sets: dict[Hashable, list[tuple[K, Cases]]] = {}
    for key, cases in models.items():
        ordered = cases.sorted()  # the order in a file makes no difference
        sets.setdefault((ordered.names, ordered.groups), []).append((key, ordered))
    found = {key: np.empty(n_resamples) for key in models}
    for members in sets.values():
        groups = members[0][1].groups
        for part in _parts(len(groups), n_resamples):
            weights = draw_weights(rng, groups, part.stop - part.start)
            for key, cases in members:
                found[key][part] = cases.scores(weights)
    return found


def case_rows(
    metrics: Iterable[Mapping[str, Any]],
    rng: np.random.Generator,
    n_resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[CaseRow]:
    """Percentile intervals over test cases of each strategy, and of what it is ahead of others.

    The bootstrap is hierarchical: groups (slides, patients) are drawn with replacement, then cases
    within each drawn group; with one case per group it is the plain one. With several it is a
    little wider than drawing whole groups (Davison and Hinkley 1997, section 3.8), which errs to
    the safe side. Seeds are not drawn: a resample is scored with each model, and these scores
    averaged. A difference is paired: both are scored on the same draws, over the seeds that both
    have. ``scipy.stats.bootstrap`` knows no hierarchy, and resamples values where a mean IoU needs
    sums of pixels.

    Args:
        metrics: contents of ``metrics.json`` files of one run: per budget, strategy and seed the
            one of the cycle to compare at (the last that all seeds have), and the references.
            The shared first cycle is left out.
        rng: the source of all draws; strategies, budgets and seeds with the same test cases have
            the same.
        n_resamples: how many.
        level: of the intervals, between 0 and 1.

    Returns:
        One row per budget and strategy, in the order of their first appearance.

    Raises:
        DataError: malformed cases, cases that do not give the stored score, cases of a seed that
            differ between strategies, a seed twice, or cycles that differ between seeds.
    """
    files, models = _read(metrics)
    tables = (models, _points(models), resampled_scores(models, rng, n_resamples))

    def of(row: Row) -> list[dict[int, Any]]:
        """Cases, points and draws of a row, by seed."""
        return [{seed: table[*row, seed] for seed in sorted(files[row])} for table in tables]

    rows = []
    for row, by_seed in files.items():
        against = {
            other[1]: _difference(*zip(of(row), of(other), strict=True), level)
            for other in files
            if other != row and (other[0] == row[0] or other[1] in REFERENCES)
        }
        seeds, name = tuple(sorted(by_seed)), next(iter(by_seed.values()))["score_name"]
        over = _interval(*of(row), level)
        rows.append(CaseRow(*row, seeds, _cycle(by_seed), name, over, against))
    return rows


def _read(
    metrics: Iterable[Mapping[str, Any]],
) -> tuple[dict[Row, dict[int, Mapping[str, Any]]], dict[tuple[str, str, int], Cases]]:
    """Return the files by row and seed, and the cases of each."""
    files: dict[Row, dict[int, Mapping[str, Any]]] = {}
    models: dict[tuple[str, str, int], Cases] = {}
    for m in metrics:
        where = f"metrics.json of {_place(m)}"
        if m["strategy"] == INITIAL:
            continue
        cases = cases_of(m, where)
        row, seed = (m["budget"], m["strategy"]), int(m["seed"])
        if (*row, seed) in models:
            raise DataError(f"{where}: given twice; allowed: one cycle of each seed")
        files.setdefault(row, {})[seed] = m
        models[*row, seed] = _checked(cases, m["score"], where)
    return files, models


def _place(m: Mapping[str, Any]) -> str:
    names = [f"{m[k]}" for k in ("run", "budget", "strategy") if m.get(k)]
    return ", ".join([*names, f"seed {m['seed']}", f"cycle {m['cycle']}"])


def _checked(cases: Cases, score: float, where: str) -> Cases:
    """Return the cases; DataError if they do not give the score that was stored with them."""
    found = cases.score(np.ones(len(cases.names)))
    if not abs(found - score) <= _TOLERANCE:
        raise DataError(f"{where}: cases: they score {found}; allowed: the file's score, {score}")
    return cases


def _cycle(row: Mapping[int, Mapping[str, Any]]) -> int:
    cycles = {int(m["cycle"]) for m in row.values()}
    if len(cycles) > 1:
        first = next(iter(row.values()))
        name = f"{first['run']}, {first['budget']}, {first['strategy']}"
        raise DataError(f"{name}: cycles {sorted(cycles)}; allowed: one for all seeds")
    return cycles.pop()


def _parts(n_cases: int, n_resamples: int) -> Iterator[slice]:
    step = max(1, _CHUNK // n_cases)
    for start in range(0, n_resamples, step):
        yield slice(start, min(start + step, n_resamples))


def _points(models: Mapping[K, Cases]) -> dict[K, float]:
    return {key: c.score(np.ones(len(c.names))) for key, c in models.items()}


def _difference(
    models: Sequence[Mapping[int, Cases]],
    points: Sequence[Mapping[int, float]],
    draws: Sequence[Mapping[int, np.ndarray]],
    level: float,
) -> Interval:
    """First less second of each pair, over the seeds that both have."""
    seeds = [seed for seed in models[0] if seed in models[1]]
    for seed in seeds:
        one, other = (set(zip(m[seed].names, m[seed].groups, strict=True)) for m in models)
        if one != other:
            case = sorted(one ^ other)[0][0]
            raise DataError(f"test cases of seed {seed}: {case!r} differs; allowed: the same ones")
    return _interval(
        {s: models[0][s] for s in seeds},
        {s: points[0][s] - points[1][s] for s in seeds},
        {s: draws[0][s] - draws[1][s] for s in seeds},
        level,
    )


def _interval(
    models: Mapping[int, Cases],
    points: Mapping[int, float],
    draws: Mapping[int, np.ndarray],
    level: float,
) -> Interval:
    """Average points and draws over seeds, and cut the tails off the draws."""
    if not 0 < level < 1:
        raise ValueError(f"level {level}; allowed: between 0 and 1")
    groups = {g for c in models.values() for g in c.groups}
    names = {n for c in models.values() for n in c.names}
    low = high = float("nan")
    note = _note(list(models.values()))
    mean = float(np.mean(list(points.values()))) if points else float("nan")
    if models and min(len(set(c.groups)) for c in models.values()) > 1:
        values = np.mean(list(draws.values()), axis=0)
        values = values[~np.isnan(values)]  # resamples of nothing but void
        if len(values):
            tail = (1 - level) / 2
            low, high = (float(v) for v in np.quantile(values, [tail, 1 - tail]))
    return Interval(mean, low, high, len(groups), len(names), note)


def _note(models: Sequence[Cases]) -> str:
    """Say why there is no interval, or what weakens it."""
    if not models:
        return "no test cases in common"
    sets = {frozenset(c.names) for c in models}
    where = " in a test set" if len(sets) > 1 else ""
    fewest = min(len(set(c.groups)) for c in models)
    if fewest < 2:
        return f"one group{where}: nothing to resample"
    notes = [f"few groups{where}"] if fewest < FEW else []
    if sum(map(len, sets)) > len(frozenset().union(*sets)):
        # Their draws are taken for independent, which such sets are not quite.
        notes.append("test sets of the seeds overlap: too narrow")
    return "; ".join(notes)
