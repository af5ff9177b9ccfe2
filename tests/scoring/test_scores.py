"""Scores against loops and hand-worked values; tolerances of a run; an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluate
from al.config.settings import save_settings
from al.generators import generate
from al.io.errors import ConfigError
from al.io.labels import UNKNOWN
from al.io.tables import PoolRow
from al.layouts import get_layout
from al.scoring.cases import cases_of
from al.scoring.scores import (
    confusion,
    dice,
    groups_of,
    score_images,
    score_rois,
    score_volumes,
)
from al.scoring.surface import surface_dice
from tests.config.kit import guard, load


def test_confusion_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 4, (2, 9, 9)).astype(np.uint8)
    truth[truth == 3] = UNKNOWN
    slow = np.zeros((3, 3), int)
    labels[labels == 3] = 0
    for t, p in zip(truth.ravel(), labels.ravel(), strict=True):
        if t != UNKNOWN:
            slow[t, p] += 1
    np.testing.assert_array_equal(confusion(truth, labels, 3), slow)


def test_mean_iou_leaves_out_classes_absent_everywhere() -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    labels = np.array([[0, 1, 1, 1]], np.uint8)
    scores = score_images([(truth, labels)], ["a", "b", "c"])
    assert scores["score"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores["per_class"]["c"] is None
    assert scores["secondary"]["accuracy"] == 0.75


def test_dice_of_empty_classes() -> None:
    empty, some = np.zeros((2, 2), np.uint8), np.array([[0, 1], [2, 1]], np.uint8)
    assert dice(empty, empty, [1]) == 1
    assert dice(some, empty, [1]) == dice(empty, some, [1]) == 0
    assert dice(some, np.array([[0, 1], [1, 0]], np.uint8), [1, 2]) == pytest.approx(4 / 5)
    scores = score_volumes([(some, some), (some, empty)], {"all": [1, 2], "rare": [2]})
    assert scores["per_class"] == {"all": 0.5, "rare": 0.5}


def test_weighted_f1_by_hand() -> None:
    scores = score_rois(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert scores["score"] == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
    assert scores["per_class"]["c"] is None


def cases() -> list[tuple[np.ndarray, np.ndarray]]:
    """Three cases of 8^3: a perfect one, one voxel off along the last axis, and an empty one."""
    whole, off, none = np.zeros((3, 8, 8, 8), np.uint8)
    whole[2:6, 2:6, 2:6], whole[3:5, 3:5, 3:5] = 1, 2
    off[2:6, 2:6, 3:7] = 1
    return [(whole, whole), (whole, off), (none, none)]


GROUPS = {"all": [1, 2], "tumour": [2]}


def test_scores_of_volumes_have_three_conventions() -> None:
    plain = score_volumes(cases(), GROUPS)
    shared = 2 * 48 / 128  # of 4 x 4 x 4 voxels, 4 x 4 x 3 are in both
    assert plain["score_name"] == "mean Dice"
    assert plain["per_class"] == pytest.approx({"all": (2 + shared) / 3, "tumour": 2 / 3})
    assert plain["score"] == pytest.approx(((2 + shared) / 3 + 2 / 3) / 2)
    skipped = ((1 + shared) / 2 + 1 / 2) / 2
    assert plain["secondary"] == {"mean Dice without empty cases": pytest.approx(skipped)}

    sizes = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0), (1.0, 1.0, 1.0)]
    limits = {"tumour": 5.0, "all": 1.0}
    scores = score_volumes(iter(cases()), GROUPS, limits, iter(sizes))
    whole, off = cases()[1]
    moved = surface_dice(whole > 0, off > 0, sizes[1], 1.0)
    assert 0 < moved < 1
    expected = {"all": (2 + moved) / 3, "tumour": 2 / 3}
    assert scores["secondary"] == {
        "mean Dice without empty cases": pytest.approx(skipped),
        "mean surface Dice": pytest.approx(sum(expected.values()) / 2),
        "surface Dice of all": pytest.approx(expected["all"]),
        "surface Dice of tumour": pytest.approx(expected["tumour"]),
    }
    assert {k: v for k, v in scores.items() if k != "secondary"} == {
        k: v for k, v in plain.items() if k != "secondary"
    }


def test_nnunets_mean_is_unknown_for_a_group_that_no_case_has() -> None:
    scores = score_volumes(cases()[2:], GROUPS)
    assert scores["score"] == 1
    assert scores["secondary"] == {"mean Dice without empty cases": None}


def test_void_voxels_count_for_neither() -> None:
    truth, labels = cases()[1]
    void = truth.copy()
    void[:, :, 2] = void[:, :, 6] = UNKNOWN  # all that differs
    assert dice(void, labels, [1, 2]) == 1
    tight = score_volumes([(void, labels)], {"all": [1, 2]}, {"all": 0.01}, [(1, 1, 1)])
    assert tight["secondary"]["mean surface Dice"] == 1
    everything = np.full_like(truth, UNKNOWN)
    scores = score_volumes([(everything, labels)], {"all": [1, 2]}, {"all": 1}, [(1, 1, 1)])
    assert scores["secondary"] == {
        "mean Dice without empty cases": None,
        "mean surface Dice": 1,
        "surface Dice of all": 1,
    }


def test_tolerances_need_spacings_and_groups() -> None:
    with pytest.raises(ValueError, match="need spacings"):
        score_volumes(cases(), GROUPS, {"all": 1})
    with pytest.raises(ValueError, match="groups of that name"):
        score_volumes(cases(), GROUPS, {"al": 1}, [(1, 1, 1)] * 3)
    with pytest.raises(ValueError, match="zip"):
        score_volumes(cases(), GROUPS, {"all": 1}, [(1, 1, 1)] * 2)


def test_without_groups_each_class_but_background_is_one() -> None:
    assert groups_of(None, ["b", "x", "y"], 0) == {"x": [1], "y": [2]}
    assert groups_of({"both": [1, 2]}, ["b", "x", "y"], 0) == {"both": [1, 2]}


class Shifted:
    """A learner that predicts the truth, one voxel further along the second axis."""

    segments_full = False

    def open(self, model: Path, layout: Any, settings: Any) -> Shifted:
        """Return itself as the model."""
        self.layout = layout
        return self

    def segment(self, row: PoolRow, full: bool) -> np.ndarray:
        """Return labels, (D, H, W) uint8."""
        return np.roll(self.layout.open_label(row), 1, 1)


def test_evaluation_takes_the_spacing_of_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate("kits23_mini", tmp_path, 0, cases=3)
    settings = load("kits23_mini", data_root=str(tmp_path))
    layout = {"name": "kits23", "options": {}, "classes": settings["classes"]}
    rows = get_layout(**layout).index(tmp_path)
    monkeypatch.setattr(evaluate, "get_learner", lambda name: Shifted())
    science = {key: settings[key] for key in ("task", "background", "groups")} | {"settings": {}}

    def score(**more: Any) -> dict[str, Any]:
        return evaluate.score_model("model", rows, "shifted", layout, science | more)

    assert set(score()["secondary"]) == {"mean Dice without empty cases"}
    # A voxel is 6.5 mm along that axis, and 6 mm along the first.
    names = settings["groups"]
    below = score(surface_tolerances=dict.fromkeys(names, 6.4))
    above = score(surface_tolerances=dict.fromkeys(names, 6.5))
    assert above["secondary"]["mean surface Dice"] == 1 > below["secondary"]["mean surface Dice"]
    assert above["score"] == below["score"] == score()["score"] < 1
    assert set(above["secondary"]) >= {f"surface Dice of {name}" for name in names}


@pytest.mark.parametrize(
    ("dataset", "tolerances", "message"),
    [
        ("kits23_mini", {"tumor": 1.0}, "group 'tumor' is unknown; did you mean 'tumour'"),
        ("kits23_mini", {"kidney": 1.0}, "group 'kidney' is unknown"),
        ("kits23_mini", {"tumour": 0}, "surface_tolerances.tumour: 0"),
        ("kits23_mini", {"tumour": "wide"}, "surface_tolerances.tumour: 'wide'"),
        ("kits23_mini", {"tumour": float("inf")}, "surface_tolerances.tumour: inf; allowed"),
        ("kits23_mini", {"tumour": float("nan")}, "surface_tolerances.tumour: nan"),
        ("cityscapes_mini", {"road": 1.0}, "surface_tolerances: task '2d' has none; allowed: null"),
    ],
)
def test_wrong_tolerances_are_refused_before_a_run(
    dataset: str, tolerances: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(dataset, surface_tolerances=tolerances)
    assert message in str(refusal.value)


def test_tolerances_may_come_as_text_and_for_plain_classes(tmp_path: Path) -> None:
    text = load("kits23_mini", surface_tolerances={"tumour": "2.5"})
    assert text["surface_tolerances"]["tumour"] == 2.5
    plain = load("hippocampus", data_root=str(tmp_path), surface_tolerances={"anterior": 1})
    assert plain["surface_tolerances"] == {"anterior": 1}
    assert load()["surface_tolerances"] is None


def test_tolerances_decide_no_result(tmp_path: Path) -> None:
    save_settings(load("kits23_mini"), tmp_path / "config.yaml")
    guard(load("kits23_mini", surface_tolerances=None), tmp_path / "config.yaml")


@pytest.mark.parametrize("wrong", [0, 3])
def test_classes_of_a_mean_are_those_of_the_truth(wrong: int) -> None:
    """A class that the truth lacks is in no model's mean, whether the model predicts it or not."""
    truth = np.array([[0, 0, 0, 1, 1, 1, 1, UNKNOWN]], np.uint8)
    labels = np.array([[0, 0, wrong, 1, 1, 1, 1, 2]], np.uint8)
    share = 1.0 if wrong == 0 else 2 / 3
    names = ["a", "b", "c", "d"]
    scores = score_images([(truth, labels)], names)
    assert scores["per_class"] == {"a": pytest.approx(share), "b": 1.0, "c": None, "d": None}
    assert scores["score"] == pytest.approx((share + 1) / 2)

    scores = score_rois(truth[0, :7].astype(int), labels[0, :7].astype(int), names)
    assert [name for name, value in scores["per_class"].items() if value is None] == ["c", "d"]
    both = [scores["per_class"][name] for name in "ab"]
    assert scores["secondary"]["macro F1"] == pytest.approx(np.mean(both))

    volumes = [(truth[None], labels[None])] * 2
    groups = {name: [index] for index, name in enumerate(names)}
    cases = [("1", "1"), ("2", "2")]
    scores = score_volumes(volumes, groups, {"d": 1.0}, [(1, 1, 1)] * 2, cases)
    held = cases_of(scores, "metrics.json")
    assert held.classes == ("a", "b") and held.score(np.ones(2)) == pytest.approx(scores["score"])
    assert [name for name, value in scores["per_class"].items() if value is None] == ["c", "d"]
    assert scores["score"] == pytest.approx((2 * share / (share + 1) + 1) / 2)
    assert scores["secondary"]["mean surface Dice"] is None
