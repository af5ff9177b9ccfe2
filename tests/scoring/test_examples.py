"""Examples of test cases: which, what is in them, and that scores know nothing of them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluate
from al.generators import generate
from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.io.tables import PoolRow
from al.io.thumbnails import SIDE, fitted, resized
from al.layouts import get_layout
from al.scoring.cases import IOU, Cases, cases_of
from al.scoring.examples import INDEX, Examples, fullest, read_examples, roles_of, scores_of
from al.scoring.scores import groups_of, score_images, score_rois, score_volumes
from tests.config.kit import load

from .test_cases import Noisy

SIZES: dict[str, dict[str, int]] = {
    "cityscapes_mini": {"train": 1, "val": 9},
    "kits23_mini": {"cases": 5, "depth": 8, "side": 32},
    "bracs_mini": {"train": 1, "val": 1, "test": 3},
}
Found = tuple[Any, list[PoolRow], dict[str, Any], Examples, Path]


def evaluated(dataset: str, folder: Path, patch: pytest.MonkeyPatch, **options: Any) -> Found:
    """Layout, rows, scores and the examples of an evaluation."""
    generate(dataset, folder / "data", 0, **SIZES[dataset])
    config = load(dataset, data_root=str(folder / "data"))
    layout = {"name": config["layout"], "options": options, "classes": config["classes"]}
    opened = get_layout(**layout)
    rows = opened.index(folder / "data")[-9:]
    patch.setattr(evaluate, "get_learner", lambda name: Noisy())
    science = {key: config[key] for key in ("task", "background", "groups")} | {"settings": {}}
    seen = Examples(opened, config["classes"], config["background"])
    scores = evaluate.score_model("model", rows, "noisy", layout, science, seen)
    seen.write(folder / "examples.zip", config["task"], cases_of(scores, "scores"))
    return opened, rows, scores | {"settings": config}, seen, folder / "examples.zip"


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, float("nan")]), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_fixed_choice_knows_no_scores_and_the_others_nothing_else(scores: list[float]) -> None:
    names = [f"case_{7 * i % 13:02d}" for i in range(len(scores))]
    found = roles_of(names, scores)
    fixed = [names[i] for i, roles in found.items() if "fixed" in roles]
    assert fixed == sorted(fixed) and len(fixed) == min(3, len(names))
    blind = roles_of(names, [float("nan")] * len(names))
    assert blind == {i: ["fixed"] for i, roles in found.items() if "fixed" in roles}
    ranked = sorted(s for s in scores if s == s)
    for role, place in {"worst": 0, "median": (len(ranked) - 1) // 2, "best": -1}.items():
        held = [scores[i] for i, roles in found.items() if role in roles]
        assert held == ([ranked[place]] if ranked else [])


@given(st.integers(0, 2**32), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_scores_of_cases_are_those_of_each_alone(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (n, 4, 3)) * rng.integers(0, 2, (n, 4, 1))
    names = tuple(f"c{i}" for i in range(n))
    cases = Cases(IOU, ("a", "b", "c", "d"), names, names, counts)
    for case, score in zip(counts, scores_of(cases), strict=True):
        values = [h / (h + f + m) for h, f, m in case.tolist() if h + m]
        assert score == pytest.approx(np.mean(values) if values else np.nan, nan_ok=True)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slice_is_the_one_with_most_foreground_in_the_truth(axis: int, order: Any) -> None:
    rng = np.random.default_rng(axis)
    truth = rng.choice(np.array([0, 0, 0, 1, 2, UNKNOWN], np.uint8), (7, 8, 9))
    planes = list(np.moveaxis(truth, axis, 0))
    expected = max(range(len(planes)), key=lambda i: np.isin(planes[i], (1, 2)).sum())
    assert fullest(np.array(truth, order=order), axis, 0) == expected
    assert fullest(np.zeros((7, 8, 9), np.uint8), axis, 0) == (7, 8, 9)[axis] // 2


def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, rows, scores, _, path = evaluated("cityscapes_mini", tmp_path, monkeypatch)
    names = [(row.key, row.image) for row in rows]
    model = Noisy().open(path, layout, {})
    pairs = [(layout.open_label(r), model.segment(r, False)) for r in rows]
    held = {k: v for k, v in scores.items() if k != "settings"}
    assert held == score_images(pairs, scores["settings"]["classes"], names), "to the last bit"
    examples = read_examples(path)
    assert {r for e in examples for r in e.roles} == {"fixed", "worst", "median", "best"}
    for example in examples:
        i = [row.key for row in rows].index(example.name)
        row, (truth, labels) = rows[i], pairs[i]
        alone = score_images([(truth, labels)], scores["settings"]["classes"])
        assert example.score == pytest.approx(alone["score"], abs=1e-12)
        assert example.truth is not None and max(example.truth.shape) <= SIDE
        size = fitted(truth.shape)
        assert np.array_equal(example.truth, resized(truth, size, labels=True))
        assert np.array_equal(example.prediction, resized(labels, size, labels=True))
        image = resized(layout.open_image(row), size).astype(float)
        assert np.abs(example.image - image).mean() < 8, "but for JPEG"


@pytest.mark.parametrize("grid", [None, 5.0])
def test_volumes_are_shown_on_the_grid_of_their_scores(
    grid: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluated("kits23_mini", tmp_path, monkeypatch, grid=grid)
    layout, rows, scores, _, path = found
    config = scores.pop("settings")
    model = Noisy().open(path, layout, {})
    pairs = [
        (layout.open_scored_label(r), layout.to_scored(r, model.segment(r, False))) for r in rows
    ]
    groups = groups_of(config["groups"], config["classes"], config["background"])
    assert scores == score_volumes(pairs, groups, names=[(r.key, r.image) for r in rows])
    held = cases_of(scores, "scores")
    for example in read_examples(path):
        i = held.names.index(example.name)
        truth, labels = pairs[i]
        assert example.score == held.values[i].mean()
        assert example.plane is not None and example.plane.of == truth.shape[example.plane.axis]
        shown = np.moveaxis(truth, example.plane.axis, 0)
        most = [int(((plane > 0) & (plane < UNKNOWN)).sum()) for plane in shown]
        assert most[example.plane.index] == max(most)
        sides = [s for a, s in enumerate(layout.spacing(rows[i])) if a != example.plane.axis]
        size = fitted(shown[0].shape, spacing=sides)
        plane = np.moveaxis(labels, example.plane.axis, 0)[example.plane.index]
        assert np.array_equal(example.prediction, resized(plane, size, labels=True))
        assert example.image.shape[:2] == size and np.ptp(example.image) > 100


def test_rois(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, rows, scores, _, path = evaluated("bracs_mini", tmp_path, monkeypatch)
    classes = scores.pop("settings")["classes"]
    truth = np.array([layout.open_label(row) for row in rows])
    found = Noisy().open(path, layout, {}).classify(rows)
    names = [(row.key, row.image) for row in rows]
    assert scores == score_rois(truth, found.argmax(1), classes, names)
    for example in read_examples(path):
        i = [row.key for row in rows].index(example.name)
        assert (example.true, example.predicted) == (truth[i], found[i].argmax())
        assert example.score == example.probabilities[truth[i]] == found[i, truth[i]]
        assert example.group == rows[i].image and example.truth is None


def test_equal_results_leave_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, rows, scores, seen, path = evaluated("cityscapes_mini", tmp_path, monkeypatch)
    opened: list[str] = []
    kind, real = type(seen.layout), seen.layout.open_image
    monkeypatch.setattr(kind, "open_image", lambda _, row: opened.append(row.key) or real(row))
    seen.write(tmp_path / "again.zip", "2d", cases_of(scores, "scores"))
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()
    assert len(opened) <= 6 < len(rows), "images of the others are not read for it"


def test_damaged_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, path = evaluated("bracs_mini", tmp_path, monkeypatch)
    whole = path.read_bytes()
    assert read_examples(path)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members[INDEX])
    changed = [{**index, "version": 2}, {"version": 1}, []]
    broken = [whole[: len(whole) * k // 7] for k in range(7)]
    for content in [{INDEX: json.dumps(c).encode()} for c in changed] + [{"0/image.jpg": b"no"}]:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in {**members, **content}.items():
                archive.writestr(name, data)
        broken.append(packed.getvalue())
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"examples\.zip"):
            read_examples(path)
    with pytest.raises(DataError, match=r"nothing\.zip: .*not there"):
        read_examples(tmp_path / "nothing.zip")
