"""What every learner must keep; a learner's test class inherits this and names its learner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.learners import Request, describe_learner, get_learner
from al.learners.locking import LockedError, locked
from decomp_core import Region
from tests.learners.fakes import CLASSES, Toy

REQUEST = Request(frozenset({"labels", "uncertainty"}), (0.3, 0.7))

BALD = Request(frozenset({"labels", "uncertainty"}), (0.5,), "mutual_information")


def nested_regions(shape: tuple[int, ...]) -> list[Region]:
    """Regions of an image, each inside the next: a pixel of the last corner up to everything."""
    start = [tuple(f * (n - 1) // 3 for n in shape) for f in (3, 2, 1, 0)]
    return [Region(s, tuple(n - a for n, a in zip(shape, s, strict=True))) for s in start]


def files_of(model: Path) -> dict[str, bytes]:
    """Contents of a model folder without what reports times."""
    return {
        str(p.relative_to(model)): p.read_bytes()
        for p in sorted(model.rglob("*"))
        if p.is_file() and p.name != "stats.json"
    }


class LearnerContract:
    """Set ``learner``, ``settings`` by task, and ``steps``, enough to learn the toys.

    ``ensemble`` are the settings that make two members of it, where the learner offers them.
    """

    learner: ClassVar[str]
    settings: ClassVar[dict[str, dict[str, Any]]]
    steps: ClassVar[dict[str, int]]
    ensemble: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(params=["2d", "3d", "roi"])
    def toy(self, request: pytest.FixtureRequest) -> Toy:
        if request.param not in describe_learner(self.learner).tasks:
            pytest.skip(f"{self.learner} does not do {request.param}")
        return Toy(request.param, 24 if request.param == "roi" else 6)

    @pytest.fixture
    def fitted(self, toy: Toy, tmp_path: Path) -> tuple[Any, Toy, Path, dict[str, Any]]:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings=settings)
        learner.fit(job)
        return learner, toy, job.out, settings

    def test_learns_an_easy_toy(self, toy: Toy, tmp_path: Path) -> None:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        labels, steps = toy.labels(tmp_path / "y"), self.steps[toy.task]
        stats = learner.fit(toy.job(tmp_path, labels, steps, settings=settings))
        fresh = Toy(toy.task, 12, seed=1)
        rows, model = list(fresh.rows.values()), tmp_path / "model"
        if toy.task == "roi":
            found = learner.classify(model, fresh.layout, rows, settings).argmax(1)
            right = found == [fresh.truth[r.key] for r in rows]
        else:
            found = [learner.segment(model, fresh.layout, r, settings) for r in rows[:3]]
            right = np.stack(found) == np.stack([fresh.truth[r.key] for r in rows[:3]])
        assert right.mean() > 0.9
        assert stats["steps"] == steps
        assert {"seconds", "resumed_from", "pixels_seen", "loss", "device"} <= set(stats)

    def test_same_job_same_bytes(self, toy: Toy, tmp_path: Path) -> None:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        labels = toy.labels(tmp_path / "y")
        learner.fit(toy.job(tmp_path / "a", labels, 3, settings=settings))
        learner.fit(toy.job(tmp_path / "b", labels[::-1], 3, settings=settings))
        learner.fit(toy.job(tmp_path / "c", labels, 3, settings=settings, seed=8))
        first = files_of(tmp_path / "a/model")
        assert first
        assert first == files_of(tmp_path / "b/model")
        assert first != files_of(tmp_path / "c/model")

    def test_finished_training_returns_at_once(self, toy: Toy, tmp_path: Path) -> None:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings=settings)
        first = learner.fit(job)
        written = {p: p.stat().st_mtime_ns for p in job.out.rglob("*")}
        assert learner.fit(job) == first
        assert {p: p.stat().st_mtime_ns for p in job.out.rglob("*")} == written

    def test_lost_output_is_written_again_without_training(self, toy: Toy, tmp_path: Path) -> None:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        job = toy.job(tmp_path / "a", toy.labels(tmp_path / "y"), 3, settings=settings)
        stats = learner.fit(job)
        first = files_of(job.out)
        job.out.rename(tmp_path / "gone")
        assert learner.fit(job) == stats  # to the millisecond it took
        assert files_of(job.out) == first

    def test_second_writer_refuses(self, toy: Toy, tmp_path: Path) -> None:
        learner, settings = get_learner(self.learner), self.settings[toy.task]
        job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings=settings)
        with locked(job.work), pytest.raises(LockedError, match=r"host .+, pid \d+, since"):
            learner.fit(job)
        assert not job.out.exists()
        learner.fit(job)

    def test_nothing_to_learn_from(self, toy: Toy, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="nothing to learn"):
            get_learner(self.learner).fit(
                toy.job(tmp_path, [], 3, settings=self.settings[toy.task])
            )

    def test_records(self, fitted: tuple[Any, Toy, Path, dict[str, Any]]) -> None:
        learner, toy, model, settings = fitted
        rows = list(toy.rows.values())
        image, taken = _taken(toy)
        records = list(learner.predict(model, toy.layout, rows, taken, REQUEST, settings))
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

    def test_record_holds_no_more_than_asked(
        self, fitted: tuple[Any, Toy, Path, dict[str, Any]]
    ) -> None:
        learner, toy, model, settings = fitted
        row = next(iter(toy.rows.values()))
        request = Request(frozenset(), (0.5,))
        (record,) = learner.predict(model, toy.layout, [row], {}, request, settings)
        assert record.labels is None
        assert record.uncertainty is None

    def test_segment_agrees_with_predict(
        self, fitted: tuple[Any, Toy, Path, dict[str, Any]]
    ) -> None:
        learner, toy, model, settings = fitted
        rows = list(toy.rows.values())
        records = list(learner.predict(model, toy.layout, rows, {}, REQUEST, settings))
        if toy.task == "roi":
            again = learner.classify(model, toy.layout, rows, settings)
            together = np.concatenate([r.probabilities for r in records])
            np.testing.assert_allclose(together, again, atol=1e-5)
        else:
            again = learner.segment(model, toy.layout, rows[0], settings)
            np.testing.assert_array_equal(records[0].labels, again)

    def test_features(self, fitted: tuple[Any, Toy, Path, dict[str, Any]]) -> None:
        learner, toy, model, settings = fitted
        if not learner.settings.has_features:
            pytest.skip(f"{self.learner} has no features")
        rows = list(toy.rows.values())
        if toy.task == "roi":
            found = learner.embed_rois(model, toy.layout, rows[:5], settings)
            part = learner.embed_rois(model, toy.layout, rows[3:5], settings)
            np.testing.assert_allclose(found[3:], part, atol=1e-5)
        else:
            ndim = toy.truth[rows[0].key].ndim
            regions = [Region((1,) * ndim, (3,) * ndim), Region((5,) * ndim, (6,) * ndim)]
            regions += [Region((0,) * ndim, toy.truth[rows[0].key].shape)]
            found = learner.embed(model, toy.layout, rows[0], regions, settings)
            assert np.abs(found[0] - found[2]).max() > 1e-6
            assert learner.embed(model, toy.layout, rows[0], [], settings).shape[0] == 0
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)

    def test_features_as_they_are(self, fitted: tuple[Any, Toy, Path, dict[str, Any]]) -> None:
        """Of RoIs the same but for their length; of regions the maximum, which grows with them."""
        learner, toy, model, settings = fitted
        if not learner.settings.has_features:
            pytest.skip(f"{self.learner} has no features")
        rows = list(toy.rows.values())
        if toy.task == "roi":
            found = learner.embed_rois(model, toy.layout, rows, settings, unit=False)
            unit = learner.embed_rois(model, toy.layout, rows, settings)
            length = np.linalg.norm(found, axis=1, keepdims=True)
            np.testing.assert_allclose(found / length, unit, atol=1e-5)
        else:
            regions = nested_regions(toy.truth[rows[0].key].shape)
            found = learner.embed(model, toy.layout, rows[0], regions, settings, "max")
            length = np.linalg.norm(found, axis=1)
            assert (np.diff(found, axis=0) >= -1e-6).all()
            assert np.abs(found[0] - found[-1]).max() > 1e-6
            assert len(learner.embed(model, toy.layout, rows[0], [], settings, "max")) == 0
            with pytest.raises(ValueError, match="pooling"):
                learner.embed(model, toy.layout, rows[0], regions, settings, "sum")
        assert found.dtype == np.float32
        assert np.abs(length - 1).max() > 1e-3

    def test_residuals(self, fitted: tuple[Any, Toy, Path, dict[str, Any]]) -> None:
        learner, toy, model, settings = fitted
        if not learner.settings.has_features or toy.task == "roi":
            pytest.skip("residuals are of regions, beside their features")
        row = next(iter(toy.rows.values()))
        regions = nested_regions(toy.truth[row.key].shape)
        found = learner.residuals(model, toy.layout, row, regions, settings)
        ((_, p, _),) = learner.probabilities(model, toy.layout, [row], settings)
        chosen = np.eye(len(CLASSES))[p.argmax(0)]
        for region, residual in zip(regions, found, strict=True):
            wanted = np.moveaxis(p, 0, -1)[region.slices] - chosen[region.slices]
            expected = wanted.reshape(-1, len(CLASSES)).mean(0)
            np.testing.assert_allclose(residual, expected, atol=1e-5)
        assert found.dtype == np.float32
        assert np.abs(found).max() > 1e-4
        assert learner.residuals(model, toy.layout, row, [], settings).shape == (0, len(CLASSES))

    def test_probabilities(self, fitted: tuple[Any, Toy, Path, dict[str, Any]]) -> None:
        learner, toy, model, settings = fitted
        rows = list(toy.rows.values())[:2]
        if toy.task == "roi":
            with pytest.raises(ConfigError, match="task"):
                learner.probabilities(model, toy.layout, rows, settings)
            return
        found = list(learner.probabilities(model, toy.layout, rows, settings))
        assert [row for row, _, _ in found] == rows
        for row, p, information in found:
            assert information is None
            assert p.dtype == np.float32
            assert p.shape == (len(CLASSES), *toy.truth[row.key].shape)
            np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
            again = learner.segment(model, toy.layout, row, settings)
            np.testing.assert_array_equal(p.argmax(0), again)

    def test_one_network_has_no_mutual_information(
        self, fitted: tuple[Any, Toy, Path, dict[str, Any]]
    ) -> None:
        learner, toy, model, settings = fitted
        rows = list(toy.rows.values())
        with pytest.raises(ConfigError, match="mutual_information"):
            next(learner.predict(model, toy.layout, rows, {}, BALD, settings))
        if toy.task != "roi":
            with pytest.raises(ConfigError, match="mutual_information"):
                next(learner.probabilities(model, toy.layout, rows, settings, disagreement=True))

    def test_ensemble(self, toy: Toy, tmp_path: Path) -> None:
        if not self.ensemble:
            pytest.skip(f"{self.learner} has no ensembles")
        learner, settings = get_learner(self.learner), {**self.settings[toy.task], **self.ensemble}
        assert describe_learner(self.learner).of(settings).networks() == 2
        assert describe_learner(self.learner).of(self.settings[toy.task]).networks() == 1
        labels, rows = toy.labels(tmp_path / "y"), list(toy.rows.values())
        job = toy.job(tmp_path / "a", labels, 3, settings=settings)
        stats = learner.fit(job)
        assert (stats["members"], stats["steps"]) == (2, 6)
        assert learner.fit(job) == stats
        other = toy.job(tmp_path / "b", labels[::-1], 3, settings=settings)
        learner.fit(other)
        assert files_of(job.out) == files_of(other.out)
        records = list(learner.predict(job.out, toy.layout, rows, {}, BALD, settings))
        assert 0 < max(r.mean_uncertainty for r in records) < 1
        if toy.task == "roi":
            return
        found = learner.probabilities(job.out, toy.layout, rows[:1], settings, disagreement=True)
        ((_, p, information),) = found
        np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
        assert information.shape == p.shape[1:]
        assert 0 <= information.min() < information.max() <= np.log(len(CLASSES))
        expected = 255 * information / np.log(len(CLASSES))
        assert np.abs(records[0].uncertainty - expected).max() < 0.51

    def test_unknown_setting_is_named(self, toy: Toy, tmp_path: Path) -> None:
        job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings={"lerning_rate": 1})
        with pytest.raises(ConfigError, match="lerning_rate.*learning_rate"):
            get_learner(self.learner).fit(job)


def _taken(toy: Toy) -> tuple[str, dict[str, Any]]:
    """Mark something of the second image as annotated."""
    row = list(toy.rows.values())[5]
    if toy.task == "roi":
        return row.image, {row.image: {row.roi}}
    start, size = ((3, 4), (9, 11)) if toy.task == "2d" else ((4, 2, 3), (1, 9, 11))
    return row.image, {row.image: [Region(start, size)]}
