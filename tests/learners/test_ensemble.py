"""Ensembles of ``convnet``: training, resuming, averaging, disagreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.labels import UNKNOWN
from al.io.tables import LabelRow
from al.learners import FitJob, get_learner
from al.learners.convnet.training import ConvnetTraining
from al.learners.ensemble import leave_out, member_seed
from decomp_core import Region
from tests.learners.contract import BALD, files_of
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL


def _job(toy: Toy, folder: Path, steps: int, members: int = 2, **changes: Any) -> FitJob:
    """A training of members; fields of the job and settings by name."""
    fields = {key: changes.pop(key) for key in ("labels", "seed", "previous") if key in changes}
    labels = fields.pop("labels", None) or toy.labels(folder / "y")
    settings = {**SMALL[toy.task], "members": members, **changes}
    return toy.job(folder, labels, steps, settings=settings, **fields)


def _fit(*args: Any, **changes: Any) -> FitJob:
    job = _job(*args, **changes)
    get_learner("convnet").fit(job)
    return job


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
    toy = Toy("2d")
    single = toy.job(tmp_path / "a", toy.labels(tmp_path / "y"), 3, settings=SMALL["2d"])
    get_learner("convnet").fit(single)
    one = _fit(toy, tmp_path / "b", 3, 1, labels=single.labels, member_labels="folds")
    assert files_of(single.out) == files_of(one.out)
    assert sorted(files_of(one.out)) == ["done.json", "model.json", "weights.pt"]


@pytest.mark.parametrize(("task", "labels"), [("2d", "folds"), ("roi", "all")])
def test_members_are_trainings_of_their_own(task: str, labels: str, tmp_path: Path) -> None:
    """Also where they start from the members of the cycle before."""
    learner, toy = get_learner("convnet"), Toy(task, 12)
    rows = toy.labels(tmp_path / "y")
    first = _fit(toy, tmp_path / "first", 1, 3, labels=rows)
    warm = {"labels": rows, "start": "previous"}
    job = _job(toy, tmp_path / "a", 3, 3, member_labels=labels, previous=first.out, **warm)
    stats, singles = learner.fit(job), []
    for i in range(3):
        warm["labels"] = leave_out(rows, i, 3) if labels == "folds" else rows
        assert (len(warm["labels"]) < len(rows)) == (labels == "folds")
        seed, previous = member_seed(job.seed, i), first.out / f"member-{i}"
        single = _job(toy, tmp_path / f"b{i}", 3, 1, seed=seed, previous=previous, **warm)
        singles.append(learner.fit(single))
        assert files_of(job.out / f"member-{i}") == files_of(single.out)
    assert len({(job.out / f"member-{i}/weights.pt").read_bytes() for i in range(3)}) == 3
    assert (stats["steps"], stats["members"]) == (9, 3)
    assert stats["pixels_seen"] == sum(s["pixels_seen"] for s in singles)
    assert stats["loss"] == pytest.approx(np.mean([s["loss"] for s in singles]))


def test_as_many_members_as_in_the_cycle_before(tmp_path: Path) -> None:
    toy = Toy("roi", 12)
    first = _fit(toy, tmp_path / "a", 1)
    for members, previous in ((1, first.out), (3, first.out), (2, first.out / "member-0")):
        with pytest.raises(ConfigError, match=r"convnet\.members: .* no weights to start from"):
            _fit(toy, tmp_path / "d", 1, members, start="previous", previous=previous)


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
    job = _job(toy, tmp_path / "a", 6, checkpoint_every=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _steps_run(patch, stop_at)
        learner.fit(job)
    assert not job.out.exists()
    with monkeypatch.context() as patch:
        ran = _steps_run(patch)
        stats = learner.fit(job)
    saved = stop_at - stop_at % 2
    assert (len(ran), stats["resumed_from"], stats["steps"]) == (12 - saved, saved, 12)
    whole = _fit(toy, tmp_path / "b", 6, labels=job.labels)
    assert files_of(job.out) == files_of(whole.out)


def test_what_members_is_changed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More members: only the new one is trained; fewer: nothing of the others is left."""
    toy, ran = Toy("roi", 12), _steps_run(monkeypatch)
    for members, steps in ((2, 6), (3, 3), (2, 0), (1, 3), (2, 6)):
        ran.clear()
        job = _fit(toy, tmp_path, 3, members)
        assert len(ran) == steps
        folders = {p.name for p in job.out.iterdir() if p.is_dir()}
        assert folders == {f"member-{i}" for i in range(members) if members > 1}
        assert len(list(job.work.glob("member-*"))) == len(folders)
        assert len(list(job.work.rglob("key-*"))) == members


def _entropy(p: np.ndarray) -> np.ndarray:
    p = p.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(0)


@pytest.mark.parametrize("task", ["2d", "roi"])
def test_probabilities_are_averaged(task: str, tmp_path: Path) -> None:
    """Their disagreement is the mutual information; features are those of the first member."""
    learner, toy = get_learner("convnet"), Toy(task, 12)
    job, rows = _fit(toy, tmp_path, 4, 3), list(toy.rows.values())
    model = learner.open(job.out, toy.layout, job.settings)
    parts = [learner.open(job.out / f"member-{i}", toy.layout, {}) for i in range(3)]
    records = list(model.predict(rows, {}, BALD))
    if task == "roi":
        each, mean = [part.classify(rows).T for part in parts], model.classify(rows).T
        levels, most = np.concatenate([r.uncertainty for r in records]), 1
        features = [[m.embed_rois(rows, unit=False)] for m in (model, *parts)]
    else:
        each = [next(part.probabilities(rows[:1]))[1] for part in parts]
        ((_, mean, information),) = model.probabilities(rows[:1], disagreement=True)
        assert mean.dtype == information.dtype == np.float32
        levels, most = records[0].uncertainty, 255
        place = rows[0], [Region((3, 4), (9, 7))]
        features = [[m.embed(*place, "max"), m.residuals(*place)] for m in (model, *parts)]
    np.testing.assert_allclose(mean, np.mean(each, 0), atol=1e-6)
    slow = _entropy(np.mean(each, 0)) - np.mean([_entropy(p) for p in each], 0)
    assert slow.max() > 1e-3
    if task == "2d":
        np.testing.assert_allclose(information, slow, atol=2e-6)
        np.testing.assert_array_equal(records[0].labels, mean.argmax(0))
    assert np.abs(levels - most * slow / np.log(3)).max() < (0.51 if most > 1 else 1e-5)
    for whole, first, second, _ in zip(*features, strict=True):
        np.testing.assert_array_equal(whole, first)
        assert np.abs(whole - second).max() > 1e-6
