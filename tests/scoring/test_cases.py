"""The cases of a metrics file: the score of any resample, against the scores themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluate
from al.generators import generate
from al.io.errors import DataError
from al.io.files import read_json
from al.io.labels import UNKNOWN
from al.layouts import get_layout
from al.scoring.cases import Cases, cases_of, write_metrics
from al.scoring.scores import score_images, score_rois, score_volumes
from tests.config.kit import load

CLASSES = ["a", "b", "c", "d"]
GROUPS = {"any": [1, 2, 3], "rare": [3], "both": [2, 3]}
KINDS = ["iou", "f1", "dice"]
Score = Callable[[list[int]], dict[str, Any]]


def names_of(order: list[int]) -> list[tuple[str, str]]:
    """A name for each case, also for one that comes twice, and the group of its original."""
    return [(f"case-{i}-{place}", f"group-{i // 2}") for place, i in enumerate(order)]


def scoring(kind: str, seed: int, n: int = 6) -> Score:
    """Return the real score of some random cases, each as often as it is listed.

    Class d is rare, so that it is absent from many resamples; void is common.
    """
    rng = np.random.default_rng(seed)
    chances = [0.6, 0.3, 0.1, 0.0]
    if kind == "f1":
        truth, labels = rng.choice(4, (2, n), p=chances)
        labels[0] = rng.choice([labels[0], 3])

        def score(order: list[int]) -> dict[str, Any]:
            return score_rois(truth[order], labels[order], CLASSES, names_of(order))

        return score
    shape = (2, n, 3, 2) if kind == "iou" else (2, n, 2, 2, 2)
    truth, labels = rng.choice(4, shape, p=chances).astype(np.uint8)
    (truth if rng.random() < 0.5 else labels)[0].flat[0] = 3
    labels[1:3] = truth[1:3] = rng.choice(3, 1)  # perfect, and empty but for one class
    truth[rng.random(truth.shape) < 0.2] = UNKNOWN
    if kind == "dice":  # groups that are true in no case are not scored: here each is in all
        truth[:, 0, 0, 0] = 3

    def score(order: list[int]) -> dict[str, Any]:
        pairs = ((truth[i], labels[i]) for i in order)
        if kind == "iou":
            return score_images(pairs, CLASSES, names_of(order))
        return score_volumes(pairs, GROUPS, names=names_of(order))

    return score


def read(scores: dict[str, Any]) -> Cases:
    """The cases of some scores, through the text of a file."""
    cases = cases_of(json.loads(json.dumps(scores, allow_nan=False)), "metrics.json")
    assert cases is not None
    return cases


def per_class(scores: dict[str, Any]) -> list[float]:
    return [np.nan if v is None else v for v in scores["per_class"].values()]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_cases_score_resamples_as_the_scores_themselves_do(
    kind: str, seed: int, data: st.DataObject
) -> None:
    score = scoring(kind, seed)
    whole = score(list(range(6)))
    cases = read(whole)
    assert (cases.kind, cases.groups) == (kind, tuple(f"group-{i // 2}" for i in range(6)))
    ones = np.ones(6, int)
    assert cases.score(ones) == pytest.approx(whole["score"], abs=1e-12)
    np.testing.assert_allclose(cases.per_class(ones), per_class(whole), atol=1e-12)

    order = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=12))
    weights = np.bincount(order, minlength=6)
    known = kind != "iou" or score(order)["cases"]["values"] != [[]] * len(order)
    if known:
        drawn = score(order)
        assert cases.score(weights) == pytest.approx(drawn["score"], abs=1e-12)
        np.testing.assert_allclose(cases.per_class(weights), per_class(drawn), atol=1e-12)
        assert cases.score(weights * 2) == pytest.approx(drawn["score"], abs=1e-12)
    several = np.stack([weights, ones, 3 * weights])
    found = [cases.score(w) for w in several]
    np.testing.assert_allclose(cases.scores(several), found, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_cases_makes_no_difference(kind: str, seed: int) -> None:
    score = scoring(kind, seed)
    cases, moved = read(score([0, 1, 2, 3, 4, 5])), read(score([3, 5, 0, 1, 4, 2]))
    weights = np.array([2, 0, 1, 0, 3, 1])
    assert moved.score(weights[[3, 5, 0, 1, 4, 2]]) == pytest.approx(cases.score(weights))


def test_images_by_hand() -> None:
    truth = np.array([[0, 0, 1, UNKNOWN]], np.uint8)
    labels = np.array([[0, 1, 1, 1]], np.uint8)
    second = np.full((1, 4), 1, np.uint8)
    scores = score_images(
        [(truth, labels), (second, second)], CLASSES[:3], [("x", "x"), ("y", "y")]
    )
    assert scores["cases"] == {
        "kind": "iou",
        "classes": ["a", "b", "c"],
        "names": ["x", "y"],
        # class, hits, false positives, false negatives; c is nowhere
        "values": [[0, 1, 0, 1, 1, 1, 1, 0], [1, 4, 0, 0]],
    }
    cases = read(scores)
    assert cases.groups == ("x", "y")
    assert cases.score(np.array([1, 1])) == pytest.approx((1 / 2 + 5 / 6) / 2)
    assert cases.score(np.array([1, 3])) == pytest.approx((1 / 2 + 13 / 14) / 2)
    # Without the first image class a is nowhere: left out of the mean, not 0.
    assert cases.score(np.array([0, 1])) == 1
    np.testing.assert_array_equal(cases.per_class(np.array([0, 1])), [np.nan, 1, np.nan])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_back_what_was_written(kind: str, tmp_path: Path) -> None:
    scores = scoring(kind, 1)([0, 1, 2, 3, 4, 5])
    write_metrics(tmp_path / "metrics.json", {**scores, "steps": 5})
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "metrics.json") == {**scores, "steps": 5}
    assert [line.startswith('  "cases": {') for line in text.splitlines()][-2:] == [True, False]
    cases = read(scores)
    back = Cases.from_json(cases.to_json(), "file")
    np.testing.assert_array_equal(back.values, cases.values)
    assert back.values.dtype == cases.values.dtype
    for name in ("kind", "classes", "names", "groups"):
        assert getattr(back, name) == getattr(cases, name)


GOOD = {
    "iou": {"kind": "iou", "classes": ["a", "b"], "names": ["x"], "values": [[1, 5, 0, 2]]},
    "f1": {"kind": "f1", "classes": ["a", "b"], "names": ["x"], "values": [[0, 1]]},
    "dice": {"kind": "dice", "classes": ["a", "b"], "names": ["x"], "values": [[0.5, 1]]},
}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("iou", {"kind": "auc"}, "kind 'auc'; allowed: iou, f1, dice"),
        ("iou", {"classes": ["a", "a"]}, "classes: 'a' twice"),
        ("iou", {"names": [1]}, "names: [1]; allowed"),
        ("iou", {"names": ["x", "y"]}, "values: 1; allowed: 2 lists"),
        ("iou", {"names": ["x", "x"], "values": [[], []]}, "names: 'x' twice"),
        ("iou", {"groups": ["g", "h"]}, "groups: 2; allowed: 1, one per case"),
        ("iou", {"values": [[1, 5, 0]]}, "values of 'x': 3 numbers; allowed: four per class"),
        ("iou", {"values": [[2, 5, 0, 2]]}, "values of 'x': classes [2]; allowed: 0 to 1"),
        ("iou", {"values": [[0, 5, 0, 2, 0, 1, 1, 1]]}, "classes [0, 0]; allowed: 0 to 1, each"),
        ("iou", {"values": [[1, 5, -1, 2]]}, "values of 'x': -1; allowed: integers from 0"),
        ("iou", {"values": [[1, 10**30, 0, 2]]}, "allowed: integers from 0 to"),
        ("iou", {"values": [7]}, "values of 'x': 7; allowed: a list of integers"),
        ("f1", {"values": [[0]]}, "values of 'x': [0]; allowed: the true and the predicted class"),
        ("f1", {"values": [[0, 2]]}, "values of 'x': 2; allowed: integers from 0 to 1"),
        ("dice", {"values": [[0.5]]}, "[0.5]; allowed: 2 numbers from 0 to 1"),
        ("dice", {"values": [[0.5, 1.5]]}, "allowed: 2 numbers from 0 to 1"),
        ("dice", {"values": [[0.5, float("nan")]]}, "allowed: 2 numbers from 0 to 1"),
    ],
)
def test_malformed_cases_are_refused_with_the_name_of_the_file(
    kind: str, change: dict[str, Any], message: str
) -> None:
    Cases.from_json(GOOD[kind], "some/metrics.json")
    with pytest.raises(DataError) as refusal:
        cases_of({"cases": GOOD[kind] | change}, "some/metrics.json")
    assert str(refusal.value).startswith("some/metrics.json: cases: ")
    assert message in str(refusal.value)


@pytest.mark.parametrize("value", [None, [], "iou", {}])
def test_cases_are_an_object_with_a_kind(value: Any) -> None:
    with pytest.raises(DataError, match=r"f\.json: cases: kind .*; allowed: iou, f1, dice"):
        Cases.from_json(value, "f.json")


def test_values_fit_the_names() -> None:
    with pytest.raises(ValueError, match=r"values \(2, 2\); expected: \(1, 2\)"):
        Cases("dice", ("a", "b"), ("x",), ("x",), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="need to differ"):
        Cases("dice", ("a",), ("x", "x"), ("x", "x"), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="kind 'auc'"):
        Cases("auc", ("a",), ("x",), ("x",), np.zeros((1, 1)))


class Noisy:
    """A learner that predicts the truth with mistakes."""

    segments_full = False

    def open(self, model: Path, layout: Any, settings: Any) -> Noisy:
        """Return itself as the model."""
        self.layout = layout
        return self

    def segment(self, row: Any, full: bool) -> np.ndarray:
        """Return labels, the truth moved by a voxel and void filled."""
        labels = np.roll(self.layout.open_label(row), 1, -1)
        return np.where(labels == UNKNOWN, 0, labels)

    def classify(self, rows: list[Any]) -> np.ndarray:
        """Return probabilities, (N, C): certain, and wrong for every third RoI."""
        found = [(self.layout.open_label(r) + (i % 3 == 0)) % 7 for i, r in enumerate(rows)]
        return np.eye(7)[found]


@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [
        ("cityscapes_mini", {"train": 1, "val": 3}),
        ("kits23_mini", {"cases": 4}),
        ("bracs_mini", {"train": 1, "val": 1, "test": 2}),
    ],
)
def test_an_evaluation_has_the_cases_of_its_rows(
    dataset: str, sizes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(dataset, tmp_path, 0, **sizes)
    config = load(dataset, data_root=str(tmp_path))
    layout = {
        "name": config["layout"],
        "options": config.get("layout_options") or {},
        "classes": config["classes"],
    }
    rows = get_layout(**layout).index(tmp_path)[-9:]
    monkeypatch.setattr(evaluate, "get_learner", lambda name: Noisy())
    science = {key: config[key] for key in ("task", "background", "groups")} | {"settings": {}}
    scores = evaluate.score_model("model", rows, "noisy", layout, science)
    cases = read(scores)
    assert cases.names == tuple(row.key for row in rows)
    assert cases.groups == tuple(row.image for row in rows)
    assert cases.score(np.ones(len(rows))) == pytest.approx(scores["score"], abs=1e-12)
    assert 0 < scores["score"] < 1
