"""Senseless configurations, words of the command line, and dataset.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.exceptions import CliException

from al.cluster.submissions import job_minutes
from al.config.checks import check_words
from al.config.prepared import preparation
from al.config.settings import load_settings, read_yaml, save_settings, science
from al.layouts.dataset_json import read_dataset_json
from al.learners import describe_learner
from al.learners.steps import most_steps
from al.report.catalogue import figures_of, pictures_of, tables_of
from al.report.look import look_of
from tests.config.kit import ROOT, config, held, merge

from . import FUZZING
from .mutations import ODD, misshapen, paths_in
from .outcomes import tried

LEARNERS = {
    "convnet": {"members": 2, "crop": [32, 32], "learning_rate": 0.01, "batch": 4},
    "pixels": {"scales": 2, "reduce": [2, 2], "hidden": [16]},
    "nnunet": {"configuration": "2d", "epochs": 10},
    "mmseg": {"config": "config/mmseg/fast_scnn_small.py"},
    "hact": {"graphs": "own"},
}
DATASETS = ("cityscapes_mini", "kits23_mini", "bracs_mini", "camvid", "crc", "cityscapes", "voc")
STRATEGIES = list(read_yaml(ROOT / "config/strategies.yaml"))


def _configs() -> list[dict[str, Any]]:
    found = [config(name, run="r", strategies=STRATEGIES[:6]) for name in DATASETS]
    found += [merge(found[0], {"learner": name, name: keys}) for name, keys in LEARNERS.items()]
    return found + [config("kits23_mini", learner="nnunet", run="r", nnunet=LEARNERS["nnunet"])]


def _resolved(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve a configuration and ask of it what the rules ask."""
    settings = load_settings(given, ROOT)
    section = describe_learner(settings["learner"]).of(
        settings[settings["learner"]], settings["task"]
    )
    section.early_stopping(), section.parts()
    most_steps(settings["steps"])
    look = look_of(settings, list(held("strategies")))
    figures_of(look), pictures_of(look), tables_of(look), preparation(settings)
    for rule in ("train", "predict", "select_regions"):
        job_minutes(settings, rule, 3)
    save_settings(settings, folder / "config.yaml")
    return settings


def _numbers(tree: Any) -> list[float]:
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    if values is None:
        return [tree] if isinstance(tree, int | float) else []
    return [number for value in values for number in _numbers(value)]


def _check(given: dict[str, Any], folder: Path) -> dict[str, Any] | None:
    (folder / "config.yaml").unlink(missing_ok=True)
    settings = tried(lambda: _resolved(given, folder))
    if settings is None:
        return None
    assert all(map(math.isfinite, _numbers(settings)))
    assert science(read_yaml(folder / "config.yaml")) == science(settings)
    again = {k: v for k, v in settings.items() if k != "definitions"}
    again = load_settings({**again, "data_root": given["data_root"]}, ROOT)
    assert science(again) == science(settings), "resolved twice it is another"
    return settings


@FUZZING
@given(made=misshapen(_configs()))
def test_configurations(tmp_path_factory: pytest.TempPathFactory, made: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = merge(config(), made) if isinstance(made, dict) else config()  # as Snakemake does
    if made["data_root"] is None and made["generate"] is None:
        made["data_root"] = str(folder)
    _check(made, folder)


KEYS = [path for path in paths_in(held("config")) if all(isinstance(key, str) for key in path)]


@st.composite
def words(draw: st.DrawFn) -> list[str]:
    """Return words ``key=value`` as they are typed; nested keys as flow mappings."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        *outer, key = draw(st.sampled_from(KEYS))
        value = draw(
            ODD.map(str) | st.sampled_from(["1.10", "007", "2024_05", "a #2", "1x2", "[1]"])
        )
        for part in [*outer[::-1]]:
            key, value = part, f"{{{key}: {value}}}"
        found.append(f"{key}={value}")
    return found


@FUZZING
@given(typed=words())
def test_words(tmp_path_factory: pytest.TempPathFactory, typed: list[str]) -> None:
    try:
        read = parse_config(typed)
    except (CliException, ValueError, AssertionError):
        return  # Snakemake's own refusal
    given = merge(config("cityscapes_mini"), read)
    if given["dataset"] != "cityscapes_mini":
        return
    if not tried(lambda: check_words(given, typed) or True):
        return
    settings = _check(given, tmp_path_factory.getbasetemp())
    last = dict(word.partition("=")[::2] for word in typed)
    if settings is not None and (run := last.get("run")):
        assert settings["run"] == run.strip("'\"")


NNUNET = [
    {"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "CT"}, "numTraining": 3},
    {"labels": {"background": 0, "a": [1, 2], "b": 2, "ignore": 3}, "regions_class_order": [1, 2]},
    {"labels": {"0": "background", "1": "a"}, "modality": {"0": "MRI"}, "file_ending": ".nii.gz"},
]


@FUZZING
@given(made=misshapen(NNUNET))
def test_dataset_json(tmp_path_factory: pytest.TempPathFactory, made: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "dataset.json"
    file.write_text(json.dumps(made), encoding="utf-8")
    found = tried(lambda: read_dataset_json(file), str(file))
    if found is None:
        return
    values = made["labels"].values() if all(map(_is_value, made["labels"].values())) else None
    assert len(set(found.classes)) == len(found.classes)
    if values is not None:
        flat = {v for value in values for v in (value if isinstance(value, list) else [value])}
        assert flat - {found.void} == set(range(len(found.classes)))


def _is_value(value: Any) -> bool:
    return isinstance(value, int | list)
