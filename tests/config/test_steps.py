"""Steps that grow with what has been annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from al.config.settings import normalise, save_settings
from al.io.errors import ConfigError
from al.learners.steps import most_steps, normal_steps, steps_for

from .kit import config, guard, load

GROWING = {"per_region": 250, "most": 1000}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GROWING, GROWING),
        ({"per_region": "250", "most": "1000"}, GROWING),
        ({"per_region": 250.0, "most": 1e3}, GROWING),
        ({"convnet": {"per_region": "250", "most": 1000}, "mmseg": 7}, GROWING),
        ({"per_region": "3.75", "most": 1000}, {"per_region": 3.75, "most": 1000}),
        ({"mmseg": GROWING, "convnet": "7"}, 7),
    ],
)
def test_steps_per_region_are_for_all_learners_or_one(given: dict, expected: Any) -> None:
    found = load(steps=given)
    assert found["steps"] == expected
    assert normalise(found)["steps"] == expected
    assert normalise(config(steps=given))["steps"] == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": {"per_region": 250}}, "steps: {'per_region': 250}; allowed: a whole number"),
        ({"steps": {**GROWING, "least": 1}}, "allowed: a whole number from 1, or {per_region: "),
        ({"steps": {"mmseg": 5, **GROWING}}, "steps={convnet: {per_region: NUMBER, most: NUMBER}}"),
        ({"steps": {"convnet": {"least": 5}}}, "steps: {'least': 5}; allowed"),
        ({"steps": {"mmseg": GROWING}}, "steps: the dataset has none for learner 'convnet'"),
        ({"steps": {"per_region": 0, "most": 10}}, "steps.per_region: 0 is less than"),
        ({"steps": {"per_region": -2.5, "most": 10}}, "steps.per_region: -2.5 is less than"),
        ({"steps": {"per_region": "some", "most": 10}}, "steps.per_region: 'some' is not of type"),
        ({"steps": {"per_region": "nan", "most": 10}}, "steps.per_region: 'nan' is not of type"),
        ({"steps": {"epochs": 2, "most": 10}}, "steps.epochs: learner 'convnet' counts no epochs"),
        (
            {"steps": {"epochs": 2, "per_region": 2, "most": 9}},
            "allowed: a whole number from 1, or",
        ),
        ({"steps": {"per_region": 2, "most": 10.5}}, "steps.most: 10.5 is not of type"),
        ({"steps": {"per_region": True, "most": 10}}, "steps.per_region: True is not of type"),
        ({"steps": {"per_region": 20, "most": 10}}, "steps.most: 10; allowed: from per_region, 20"),
        ({"steps": 0}, "steps: 0; allowed"),
        ({"steps": "many"}, "steps: 'many'; allowed"),
        (
            {"full_steps": GROWING},
            "full_steps: {'per_region': 250, 'most': 1000}; allowed: a whole",
        ),
        ({"full_steps": {"convnet": GROWING}}, "full_steps: {'per_region': 250"),
    ],
)
def test_other_steps_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(**changes)
    assert message in str(refusal.value)


def test_steps_are_at_most_those_of_full_annotation() -> None:
    assert [steps_for(GROWING, regions) for regions in (1, 3, 4, 9)] == [250, 750, 1000, 1000]
    epochs = {"epochs": 60, "most": 11880}
    assert [steps_for(epochs, n, 16) for n in (1, 16, 17, 3163)] == [60, 60, 120, 11880]
    part = {"per_region": 3.75, "most": 1000}
    assert [steps_for(part, regions) for regions in (1, 4, 15, 999)] == [4, 15, 57, 1000]
    assert (steps_for(7, None), most_steps(7), most_steps(GROWING)) == (7, 7, 1000)
    assert normal_steps("steps", None, "convnet") is None
    with pytest.raises(ValueError, match="unknown number of regions"):
        steps_for(GROWING, None)


def test_steps_are_part_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save_settings(load(steps=GROWING), file)
    guard(load(steps={"per_region": "250", "most": "1000"}), file)
    with pytest.raises(ConfigError, match=r"steps\.most: 1000 -> 1250"):
        guard(load(steps={**GROWING, "most": 1250}), file)
    with pytest.raises(ConfigError, match="steps: .* -> 1000"):
        guard(load(steps=1000), file)
