"""``scripts/al/cli/report.py`` where there are no pictures, or nothing at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from al.report.running import cut_pictures

from .run_files import RunFiles, call, look_at, make_data, resolved, section


def test_images_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data("kits23_mini", tmp_path / "data")
    settings = resolved(
        "kits23_mini", data, run="far", strategies="random", seeds=1, cycles=2, budget="2x3"
    )
    run = RunFiles(tmp_path, settings).write()
    shutil.rmtree(data)
    assert call(tmp_path, "far") == 0
    printed = capsys.readouterr()
    assert "missing: images could not be read: " in printed.out and "imaging.nii.gz" in printed.out
    page = (run.report / "report.html").read_text(encoding="utf-8")
    for name in ("regions-2x3", "filling-2x3"):
        assert "images could not be read" in section(page, name)
        assert not (run.report / f"{name}.png").exists()
    assert (run.report / "curves-2x3.png").is_file() and "Browse the regions" not in page


def test_pictures_wait_for_their_budget_and_seed(tmp_path: Path) -> None:
    """They show the first seed: a budget that has none of it yet has no picture, others have."""
    data = make_data("kits23_mini", tmp_path / "data")
    settings = resolved(
        "kits23_mini", data, run="two", strategies="random", seeds=2, cycles=2, budget="2x3,3x2",
        references="none",
    )  # fmt: skip
    run = RunFiles(tmp_path, settings, lambda w: w.seed == 1 or w.budget == "2x3").write()
    pictures, trouble = cut_pictures(run.results, look_at(run))
    assert not trouble and list(pictures) == ["2x3"]
    assert {p.name for p in run.report.glob("*.png")} == {"regions-2x3.png", "filling-2x3.png"}
    shutil.rmtree(run.report)
    for path in run.results.glob("2x3/*/seed-0"):
        shutil.rmtree(path)
    pictures, trouble = cut_pictures(run.results, look_at(run))
    assert not pictures and "seed 0, which has no finished cycle yet" in trouble
    assert not run.report.exists()


def test_nothing_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data("kits23_mini", tmp_path / "data")
    settings = resolved("kits23_mini", data, run="new", strategies="random", seeds=1, cycles=2)
    run = RunFiles(tmp_path, settings, lambda w: False).write()
    assert call(tmp_path, "new") == 1
    assert capsys.readouterr().err == "report: results/new: nothing was evaluated yet\n"
    assert not run.report.exists()
    assert call(tmp_path, "new", "new") == 1, "one run named twice is one run"
    assert not (tmp_path / "results/comparisons").exists()
