"""Settings of all learners: what is refused and how, what each decides, what must stay light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import ConfigError
from al.learners import LEARNERS, describe_learner
from al.learners.nested import nested_targets

ROOT = Path(__file__).resolve().parents[2]
NAN, INF = float("nan"), float("inf")
KIDNEY = {"nested": [[1, 2, 3], [2, 3], [2]], "nested_order": [1, 3, 2]}
TASK = {"convnet": "2d", "pixels": "2d", "mmseg": "2d", "nnunet": "3d", "hact": "roi"}

# Key, values that are refused, and a word of what is allowed.
REFUSED: dict[str, list[tuple[str, list[Any], str]]] = {
    "convnet": [
        ("width", [0, True, 2.5, None], "a whole number from 1"),
        ("crop", [[96], [96, 96, 96], [4, 96], 96, "big"], "whole number"),
        ("device", ["gpu", 1], "auto, cpu, cuda"),
        ("ema", [1.0, -0.1, NAN], "from 0 below 1"),
        ("learning_rate", ["fast", -1, NAN, INF], "a number from 0"),
        ("flips", [[2], [0.5]], "axes 0 to 1"),
        ("clip", [[5, 5], [NAN, 1], [1], 3], "low"),
        ("augment", [1, "yes"], "true, false"),
    ],
    "pixels": [
        ("scales", [0, 9, 1.5], "a whole number from 1 to 8"),
        ("reduce", [0, [1], [2, 2, 2]], "whole number"),
        ("hidden", [[], 16, [0]], "whole number from 1"),
        ("clip", [[5, 5], [NAN, 1]], "low"),
        ("weights", ["x"], "null"),
    ],
    "mmseg": [
        (
            "crop",
            [[512], 512],
            "[a whole number from 8 to 20000, a whole number from 8 to 20000], or null",
        ),
        ("accumulate", [3], "a divisor of batch 4"),
        ("held_out", [0, 1, NAN], "above 0 below 1"),
        ("scales", [[2, 1], [0, 1], [1, INF]], "above 0"),
        ("options", ["lr"], "a mapping"),
    ],
    "nnunet": [
        ("modality", [1], "text, or null"),
        ("foreground", [[3, 3], [0, NAN], [1], "label"], "labels, or null"),
        ("step_size", [0, 1.1], "above 0 to 1"),
        ("patch", [[16, 16], [16, 16, 3]], "3 whole numbers from 4"),
    ],
    "hact": [
        ("graph_shards", [0, 1000], "a whole number from 1 to 999"),
        ("standardise", [1, "yes"], "true, false, or auto"),
        ("nucleus_diameter", [[80, 12], [1, 12], 12], "smallest"),
        ("nucleus_area", [[0, 5], [9, 5]], "null"),
        ("published", ["x"], "null; with graphs: histocartography"),
    ],
}
BESIDE = {"accumulate": {"batch": 4}}


@pytest.mark.parametrize("name", LEARNERS)
def test_what_is_found_and_what_is_allowed_is_told(name: str) -> None:
    of, task = describe_learner(name).of, TASK[name]
    for key, values, allowed in REFUSED[name]:
        for value in values:
            with pytest.raises(ConfigError) as caught:
                of({**BESIDE.get(key, {}), key: value}, task)
            told = str(caught.value)
            assert told.startswith(f"{name}.{key}: "), told
            if value == values[0]:
                assert allowed in told.partition("; allowed: ")[2], told
    with pytest.raises(ConfigError, match=rf"^{name}\.thread: unknown key; did you mean 'threads'"):
        of({"thread": 3}, task)


def is_whole(schema: dict[str, Any]) -> bool:
    """Whether a setting is a whole number, or several."""
    parts = [*schema.get("anyOf", ()), *schema.get("prefixItems", ()), schema.get("items", {})]
    return schema.get("type") == "integer" or any(map(is_whole, filter(None, parts)))


@pytest.mark.parametrize("name", LEARNERS)
def test_no_whole_number_is_without_an_end(name: str) -> None:
    described = describe_learner(name)
    whole = {k: v for k, v in described.model_json_schema()["properties"].items() if is_whole(v)}
    assert {"threads", "checkpoint_every", "batch"} <= whole.keys()
    for key in whole.keys() - {"nested", "nested_order", "flips"}:  # class and axis indices
        for value in (10**9, [10**9] * 3, [10**9] * 2):
            with pytest.raises(ConfigError, match=rf"^{name}\.{key}: "):
                described.of({key: value})


@pytest.mark.parametrize(
    ("name", "task", "section", "message"),
    [
        ("convnet", "roi", {"position": True}, "position.*RoIs"),
        ("convnet", "roi", KIDNEY, "nested.*RoIs"),
        ("mmseg", "2d", {"window": [64, 64]}, "inference: None; allowed: slide"),
        ("mmseg", "2d", {"inference": "slide", "window": [64, 64], "stride": [65, 64]}, "stride"),
        ("nnunet", "3d", {"modality": "ct"}, "foreground: None.*for modality CT"),
        ("nnunet", "3d", {"nested": [[1], [2]], "nested_order": [1, 2]}, "nested: .*list of two"),
        ("nnunet", "3d", {"patch": [16] * 3, "configuration": "2d"}, "patch.*2 whole numbers"),
        ("hact", "roi", {"width": 3, "layers": 3}, "width: 3.*even"),
    ],
)
def test_what_does_not_fit_together(name: str, task: str, section: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}\.{message}"):
        describe_learner(name).of(section, task)


@pytest.mark.parametrize(
    ("change", "classes", "message"),
    [
        ({"nested_order": [1, 2, 3]}, None, r"nested_order.*class 2 decodes to 3"),
        ({"nested_order": [1, 3]}, None, "nested_order.*3 class indices"),
        ({"nested_order": None}, None, "nested_order.*3 class indices"),
        ({"nested": None}, None, "nested_order.*null where nested is null"),
        ({"nested": [[1, 2, 3], [2, 3], [2, 2]]}, None, "different class indices"),
        ({"nested": [[0, 1, 2, 3], [2, 3], [2]]}, None, "class 0 decodes to 1"),
        ({}, 3, "nested.*classes 0 to 2"),
        ({}, 5, "class 4 decodes to 0"),
    ],
)
def test_nested_classes_must_decode(change: dict, classes: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        describe_learner("convnet").of({**KIDNEY, **change}, "3d", classes)
    assert describe_learner("convnet").of(KIDNEY, "3d", 4).nested == ((1, 2, 3), (2, 3), (2,))
    assert nested_targets(KIDNEY["nested"], 4).sum(0).tolist() == [3, 2, 1]


@pytest.mark.parametrize("name", LEARNERS)
def test_every_setting_says_what_it_is_and_what_it_decides(name: str) -> None:
    described = describe_learner(name)
    settings = described.of({})
    assert json.loads(json.dumps(settings.model_dump())).keys() == described.model_fields.keys()
    assert all(field.description for field in described.model_fields.values())
    kinds = ("training", "preparation", "prediction", "nothing")
    decided = [key for what in kinds for key in described.that_decide(what)]
    assert sorted(decided) == sorted(described.model_fields)
    section = {"threads": 2, "checkpoint_every": 1, "start": "previous"}
    assert described.science_of(section) == {"start": "previous"}
    assert not {"threads", "members", "nested"} & settings.science().keys()
    assert bool(settings.preparation()) == described.prepares == bool(described.made_by())
    assert settings.networks() == 1
    assert settings.uncertainties() == ("entropy", "least_confidence", "margin")
    if "members" in described.model_fields:
        ensemble = described.of({"members": 5})
        assert "mutual_information" in ensemble.uncertainties()
        assert ensemble.single() == settings != ensemble
        assert ensemble.science()["members"] == 5
    if "nested" in described.model_fields:
        nested = described.of({**KIDNEY, "members": 5})
        assert nested.uncertainties() == ("least_confidence",)


def test_defaults_of_a_task() -> None:
    of = describe_learner("convnet").of
    assert of({"crop": [64, 64], "stem": [1, 2]}, "2d").crop == (64, 64)
    found = of({"flips": []}, "3d")
    assert (found.crop, found.stem, found.flips, found.batch) == ((32,) * 3, (2,) * 3, (), 2)
    assert of({}).crop is None


def test_what_is_asked_of_settings_before_a_run() -> None:
    mmseg, nnunet, hact = (describe_learner(name).of for name in ("mmseg", "nnunet", "hact"))
    assert mmseg({"validation": "clean"}).early_stopping() == ("clean", 0.2)
    assert nnunet({}).early_stopping()[0] == "none"
    slide = {"inference": "slide", "window": [32, 32]}
    assert mmseg(slide).science() == mmseg({}).science()
    paper = {"validation": "paper"}
    assert mmseg({**paper, **slide}).science() != mmseg(paper).science()
    assert nnunet({"foreground": "labels"}).reads_labels() == "nnunet.foreground: labels"
    assert nnunet({"patch": [8, 8, 8]}).preparation()["patch"] == [8, 8, 8]
    plain = hact({}).preparation()
    assert hact({"width": 12, "batch": 3, "workers": 4}).preparation() == plain
    assert hact({"graph_shards": 5}).preparation() != plain
    assert set(hact({"graphs": "a/b"}).preparation()) == {"graphs", "graph_shards"}
    assert hact({}).uses_validation() and not hact({"validation": "none"}).uses_validation()
    assert (hact({}).parts(), hact({}).regions_per_step()) == (16, 16)
    weights = {"weights": "w.pth"}
    assert hact(weights).prepares_on_gpu()
    for other in ({**weights, "device": "cpu"}, {**weights, "graphs": "a/b"}, {"device": "cuda"}):
        assert not hact(other).prepares_on_gpu()


def test_what_needs_no_learner_leaves_torch_alone() -> None:
    code = (
        "import sys; from al.learners import LEARNERS, describe_learner as d\n"
        "for n in LEARNERS: d(n).of({}).preparation(), d(n).made_by()\n"
        "sys.exit(not sys.modules.keys().isdisjoint({'torch', 'mmseg', 'nnunetv2', 'skimage'}))"
    )
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0
