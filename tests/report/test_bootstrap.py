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
    case_rows,
    difference_over_cases,
    draw_weights,
    interval_over_cases,
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


@pytest.mark.parametrize("groups", ["aab", "aba", "abc", "aaa", "aabb"])
def test_draws_have_the_probabilities_of_drawing_twice(groups: str) -> None:
    expected = chances(groups)
    assert sum(expected.values()) == pytest.approx(1)
    n = 20000
    fast = Counter(map(tuple, draw_weights(rng(1), groups, n).tolist()))
    random = rng(2)
    slow = Counter(tuple(slow_weights(random, groups)) for _ in range(n))
    keys = sorted(expected)
    for found in (fast, slow):
        assert set(found) <= set(keys)
        counts = [found[k] for k in keys]
        assert chisquare(counts, [n * expected[k] for k in keys]).pvalue > 1e-3


def test_draws_keep_groups_together() -> None:
    weights = draw_weights(rng(), SLIDES, 500)
    assert weights.shape == (500, 12) and weights.dtype == np.int64
    times = 0
    for slide in set(SLIDES):
        held = np.array([s == slide for s in SLIDES])
        size = held.sum()
        assert (weights[:, held].sum(1) % size == 0).all()
        times = times + weights[:, held].sum(1) // size
    assert (times == 6).all()  # as many groups as there are, each whole


@pytest.mark.parametrize("kind", ["iou", "f1", "dice"])
def test_scores_are_those_of_resampled_label_maps(kind: str) -> None:
    first, second = scoring(kind, 1), scoring(kind, 2)
    models = {"x": whole(first), "y": whole(second)}
    found = resampled_scores(models, rng(7), 40)
    weights = draw_weights(rng(7), models["x"].sorted().groups, 40)
    order = sorted(range(12), key=lambda i: NAMES[i])
    for r, drawn in enumerate(weights):
        cases = [order[i] for i in range(12) for _ in range(drawn[i])]
        assert found["x"][r] == pytest.approx(first(cases)["score"], abs=1e-12)
        assert found["y"][r] == pytest.approx(second(cases)["score"], abs=1e-12)
    both = [{0: models["x"]}, {0: models["y"]}]
    difference = difference_over_cases(*both, rng(7), 40)
    expected = np.quantile(found["x"] - found["y"], [0.025, 0.975])
    assert (difference.low, difference.high) == pytest.approx(tuple(expected))
    all_cases = range(12)
    assert difference.mean == pytest.approx(first(all_cases)["score"] - second(all_cases)["score"])


@pytest.mark.parametrize("kind", ["iou", "f1", "dice"])
def test_interval_against_a_slow_bootstrap(kind: str) -> None:
    scores = [scoring(kind, seed) for seed in (1, 2)]
    found = interval_over_cases({s: whole(f) for s, f in enumerate(scores)}, rng(), 4000)
    assert found.mean == pytest.approx(np.mean([f(range(12))["score"] for f in scores]))
    assert (found.groups, found.cases, found.note) == (6, 12, "few groups")
    random, slow = rng(5), []
    for _ in range(400):
        weights = slow_weights(random, SLIDES)
        cases = [i for i in range(12) for _ in range(weights[i])]
        slow.append(np.mean([f(cases)["score"] for f in scores]))
    low, high = np.quantile(slow, [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.12 * width)
    assert found.high == pytest.approx(high, abs=0.12 * width)


def test_with_one_case_per_group_it_is_scipys_bootstrap() -> None:
    values = rng(3).beta(5, 2, 40)
    found = interval_over_cases({0: by_dice(values)}, rng(), 20000, 0.9)
    peer = bootstrap(
        (values,), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=2e-3)
    assert found.note == "" and found.groups == 40


def test_groups_widen_the_interval_of_cases_that_go_together() -> None:
    values = np.repeat(rng(4).beta(5, 2, 20), 10)
    apart = interval_over_cases({0: by_dice(values)}, rng())
    slides = [f"s{i // 10}" for i in range(200)]
    together = interval_over_cases({0: by_dice(values, slides)}, rng())
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert (together.groups, together.cases) == (20, 200)


@pytest.mark.slow
def test_intervals_hold_the_true_score_about_as_often_as_they_say() -> None:
    random, held = rng(11), 0
    sizes = [1, 2, 3, 6] * 8
    slides = [f"s{i}" for i, n in enumerate(sizes) for _ in range(n)]
    for _ in range(300):
        effects = np.repeat(random.normal(0.6, 0.08, len(sizes)), sizes)
        values = effects + random.normal(0, 0.05, len(slides))
        found = interval_over_cases({0: by_dice(values, slides)}, random, 400)
        held += found.low <= 0.6 <= found.high
    assert 0.89 < held / 300 < 0.99


def test_the_order_of_the_cases_makes_no_difference() -> None:
    for kind in ("iou", "f1", "dice"):
        one, moved = whole(scoring(kind, 1)), whole(scoring(kind, 1), rng().permutation(12))
        assert one.names != moved.names
        found, other = (astuple(interval_over_cases({0: c}, rng())) for c in (one, moved))
        assert found[:3] == pytest.approx(other[:3]) and found[3:] == other[3:]


def test_seeds_with_the_same_cases_have_the_same_draws() -> None:
    cases = by_dice(rng(1).random(30))
    one, three = (interval_over_cases(dict.fromkeys(s, cases), rng()) for s in ([0], [0, 1, 2]))
    assert (one.low, one.high) == pytest.approx((three.low, three.high))
    assert (three.groups, three.cases) == (30, 30)


def test_folds_are_drawn_each_by_itself() -> None:
    values = rng(1).random(30)
    folds = {}
    for k in range(3):
        names = tuple(f"fold {k} case {i}" for i in range(30))
        folds[k] = Cases("dice", ("a",), names, names, values[:, None])
    one, three = interval_over_cases({0: folds[0]}, rng()), interval_over_cases(folds, rng())
    assert (three.groups, three.cases, three.note) == (90, 90, "")
    # The mean of three independent means: narrower by the root of three.
    ratio = (one.high - one.low) / (three.high - three.low)
    assert ratio == pytest.approx(np.sqrt(3), rel=0.08)


def test_test_sets_that_overlap_are_said_to() -> None:
    first, second = by_dice(rng(1).random(30)), by_dice(rng(2).random(25))
    found = interval_over_cases({0: first, 1: second}, rng())
    assert found.note == "test sets of the seeds overlap: too narrow"
    assert (found.groups, found.cases) == (30, 30) and found.low < found.mean < found.high


def test_one_group_has_no_interval_and_few_are_said_to_be() -> None:
    one = interval_over_cases({0: by_dice([0.2, 0.4], ["s", "s"])}, rng())
    assert one.mean == pytest.approx(0.3) and np.isnan([one.low, one.high]).all()
    assert (one.groups, one.cases, one.note) == (1, 2, "one group: nothing to resample")
    nine, ten = (interval_over_cases({0: by_dice(rng().random(n))}, rng()) for n in (9, 10))
    assert (nine.note, ten.note) == ("few groups", "")
    assert nine.low < nine.high
    other = Cases("dice", ("a",), ("z",), ("z",), np.ones((1, 1)))
    folds = interval_over_cases({0: by_dice(rng().random(20)), 1: other}, rng())
    assert np.isnan(folds.low) and folds.note == "one group in a test set: nothing to resample"


def test_difference_is_paired() -> None:
    values = rng(1).random(40) / 2
    first, second = by_dice(values + 0.1), by_dice(values)
    same = difference_over_cases({0: second}, {0: second}, rng())
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    better = difference_over_cases({0: first}, {0: second}, rng())
    assert (better.mean, better.low, better.high) == pytest.approx((0.1, 0.1, 0.1))
    worse = difference_over_cases({0: second}, {0: first}, rng())
    assert (worse.low, worse.high) == pytest.approx((-0.1, -0.1))


def test_difference_takes_the_seeds_that_both_have() -> None:
    first = {s: by_dice(rng(s).random(20)) for s in (0, 1, 2)}
    second = {s: by_dice(rng(s + 10).random(20)) for s in (2, 1)}
    found = difference_over_cases(first, second, rng())
    means = [first[s].values.mean() - second[s].values.mean() for s in (1, 2)]
    assert found.mean == pytest.approx(np.mean(means))
    shared = {s: first[s] for s in (1, 2)}
    assert found == difference_over_cases(shared, second, rng())
    none = difference_over_cases({0: first[0]}, second, rng())
    assert np.isnan([none.mean, none.low, none.high]).all()
    assert (none.cases, none.note) == (0, "no test cases in common")
    with pytest.raises(DataError, match="test cases of seed 1: 'case 0020' differs"):
        difference_over_cases({1: by_dice(rng().random(21))}, second, rng())


def test_a_class_that_is_absent_does_not_count() -> None:
    """Class c is in no image; class b is in one, and not in every resample."""
    names = tuple(f"i{k}" for k in range(12))
    counts = np.zeros((12, 3, 3), int)
    counts[:, 0] = [8, 2, 0]
    counts[0, 1] = [0, 0, 4]
    found = interval_over_cases({0: Cases("iou", tuple("abc"), names, names, counts)}, rng())
    assert found.mean == pytest.approx((0.8 + 0) / 2)
    assert (found.low, found.high) == pytest.approx((0.4, 0.8))


def test_the_same_generator_gives_the_same_interval() -> None:
    cases = {0: whole(scoring("iou", 1))}
    first, again, other = (interval_over_cases(cases, rng(s), 200) for s in (0, 0, 1))
    assert first == again != other
    narrow = interval_over_cases(cases, rng(), 200, 0.5)
    assert first.low < narrow.low < narrow.high < first.high
    with pytest.raises(ValueError, match="level 95; allowed: between 0 and 1"):
        interval_over_cases(cases, rng(), 200, 95)


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
    assert decomp.over_cases == interval_over_cases(both, rng())
    assert decomp.over_cases.low < decomp.over_cases.mean < decomp.over_cases.high
    assert decomp.against == {
        "random": difference_over_cases(both, {0: models[2]}, rng()),
        "full": difference_over_cases(both, {0: models[3], 1: models[4]}, rng()),
    }
    found = decomp.against["random"]
    assert found.mean == pytest.approx(files()[0]["score"] - files()[2]["score"])
    back = random.against["decomp"]
    assert (back.mean, back.low, back.high) == pytest.approx((-found.mean, -found.high, -found.low))
    assert full.against == {}  # what stands beside a reference depends on the budget


def test_rows_of_another_budget_are_not_compared() -> None:
    given = [m | {"budget": "2x9"} if m["strategy"] == "random" else m for m in files()]
    decomp, random, _ = case_rows(given, rng())
    assert list(decomp.against) == list(random.against) == ["full"]


def test_files_from_before_are_left_out() -> None:
    given = files()
    del given[2]["cases"], given[0]["cases"]
    decomp, full = case_rows(given, rng())
    assert (decomp.seeds, list(decomp.against)) == ((1,), ["full"])
    assert case_rows([], rng()) == []


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
