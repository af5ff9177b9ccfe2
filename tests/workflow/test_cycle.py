"""The cycle through Snakemake: same results however it is run, and nothing done twice."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al.config.settings import read_yaml
from al.io.labels import UNKNOWN, read_label
from al.io.tables import read_labels, read_pool, read_regions
from al.layouts import get_layout
from al.layouts.cityscapes import LABEL_IDS

from .conftest import TINY, Run


@pytest.fixture
def copy(undisturbed: Run, tmp_path: Path) -> Run:
    """Return a copy of the finished run that a test may change."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy", symlinks=True)
    return Run(tmp_path / "copy", undisturbed.settings)


def jobs(printed: str) -> dict[str, int]:
    """Return the table of jobs that Snakemake prints."""
    rows = re.findall(r"^([a-z_]+) +(\d+)$", printed, re.MULTILINE)
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


def test_a_run_ends_with_tables_and_figures(undisturbed: Run) -> None:
    report = undisturbed.folder / "results/tiny/report"
    for name in ("curves-2x3.png", "classes-2x3.png", "regions-2x3.png", "reach.md"):
        assert (report / name).stat().st_size > 100
    assert len(undisturbed.files("tiny/2x3/*/seed-0/cycle-*/metrics.json")) == 5
    regions = read_regions(
        undisturbed.folder / "results/tiny/2x3/decomp/seed-0/cycle-003/history.csv"
    )
    assert len(regions) == 3 * 2 * 3
    assert {r.cycle for r in regions} == {1, 2, 3}
    assert not (undisturbed.folder / "work/tiny").exists()


def test_predictions_are_deleted_except_the_first(undisturbed: Run) -> None:
    kept = undisturbed.files("tiny/2x3/*/seed-0/cycle-*/predictions/*.zip")
    assert list(kept) == ["tiny/2x3/initial/seed-0/cycle-001/predictions/1-of-1.zip"]


def test_labels_are_ground_truth_under_the_regions(undisturbed: Run, street: Path) -> None:
    folder = undisturbed.folder / "results/tiny"
    config = read_yaml(folder / "config.yaml")
    layout = get_layout("cityscapes", config["layout_options"], config["classes"])
    rows = {r.image: r for r in read_pool(folder / "pools/seed-0.csv", "train")}
    last = folder / "2x3/decomp/seed-0/cycle-003"
    history = read_regions(last / "history.csv")
    for label in read_labels(last / "labels.csv"):
        shown, truth = read_label(label.path), layout.open_label(rows[label.image])
        known = np.zeros(shown.shape, bool)
        for region in (r.region for r in history if r.image == label.image):
            known[region.slices] = 1
        np.testing.assert_array_equal(shown[known], truth[known])
        assert (shown[~known] == UNKNOWN).all()


@pytest.mark.slow
def test_shards_cores_and_unrevealed_labels_do_not_matter(
    undisturbed: Run, street: Path, tmp_path: Path
) -> None:
    """Two shards, one core, every unrevealed training label and all test labels scrambled."""
    shutil.copytree(street, tmp_path / "street")
    scramble(undisturbed.folder / "results/tiny", street, tmp_path / "street")
    again = Run(tmp_path / "again", {**TINY, "data_root": str(tmp_path / "street"), "shards": "2"})
    again.folder.mkdir()
    last = "tiny/2x3/decomp/seed-0/cycle-003/metrics.json"
    again.run("--cores", "1", f"results/{last}")
    for name in ("regions.csv", "images.csv", "model/weights.pt"):
        found = again.files(f"tiny/2x3/*/*/*/{name}")
        assert (
            len(found) >= 2 and found.items() <= undisturbed.files(f"tiny/2x3/*/*/*/{name}").items()
        )
    scores = [json.loads(run.files(last)[last])["score"] for run in (undisturbed, again)]
    assert scores[0] != scores[1]  # the test labels did change


def scramble(results: Path, old: Path, new: Path) -> None:
    """Redraw every label that no strategy has revealed; where there is none is known to all."""
    rng = np.random.default_rng(0)
    revealed = [
        r for file in results.glob("2x3/*/seed-0/cycle-003/history.csv") for r in read_regions(file)
    ]
    for row in read_pool(results / "pool.csv"):
        path = new / Path(row.label_path).relative_to(old)
        labels = np.asarray(Image.open(path)).copy()
        noise, known = labels.copy(), np.isin(labels, list(LABEL_IDS))
        noise[known] = rng.permutation(labels[known])
        if row.split == "train":
            for region in (r.region for r in revealed if r.image == row.image):
                noise[region.slices] = labels[region.slices]
        path.unlink()
        Image.fromarray(noise).save(path)


def test_more_cycles_run_only_the_new_ones(copy: Run) -> None:
    planned = jobs(copy.run("-n", cycles="5"))
    assert planned["train"] == planned["evaluate"] == planned["select_regions"] == 4
    assert "select_initial" not in planned and "predict_initial" not in planned


def test_strategies_added_later_run_alone_and_make_what_they_need(copy: Run) -> None:
    added = "random,cluster,clasp_pe"
    planned = jobs(copy.run("-n", strategies=f"decomp,uncertainty,{added}"))
    assert planned["train"] == planned["select_regions"] == 3 * 2
    assert planned["propose_regions"] == planned["embed_regions"] == 2
    assert planned["propose_patches"] == 2
    # of cluster; random choices need no prediction, and the first model's is there
    assert planned["predict"] == 1 and "predict_initial" not in planned


def test_moved_data_change_nothing(copy: Run, street: Path, tmp_path: Path) -> None:
    """They are the same in another folder: no training follows, nor anything else."""
    shutil.copytree(street, tmp_path / "moved")
    assert "Nothing to be done" in copy.run("-n", data_root=str(tmp_path / "moved"))
    copy.run("--cores", "1", "results/tiny/2x3/decomp/seed-0/cycle-004/regions.csv", cycles="4",
             data_root=str(tmp_path / "moved"))  # fmt: skip
    assert len(copy.files("tiny/2x3/*/seed-0/cycle-*/regions.csv")) == 6


def test_a_changed_colour_makes_plots_only(copy: Run) -> None:
    colours = '{"colours": {"decomp": "#00AA00", "random": "#777777", "uncertainty": "#0000FF"}}'
    planned = jobs(copy.run("-n", report=colours))
    assert set(planned) <= {"plot_figures", "write_page"} and planned


def test_snakemakes_own_report_has_captions_and_categories(copy: Run) -> None:
    printed = copy.run("--report", "report.html")
    text = (copy.folder / "report.html").read_text()
    assert "Score on the test split" in text and "Strategies in pairs" in text
    assert '"Comparisons"' in text and '"Tables"' in text
    assert "Duplicate" not in printed


def test_other_science_is_refused_with_the_difference(copy: Run) -> None:
    printed = copy.run("-n", fails=True, steps="7")
    assert "steps: 6 -> 7" in printed and "run=" in printed


def test_a_mistake_is_refused_before_the_first_job(copy: Run) -> None:
    """The others are in tests/config; this one is found before the dataset's file is read."""
    printed = copy.run("-n", fails=True, run="other", dataset="cityscape_mini")
    assert "did you mean 'cityscapes_mini'" in printed and "Traceback" not in printed


def test_unusable_data_is_refused_before_the_first_job(street: Path, tmp_path: Path) -> None:
    shutil.copytree(street, tmp_path / "street")
    image = next((tmp_path / "street/leftImg8bit/train").rglob("*.png"))
    image.write_bytes(image.read_bytes()[:200])
    run = Run(tmp_path / "run", {**TINY, "data_root": str(tmp_path / "street")})
    run.folder.mkdir()
    printed = run.run("--cores", "1", fails=True)
    assert image.name in printed and "Traceback" not in printed
    assert not (run.folder / "results/tiny/pool.csv").exists()
