"""``dataset.json`` of nnU-Net's raw format, and the configuration that follows from it."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import ConfigError
from al.layouts.dataset_json import complete, read_dataset_json

HIPPOCAMPUS = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "Anterior": 1, "Posterior": 2},
    "numTraining": 260,
    "file_ending": ".nii.gz",
}
KITS = {
    "labels": {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": 2},
    "regions_class_order": [1, 3, 2],
}


def wrote(folder: Path, **changes: Any) -> Path:
    """Write the dataset.json of hippocampus with some keys changed; ``None`` leaves one out."""
    held = {key: value for key, value in {**HIPPOCAMPUS, **changes}.items() if value is not None}
    file = folder / "dataset.json"
    file.write_text(json.dumps(held))
    return file


def settings(folder: Path | None, **changes: Any) -> dict[str, Any]:
    root = None if folder is None else str(folder)
    plain = {"layout": "nnunet_raw", "layout_options": {}, "classes": [], "groups": None}
    return {**plain, "dataset": "nnunet_raw", "data_root": root, **changes}


def test_labels_are_the_classes(tmp_path: Path) -> None:
    found = read_dataset_json(wrote(tmp_path))
    assert found.classes == ["background", "Anterior", "Posterior"]
    assert (found.void, found.groups, found.channels) == (None, None, {0: "MRI"})


def test_the_order_is_that_of_the_values(tmp_path: Path) -> None:
    labels = {"b": 2, "background": 0, "ignore": 3, "a": 1}
    found = read_dataset_json(wrote(tmp_path, labels=labels))
    assert (found.classes, found.void) == (["background", "a", "b"], 3)


def test_lists_of_one_value_are_no_regions(tmp_path: Path) -> None:
    found = read_dataset_json(wrote(tmp_path, labels={"background": [0], "a": [1]}))
    assert (found.classes, found.groups) == (["background", "a"], None)


def test_the_older_form_maps_values_to_names(tmp_path: Path) -> None:
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    older = wrote(tmp_path, labels=labels, channel_names=None, modality={"0": "MRI"})
    assert read_dataset_json(older).classes == ["background", "Anterior", "Posterior"]
    assert read_dataset_json(older).channels == {0: "MRI"}


def test_regions_become_groups_and_their_values_classes(tmp_path: Path) -> None:
    found = read_dataset_json(wrote(tmp_path, **KITS))
    assert found.groups == {"kidney": [1, 2, 3], "masses": [2, 3], "tumour": [2]}
    assert found.classes == ["background", "rest of kidney", "tumour", "rest of masses"]
    brats = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3], "ignore": 4}
    found = read_dataset_json(wrote(tmp_path, labels=brats, regions_class_order=[1, 2, 3]))
    assert found.groups == {"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    assert found.classes == ["background", "rest of whole", "rest of core", "enhancing"]
    assert found.void == 4


def test_a_value_that_no_region_is_written_as_has_its_number(tmp_path: Path) -> None:
    labels = {"background": 0, "both": [1, 2]}
    found = read_dataset_json(wrote(tmp_path, labels=labels, regions_class_order=[1]))
    assert found.classes == ["background", "rest of both", "label 2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "labels None"),
        ({"labels": {}}, "labels {}"),
        ({"labels": {"background": 0}}, "at least one more"),
        ({"labels": {"background": 0, "ignore": 1}}, "at least one more"),
        ({"labels": {"background": 0, "a": 1, "b": 4}}, "without [2, 3]"),
        ({"labels": {"a": 1, "b": 2}}, "without [0]"),
        ({"labels": {"background": 0, "a": 1, "ignore": 2, "b": 3}}, "without [2]"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "labels.b [1] is what 'a' is"),
        ({"labels": {"background": 0, "a": "1"}}, "labels.a '1'"),
        ({"labels": {"background": 0, "a": 1.5}}, "labels.a 1.5"),
        ({"labels": {"background": 0, "a": True}}, "labels.a True"),
        ({"labels": {"background": 0, "a": -1}}, "labels.a -1"),
        ({"labels": {"background": 0, "a": []}}, "labels.a []"),
        ({"labels": {"background": 0, "a": 1, "ignore": 1}}, "labels.ignore 1"),
        ({"labels": {"background": 0, "a": 1, "ignore": [2, 3]}}, "labels.ignore [2, 3]"),
        ({"labels": {"0": "a", "1": "a"}}, "each name once"),
        ({**KITS, "regions_class_order": None}, "regions_class_order None"),
        ({**KITS, "regions_class_order": [1, 2]}, "regions_class_order [1, 2]; allowed: 3 of"),
        ({**KITS, "regions_class_order": [1, 2, 7]}, "values [1, 2, 3]"),
        ({**KITS, "regions_class_order": [1, [2], 3]}, "regions_class_order [1, [2], 3]"),
        ({"labels": {"background": 0, "all": [0, 1], "a": 1}}, "labels.all [0, 1] holds 0"),
        ({"file_ending": ".mha"}, "file_ending '.mha'; allowed: .nii.gz, .nii"),
        ({"channel_names": ["MRI"]}, "channel_names ['MRI']"),
        ({"dataset": {"a": {"images": [], "label": ""}}}, "dataset lists the files"),
    ],
)
def test_mistakes_name_file_and_key(changes: dict, message: str, tmp_path: Path) -> None:
    file = wrote(tmp_path, **changes)
    with pytest.raises(ConfigError) as refusal:
        read_dataset_json(file)
    assert str(refusal.value).startswith(f"{file}: ") and message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "unreadable"),
        ("[1]", "a list; allowed"),
        ("\xff", "unreadable"),
        ('{"labels": {"background": 0, "a": 1, "a": 2}}', r"\['a'\] defined twice"),
    ],
)
def test_a_file_that_is_no_such_json(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=message):
        read_dataset_json(tmp_path / "dataset.json")


def test_the_configuration_is_completed_and_only_once(tmp_path: Path) -> None:
    wrote(tmp_path, **deepcopy(KITS))
    given = settings(tmp_path)
    found = complete(given)
    assert len(found["classes"]) == 4 and set(found["groups"]) == {"kidney", "masses", "tumour"}
    assert found["layout_options"] == {}  # nothing an earlier run did not have
    assert given == settings(tmp_path) and complete(found) == found
    own = settings(tmp_path, groups={"all": [1, 2, 3]})
    assert complete(own)["groups"] == {"all": [1, 2, 3]}


def test_voxels_to_ignore_are_void(tmp_path: Path) -> None:
    wrote(tmp_path, labels={"background": 0, "a": 1, "ignore": 2})
    assert complete(settings(tmp_path))["layout_options"] == {"void": 2}
    assert complete(settings(tmp_path, layout_options={"void": 2}))["classes"][1:] == ["a"]
    with pytest.raises(ConfigError, match=r"layout_options\.void: 5; `ignore` in .* is 2"):
        complete(settings(tmp_path, layout_options={"void": 5}))


def test_classes_of_the_configuration_keep_their_names(tmp_path: Path) -> None:
    own = settings(tmp_path, classes=["background", "anterior", "posterior"])
    assert complete(own) == own  # no file
    wrote(tmp_path)
    assert complete(own)["classes"] == own["classes"]
    with pytest.raises(ConfigError, match=r"classes: 2 \(a, b\).*0 background, 1 Anterior"):
        complete(settings(tmp_path, classes=["a", "b"]))


def test_without_classes_there_has_to_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs data_root=FOLDER, the one that holds dataset"):
        complete(settings(None))
    with pytest.raises(ConfigError, match=r"dataset\.json: no such file; allowed"):
        complete(settings(tmp_path))
    with pytest.raises(ConfigError, match="nowhere' is not a folder"):
        complete(settings(tmp_path / "nowhere"))
    (tmp_path / "Dataset004_Hippocampus").mkdir()
    wrote(tmp_path / "Dataset004_Hippocampus")
    with pytest.raises(ConfigError, match="there is one in Dataset004_Hippocampus"):
        complete(settings(tmp_path))


def test_one_of_several_channels_is_named(tmp_path: Path) -> None:
    wrote(tmp_path, channel_names={"0": "T1", "1": "T2"})
    assert complete(settings(tmp_path, layout_options={"channel": 1}))["classes"]
    for options, shown in (({}, "null"), ({"channel": 2}, "2"), ({"channel": [0]}, r"\[0\]")):
        with pytest.raises(ConfigError, match=rf"channel: {shown}; .* 0 \(T1\), 1 \(T2\)"):
            complete(settings(tmp_path, layout_options=options))


def test_other_layouts_are_left_alone(tmp_path: Path) -> None:
    wrote(tmp_path, labels={})
    other = settings(tmp_path, layout="kits23")
    assert complete(other) is other


def test_nnunet_normalises_by_the_name_of_the_channel(tmp_path: Path) -> None:
    def modality(channel: int | None = None, learner: str = "nnunet", **section: Any) -> Any:
        options = {} if channel is None else {"channel": channel}
        given = settings(tmp_path, layout_options=options, learner=learner, nnunet=section)
        found = complete(given)["nnunet"]
        assert complete({**given, "nnunet": found})["nnunet"] == found
        return found.get("modality", "none set")

    wrote(tmp_path)
    assert modality() == modality(0) == modality(batch=2) == modality(modality=None) == "MRI"
    assert modality(modality="CT") == "CT"
    assert modality(learner="convnet") == "none set"
    assert complete(settings(tmp_path, learner="nnunet"))["nnunet"] == {"modality": "MRI"}
    wrote(tmp_path, channel_names={"0": "CT", "1": "T2"})
    assert (modality(0), modality(1)) == ("CT", "T2")
    wrote(tmp_path, channel_names=None)
    assert modality() == modality(0) == "none set"


def test_nnunet_trains_regions_as_the_file_orders_them(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    wrote(tmp_path, labels=labels, regions_class_order=[1, 2, 3])
    found = complete(settings(tmp_path, learner="nnunet"))["nnunet"]
    assert found["nested"] == [[1, 2, 3], [2, 3], [3]]
    assert found["nested_order"] == [1, 2, 3]
    assert "nested" not in complete(settings(tmp_path, nnunet={})).get("nnunet", {})
    own = {"nested": [[1, 2, 3], [3], [2]], "nested_order": [1, 3, 2]}
    assert (
        complete(settings(tmp_path, learner="nnunet", nnunet=own))["nnunet"]["nested"]
        == (own["nested"])
    )
