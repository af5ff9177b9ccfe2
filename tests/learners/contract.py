"""What every learner must keep; a learner's test class inherits this and names its learner."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from al.io.errors import ConfigError, DataError
from al.io.locking import LockedError, locked
from al.io.tables import PoolRow
from al.learners import FitJob, Request, describe_learner, get_learner
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

    def __getattr__(self, method: str) -> Any:
        """Return a method of the learner that takes what comes after model and layout."""
        bound = getattr(self.learner, method)

        def call(*args: Any, **more: Any) -> Any:
            return bound(self.job.out, self.toy.layout, *args, **more)

        return call


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
    def toy(self, task: str) -> Toy:
        """A pool of which ``taught`` are labelled, and the others are to be predicted."""
        return Toy(task, 36 if task == "roi" else 9)

    @staticmethod
    def taught(toy: Toy) -> int:
        return 24 if toy.task == "roi" else 6

    @pytest.fixture(scope="class")
    def section(self, task: str) -> dict[str, Any]:
        return self.settings[task]

    @pytest.fixture(scope="class")
    def fitted(
        self, toy: Toy, section: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
    ) -> Fitted:
        """Of three steps; no test changes it."""
        learner, folder = get_learner(self.learner), tmp_path_factory.mktemp("fitted")
        labels = toy.labels(folder / "y")[: self.taught(toy)]
        job = prepared(learner, toy.job(folder, labels, 3, settings=section))
        return Fitted(learner, toy, job, learner.fit(job))

    @pytest.fixture
    def job(self, fitted: Fitted, tmp_path: Path) -> FitJob:
        """The same training, elsewhere."""
        return replace(fitted.job, out=tmp_path / "model", work=tmp_path / "work")

    def test_learns_an_easy_toy(self, fitted: Fitted, job: FitJob, section: dict[str, Any]) -> None:
        learner, toy, steps = fitted.learner, fitted.toy, self.steps[job.task]
        stats = learner.fit(replace(job, steps=steps))
        rows = fitted.rows[self.taught(toy) :]
        if toy.task == "roi":
            found = learner.classify(job.out, toy.layout, rows, section).argmax(1)
            right = found == [toy.truth[r.key] for r in rows]
        else:
            found = [learner.segment(job.out, toy.layout, r, section) for r in rows]
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

    def test_what_is_refused(self, fitted: Fitted, job: FitJob) -> None:
        """A second writer, nothing to learn from, no steps, a setting that there is not."""
        learner = fitted.learner
        with locked(job.work), pytest.raises(LockedError, match=r"host .+, pid \d+"):
            learner.fit(job)
        with pytest.raises(DataError, match="nothing to learn"):
            learner.fit(replace(job, labels=[]))
        with pytest.raises(ConfigError, match="steps: 0"):
            learner.fit(replace(job, steps=0))
        with pytest.raises(ConfigError, match="lerning_rate.*learning_rate"):
            learner.fit(replace(job, settings={"lerning_rate": 1}))
        assert not job.out.exists()

    def test_what_decides_a_training(
        self, fitted: Fitted, job: FitJob, section: dict[str, Any]
    ) -> None:
        """Another key for other labels, seed, steps, classes or settings; none for the machine."""
        learner, device = fitted.learner, torch.device("cpu")

        def key(job: FitJob) -> str:
            settings = learner.settings.of(job.settings, job.task)
            return learner.trainings(job, settings, device)(job).key

        first = key(job)
        for same in (
            replace(job, labels=job.labels[::-1]),
            replace(job, settings={**section, "checkpoint_every": 9, "threads": 2}),
        ):
            assert key(same) == first
        for other in (
            replace(job, labels=job.labels[1:]),
            replace(job, seed=8),
            replace(job, steps=4),
            replace(job, classes=[*CLASSES[:2], "other"]),
            replace(job, settings={**section, "learning_rate": 0.0123}),
        ):
            assert key(other) != first

    def test_records(self, fitted: Fitted, section: dict[str, Any]) -> None:
        toy, rows = fitted.toy, fitted.rows
        _, taken = _taken(toy)
        records = list(fitted.predict(rows, taken, REQUEST, section))
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
        (record,) = fitted.predict(rows[:1], {}, Request(frozenset(), (0.5,)), section)
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

    def test_segment_agrees_with_predict(self, fitted: Fitted, section: dict[str, Any]) -> None:
        records = list(fitted.predict(fitted.rows, {}, REQUEST, section))
        if fitted.toy.task == "roi":
            again = fitted.classify(fitted.rows, section)
            together = np.concatenate([r.probabilities for r in records])
            np.testing.assert_allclose(together, again, atol=1e-5)
        else:
            again = fitted.segment(fitted.rows[0], section)
            np.testing.assert_array_equal(records[0].labels, again)

    def test_features(self, fitted: Fitted, section: dict[str, Any]) -> None:
        """Of length 1; as they are, of regions the maximum, which grows with them."""
        if not describe_learner(self.learner).has_features:
            return
        rows = fitted.rows
        if fitted.toy.task == "roi":
            unit = fitted.embed_rois(rows, section)
            np.testing.assert_allclose(fitted.embed_rois(rows[3:5], section), unit[3:5], atol=1e-5)
            found = fitted.embed_rois(rows, section, unit=False)
            length = np.linalg.norm(found, axis=1, keepdims=True)
            np.testing.assert_allclose(found / length, unit, atol=1e-5)
        else:
            regions = nested_regions(fitted.toy.truth[rows[0].key].shape)
            unit = fitted.embed(rows[0], regions, section)
            found = fitted.embed(rows[0], regions, section, "max")
            length = np.linalg.norm(found, axis=1)
            assert (np.diff(found, axis=0) >= -1e-6).all()
            for pooling in ("mean", "max"):
                assert len(fitted.embed(rows[0], [], section, pooling)) == 0
            with pytest.raises(ValueError, match="pooling"):
                fitted.embed(rows[0], regions, section, "sum")
        assert found.dtype == unit.dtype == np.float32
        assert np.abs(unit[0] - unit[-1]).max() > 1e-6 and np.abs(found[0] - found[-1]).max() > 1e-6
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
        assert np.abs(length - 1).max() > 1e-3

    def test_probabilities_and_residuals(self, fitted: Fitted, section: dict[str, Any]) -> None:
        rows = fitted.rows[:2]
        if fitted.toy.task == "roi":
            with pytest.raises(ConfigError, match="task"):
                fitted.probabilities(rows, section)
            return
        found = list(fitted.probabilities(rows, section))
        assert [row for row, _, _ in found] == rows
        for row, p, information in found:
            assert information is None
            assert p.dtype == np.float32
            assert p.shape == (len(CLASSES), *fitted.toy.truth[row.key].shape)
            np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
            np.testing.assert_array_equal(p.argmax(0), fitted.segment(row, section))
        if not describe_learner(self.learner).has_features:
            return
        _, p, _ = found[0]
        regions = nested_regions(p.shape[1:])
        residuals = fitted.residuals(rows[0], regions, section)
        wanted = np.moveaxis(p - np.moveaxis(np.eye(len(CLASSES))[p.argmax(0)], -1, 0), 0, -1)
        for region, residual in zip(regions, residuals, strict=True):
            expected = wanted[region.slices].reshape(-1, len(CLASSES)).mean(0)
            np.testing.assert_allclose(residual, expected, atol=1e-5)
        assert residuals.dtype == np.float32
        assert np.abs(residuals).max() > 1e-4
        assert fitted.residuals(rows[0], [], section).shape == (0, len(CLASSES))

    def test_one_network_has_no_mutual_information(
        self, fitted: Fitted, section: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigError, match="mutual_information"):
            fitted.predict(fitted.rows, {}, BALD, section)
        if fitted.toy.task != "roi":
            with pytest.raises(ConfigError, match="mutual_information"):
                fitted.probabilities(fitted.rows, section, disagreement=True)

    def test_ensemble(self, fitted: Fitted, job: FitJob, section: dict[str, Any]) -> None:
        if not self.ensemble:
            return
        learner, toy, rows = fitted.learner, fitted.toy, fitted.rows
        section = {**section, **self.ensemble}
        assert describe_learner(self.learner).of(section).networks() == 2
        job = replace(job, settings=section)
        stats = learner.fit(job)
        assert (stats["members"], stats["steps"]) == (2, 6)
        assert learner.fit(job) == stats
        records = list(learner.predict(job.out, toy.layout, rows, {}, BALD, section))
        assert 0 < max(r.mean_uncertainty for r in records) < 1
        if toy.task == "roi":
            return
        found = learner.probabilities(job.out, toy.layout, rows[:1], section, disagreement=True)
        ((_, p, information),) = found
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
