"""Finding a learner, what the interface refuses, and what of a model is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from al.io.errors import ConfigError, DataError
from al.learners import LEARNERS, Model, Request, describe_learner, get_learner
from al.learners.learner import Preparing
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
    with pytest.raises(ConfigError, match="learner mmseg: No module .*EXTRAS=mmseg"):
        get_learner("mmseg")


@pytest.mark.parametrize(
    ("name", "tasks"), [("mmseg", "task 2d"), ("convnet", "tasks 2d, 3d, roi")]
)
def test_what_a_model_does_not_do_is_refused(name: str, tasks: str) -> None:
    class Plain(Model):
        settings = describe_learner(name).of({})

        def predict(self, *args: Any) -> Any: ...

    model, row = Plain(), Toy("2d", 1).rows["i0"]
    for method in (model.classify, model.embed_rois, model.residuals_rois):
        with pytest.raises(ConfigError, match=f"^task: 'roi'; learner {name} does {tasks}$"):
            method([row])
    for method in (model.embed, model.residuals):
        with pytest.raises(ConfigError, match=f"'{name}' has no features of regions"):
            method(row, [Region((0, 0), (2, 2))])
    for asked in (lambda: model.segment(row), lambda: model.probabilities([row])):
        with pytest.raises(ConfigError, match="maps are for tasks 2d and 3d"):
            asked()


def test_data_are_prepared_in_one_piece_unless_a_learner_says_otherwise(tmp_path: Path) -> None:
    toy = Toy("3d", 1)
    with pytest.raises(ConfigError, match="'nnunet' prepares data in one piece"):
        get_learner("nnunet").prepare_part(toy.layout, [], 1, tmp_path, {}, ["a"])


def test_networks_of_a_model_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single one in the model itself, each of an ensemble in a folder of its own."""
    learner = get_learner("mmseg")
    monkeypatch.setattr(learner, "load", lambda members, *others: [m.name for m in members])
    model = tmp_path / "model"
    with pytest.raises(DataError, match="holds no model"):
        learner.open(model, None, {})
    for n in range(2):
        (model / f"member-{n}").mkdir(parents=True)
        (model / f"member-{n}/weights.pt").touch()
    assert learner.open(model, None, {}) == ["member-0", "member-1"]
    (model / "weights.pt").touch()
    assert learner.open(model, None, {}) == ["model"]


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
