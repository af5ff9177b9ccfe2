"""The bootstrap over test cases, against loops that resample label maps and score them anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap, chisquare

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.report.bootstrap import (
    Interval,
    case_rows,
    draw_weights,
    resampled_scores,
)
from al.scoring.cases import Cases
from al.scoring.scores import score_images, score_rois, score_volumes

CLASSES = ["a", "b", "c"]
NAMES = [f"case {i}" for i in range(12)]
SLIDES = ["p", "p", "p", "q", "r", "r", "s", "t", "t", "t", "t", "u"]
Score = Callable[[Sequence[int]], dict[str, Any]]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def scoring(kind: str, seed: int) -> Score:
    """Return the real score of twelve random cases, each as often as it is listed."""
    random = rng(seed)
    shape = {"f1": (2, 12), "iou": (2, 12, 4, 3), "dice": (2, 12, 2, 3, 3)}[kind]
    truth, labels = random.choice(3, shape, p=[0.6, 0.3, 0.1]).astype(np.uint8)
    labels = np.where(random.random(truth.shape) < 0.5, truth, labels)
    if kind != "f1":
        truth[random.random(truth.shape) < 0.1] = UNKNOWN

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


def read(scores: Mapping[str, Any]) -> Cases:
    return Cases.from_json(json.loads(json.dumps(scores["cases"])), "metrics.json")


def whole(score: Score, order: Sequence[int] = range(12)) -> Cases:
    return read(score(order))


def by_dice(values: Sequence[float], groups: Sequence[str] = ()) -> Cases:
    """Cases whose score is the mean of some values."""
    names = tuple(f"case {i:04d}" for i in range(len(values)))
    return Cases("dice", ("a",), names, tuple(groups) or names, np.array(values)[:, None])


def metrics(strategy: str, seed: int, cases: Cases, budget: str = "2x3", cycle: int = 4) -> dict:
    return {
        "run": "toy",
        "budget": budget,
        "strategy": strategy,
        "seed": seed,
        "cycle": cycle,
        "score": cases.score(np.ones(len(cases.names))),
        "score_name": "mean Dice",
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


def slow_weights(random: np.random.Generator, groups: Sequence[str]) -> list[int]:
    """One resample of cases, as a person would draw it."""
    drawn: list[int] = []
    names = sorted(set(groups))
    for _ in names:
        name = names[random.integers(len(names))]
        members = [i for i, g in enumerate(groups) if g == name]
        for _ in members:
            drawn.append(members[random.integers(len(members))])
    return [drawn.count(i) for i in range(len(groups))]


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
def test_scores_are_those_of_resampled_label_maps(kind: str) -> None:
    first, second = scoring(kind, 1), scoring(kind, 2)
    models = {"x": whole(first), "y": whole(second)}
    found = resampled_scores(models, rng(7), 12)
    weights = draw_weights(rng(7), models["x"].sorted().groups, 12)
    order = sorted(range(12), key=lambda i: NAMES[i])
    for r, drawn in enumerate(weights):
        cases = [order[i] for i in range(12) for _ in range(drawn[i])]
        assert found["x"][r] == pytest.approx(first(cases)["score"], abs=1e-12)
        assert found["y"][r] == pytest.approx(second(cases)["score"], abs=1e-12)
    between = difference({0: models["x"]}, {0: models["y"]}, rng(7))
    draws = resampled_scores(models, rng(7), 2000)
    expected = np.quantile(draws["x"] - draws["y"], [0.025, 0.975])
    assert (between.low, between.high) == pytest.approx(tuple(expected))
    assert between.mean == pytest.approx(first(range(12))["score"] - second(range(12))["score"])


def test_interval_against_a_slow_bootstrap() -> None:
    scores = [scoring("iou", seed) for seed in (1, 2)]
    found = interval({s: whole(f) for s, f in enumerate(scores)}, rng(), 4000)
    assert found.mean == pytest.approx(np.mean([f(range(12))["score"] for f in scores]))
    assert (found.groups, found.cases, found.note) == (6, 12, "few groups")
    random, slow = rng(5), []
    for _ in range(300):
        weights = slow_weights(random, SLIDES)
        cases = [i for i in range(12) for _ in range(weights[i])]
        slow.append(np.mean([f(cases)["score"] for f in scores]))
    low, high = np.quantile(slow, [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.12 * width)
    assert found.high == pytest.approx(high, abs=0.12 * width)


def test_with_one_case_per_group_it_is_scipys_bootstrap() -> None:
    values = rng(3).beta(5, 2, 40)
    found = interval({0: by_dice(values)}, rng(), 20000, 0.9)
    peer = bootstrap(
        (values,), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=2e-3)
    assert found.note == "" and found.groups == 40


def test_the_order_of_the_cases_makes_no_difference() -> None:
    one, moved = whole(scoring("iou", 1)), whole(scoring("iou", 1), rng().permutation(12))
    assert one.names != moved.names
    found, other = (astuple(interval({0: c}, rng())) for c in (one, moved))
    assert found[:3] == pytest.approx(other[:3]) and found[3:] == other[3:]


def test_folds_are_drawn_each_by_itself() -> None:
    values = rng(1).random(30)
    folds = {}
    for k in range(3):
        names = tuple(f"fold {k} case {i}" for i in range(30))
        folds[k] = Cases("dice", ("a",), names, names, values[:, None])
    one, three = interval({0: folds[0]}, rng()), interval(folds, rng())
    assert (three.groups, three.cases, three.note) == (90, 90, "")
    # The mean of three independent means: narrower by the root of three.
    ratio = (one.high - one.low) / (three.high - three.low)
    assert ratio == pytest.approx(np.sqrt(3), rel=0.08)


def test_test_sets_that_overlap_are_said_to() -> None:
    first, second = by_dice(rng(1).random(30)), by_dice(rng(2).random(25))
    found = interval({0: first, 1: second}, rng())
    assert found.note == "test sets of the seeds overlap: too narrow"
    assert (found.groups, found.cases) == (30, 30) and found.low < found.mean < found.high


def test_one_group_has_no_interval_and_few_are_said_to_be() -> None:
    one = interval({0: by_dice([0.2, 0.4], ["s", "s"])}, rng())
    assert one.mean == pytest.approx(0.3) and np.isnan([one.low, one.high]).all()
    assert (one.groups, one.cases, one.note) == (1, 2, "one group: nothing to resample")
    nine, ten = (interval({0: by_dice(rng().random(n))}, rng()) for n in (9, 10))
    assert (nine.note, ten.note) == ("few groups", "")
    assert nine.low < nine.high
    other = Cases("dice", ("a",), ("z",), ("z",), np.ones((1, 1)))
    folds = interval({0: by_dice(rng().random(20)), 1: other}, rng())
    assert np.isnan(folds.low) and folds.note == "one group in a test set: nothing to resample"


def test_difference_is_paired() -> None:
    values = rng(1).random(40) / 2
    first, second = by_dice(values + 0.1), by_dice(values)
    same = difference({0: second}, {0: second}, rng())
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    better = difference({0: first}, {0: second}, rng())
    assert (better.mean, better.low, better.high) == pytest.approx((0.1, 0.1, 0.1))
    worse = difference({0: second}, {0: first}, rng())
    assert (worse.low, worse.high) == pytest.approx((-0.1, -0.1))


def test_difference_takes_the_seeds_that_both_have() -> None:
    first = {s: by_dice(rng(s).random(20)) for s in (0, 1, 2)}
    second = {s: by_dice(rng(s + 10).random(20)) for s in (2, 1)}
    found = difference(first, second, rng())
    means = [first[s].values.mean() - second[s].values.mean() for s in (1, 2)]
    assert found.mean == pytest.approx(np.mean(means))
    shared = {s: first[s] for s in (1, 2)}
    assert found == difference(shared, second, rng())
    none = difference({0: first[0]}, second, rng())
    assert np.isnan([none.mean, none.low, none.high]).all() and none.cases == 0 and none.note
    with pytest.raises(DataError, match="test cases of seed 1: 'case 0020' differs"):
        difference({1: by_dice(rng().random(21))}, second, rng())


def test_a_class_that_is_absent_does_not_count() -> None:
    """Class c is in no image; class b is in one, and not in every resample."""
    names = tuple(f"i{k}" for k in range(12))
    counts = np.zeros((12, 3, 3), int)
    counts[:, 0] = [8, 2, 0]
    counts[0, 1] = [0, 0, 4]
    found = interval({0: Cases("iou", tuple("abc"), names, names, counts)}, rng())
    assert found.mean == pytest.approx((0.8 + 0) / 2)
    assert (found.low, found.high) == pytest.approx((0.4, 0.8))


def test_the_same_generator_gives_the_same_interval() -> None:
    cases = {0: whole(scoring("iou", 1))}
    first, again, other = (interval(cases, rng(s), 200) for s in (0, 0, 1))
    assert first == again != other
    narrow = interval(cases, rng(), 200, 0.5)
    assert first.low < narrow.low < narrow.high < first.high
    with pytest.raises(ValueError, match="level 95; allowed: between 0 and 1"):
        interval(cases, rng(), 200, 95)


def test_draws_in_parts_are_the_draws_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {0: by_dice(rng(1).random(8)), 1: by_dice(rng(2).random(8))}
    monkeypatch.setattr("al.report.bootstrap._CHUNK", 8 * 30)
    found = resampled_scores(cases, rng(), 100)
    random, start = rng(), 0
    for size in (30, 30, 30, 10):
        weights = draw_weights(random, cases[0].groups, size)
        for seed, scores in found.items():
            expected = weights @ cases[seed].values[:, 0] / 8
            np.testing.assert_allclose(scores[start : start + size], expected)
        start += size


def files() -> list[dict]:
    """Two strategies and the reference, two seeds; seed 1 of the second one is missing."""
    models = [by_dice(rng(s).random(30)) for s in range(5)]
    return [
        metrics("decomp", 0, models[0]),
        metrics("decomp", 1, models[1]),
        metrics("random", 0, models[2]),
        metrics("full", 0, models[3], "", 0),
        metrics("full", 1, models[4], "", 0),
        metrics("initial", 0, models[4], cycle=1),
    ]


def test_rows_of_a_run() -> None:
    decomp, random, full = case_rows(files(), rng())
    assert [(r.budget, r.strategy, r.seeds, r.cycle) for r in (decomp, random, full)] == [
        ("2x3", "decomp", (0, 1), 4),
        ("2x3", "random", (0,), 4),
        ("", "full", (0, 1), 0),
    ]
    assert decomp.score_name == "mean Dice"
    models = [by_dice(rng(s).random(30)) for s in range(5)]
    both = {0: models[0], 1: models[1]}
    assert decomp.over_cases == interval(both, rng())
    assert decomp.over_cases.low < decomp.over_cases.mean < decomp.over_cases.high
    assert decomp.against == {
        "random": difference(both, {0: models[2]}, rng()),
        "full": difference(both, {0: models[3], 1: models[4]}, rng()),
    }
    found = decomp.against["random"]
    assert found.mean == pytest.approx(files()[0]["score"] - files()[2]["score"])
    back = random.against["decomp"]
    assert (back.mean, back.low, back.high) == pytest.approx((-found.mean, -found.high, -found.low))
    assert full.against == {}  # what stands beside a reference depends on the budget


def test_rows_refuse_what_does_not_fit() -> None:
    with pytest.raises(DataError, match=r"toy, 2x3, decomp, seed 0, cycle 4: given twice"):
        case_rows([*files(), files()[0]], rng())
    wrong = files()
    wrong[1]["cycle"] = 3
    with pytest.raises(DataError, match=r"toy, 2x3, decomp: cycles \[3, 4\]; allowed: one"):
        case_rows(wrong, rng())
    wrong = files()
    wrong[3]["score"] += 0.01
    with pytest.raises(DataError, match=r"toy, full, seed 0, cycle 0: cases: they score"):
        case_rows(wrong, rng())
    wrong = files()
    wrong[0]["cases"]["values"].pop()
    with pytest.raises(DataError, match=r"toy, 2x3, decomp, seed 0, cycle 4: cases: values: 29"):
        case_rows(wrong, rng())
