"""Finding a learner, what the interface refuses, and the model that is loaded last."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import ConfigError
from al.learners import (
    LEARNERS,
    Learner,
    Preparing,
    Request,
    Start,
    describe_learner,
    get_learner,
)
from al.learners.convnet.settings import ConvnetSettings
from al.learners.mmseg.settings import MmsegSettings
from al.learners.nnunet.settings import NnunetSettings
from decomp_core import Region
from tests.learners.fakes import Toy


@pytest.mark.parametrize("name", LEARNERS)
def test_known_learners(name: str) -> None:
    learner, described = get_learner(name), describe_learner(name)
    assert learner.settings is described
    assert learner.name == name
    assert described.tasks <= {"2d", "3d", "roi"}
    assert described.prepares == isinstance(learner, Preparing)


def test_unknown_learner_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'convnt'.*did you mean 'convnet'"):
        get_learner("convnt")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        if name.endswith(".learner"):
            raise ImportError("No module named 'mmseg'")
        return real(name)

    from al import learners

    real = learners.import_module
    monkeypatch.setattr(learners, "import_module", missing)
    with pytest.raises(ConfigError, match="learner mmseg: No module .*EXTRAS=workflow,slurm,mmseg"):
        get_learner("mmseg")


class Plain(Preparing):
    """Does only what it must."""

    def fit(self, *args: Any) -> Any: ...

    def predict(self, *args: Any) -> Any: ...

    def prepare(self, *args: Any) -> Any: ...


@pytest.mark.parametrize(
    ("settings", "tasks"), [(MmsegSettings, "task 2d"), (ConvnetSettings, "tasks 2d, 3d, roi")]
)
def test_what_a_learner_does_not_do_is_refused(
    settings: Any, tasks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plain, "settings", settings, raising=False)
    learner, toy = Plain(), Toy("2d", 1)
    row, name = toy.rows["i0"], settings.learner
    for method in (learner.classify, learner.embed_rois, learner.residuals_rois):
        with pytest.raises(ConfigError, match=f"^task: 'roi'; learner {name} does {tasks}$"):
            method(tmp_path, toy.layout, [row], {})
    for method in (learner.embed, learner.residuals):
        with pytest.raises(ConfigError, match=f"'{name}' has no features of regions"):
            method(tmp_path, toy.layout, row, [Region((0, 0), (2, 2))], {})
    with pytest.raises(ConfigError, match="maps"):
        learner.segment(tmp_path, toy.layout, row, {})
    with pytest.raises(ConfigError, match="in one piece"):
        learner.prepare_part(toy.layout, [row], 1, tmp_path, {}, ["a"])
    start = Start(["a"], [row], toy.layout)
    assert learner.identity({}, start) == {}
    assert learner.check_start({}, start) is None


def test_an_incomplete_learner_cannot_be_made() -> None:
    class Half(Learner):
        settings = NnunetSettings

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_last_model_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, opened = get_learner("mmseg"), []
    monkeypatch.setattr(learner, "open", lambda *args: opened.append(args) or len(opened))
    with pytest.raises(FileNotFoundError, match="holds no model"):
        learner.load(tmp_path, {})
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"a")
    assert learner.load(tmp_path, {"threads": 1, "pad": True}) == 1
    assert learner.load(tmp_path, {"pad": True, "threads": 1}) == 1
    assert learner.load(tmp_path, {}) == 2
    os.utime(weights, ns=(0, 0))
    assert learner.load(tmp_path, {}) == 3
    weights.rename(tmp_path / "weights.old")
    for n in range(2):
        (tmp_path / f"member-{n}").mkdir()
        (tmp_path / f"member-{n}/weights.pt").touch()
    assert learner.load(tmp_path, {}) == 4
    assert [member.name for member in opened[-1][0]] == ["member-0", "member-1"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((frozenset({"label"}), (0.7,)), "needs"),
        ((frozenset(), (1.5,)), "thresholds"),
        ((frozenset(), (0.7,), "variance"), "least_confidence"),
    ],
)
def test_request_is_checked(values: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Request(*values)
