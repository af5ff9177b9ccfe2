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

from al.io.pool import by_image
from al.report.catalogue import PRINTED, figures_of, pictures_of, tables_of
from al.report.curves import read_points
from al.report.drawing import draw
from al.report.gather import metrics_of, read_run
from al.report.running import cut_pictures

from .run_files import (
    RunFiles,
    Where,
    call,
    look_at,
    make_data,
    plain,
    resolved,
    rows_of,
    section,
    words_of,
    write_some,
)

GAPS = {Where("2x3", "decomp", 1, 3), *(Where("2x3", "uncertainty", 2, c) for c in (2, 3, 4))}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stamps(folder: Path) -> dict[str, int]:
    """When each file and folder was last written to, reports left out."""
    found = {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}
    run = re.compile(r"results(/[^/]+(/report.*)?)?")  # a new folder changes its parent
    return {name: time for name, time in found.items() if not run.fullmatch(name)}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFiles]:
    """A finished run of volumes with its report."""
    folder = tmp_path_factory.mktemp("volumes")
    settings = resolved(
        "kits23_mini", make_data("kits23_mini", folder / "data"), run="vol",
        strategies="random,decomp", seeds=2, cycles=3, budget="2x3",
    )  # fmt: skip
    run = RunFiles(folder, settings).write()
    before = stamps(folder), contents(folder)
    assert call(folder, "vol") == 0
    assert stamps(folder) == before[0]
    yield run
    after = contents(folder)
    assert {n: after.get(n) for n in before[1]} == before[1], "what was there is untouched"
    others = [n for n in after.keys() - before[1].keys() if not n.startswith("results/vol/report/")]
    assert not [n for n in others if not n.startswith("results/comparisons/")], others


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """Images: one strategy far below 95 %, a seed and a cycle missing, no train to be tested on."""
    folder = tmp_path_factory.mktemp("gaps")
    settings = resolved(
        "cityscapes_mini", make_data("cityscapes_mini", folder / "data"), run="gaps",
        seeds=3, cycles=4, budget="2x3", report={"share": 0.95, "overlay_images": 1},
    )  # fmt: skip
    run = RunFiles(folder, settings, lambda w: w not in GAPS, absent="train").write()
    pictures, _ = cut_pictures(run.results, look_at(run))
    write_some(run, "curves", "comparisons", "seeds", pictures=pictures)
    return run


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """RoIs, with validation slides annotated as well."""
    folder = tmp_path_factory.mktemp("slides")
    settings = resolved(
        "bracs_mini", make_data("bracs_mini", folder / "data"), run="roi", learner="hact",
        strategies="random,uncertainty,decomp", seeds=2, cycles=3, budget="2x2",
        validation_images=1, report={"overlay_images": 6},
    )  # fmt: skip
    return RunFiles(folder, settings, absent="IC").write()


def page_of(run: RunFiles) -> str:
    return (run.report / "report.html").read_text(encoding="utf-8")


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
        assert path.suffix != ".pdf" or path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["volumes", "gaps"])
def test_links_lead_somewhere_and_nothing_is_fetched(
    name: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    page = page_of(run)
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    links = [html.unescape(link) for link in re.findall(r'(?:href|src)="([^"]*)"', bare)]
    anchors = set(re.findall(r'\bid="([^"]*)"', bare))
    files = {unquote(link) for link in links if not link.startswith(("#", "data:"))}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert files and all((run.report / file).is_file() for file in files)
    written = {p.name for p in run.report.iterdir()} - {"report.html"}
    assert files == written, "whatever was written is linked"


def test_a_finished_run_says_nothing_is_missing(
    volumes: RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a second report of it is the same, byte by byte."""
    text = plain(page_of(volumes))
    assert "This run is in progress" not in text and "Nothing to draw yet" not in text
    first = contents(volumes.report)
    shutil.rmtree(volumes.report)
    assert call(volumes.folder, "vol") == 0
    assert capsys.readouterr().out == "results/vol/report/report.html\n"
    assert contents(volumes.report) == first


def test_a_colour_changes_figures_alone(volumes: RunFiles) -> None:
    first = contents(volumes.report)
    assert call(volumes.folder, "vol", "colours.decomp=#aa0000") == 0
    second = contents(volumes.report)
    changed = {name for name in first if first[name] != second[name]}
    assert second.keys() == first.keys()
    assert {Path(name).suffix for name in changed} == {".png", ".pdf", ".html"}
    assert {"curves-2x3.png", "seeds-2x3.png", "costs-2x3.pdf"} <= changed
    assert not any(name.startswith(("regions", "imbalance")) for name in changed), "class colours"
    drawn = np.asarray(Image.open(volumes.report / "curves-2x3.png").convert("RGB"))
    assert (drawn == (0xAA, 0, 0)).all(-1).sum() > 100
    assert b"#aa0000" in second["report.html"] and b"#aa0000" not in first["report.html"]
    for name, held in first.items():
        (volumes.report / name).write_bytes(held)


def test_volumes_are_shown_slice_by_slice(volumes: RunFiles) -> None:
    pictures, trouble = cut_pictures(volumes.results, look_at(volumes))
    assert not trouble and pictures["2x3"]
    shapes = {row.image: row.shape for row in volumes.rows}
    page = page_of(volumes)
    for picture in pictures["2x3"]:
        image, z, depth = re.fullmatch(r"(\w+), slice (\d+) of (\d+)", picture.title).groups()
        assert shapes[image][0] == int(depth) > int(z) and picture.title in page
        assert picture.pixels.shape[:2] == shapes[image][1:] and np.ptp(picture.pixels) > 100
        assert {(h, w) for *_, h, w in (b.rectangle for b in picture.boxes)} == {(10, 10)}
    assert {b.strategy for p in pictures["2x3"] for b in p.boxes} == {"random", "decomp"}


def test_gaps_are_said(gaps: RunFiles, capsys: pytest.CaptureFixture[str]) -> None:
    text = plain(page_of(gaps))
    assert "This run is in progress: 4 of 42 results are missing." in text
    lines = ["uncertainty, budget 2x3: cycles 2-4 of seed 2", "decomp, budget 2x3: cycle 3 of seed"]
    assert all(line in text for line in lines)
    reach = (gaps.report / "reach.md").read_text()
    assert re.search(r"random +\| +not reached +\| +0 of 3", reach), reach
    assert re.search(r"decomp +\| +[≤\d. ]+\| +3 of 3", reach), reach
    (row,) = [r for r in rows_of(gaps.report / "reach.csv") if r["strategy"] == "random"]
    assert (row["reached"], row["seeds"], row["median"]) == ("0", "3", "")


def test_gaps_are_in_the_summaries(gaps: RunFiles) -> None:
    rows = {
        (r["strategy"], r["seed"], r["measure"]): r for r in rows_of(gaps.report / "summaries.csv")
    }
    for seed in "012":
        row = rows["random", seed, "reach_95"]
        assert (row["value"], row["censored"]) == ("", "True")
        assert "not reached up to" in row["note"] and "may still" not in row["note"]
        assert rows["decomp", seed, "reach_95"]["censored"] == "False"
    assert "cycle 3 is missing" in rows["decomp", "1", "area"]["note"]
    assert "cycle 3" not in rows["decomp", "0", "area"]["note"]
    assert ("uncertainty", "2", "final") not in rows
    pairs = [r for r in rows_of(gaps.report / "pairs.csv") if r["measure"] == "reach_95"]
    (row,) = [r for r in pairs if (r["first"], r["second"]) == ("random", "decomp")]
    # Not reached is worse with every seed; there is no mean of it.
    assert (row["first_better"], row["second_better"], row["difference"]) == ("0", "3", "")
    (row,) = [r for r in pairs if (r["first"], r["second"]) == ("random", "uncertainty")]
    assert row["seeds"] == "2"


def test_gaps_are_drawn(gaps: RunFiles) -> None:
    look = look_at(gaps)
    view = read_run(gaps.results, look).at("2x3")
    figure = draw("curves", view)
    words = words_of(figure)
    assert "2 of 3 seeds" in words and "cycle 3 missing for seed 1" in words
    drawn = [np.asarray(line.get_ydata(), float) for line in figure.axes[0].get_lines()]
    points = read_points(metrics_of(gaps.results, look))
    for name, cycle, seeds in (("decomp", 3, 2), ("uncertainty", 4, 2), ("random", 4, 3)):
        own = [p.score for p in points if (p.strategy, p.cycle) == (name, cycle)]
        assert len(own) == seeds
        assert any(np.isclose(y, np.mean(own)).any() for y in drawn if y.size), (name, cycle)
    words = words_of(draw("classes", view))
    assert "Not in the test set, so without a panel: train." in words
    assert re.search(r"\bbicycle\b", words)


def test_images_are_shown(gaps: RunFiles) -> None:
    pictures, trouble = cut_pictures(gaps.results, look_at(gaps))
    (picture,) = pictures["2x3"]
    (row,) = [r for r in gaps.rows if r.image == picture.image]
    assert not trouble and (picture.pixels == np.asarray(Image.open(row.path))).all()
    assert "Browse the regions" in page_of(gaps) and picture.image in page_of(gaps)


def test_rois_and_validation_slides(slides: RunFiles) -> None:
    look = look_at(slides)
    pictures, trouble = cut_pictures(slides.results, look)
    assert not trouble and all((slides.report / f"{n}-2x2.png").is_file() for n in ("regions",))
    split = {image: rows[0].split for image, rows in by_image(slides.rows).items()}
    assert {split[p.image] for p in pictures["2x2"]} == {"train", "val"}
    assert all("RoIs that any strategy chose" in p.title for p in pictures["2x2"])
    page = write_some(slides, "classes", "costs")
    assert "Not in the test set" in words_of(
        draw("classes", read_run(slides.results, look).at("2x2"))
    )
    assert "annotated RoIs (%)" in page and "validation images annotated" in page
    costs = words_of(draw("costs", read_run(slides.results, look).at("2x2")))
    assert "validation images annotated" in costs and "validation RoIs annotated" in costs
    # A validation slide in each of three cycles, not three different ones.
    last = [p for p in read_run(slides.results, look).points if p.cycle == 3]
    assert all(1 <= p.costs["validation_images"] <= 3 for p in last)
    assert all(p.costs["validation_regions"] >= 3 for p in last)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["volu"], r"results/volu/config.yaml is not there; .*vol"),
        (["vol", "other"], r"results/other/config.yaml is not there"),
        (["share=0.9"], "no run is named"),
        (["vol", "colour=red"], r"'colour=red': allowed are KEY=VALUE with colours, cost, "),
        (["vol", "share.x=1"], r"'share.x=1': allowed are"),
        (["vol", "share="], r"'share=': allowed are"),
        (["vol", "share=2"], r"report.share: 2 is greater than the maximum of 1"),
        (["vol", "overlay_images=none"], r"report.overlay_images: 'none'"),
        (["vol", "cost=money"], r"report.cost: 'money' is not one of .*'images'"),
        (["vol", "cost=rois_percent"], r"this run has no 'rois_percent'; allowed: images"),
        (["vol", "colours.decomp=red"], r"report.colours.decomp: 'red' does not match"),
        (["vol", "colours.decmp=#112233"], r"'decmp' is unknown; .*'decomp'"),
    ],
)
def test_refusals(
    words: list[str], message: str, volumes: RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(volumes.report)
    assert call(volumes.folder, *words) == 1
    printed = capsys.readouterr()
    assert re.match(f"report: .*{message}", printed.err) and printed.err.count("\n") == 1
    assert not printed.out and contents(volumes.report) == before


def test_a_run_of_an_older_version_has_defaults(volumes: RunFiles) -> None:
    file = volumes.results / "config.yaml"
    text = file.read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("footprint:", "validation"))]
    assert len(kept) == len(text.splitlines()) - 2
    before = look_at(volumes)
    file.write_text("\n".join(kept))
    try:
        assert look_at(volumes) == before
    finally:
        file.write_text(text)


def test_runs_are_compared(
    volumes: RunFiles, slides: RunFiles, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for run in (volumes, slides):
        shutil.copytree(run.results, tmp_path / "results" / run.settings["run"])
    shutil.rmtree(tmp_path / "results/vol/2x3/random/seed-1/cycle-003")
    before = contents(tmp_path)
    assert call(tmp_path, "vol", "roi") == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "missing: vol: random, budget 2x3: cycle 3 of seed 1",
        "results/comparisons/vol+roi/report.html",
    ]
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    out = tmp_path / "results/comparisons/vol+roi"
    assert set(after) - set(before) == {
        f"results/comparisons/vol+roi/{p.name}" for p in out.iterdir()
    }
    page = (out / "report.html").read_text()
    text = plain(page)
    assert "kits23_mini, convnet, 2x3" in text and "bracs_mini, hact, 2x2" in text
    # Each with its own score and cost; curves of different tasks are not put in one figure.
    assert section(page, "curves-vol-2x3") and section(page, "curves-roi-2x2")
    ranks = rows_of(out / "ranks.csv")
    left = {
        r["strategy"]: r["note"] for r in ranks if r["measure"] == "area" and not r["mean_rank"]
    }
    assert left == {"uncertainty": "not in vol, 2x3"}
    ranked = [r["strategy"] for r in ranks if r["measure"] == "area" and r["mean_rank"]]
    assert set(ranked) == {"random", "decomp"}
    runs = {(r["run"], r["budget"]) for r in rows_of(out / "summaries.csv")}
    assert runs == {("vol", "2x3"), ("roi", "2x2")}
    assert call(tmp_path, "roi", "vol", "--name", "both") == 0
    assert (tmp_path / "results/comparisons/both/report.html").is_file()


def test_runs_are_ranked(volumes: RunFiles, tmp_path: Path) -> None:
    """The same strategies in both: the better one has rank 1, in a figure of its own."""
    for name in ("one", "other"):
        shutil.copytree(volumes.results, tmp_path / "results" / name)
        for path in (tmp_path / "results" / name).rglob("*"):
            if path.name in ("metrics.json", "config.yaml"):
                text = path.read_text().replace('"run": "vol"', f'"run": "{name}"')
                path.write_text(text.replace("run: vol\n", f"run: {name}\n"))
    assert call(tmp_path, "one", "other") == 0
    out = tmp_path / "results/comparisons/one+other"
    ranks = {r["strategy"]: r for r in rows_of(out / "ranks.csv") if r["measure"] == "final"}
    assert {n: (r["mean_rank"], r["blocks"]) for n, r in ranks.items()} == {
        "decomp": ("1.0", "2"), "random": ("2.0", "2"),
    }  # fmt: skip
    page = (out / "report.html").read_text()
    assert "2 runs: no test below 6" in section(page, "ranks-final")
    for end in ("png", "pdf"):
        assert (out / f"ranks-area.{end}").is_file() and (out / f"curves-one-2x3.{end}").is_file()


def test_a_copied_run_is_not_compared_with_itself(
    volumes: RunFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("vol", "copy"):
        shutil.copytree(volumes.results, tmp_path / "results" / name)
    assert call(tmp_path, "vol", "copy") == 1
    assert "results/copy: holds run 'vol', as results/vol does" in capsys.readouterr().err
    assert not (tmp_path / "results/comparisons").exists()
