"""What several learners are made of: refusals, the model loaded last, checks of nested classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import ConfigError
from al.learners.absent import WithoutFeatures, WithoutRois
from al.learners.base import Learner
from al.learners.ensemble import members_in
from al.learners.model_cache import LastLoaded
from al.learners.nested import check_nested, check_sets
from decomp_core import Region
from tests.learners.fakes import Toy


class _Plain(WithoutRois, WithoutFeatures):
    name = "plain"

    def __init__(self, *tasks: str) -> None:
        self.tasks = frozenset(tasks)


@pytest.mark.parametrize(("tasks", "said"), [(("2d",), "task 2d"), (("3d", "2d"), "tasks 2d, 3d")])
def test_without_rois(tasks: tuple[str, ...], said: str, tmp_path: Path) -> None:
    learner, toy = _Plain(*tasks), Toy("roi", 2)
    rows = list(toy.rows.values())
    for method in (learner.classify, learner.embed_rois, learner.residuals_rois):
        with pytest.raises(ConfigError, match=f"^task: 'roi'; learner plain does {said}$"):
            method(tmp_path, toy.layout, rows, {})


def test_without_features(tmp_path: Path) -> None:
    learner, toy = _Plain("2d"), Toy("2d", 1)
    regions = [Region((0, 0), (2, 2))]
    for method in (learner.embed, learner.residuals):
        with pytest.raises(ConfigError, match="'plain' has no features of regions"):
            method(tmp_path, toy.layout, toy.rows["i0"], regions, {})


@pytest.mark.parametrize("part", [WithoutRois, WithoutFeatures])
def test_refusals_have_the_signatures_of_the_interface(part: type) -> None:
    methods = [name for name, value in vars(part).items() if callable(value) and name[0] != "_"]
    assert methods
    for name in methods:
        assert signature(getattr(part, name)) == signature(getattr(Learner, name))


def test_last_model_is_kept(tmp_path: Path) -> None:
    loaded: list[Path] = []

    def load(model: Path, settings: Mapping[str, Any]) -> int:
        loaded.append(model)
        return len(loaded)

    last, weights = LastLoaded(load), tmp_path / "weights.pt"
    assert last.get(tmp_path, [weights], {}) == 1  # what is missing is for ``load`` to refuse
    weights.write_bytes(b"a")
    assert last.get(tmp_path, [weights], {}) == 2
    assert last.get(tmp_path, iter([weights]), {}) == 2
    assert last.get(tmp_path, [weights], {"a": 1, "b": 2}) == 3
    assert last.get(tmp_path, [weights], {"b": 2, "a": 1}) == 3
    os.utime(weights, ns=(0, 0))
    assert last.get(tmp_path, [weights], {"a": 1, "b": 2}) == 4
    assert last.get(tmp_path / "other", [weights], {"a": 1, "b": 2}) == 5
    assert loaded == [*[tmp_path] * 4, tmp_path / "other"]


def test_networks_of_a_model(tmp_path: Path) -> None:
    assert members_in(tmp_path, "best.pth") == []
    folders = [tmp_path / f"member-{i}" for i in range(2)]
    for count, folder in enumerate(folders, 1):
        folder.mkdir()
        (folder / "best.pth").touch()
        assert members_in(tmp_path, "best.pth") == folders[:count]
        assert members_in(tmp_path, "weights.pt") == []
    (tmp_path / "best.pth").touch()
    assert members_in(tmp_path, "best.pth") == [tmp_path]


def test_nested_classes_are_refused_in_a_learners_name() -> None:
    with pytest.raises(ConfigError, match=r"^plain\.nested: 3; allowed: lists of class indices$"):
        check_sets("plain", 3, None)
    with pytest.raises(ConfigError, match=r"^plain\.nested_order: \(1,\); allowed: null where"):
        check_sets("plain", None, (1,))
    check_sets("plain", ((1, 2), (2,)), (1, 2))
    with pytest.raises(ConfigError, match=r"^plain\.nested: .* allowed: classes 0 to 1$"):
        check_nested("plain", ((1, 2), (2,)), (1, 2), 2)
    check_nested("plain", None, None, 2)
