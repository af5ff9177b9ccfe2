"""What every learner must keep; a learner's test class inherits this and names its learner."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN
from al.io.locking import LockedError, locked
from al.io.tables import PoolRow
from al.learners import FitJob, Model, Request, describe_learner, get_learner
from decomp_core import Region
from tests.learners.fakes import CLASSES, Toy, prepared

REQUEST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7))

BALD = Request(frozenset({"labels", "uncertainty"}), (0.5,), "mutual_information")


def nested_regions(shape: tuple[int, ...]) -> list[Region]:
    """Regions of an image, each inside the next: a pixel of the last corner up to everything."""
    start = [tuple(f * (n - 1) // 3 for n in shape) for f in (3, 2, 1, 0)]
    return [Region(s, tuple(n - a for n, a in zip(shape, s, strict=True))) for s in start]


def files_of(model: Path) -> dict[str, Any]:
    """Contents of a model folder without what reports times, and where data were prepared."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in model.rglob("*") if p.is_file() and p.name != "stats.json"):
        found[str(path.relative_to(model))] = path.read_bytes()
        if path.name == "model.json":
            about = json.loads(path.read_text())
            found[str(path.relative_to(model))] = {**about, "prepared": None}
    return found


@dataclass
class Fitted:
    """A short training of a toy, and its model."""

    learner: Any
    toy: Toy
    job: FitJob
    stats: dict[str, Any]

    @property
    def rows(self) -> list[PoolRow]:
        return list(self.toy.rows.values())

    @cached_property
    def model(self) -> Model:
        return self.learner.open(self.job.out, self.toy.layout, self.job.settings)


class LearnerContract:
    """Set ``learner``, ``settings`` by task, and ``steps``, enough to learn the toys.

    ``ensemble`` are the settings that make two members of it, where the learner offers them.
    """

    learner: ClassVar[str]
    settings: ClassVar[dict[str, dict[str, Any]]]
    steps: ClassVar[dict[str, int]]
    ensemble: ClassVar[dict[str, Any]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each task of the learner."""
        tasks = sorted(describe_learner(self.learner).tasks)
        metafunc.parametrize("task", tasks, scope="class")

    @pytest.fixture(scope="class")
    @classmethod
    def toy(cls, task: str) -> Toy:
        """A pool of which ``taught`` are labelled, and the others are to be predicted."""
        return Toy(task, 36 if task == "roi" else 9)

    @staticmethod
    def taught(toy: Toy) -> int:
        return 24 if toy.task == "roi" else 6

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, toy: Toy, task: str, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
        """Of three steps; no test changes it."""
        learner, folder = get_learner(cls.learner), tmp_path_factory.mktemp("fitted")
        labels = toy.labels(folder / "y")[: cls.taught(toy)]
        job = prepared(learner, toy.job(folder, labels, 3, settings=cls.settings[task]))
        return Fitted(learner, toy, job, learner.fit(job))

    @pytest.fixture
    def job(self, fitted: Fitted, tmp_path: Path) -> FitJob:
        """The same training, elsewhere."""
        return replace(fitted.job, out=tmp_path / "model", work=tmp_path / "work")

    def test_learns_an_easy_toy(self, fitted: Fitted, job: FitJob) -> None:
        learner, toy, steps = fitted.learner, fitted.toy, self.steps[job.task]
        stats = learner.fit(replace(job, steps=steps))
        model = learner.open(job.out, toy.layout, job.settings)
        rows = fitted.rows[self.taught(toy) :]
        if toy.task == "roi":
            right = model.classify(rows).argmax(1) == [toy.truth[r.key] for r in rows]
        else:
            found = [model.segment(row) for row in rows]
            right = np.stack(found) == np.stack([toy.truth[r.key] for r in rows])
        assert right.mean() > 0.9
        assert stats["steps"] == steps
        assert {"seconds", "resumed_from", "pixels_seen", "loss", "device"} <= set(stats)

    def test_same_job_same_bytes(self, fitted: Fitted, job: FitJob, tmp_path: Path) -> None:
        """Whatever the order of the labels; asked again, it returns at once or writes again."""
        learner, own = fitted.learner, fitted.job
        first = files_of(own.out)
        assert first
        written = {p: p.stat().st_mtime_ns for p in own.out.rglob("*")}
        assert learner.fit(own) == fitted.stats
        assert {p: p.stat().st_mtime_ns for p in own.out.rglob("*")} == written
        assert learner.fit(replace(own, out=tmp_path / "again")) == fitted.stats
        assert files_of(tmp_path / "again") == first
        learner.fit(replace(job, labels=job.labels[::-1]))
        assert files_of(job.out) == first
        learner.fit(replace(job, seed=8))
        assert files_of(job.out) != first

    def test_what_is_refused(self, fitted: Fitted, job: FitJob, tmp_path: Path) -> None:
        """A second writer, nothing to learn from, no steps, what there is not."""
        learner, toy = fitted.learner, Toy(job.task, 2)
        with locked(job.work), pytest.raises(LockedError, match=r"host .+, pid \d+"):
            learner.fit(job)
        with pytest.raises(DataError, match="nothing to learn"):
            learner.fit(replace(job, labels=[]))
        with pytest.raises(ConfigError, match="steps: 0"):
            learner.fit(replace(job, steps=0))
        with pytest.raises(ConfigError, match="lerning_rate.*learning_rate"):
            learner.fit(replace(job, settings={"lerning_rate": 1}))
        if not torch.cuda.is_available():
            with pytest.raises(ConfigError, match=f"{self.learner}.device: 'cuda', but no CUDA"):
                learner.fit(replace(job, settings={**job.settings, "device": "cuda"}))
        if toy.task != "roi":
            toy.truth["i1"][..., 0] = 3
            with pytest.raises(DataError, match=r"i1\..*: label 3; allowed: 0 to 2, 255"):
                learner.fit(replace(job, labels=toy.labels(tmp_path / "y")))
        assert not job.out.exists()

    def test_only_what_is_revealed_teaches(
        self, fitted: Fitted, job: FitJob, tmp_path: Path
    ) -> None:
        """Every other row is of one class and the rest hidden: nothing else is learnt."""
        if job.task == "roi":
            return
        toy = Toy(job.task, self.taught(fitted.toy))
        for truth in toy.truth.values():
            truth[:] = 1
            truth[..., 1::2, :] = UNKNOWN
        truth[:] = UNKNOWN  # as where a cycle reveals nothing: the others teach
        fitted.learner.fit(replace(job, labels=toy.labels(tmp_path / "y"), steps=40))
        model = fitted.learner.open(job.out, fitted.toy.layout, job.settings)
        assert (model.segment(fitted.rows[0]) == 1).mean() > 0.95

    def test_what_decides_a_training(self, fitted: Fitted, job: FitJob) -> None:
        """Another key for other labels, seed, steps, classes or settings; none for the machine."""
        learner, device = fitted.learner, torch.device("cpu")

        def key(job: FitJob) -> str:
            settings = learner.settings.of(job.settings, job.task)
            return learner.training(job, settings, device).key

        first = key(job)
        for same in (
            replace(job, labels=job.labels[::-1]),
            replace(job, settings={**job.settings, "checkpoint_every": 9, "threads": 2}),
        ):
            assert key(same) == first
        for other in (
            replace(job, labels=job.labels[1:]),
            replace(job, seed=8),
            replace(job, steps=4),
            replace(job, classes=[*CLASSES[:2], "other"]),
            replace(job, settings={**job.settings, "learning_rate": 0.0123}),
        ):
            assert key(other) != first

    def test_records(self, fitted: Fitted) -> None:
        toy, rows = fitted.toy, fitted.rows
        _, taken = _taken(toy)
        records = list(fitted.model.predict(rows, taken, REQUEST))
        assert [r.image for r in records] == list(dict.fromkeys(r.image for r in rows))
        for record in records:
            assert record.predicted.dtype == record.confident.dtype == np.int64
            assert record.predicted.shape == (len(CLASSES),)
            assert record.confident.shape == (2, len(CLASSES))
            assert record.predicted.sum() == record.unlabelled
            assert (record.confident[1] <= record.confident[0]).all()
            assert (record.confident[0] <= record.predicted).all()
            assert 0 <= record.mean_uncertainty <= 1
            if toy.task == "roi":
                self._check_rois(record, taken)
            else:
                self._check_maps(record, toy, taken)
        (record,) = fitted.model.predict(rows[:1], {}, Request(frozenset(), (0.5,)))
        assert record.labels is None and record.uncertainty is None  # no more than was asked

    def _check_rois(self, record: Any, taken: dict[str, set[str]]) -> None:
        free = [i for i, r in enumerate(record.rois) if r not in taken.get(record.image, ())]
        assert record.unlabelled == len(free) < 5
        assert record.probabilities.dtype == np.float32
        np.testing.assert_allclose(record.probabilities.sum(1), 1, atol=1e-5)
        counts = np.bincount(record.probabilities[free].argmax(1), minlength=len(CLASSES))
        np.testing.assert_array_equal(record.predicted, counts)

    def _check_maps(self, record: Any, toy: Toy, taken: dict[str, list[Region]]) -> None:
        assert record.labels.shape == record.uncertainty.shape == toy.truth[record.image].shape
        assert record.labels.dtype == record.uncertainty.dtype == np.uint8
        free = np.ones(record.labels.shape, bool)
        for region in taken.get(record.image, ()):
            part = zip(region.start, region.size, strict=True)
            free[tuple(slice(s, s + n) for s, n in part)] = False
        counts = np.bincount(record.labels[free], minlength=len(CLASSES))
        np.testing.assert_array_equal(record.predicted, counts)
        mean = record.uncertainty[free].mean() / 255
        assert abs(mean - record.mean_uncertainty) < 0.5 / 255 + 1e-4

    def test_segment_agrees_with_predict(self, fitted: Fitted) -> None:
        records = list(fitted.model.predict(fitted.rows, {}, REQUEST))
        if fitted.toy.task == "roi":
            again = fitted.model.classify(fitted.rows)
            together = np.concatenate([r.probabilities for r in records])
            np.testing.assert_allclose(together, again, atol=1e-5)
        else:
            again = fitted.model.segment(fitted.rows[0])
            np.testing.assert_array_equal(records[0].labels, again)

    def test_features(self, fitted: Fitted) -> None:
        """Of length 1; as they are, of regions the maximum, which grows with them."""
        if not describe_learner(self.learner).has_features:
            return
        rows = fitted.rows
        if fitted.toy.task == "roi":
            unit = fitted.model.embed_rois(rows)
            np.testing.assert_allclose(fitted.model.embed_rois(rows[3:5]), unit[3:5], atol=1e-5)
            found = fitted.model.embed_rois(rows, unit=False)
            length = np.linalg.norm(found, axis=1, keepdims=True)
            np.testing.assert_allclose(found / length, unit, atol=1e-5)
        else:
            regions = nested_regions(fitted.toy.truth[rows[0].key].shape)
            unit = fitted.model.embed(rows[0], regions)
            found = fitted.model.embed(rows[0], regions, "max")
            length = np.linalg.norm(found, axis=1)
            assert (np.diff(found, axis=0) >= -1e-6).all()
            for pooling in ("mean", "max"):
                assert len(fitted.model.embed(rows[0], [], pooling)) == 0
            with pytest.raises(ValueError, match="pooling"):
                fitted.model.embed(rows[0], regions, "sum")
        assert found.dtype == unit.dtype == np.float32
        assert np.abs(unit[0] - unit[-1]).max() > 1e-6 and np.abs(found[0] - found[-1]).max() > 1e-6
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
        assert np.abs(length - 1).max() > 1e-3

    def test_probabilities_and_residuals(self, fitted: Fitted) -> None:
        rows = fitted.rows[:2]
        if fitted.toy.task == "roi":
            with pytest.raises(ConfigError, match="task"):
                fitted.model.probabilities(rows)
            return
        found = list(fitted.model.probabilities(rows))
        assert [row for row, _, _ in found] == rows
        for row, p, information in found:
            assert information is None
            assert p.dtype == np.float32
            assert p.shape == (len(CLASSES), *fitted.toy.truth[row.key].shape)
            np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
            np.testing.assert_array_equal(p.argmax(0), fitted.model.segment(row))
        if not describe_learner(self.learner).has_features:
            return
        _, p, _ = found[0]
        regions = nested_regions(p.shape[1:])
        residuals = fitted.model.residuals(rows[0], regions)
        wanted = np.moveaxis(p - np.moveaxis(np.eye(len(CLASSES))[p.argmax(0)], -1, 0), 0, -1)
        for region, residual in zip(regions, residuals, strict=True):
            expected = wanted[region.slices].reshape(-1, len(CLASSES)).mean(0)
            np.testing.assert_allclose(residual, expected, atol=1e-5)
        assert residuals.dtype == np.float32
        assert np.abs(residuals).max() > 1e-4
        assert fitted.model.residuals(rows[0], []).shape == (0, len(CLASSES))

    def test_one_network_has_no_mutual_information(self, fitted: Fitted) -> None:
        with pytest.raises(ConfigError, match="mutual_information"):
            fitted.model.predict(fitted.rows, {}, BALD)
        if fitted.toy.task != "roi":
            with pytest.raises(ConfigError, match="mutual_information"):
                fitted.model.probabilities(fitted.rows, disagreement=True)

    def test_ensemble(self, fitted: Fitted, job: FitJob) -> None:
        if not self.ensemble:
            return
        learner, toy, rows = fitted.learner, fitted.toy, fitted.rows
        job = replace(job, settings={**job.settings, **self.ensemble})
        assert describe_learner(self.learner).of(job.settings).networks() == 2
        stats = learner.fit(job)
        assert (stats["members"], stats["steps"]) == (2, 6)
        assert learner.fit(job) == stats
        model = learner.open(job.out, toy.layout, job.settings)
        records = list(model.predict(rows, {}, BALD))
        assert 0 < max(r.mean_uncertainty for r in records) < 1
        if toy.task == "roi":
            return
        ((_, p, information),) = model.probabilities(rows[:1], disagreement=True)
        np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
        assert information.shape == p.shape[1:]
        assert 0 <= information.min() < information.max() <= np.log(len(CLASSES))
        expected = 255 * information / np.log(len(CLASSES))
        assert np.abs(records[0].uncertainty - expected).max() < 0.51


def _taken(toy: Toy) -> tuple[str, dict[str, Any]]:
    """Mark something of the second image as annotated."""
    row = list(toy.rows.values())[5]
    if toy.task == "roi":
        return row.image, {row.image: {row.roi}}
    start, size = ((3, 4), (9, 11)) if toy.task == "2d" else ((4, 2, 3), (1, 9, 11))
    return row.image, {row.image: [Region(start, size)]}
