"""Every dataset's config has a layout that accepts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from al.generators import GENERATORS
from al.layouts import get_layout

CONFIGS = sorted((Path(__file__).parents[2] / "config" / "datasets").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_layout_accepts_the_config(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert config["classes"] or path.stem == "nnunet_raw"  # whose classes dataset.json has
    classes = config["classes"] or ["background", "organ"]
    people = config.get("annotator") == "human"
    layout = get_layout(config["layout"], config["layout_options"], classes, people)
    assert layout.task == config["task"]
    assert len(config.get("class_colours", classes)) == len(classes)
    if "generate" in config:
        assert config["generate"]["name"] in GENERATORS


def test_a_mini_dataset_reads_like_the_real_one() -> None:
    configs = {path.stem: yaml.safe_load(path.read_text()) for path in CONFIGS}
    for name in ("cityscapes", "kits23", "bracs"):
        keys = ("task", "layout") if name == "bracs" else ("task", "layout", "classes")
        for key in keys:  # bracs_mini has the 7 classes that bracs can also be read with
            assert configs[name][key] == configs[f"{name}_mini"][key]
