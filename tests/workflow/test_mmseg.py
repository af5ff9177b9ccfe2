"""Small real runs with mmsegmentation as the learner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

from al.config.start import StartRefused
from al.io.errors import ConfigError
from tests.config.kit import ROOT, begin, typed

from .conftest import TINY, Run

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
    "strategies": "decomp",
    "references": "full",
    "cycles": "2",
    "steps": str(STEPS),
    "full_steps": str(STEPS),
}


def settings(street: Path, **section: object) -> dict[str, str]:
    return {**SETTINGS, "data_root": str(street), "mmseg": json.dumps({**SECTION, **section})}


def test_a_whole_run_stopped_by_what_is_held_out(street: Path, tmp_path: Path) -> None:
    section = {"validation": "clean", "validate_every": 2, "patience": 1, "held_out": 0.4}
    run = Run(tmp_path, settings(street, **section))
    scored = [f"{place}/metrics.json" for place in (CYCLE, "references/full/seed-0")]
    run.run("--cores", "2", *(f"results/tiny/{file}" for file in scored))
    results = tmp_path / "results/tiny"
    for place in (CYCLE, "references/full/seed-0"):
        assert 0 <= json.loads((results / place / "metrics.json").read_text())["score"] <= 1
        stats = json.loads((results / place / "training.json").read_text())
        assert stats["validation"]["by"] == "clean" and stats["steps"] <= STEPS
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
    with pytest.raises((ConfigError, StartRefused)) as refusal:
        begin(tmp_path, **typed(settings(street, **section)))
    assert message in str(refusal.value).replace("\n", " ")
    assert not list(tmp_path.glob("results/**/*.*"))


def test_snakemake_shows_a_refusal(street: Path, tmp_path: Path) -> None:
    printed = Run(tmp_path, settings(street, pretrained="nowhere.pth")).run(fails=True)
    assert "mmseg.pretrained: nowhere.pth is no file" in printed and "Traceback" not in printed
    assert not (tmp_path / "results/tiny/config.yaml").exists()


def test_a_configuration_that_was_edited_is_refused(street: Path, tmp_path: Path) -> None:
    """Its cycles would be of different networks; only the path stands in the settings."""
    file = tmp_path / "own.py"
    shutil.copy(SECTION["config"], file)
    text, words = file.read_text(), typed(settings(street, config=str(file)))
    begin(tmp_path, **words)
    file.write_text(text.replace("lr=0.01", "lr=0.02"))
    with pytest.raises(StartRefused, match=r"config\.optim_wrapper\.optimizer\.lr: 0\.01 -> 0\.02"):
        begin(tmp_path, **words)
    file.write_text(text + "\n# a remark\n")
    begin(tmp_path, **words)
    file.unlink()  # where nothing is trained any more, as for a new figure, nothing is asked for
    begin(tmp_path, planned=(), **words)
