"""The bootstrap over test cases, against loops that resample label maps and score them anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.report.bootstrap import Interval, case_rows, draw_weights, resampled_scores
from al.scoring.cases import Cases
from al.scoring.scores import score_images, score_rois, score_volumes

CLASSES = ["a", "b", "c"]
NAMES = [f"case {i}" for i in range(12)]  # not in the order of their sorted names
SLIDES = ["p", "p", "p", "q", "r", "r", "s", "t", "t", "t", "t", "u"]
Score = Callable[[Sequence[int]], dict[str, Any]]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def scoring(kind: str, seed: int) -> Score:
    """The real score of twelve random cases, each as often as listed; class c is in few of them."""
    random = rng(seed)
    shape = {"f1": (2, 12), "iou": (2, 12, 4, 3), "dice": (2, 12, 2, 3, 3)}[kind]
    truth, labels = random.choice(3, shape, p=[0.6, 0.38, 0.02]).astype(np.uint8)
    labels = np.where(random.random(truth.shape) < 0.5, truth, labels)
    if kind != "f1":
        truth[random.random(truth.shape) < 0.1] = UNKNOWN
    if kind == "dice":  # groups that are true in no case are not scored: here each is in all
        truth[:, 0, 0, 0] = 2

    def score(order: Sequence[int]) -> dict[str, Any]:
        again = [list(order[:k]).count(i) for k, i in enumerate(order)]
        names = [(NAMES[i] + "'" * n, SLIDES[i]) for i, n in zip(order, again, strict=True)]
        pairs = [(truth[i], labels[i]) for i in order]
        if kind == "f1":
            return score_rois(truth[list(order)], labels[list(order)], CLASSES, names)
        if kind == "iou":
            return score_images(pairs, CLASSES, names)
        return score_volumes(pairs, {"any": [1, 2], "c": [2]}, names=names)

    return score


def whole(score: Score) -> Cases:
    """As they are read back from a metrics file."""
    return Cases.from_json(json.loads(json.dumps(score(range(12))["cases"])), "metrics.json")


def by_dice(values: Sequence[float], groups: Sequence[str] = (), name: str = "case") -> Cases:
    """Cases whose score is the mean of some values."""
    names = tuple(f"{name} {i:04d}" for i in range(len(values)))
    return Cases("dice", ("a",), names, tuple(groups) or names, np.array(values)[:, None])


def metrics(strategy: str, seed: int, cases: Cases, budget: str = "2x3", cycle: int = 4) -> dict:
    return {
        **{"run": "toy", "budget": budget, "strategy": strategy, "seed": seed, "cycle": cycle},
        **{"score": cases.score(np.ones(len(cases.names))), "score_name": "mean Dice"},
        "cases": cases.to_json(),
    }


def interval(
    models: Mapping[int, Cases], random: np.random.Generator, n: int = 2000, level: float = 0.95
) -> Interval:
    """Over the cases of one strategy's models, by seed."""
    (row,) = case_rows([metrics("s", seed, c) for seed, c in models.items()], random, n, level)
    return row.over_cases


def difference(
    first: Mapping[int, Cases], second: Mapping[int, Cases], random: np.random.Generator
) -> Interval:
    """Of two strategies' models, paired."""
    both = {"a": first, "b": second}
    given = [metrics(name, s, c) for name, models in both.items() for s, c in models.items()]
    return case_rows(given, random)[0].against["b"]


def chances(groups: Sequence[str]) -> dict[tuple[int, ...], float]:
    """Probability of each vector of weights, by listing every possible draw."""
    found: Counter[tuple[int, ...]] = Counter()
    names = sorted(set(groups))
    members = {n: [i for i, g in enumerate(groups) if g == n] for n in names}
    for first in product(names, repeat=len(names)):
        draws = [list(product(members[n], repeat=len(members[n]))) for n in first]
        share = len(names) ** -len(names) / np.prod([len(d) for d in draws])
        for second in product(*draws):
            cases = [i for part in second for i in part]
            found[tuple(cases.count(i) for i in range(len(groups)))] += share
    return dict(found)


@pytest.mark.parametrize("groups", ["aba", "abc", "aabb"])
def test_draws_have_the_probabilities_of_drawing_twice(groups: str) -> None:
    expected, n = chances(groups), 20000
    found = Counter(map(tuple, draw_weights(rng(1), groups, n).tolist()))
    keys = sorted(expected)
    assert set(found) <= set(keys)
    assert chisquare([found[k] for k in keys], [n * expected[k] for k in keys]).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["iou", "f1", "dice"])
def test_scores_are_those_of_resampled_label_maps(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("al.report.bootstrap._CHUNK", 12 * 5)  # 5 resamples at a time
    first, second = scoring(kind, 1), scoring(kind, 2)
    models = {"x": whole(first), "y": whole(second)}
    found, random = resampled_scores(models, rng(7), 12), rng(7)
    groups = models["x"].sorted().groups
    weights = np.concatenate([draw_weights(random, groups, n) for n in (5, 5, 2)])
    order = sorted(range(12), key=lambda i: NAMES[i])
    for r, drawn in enumerate(weights):
        cases = [order[i] for i in range(12) for _ in range(drawn[i])]
        for name, score in (("x", first), ("y", second)):
            expected = pytest.approx(score(cases)["score"], abs=1e-12, nan_ok=True)
            assert found[name][r] == expected
    draws = resampled_scores(models, rng(7), 2000)
    x, y = (f(range(12))["score"] for f in (first, second))
    between = difference({0: models["x"]}, {0: models["y"]}, rng(7))
    over_seeds = interval({0: models["x"], 1: models["y"]}, rng(7), level=0.9)
    for held, values, mean, tail in (
        (between, draws["x"] - draws["y"], x - y, 0.025),
        (over_seeds, (draws["x"] + draws["y"]) / 2, (x + y) / 2, 0.05),
    ):
        ends = tuple(np.nanquantile(values, [tail, 1 - tail]))
        assert (held.low, held.high) == pytest.approx(ends)
        assert held.mean == pytest.approx(mean)
    assert (over_seeds.groups, over_seeds.cases, over_seeds.note) == (6, 12, "few groups")


def test_folds_are_drawn_each_by_itself() -> None:
    values = rng(1).random(30)
    folds = {k: by_dice(values, name=f"fold {k}") for k in range(3)}
    one, three = interval({0: folds[0]}, rng()), interval(folds, rng())
    assert (three.groups, three.cases, three.note) == (90, 90, "")
    # The mean of three independent means: narrower by the root of three.
    ratio = (one.high - one.low) / (three.high - three.low)
    assert ratio == pytest.approx(np.sqrt(3), rel=0.08)


def test_what_weakens_an_interval_is_said() -> None:
    overlap = interval({0: by_dice(rng(1).random(30)), 1: by_dice(rng(2).random(25))}, rng())
    assert "overlap" in overlap.note and overlap.low < overlap.mean < overlap.high
    one = interval({0: by_dice([0.2, 0.4], ["s", "s"])}, rng())
    assert one.mean == pytest.approx(0.3) and np.isnan([one.low, one.high]).all()
    assert (one.groups, one.cases) == (1, 2) and one.note.startswith("one group:")
    nine, ten = (interval({0: by_dice(rng().random(n))}, rng()) for n in (9, 10))
    assert (nine.note, ten.note) == ("few groups", "")
    folds = interval({0: by_dice(rng().random(20)), 1: by_dice([1.0], name="other")}, rng())
    assert np.isnan(folds.low) and folds.note.startswith("one group in a test set")


def test_difference_is_paired_over_the_seeds_that_both_have() -> None:
    values = rng(1).random(40) / 2
    better = difference({0: by_dice(values + 0.1)}, {0: by_dice(values)}, rng())
    assert (better.mean, better.low, better.high) == pytest.approx((0.1, 0.1, 0.1))
    first = {s: by_dice(rng(s).random(20)) for s in (0, 1, 2)}
    second = {s: by_dice(rng(s + 10).random(20)) for s in (2, 1)}
    found = difference(first, second, rng())
    means = [first[s].values.mean() - second[s].values.mean() for s in (1, 2)]
    assert found.mean == pytest.approx(np.mean(means))
    assert found == difference({s: first[s] for s in (1, 2)}, second, rng())
    none = difference({0: first[0]}, second, rng())
    assert np.isnan([none.mean, none.low, none.high]).all() and none.cases == 0 and none.note
    with pytest.raises(DataError, match="test cases of seed 1: 'case 0020' differs"):
        difference({1: by_dice(rng().random(21))}, second, rng())


MODELS = [by_dice(rng(s).random(30)) for s in range(5)]


def files() -> list[dict]:
    """Two strategies and the reference, two seeds; seed 1 of the second one is missing."""
    return [
        *(metrics("decomp", s, MODELS[s]) for s in (0, 1)),
        metrics("random", 0, MODELS[2]),
        *(metrics("full", s, MODELS[3 + s], "", 0) for s in (0, 1)),
        metrics("initial", 0, MODELS[4], cycle=1),
    ]


def test_rows_of_a_run() -> None:
    decomp, random, full = case_rows(files(), rng())
    assert [(r.budget, r.strategy, r.seeds, r.cycle) for r in (decomp, random, full)] == [
        ("2x3", "decomp", (0, 1), 4),
        ("2x3", "random", (0,), 4),
        ("", "full", (0, 1), 0),
    ]
    both = {0: MODELS[0], 1: MODELS[1]}
    assert decomp.over_cases == interval(both, rng())
    assert decomp.against == {
        "random": difference(both, {0: MODELS[2]}, rng()),
        "full": difference(both, {0: MODELS[3], 1: MODELS[4]}, rng()),
    }
    assert full.against == {}  # what stands beside a reference depends on the budget


def test_rows_refuse_what_does_not_fit() -> None:
    with pytest.raises(DataError, match=r"toy, 2x3, decomp, seed 0, cycle 4: given twice"):
        case_rows([*files(), files()[0]], rng())
    for row, changed, match in (
        (1, {"cycle": 3}, r"toy, 2x3, decomp: cycles \[3, 4\]; allowed: one"),
        (3, {"score": 0.9}, r"toy, full, seed 0, cycle 0: cases: they score"),
        (0, {"cases": MODELS[0].to_json() | {"values": [[0.5]]}}, "decomp, seed 0.*values: 1"),
    ):
        wrong = files()
        wrong[row] |= changed
        with pytest.raises(DataError, match=match):
            case_rows(wrong, rng())
