"""Ensembles of ``convnet``: training, resuming, averaging, disagreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.labels import UNKNOWN
from al.io.tables import LabelRow
from al.learners import Request, get_learner
from al.learners.convnet.training import ConvnetTraining
from al.learners.ensemble import leave_out, member_seed
from decomp_core import Region
from tests.learners.contract import files_of
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL

BALD = Request(frozenset({"labels", "uncertainty"}), (0.5,), "mutual_information")


def _of(task: str, members: int = 2, **changes: Any) -> dict[str, Any]:
    return {**SMALL[task], "members": members, **changes}


def _steps_run(monkeypatch: pytest.MonkeyPatch, stop_at: int = -1) -> list[int]:
    """Count the steps that are run; with ``stop_at`` end as a killed process does."""
    ran: list[int] = []
    advance = ConvnetTraining.advance

    def counted(run: ConvnetTraining) -> None:
        if len(ran) == stop_at:
            raise KeyboardInterrupt
        ran.append(run.step)
        advance(run)

    monkeypatch.setattr(ConvnetTraining, "advance", counted)
    return ran


def test_one_member_is_a_single_network(tmp_path: Path) -> None:
    toy, models = Toy("2d"), []
    labels = toy.labels(tmp_path / "y")
    for name, settings in (("a", SMALL["2d"]), ("b", _of("2d", 1, member_labels="folds"))):
        get_learner("convnet").fit(toy.job(tmp_path / name, labels, 3, settings=settings))
        models.append(files_of(tmp_path / name / "model"))
    assert models[0] == models[1]
    assert sorted(models[0]) == ["done.json", "model.json", "weights.pt"]


@pytest.mark.parametrize(("task", "labels"), [("2d", "folds"), ("roi", "all")])
def test_members_are_trainings_of_their_own(task: str, labels: str, tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy(task, 12)
    rows, settings = toy.labels(tmp_path / "y"), _of(task, 3, member_labels=labels)
    job = toy.job(tmp_path / "a", rows, 3, settings=settings)
    stats, singles = learner.fit(job), []
    for i in range(3):
        own = leave_out(rows, i, 3) if labels == "folds" else rows
        assert (len(own) < len(rows)) == (labels == "folds")
        single = toy.job(
            tmp_path / f"b{i}", own, 3, settings=SMALL[task], seed=member_seed(job.seed, i)
        )
        singles.append(learner.fit(single))
        assert files_of(job.out / f"member-{i}") == files_of(single.out)
    weights = {(job.out / f"member-{i}/weights.pt").read_bytes() for i in range(3)}
    assert len(weights) == 3
    assert stats["steps"] == 9
    assert stats["members"] == 3
    assert stats["pixels_seen"] == sum(s["pixels_seen"] for s in singles)
    assert stats["loss"] == pytest.approx(np.mean([s["loss"] for s in singles]))


def test_folds_are_dealt_by_name() -> None:
    rows = [LabelRow(f"slide{n % 7}", f"r{n}", "", n % 2) for n in range(21)]
    rows.append(LabelRow("void", "r", "", UNKNOWN))
    kept = [{r.image for r in leave_out(rows, fold, 3)} for fold in range(3)]
    images = {f"slide{n}" for n in range(7)}
    left = [images - k for k in kept]
    assert sorted(map(len, left)) == [2, 2, 3]
    assert set.union(*left) == images
    for fold in range(3):
        assert [r for r in rows if r.image in kept[fold]] == leave_out(rows, fold, 3)
        assert {r.image for r in leave_out(rows[::-1], fold, 3)} == kept[fold]
    one = [row for row in rows if row.image in ("slide0", "void")]
    assert leave_out(one, 0, 3) == one
    assert leave_out(one, 1, 3) == one[:3]


def test_member_seeds() -> None:
    assert member_seed(7, 0) == 7
    seeds = {member_seed(s, i) for s in range(20) for i in range(5)}
    assert len(seeds) == 100
    assert all(0 <= s < 2**63 for s in seeds)


@pytest.mark.parametrize("stop_at", [6, 9])
def test_killed_ensemble_goes_on(
    stop_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its members, or in the second; 6 steps each."""
    learner, toy = get_learner("convnet"), Toy("roi", 12)
    labels, settings = toy.labels(tmp_path / "y"), _of("roi", checkpoint_every=2)
    job = toy.job(tmp_path / "a", labels, 6, settings=settings)
    with monkeypatch.context() as patch:
        _steps_run(patch, stop_at)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(job)
    assert not job.out.exists()
    with monkeypatch.context() as patch:
        ran = _steps_run(patch)
        stats = learner.fit(job)
    saved = stop_at - stop_at % 2
    assert len(ran) == 12 - saved
    assert stats["resumed_from"] == saved
    assert stats["steps"] == 12
    whole = toy.job(tmp_path / "b", labels, 6, settings=settings)
    assert learner.fit(whole)["resumed_from"] == 0
    assert files_of(job.out) == files_of(whole.out)


def test_what_members_is_changed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More members: only the new one is trained; fewer: nothing of the others is left."""
    learner, toy = get_learner("convnet"), Toy("roi", 12)
    labels, ran = toy.labels(tmp_path / "y"), _steps_run(monkeypatch)
    for members, steps in ((2, 6), (3, 3), (2, 0), (1, 3), (2, 6)):
        ran.clear()
        job = toy.job(tmp_path, labels, 3, settings=_of("roi", members))
        learner.fit(job)
        assert len(ran) == steps
        folders = {p.name for p in job.out.iterdir() if p.is_dir()}
        assert folders == {f"member-{i}" for i in range(members) if members > 1}
        assert len(list(job.work.glob("member-*"))) == len(folders)
        assert len(list(job.work.rglob("key-*"))) == members


def test_members_start_from_the_same_member_before(tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("roi", 12)
    labels, warm = toy.labels(tmp_path / "y"), _of("roi", start="previous")
    first = toy.job(tmp_path / "a", labels, 3, settings=warm)
    learner.fit(first)
    second = toy.job(tmp_path / "b", labels, 1, settings=warm, previous=first.out)
    learner.fit(second)
    for i in range(2):
        single = toy.job(
            tmp_path / f"c{i}",
            labels,
            1,
            settings={**SMALL["roi"], "start": "previous"},
            seed=member_seed(first.seed, i),
            previous=first.out / f"member-{i}",
        )
        learner.fit(single)
        assert files_of(second.out / f"member-{i}") == files_of(single.out)
    for members, previous in ((1, first.out), (3, first.out), (2, first.out / "member-0")):
        settings = {**warm, "members": members}
        job = toy.job(tmp_path / "d", labels, 1, settings=settings, previous=previous)
        with pytest.raises(ConfigError, match=r"convnet\.members: .* no weights to start from"):
            learner.fit(job)


def _entropy(p: np.ndarray) -> np.ndarray:
    p = p.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(0)


@pytest.mark.parametrize("task", ["2d", "3d"])
def test_maps_are_averaged(task: str, tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy(task)
    settings = _of(task, 3)
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 4, settings=settings)
    learner.fit(job)
    rows = list(toy.rows.values())[:2]
    parts = [
        [p for _, p, _ in learner.probabilities(job.out / f"member-{i}", toy.layout, rows, {})]
        for i in range(3)
    ]
    found = learner.probabilities(job.out, toy.layout, rows, settings, disagreement=True)
    records = list(learner.predict(job.out, toy.layout, rows, {}, BALD, settings))
    for n, (row, p, information) in enumerate(found):
        assert row is rows[n]
        mean = np.mean([part[n] for part in parts], 0)
        np.testing.assert_allclose(p, mean, atol=1e-6)
        slow = _entropy(mean) - np.mean([_entropy(part[n]) for part in parts], 0)
        assert p.dtype == information.dtype == np.float32
        np.testing.assert_allclose(information, slow, atol=2e-6)
        assert slow.max() > 1e-3
        np.testing.assert_array_equal(
            learner.segment(job.out, toy.layout, row, settings), p.argmax(0)
        )
        np.testing.assert_array_equal(records[n].labels, p.argmax(0))
        scaled = 255 * slow / np.log(3)
        assert np.abs(records[n].uncertainty - scaled).max() < 0.51
        assert abs(255 * records[n].mean_uncertainty - scaled.mean()) < 1e-2


def test_rois_are_averaged(tmp_path: Path) -> None:
    learner, toy, settings = get_learner("convnet"), Toy("roi", 12), _of("roi", 3)
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 4, settings=settings)
    learner.fit(job)
    rows = list(toy.rows.values())
    parts = [learner.classify(job.out / f"member-{i}", toy.layout, rows, {}) for i in range(3)]
    mean = np.mean(parts, 0)
    np.testing.assert_allclose(
        learner.classify(job.out, toy.layout, rows, settings), mean, atol=1e-6
    )
    records = list(learner.predict(job.out, toy.layout, rows, {}, BALD, settings))
    slow = (_entropy(mean.T) - np.mean([_entropy(p.T) for p in parts], 0)) / np.log(3)
    np.testing.assert_allclose(np.concatenate([r.uncertainty for r in records]), slow, atol=1e-5)
    assert slow.max() > 1e-3
    np.testing.assert_allclose(records[0].mean_uncertainty, slow[:4].mean(), atol=1e-5)


@pytest.mark.parametrize("task", ["2d", "roi"])
def test_features_are_those_of_the_first_member(task: str, tmp_path: Path) -> None:
    learner, toy, settings = get_learner("convnet"), Toy(task, 8), _of(task)
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings=settings)
    learner.fit(job)
    rows, regions = list(toy.rows.values()), [Region((3, 4), (9, 7))]
    found = []
    for model in (job.out, job.out / "member-0", job.out / "member-1"):
        if task == "roi":
            found.append([learner.embed_rois(model, toy.layout, rows, {}, unit=False)])
        else:
            place = (model, toy.layout, rows[0], regions, {})
            found.append([learner.embed(*place, "max"), learner.residuals(*place)])
    for whole, first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(whole, first)
        assert np.abs(whole - second).max() > 1e-6
