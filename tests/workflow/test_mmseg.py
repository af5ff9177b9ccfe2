"""Small real runs with mmsegmentation as the learner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

from al.learners.mmseg.settings import MmsegSettings

from .conftest import ROOT, TINY, Run
from .test_killed import Killed, check_killed_training

pytestmark = pytest.mark.slow

SECTION = {
    "config": str(ROOT / "tests/learners/configs/unet_tiny.py"),
    "size_divisor": 4,
    "checkpoint_every": 1,
}
STEPS = 8
CYCLE = "2x3/decomp/seed-0/cycle-002"
SETTINGS = {
    **TINY,
    "learner": "mmseg",
    "strategies": "decomp,badge",
    "cycles": "2",
    "steps": str(STEPS),
    "full_steps": str(STEPS),
}


def settings(street: Path, **section: object) -> dict[str, str]:
    return {**SETTINGS, "data_root": str(street), "mmseg": json.dumps({**SECTION, **section})}


@pytest.fixture(scope="module")
def whole(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("mmseg")
    shutil.copy(SECTION["config"], folder / "own.py")
    run = Killed(folder, settings(street, config=str(folder / "own.py")))
    run.run("--cores", "2")
    return run


def test_a_whole_run(whole: Killed) -> None:
    report = whole.folder / "results/tiny/report"
    drawn = ("curves", "classes", "regions", "filling", "costs", "seeds", "shares", "growth")
    found = {p.name for p in report.glob("*.png")}
    assert found >= {"imbalance.png", *(f"{name}-2x3.png" for name in drawn)}
    assert found == {p.with_suffix(".png").name for p in report.glob("*.pdf")}
    assert "stopping" not in (report / "reach.md").read_text()
    metrics = whole.files("tiny/2x3/*/seed-0/cycle-*/metrics.json")
    assert len(metrics) == 3
    for content in metrics.values():
        found = json.loads(content)
        assert found["steps"] == STEPS
        assert 0 <= found["score"] <= 1


def test_killed_and_continued_it_ends_as_if_nothing_had_been(
    whole: Killed, street: Path, tmp_path: Path
) -> None:
    check_killed_training(whole, tmp_path, CYCLE)


@pytest.mark.parametrize("validation", ["clean", "paper"])
def test_what_stops_trainings_is_in_the_report(
    validation: str, street: Path, tmp_path: Path
) -> None:
    section = {"validation": validation, "validate_every": 2, "patience": 1, "held_out": 0.4}
    changed = {"strategies": "decomp", "references": "full"}
    run = Run(tmp_path, {**settings(street, **section), **changed})
    run.run("--cores", "2")
    text = (tmp_path / "results/tiny/report/reach.md").read_text()
    told = {"paper": "Early stopping by the scored", "clean": "Early stopping by revealed regions"}
    assert told[validation] in text
    for place in (CYCLE, "references/full/seed-0"):
        stats = json.loads((tmp_path / "results/tiny" / place / "training.json").read_text())
        assert stats["validation"]["by"] == validation
        assert 1 <= len(stats["validation"]["scores"]) <= STEPS // 2


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"config": "fast_scnn_smal"}, "did you mean 'fast_scnn_small'"),
        ({"pretrained": "nowhere.pth"}, "mmseg.pretrained: nowhere.pth is no file"),
        ({"config": "upernet_internimage_t", "crop": [32, 32]}, "nothing is downloaded; allowed"),
        ({"crop": [128, 64]}, "mmseg.crop: 128 x 64, but image"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"options": {"model.decode_head.type": "NoHead"}}, "NoHead"),
    ],
)
def test_bad_input_is_refused_before_the_first_job(
    section: dict[str, object], message: str, street: Path, tmp_path: Path
) -> None:
    if section.get("device") == "cuda":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
    printed = Run(tmp_path, settings(street, **section)).run(fails=True)
    assert message in printed.replace("\n", " ")
    assert not (tmp_path / "results/tiny/config.yaml").exists()
    assert not list(tmp_path.glob("results/**/*.csv"))


def test_replotting_needs_no_weights(whole: Killed, tmp_path: Path) -> None:
    """What only trainings need is not asked for where nothing is trained."""
    (whole.folder / "results/tiny/report/curves-2x3.png").unlink()
    printed = whole.run("--cores", "2")
    assert "rule plot_figures" in printed
    assert "rule train" not in printed


def test_a_configuration_that_was_edited_is_refused(whole: Killed) -> None:
    """Its cycles would be of different networks; only the path stands in the settings."""
    file = whole.folder / "own.py"
    text = file.read_text()
    file.write_text(text.replace("lr=0.01", "lr=0.02"))
    printed = whole.run("--cores", "2", fails=True, cycles="3")
    assert "config.optim_wrapper.optimizer.lr: 0.01 -> 0.02" in printed
    file.write_text(text + "\n# a remark\n")
    printed = whole.run("--dry-run", cycles="3")
    assert "rule train:" in printed


def test_settings_of_the_machine_may_change_in_the_middle_of_a_run(whole: Killed) -> None:
    section = json.loads(whole.settings["mmseg"])
    changed = {**section, "workers": 1, "checkpoint_every": 2, "threads": 1}
    printed = whole.run("--cores", "2", mmseg=json.dumps(changed))
    assert "Nothing to be done" in printed
    printed = whole.run("--dry-run", mmseg=json.dumps({**section, "batch": 2}), fails=True)
    assert "mmseg.batch: None -> 2" in printed or "mmseg.batch: 8 -> 2" in printed


@pytest.mark.parametrize("dataset", ["cityscapes", "voc", "camvid", "cityscapes_mini"])
def test_sections_of_the_datasets_hold(dataset: str) -> None:
    from al.config.settings import read_yaml

    section = read_yaml(ROOT / f"config/datasets/{dataset}.yaml")["mmseg"]
    MmsegSettings.of(section)
