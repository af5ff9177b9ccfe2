"""``al.cli.report`` on whole runs: figures, tables, pages, pictures, and what it refuses."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from al.cli.results import show_results
from al.io.pool import by_image
from al.report.catalogue import PRINTED, figures_of, pictures_of, tables_of
from al.report.confidence import write_confidence
from al.report.curves import collect_curves
from al.report.drawing import DRAW
from al.report.gather import confidences, metrics_of, read_run, view_from_tables
from al.report.running import cut_pictures
from al.report.tabulation import Source, read_last_metrics, save_tables

from .curve_sample import lines, panels
from .run_files import (
    Data,
    RunFiles,
    Where,
    call,
    look_at,
    plain,
    resolved,
    rows_of,
    section,
    write_some,
)

GAPS = {Where("2x3", "decomp", 1, 3), *(Where("2x3", "uncertainty", 2, c) for c in (2, 3, 4))}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def page_of(run: RunFiles) -> str:
    return (run.report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def volumes(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFiles]:
    """A finished run of volumes with its report; what was there before is left as it was."""
    folder = tmp_path_factory.mktemp("volumes")
    settings = resolved(
        "kits23_mini", data, run="vol", strategies="random,decomp", seeds=2, cycles=3, budget="2x3"
    )
    run = RunFiles(folder, settings).write()
    before = contents(folder)
    assert call(folder, "vol") == 0
    yield run
    after = contents(folder)
    assert {n: after.get(n) for n in before} == before
    assert all(n.startswith("results/vol/report/") for n in after.keys() - before.keys())


@pytest.fixture(scope="module")
def gaps(data: Data, tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """Images: one strategy far below 95 %, a seed and a cycle missing."""
    settings = resolved(
        "cityscapes_mini", data, run="gaps", seeds=3, cycles=4, budget="2x3",
        report={"share": 0.95, "overlay_images": 1},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("gaps")
    run = RunFiles(folder, settings, lambda w: w not in GAPS).write()
    pictures, trouble = cut_pictures(run.results, look_at(run))
    (picture,) = pictures["2x3"]
    (row,) = [r for r in run.rows if r.image == picture.image]
    assert not trouble and (picture.pixels == np.asarray(Image.open(row.path))).all()
    write_some(run, pictures)
    return run


@pytest.fixture(scope="module")
def slides(data: Data, tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """RoIs, with validation slides annotated as well."""
    settings = resolved(
        "bracs_mini", data, run="roi", learner="hact", strategies="random,uncertainty,decomp",
        seeds=2, cycles=3, budget="2x2", validation_images=1, report={"overlay_images": 6},
    )  # fmt: skip
    return RunFiles(tmp_path_factory.mktemp("slides"), settings).write()


def test_files_are_those_that_the_workflow_announces(volumes: RunFiles) -> None:
    look = look_at(volumes)
    stems = [stem for _, stem, _ in figures_of(look) + pictures_of(look)]
    names = {f"{stem}.{end}" for stem in stems for end in ("png", "pdf")}
    names |= {f"{name}.{end}" for name, _ in tables_of(look) for end in ("csv", "tex")}
    names |= {f"{name}.md" for name, _ in tables_of(look) if name in PRINTED}
    found = {path.name: path for path in volumes.report.iterdir()}
    assert found.keys() == names | {"report.html"}
    for path in found.values():
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert np.ptp(np.asarray(image.convert("L"))) > 100, "something is drawn"
    page = page_of(volumes)
    assert "This run is in progress" not in plain(page) and "Nothing to draw yet" not in page
    assert all(title in section(page, f"table-{name}") for name, title in tables_of(look))


def test_links_lead_somewhere(volumes: RunFiles) -> None:
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", page_of(volumes), flags=re.DOTALL)
    links = [html.unescape(link) for link in re.findall(r'(?:href|src)="([^"]*)"', bare)]
    anchors = set(re.findall(r'\bid="([^"]*)"', bare))
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    files = {unquote(link) for link in links if not link.startswith(("#", "data:"))}
    written = {p.name for p in volumes.report.iterdir()} - {"report.html"}
    assert files == written, "whatever was written is linked"


def test_the_rules_see_what_make_report_sees(volumes: RunFiles, tmp_path: Path) -> None:
    """They go through two tables; a run's own files give the same view, so the same report."""
    look, shadow = look_at(volumes), tmp_path / "vol"
    shutil.copytree(volumes.results, shadow)
    collect_curves(metrics_of(shadow, look), shadow / "curves.csv")
    write_confidence(confidences(shadow, look), shadow / "confidence.csv")
    view = view_from_tables(shadow / "curves.csv", shadow / "confidence.csv", look)
    assert view == read_run(volumes.results, look)
    assert view.truth and view.confidence


def test_a_colour_changes_figures_alone(volumes: RunFiles, tmp_path: Path) -> None:
    """Tables that are made again are what they were, byte by byte."""
    look = look_at(volumes, "colours.decomp=#aa0000")
    view = read_run(volumes.results, look)
    last = read_last_metrics(metrics_of(volumes.results, look), view)
    save_tables(Source(view, look, volumes.benchmarks, last), tmp_path)
    assert contents(tmp_path).items() <= contents(volumes.report).items()
    drawn = lines(panels(DRAW["curves"](view.at("2x3")))[0])
    assert {n.split(" ")[0]: li.get_color() for n, li in drawn.items()}["decomp"] == "#aa0000"


def test_volumes_are_shown_slice_by_slice(volumes: RunFiles) -> None:
    pictures, trouble = cut_pictures(volumes.results, look_at(volumes))
    assert not trouble and pictures["2x3"]
    shapes = {row.image: row.shape for row in volumes.rows}
    for picture in pictures["2x3"]:
        image, z, depth = re.fullmatch(r"(\w+), slice (\d+) of (\d+)", picture.title).groups()
        assert shapes[image][0] == int(depth) > int(z) and picture.title in page_of(volumes)
        assert picture.pixels.shape[:2] == shapes[image][1:]
        assert {(h, w) for *_, h, w in (b.rectangle for b in picture.boxes)} == {(10, 10)}
    boxes = {(b.strategy, b.cycle) for p in pictures["2x3"] for b in p.boxes}
    assert boxes >= {("random", 3), ("decomp", 3)}, "of the latest history"


def test_gaps_are_said_and_nothing_not_reached_is_dropped(gaps: RunFiles) -> None:
    text = plain(page_of(gaps))
    assert "4 of 42 results are missing" in text
    gone = ["uncertainty, budget 2x3: cycles 2-4 of seed 2", "decomp, budget 2x3: cycle 3 of seed"]
    assert all(line in text for line in gone)
    (row,) = [r for r in rows_of(gaps.report / "reach.csv") if r["strategy"] == "random"]
    assert (row["reached"], row["seeds"], row["median"]) == ("0", "3", "")
    assert re.search(r"random +\| +not reached +\| +0 of 3", (gaps.report / "reach.md").read_text())
    rows = {
        (r["strategy"], r["seed"], r["measure"]): r for r in rows_of(gaps.report / "summaries.csv")
    }
    for seed in "012":
        row = rows["random", seed, "reach_95"]
        assert (row["value"], row["censored"]) == ("", "True")
        assert rows["decomp", seed, "reach_95"]["censored"] == "False"
    assert "cycle 3 is missing" in rows["decomp", "1", "area"]["note"]
    assert ("uncertainty", "2", "final") not in rows
    pairs = {
        (r["first"], r["second"]): r
        for r in rows_of(gaps.report / "pairs.csv")
        if r["measure"] == "reach_95"
    }
    # Not reached is worse with every seed; there is no mean of it.
    row = pairs["random", "decomp"]
    assert (row["first_better"], row["second_better"], row["difference"]) == ("0", "3", "")
    assert pairs["random", "uncertainty"]["seeds"] == "2"


def test_rois_and_validation_slides(slides: RunFiles) -> None:
    look = look_at(slides)
    pictures, trouble = cut_pictures(slides.results, look)
    split = {image: rows[0].split for image, rows in by_image(slides.rows).items()}
    assert not trouble and {split[p.image] for p in pictures["2x2"]} == {"train", "val"}
    costs = DRAW["costs"](read_run(slides.results, look).at("2x2"))
    labels = {axes.get_xlabel() for axes in panels(costs)}
    assert labels >= {"validation images annotated", "validation RoIs annotated"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vol", "other"], r"results/other/config.yaml is not there; .*vol"),
        (["share=0.9"], "no run is named"),
        (["vol", "colour=red"], r"'colour=red': allowed are KEY=VALUE with colours, cost, "),
        (["vol", "share=2"], r"report.share: 2 is greater than the maximum of 1"),
        (["vol", "cost=rois_percent"], r"this run has no 'rois_percent'; allowed: images"),
        (["vol", "colours.decmp=#112233"], r"'decmp' is unknown; .*'decomp'"),
    ],
)
def test_refusals(
    words: list[str], message: str, volumes: RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(volumes.folder, *words) == 1
    printed = capsys.readouterr()
    assert re.match(f"report: .*{message}", printed.err) and printed.err.count("\n") == 1
    assert not printed.out


def test_runs_are_compared(
    volumes: RunFiles, slides: RunFiles, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for run in (volumes, slides):
        shutil.copytree(run.results, tmp_path / "results" / run.settings["run"])
    shutil.rmtree(tmp_path / "results/vol/2x3/random/seed-1/cycle-003")
    before = contents(tmp_path)
    assert call(tmp_path, "vol", "roi", "--name", "both") == 0
    out = tmp_path / "results/comparisons/both"
    assert capsys.readouterr().out.splitlines() == [
        "missing: vol: random, budget 2x3: cycle 3 of seed 1",
        "results/comparisons/both/report.html",
    ]
    assert before.items() <= contents(tmp_path).items()
    page = (out / "report.html").read_text()
    # Each with its own score and cost; curves of different tasks are not put in one figure.
    assert section(page, "curves-vol-2x3") and section(page, "curves-roi-2x2")
    ranks = [r for r in rows_of(out / "ranks.csv") if r["measure"] == "area"]
    assert {r["strategy"] for r in ranks if r["mean_rank"]} == {"random", "decomp"}
    assert {r["strategy"]: r["note"] for r in ranks if not r["mean_rank"]} == {
        "uncertainty": "not in vol, 2x3"
    }
    runs = {(r["run"], r["budget"]) for r in rows_of(out / "summaries.csv")}
    assert runs == {("vol", "2x3"), ("roi", "2x2")}
    shutil.copytree(volumes.results, tmp_path / "results/copy")
    assert call(tmp_path, "vol", "copy") == 1, "a copied run is not compared with itself"
    assert "results/copy: holds run 'vol'" in capsys.readouterr().err


def test_pictures_wait_for_their_budget_seed_and_data(data: Data, tmp_path: Path) -> None:
    """They show the first seed: a budget that has none of it yet has no picture, others have."""
    settings = resolved(
        "kits23_mini", data, run="two", strategies="random", seeds=2, cycles=2, budget="2x3,3x2",
        references="none",
    )  # fmt: skip
    run = RunFiles(tmp_path, settings, lambda w: w.seed == 1 or w.budget == "2x3").write()
    look = look_at(run)
    pictures, trouble = cut_pictures(run.results, look)
    assert not trouble and list(pictures) == ["2x3"]
    assert {p.name for p in run.report.glob("*.png")} == {"regions-2x3.png", "filling-2x3.png"}
    pool = run.results / "pools/seed-0.csv"
    pool.write_text(pool.read_text().replace(str(data.folder), str(tmp_path / "gone")))
    pictures, trouble = cut_pictures(run.results, look)
    assert not pictures and "images could not be read" in trouble and "imaging.nii.gz" in trouble
    for path in run.results.glob("2x3/*/seed-0"):
        shutil.rmtree(path)
    pictures, trouble = cut_pictures(run.results, look)
    assert not pictures and "seed 0" in trouble


def test_nothing_evaluated(data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = resolved("kits23_mini", data, run="new", strategies="random", seeds=1, cycles=2)
    run = RunFiles(tmp_path, settings, lambda w: False).write()
    assert call(tmp_path, "new", "new") == 1, "one run named twice is one run"
    assert capsys.readouterr().err == "report: results/new: nothing was evaluated yet\n"
    assert not run.report.exists() and not (tmp_path / "results/comparisons").exists()


def test_results_prints_the_tables_and_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "demo" / "report"
    (report / "2x3").mkdir(parents=True)
    (report / "reach.md").write_text("| decomp | 2.5 | 3 of 3 |\n", encoding="utf-8")
    for name in ("selection", "usage"):
        text = f"### {name}\n\n| {name} | 7 |\n\n### more\n\n| decomp | 9 |\n\nA long note.\n"
        (report / f"{name}.md").write_text(text, encoding="utf-8")
    for name in ("2x3/curves.png", "report.html"):
        (report / name).touch()
    assert show_results("demo", tmp_path) == 0
    text = capsys.readouterr().out
    order = ["3 of 3", "### selection\n| selection | 7 |\n\n### more\n", "| usage | 7 |"]
    places = [text.index(part) for part in (*order, "curves.png", "report.html")]
    assert places == sorted(places) and "A long note" not in text
    assert show_results("dem", tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "did you mean 'demo'" in captured.err
