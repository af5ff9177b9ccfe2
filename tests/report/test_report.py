"""``al.cli.report`` on whole runs: figures, tables, pages, pictures, and what it refuses."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from al.cli.status import shortfalls_of
from al.io.errors import DataError
from al.report import gather
from al.report.catalogue import LATEX, MARKDOWN, figures_of, pictures_of, tables_of
from al.report.confidence import read_confidence, write_confidence
from al.report.curves import collect_curves
from al.report.gather import metrics_of, read_run, view_from_tables
from al.report.running import draw_pictures, page_of
from al.report.tabulation import save_tables

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


def html_of(run: RunFiles) -> str:
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
    run = RunFiles(tmp_path_factory.mktemp("gaps"), settings, lambda w: w not in GAPS).write()
    assert call(run.folder, "gaps") == 0
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
    names = {f"{stem}.{end}" for stem in stems for end in ("png", "pdf", "svg")}
    names |= {f"{name}.csv" for name, _ in tables_of(look)}
    names |= {f"{name}.tex" for name in LATEX} | {f"{name}.md" for name in (*MARKDOWN, "answer")}
    found = {path.name: path for path in volumes.report.iterdir()}
    assert found.keys() == names | {"report.html"}
    for path in found.values():
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert np.ptp(np.asarray(image.convert("L"))) > 100, "something is drawn"
    page = html_of(volumes)
    assert "In progress" not in plain(page) and "Nothing to draw yet" not in page
    assert all(title in section(page, f"table-{name}") for name, title in tables_of(look))


def test_links_lead_somewhere(volumes: RunFiles) -> None:
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", html_of(volumes), flags=re.DOTALL)
    links = [html.unescape(link) for link in re.findall(r'(?:href|src)="([^"]*)"', bare)]
    anchors = set(re.findall(r'\bid="([^"]*)"', bare))
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    files = {unquote(link) for link in links if not link.startswith(("#", "data:"))}
    written = {p.name for p in volumes.report.iterdir()} - {"report.html", "answer.md"}
    assert files == written, "whatever was written is linked"


def test_the_rules_see_what_make_report_sees(volumes: RunFiles, tmp_path: Path) -> None:
    """They go through two tables; a run's own files give the same view, so the same report."""
    look, shadow = look_at(volumes), tmp_path / "vol"
    shutil.copytree(volumes.results, shadow)
    collect_curves(metrics_of(shadow, look), shadow / "curves.csv")
    write_confidence(read_confidence(shadow, look), shadow / "confidence.csv")
    view = view_from_tables(shadow / "curves.csv", shadow / "confidence.csv", look)
    assert view == read_run(volumes.results, look)
    assert view.truth and view.confidence


def test_a_colour_changes_figures_alone(volumes: RunFiles, tmp_path: Path) -> None:
    """Tables that are made again are what they were, byte by byte."""
    shutil.copytree(volumes.folder, tmp_path / "copy")
    folder = tmp_path / "copy/results/vol"
    look = look_at(volumes, "colours.decomp=#aa0000")
    view = read_run(folder, look)
    shutil.rmtree(folder / "report")
    save_tables(view, look, folder)
    assert contents(folder / "report").items() <= contents(volumes.report).items()
    assert view.styles["decomp"].colour == "#aa0000"


@pytest.mark.parametrize(
    "changes",
    [
        {"cycles": 1, "strategies": "random", "references": "none", "seeds": 1, "budget": "1x1"},
        {"cycles": 1, "strategies": "random,decomp", "seeds": 1},
        {"cycles": 2, "strategies": "decomp", "references": "full", "seeds": 2},
        {"strategies": "none"},
    ],
)
def test_small_runs_write_all_that_is_announced(
    changes: dict[str, Any], data: Data, tmp_path: Path
) -> None:
    settings = resolved("kits23_mini", data, run="small", **{"budget": "2x3", **changes})
    run = RunFiles(tmp_path, settings).write()
    assert call(tmp_path, "small") == 0
    look = look_at(run)
    names = {f"{s}.{e}" for _, s, _ in figures_of(look) + pictures_of(look) for e in ("png", "pdf")}
    names |= {f"{name}.csv" for name, _ in tables_of(look)} | {"answer.md", "report.html"}
    names |= {f"{name}.md" for name, _ in tables_of(look) if name in MARKDOWN}
    assert names <= {path.name for path in run.report.iterdir()}
    answer = (run.report / "answer.md").read_text()
    sentences = [line.removeprefix("- ") for line in answer.splitlines() if line.startswith("- ")]
    text = plain(html_of(run))
    assert sentences and all(" ".join(sentence.split()) in text for sentence in sentences)


def test_gaps_are_said_and_nothing_not_reached_is_dropped(gaps: RunFiles) -> None:
    text = plain(html_of(gaps))
    assert "4 of 42 results are missing" in text
    gone = ["uncertainty, budget 2x3: cycles 2-4 of seed 2", "decomp, budget 2x3: cycle 3 of seed"]
    assert all(line in text for line in gone)
    (row,) = [r for r in rows_of(gaps.report / "reach.csv") if r["strategy"] == "random"]
    assert (row["reached"], row["seeds"], row["median_low"]) == ("0", "3", "inf")
    assert re.search(r"random +\| +not reached +\| +0 of 3", (gaps.report / "reach.md").read_text())
    rows = {
        (r["strategy"], r["seed"], r["measure"]): r for r in rows_of(gaps.report / "summaries.csv")
    }
    for seed in "012":
        row = rows["random", seed, "reach_95"]
        assert (row["value"], row["censored"]) == ("", "True")
        assert rows["decomp", seed, "reach_95"]["censored"] == "False"
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


def test_damage_is_told_and_a_result_is_that_of_its_place(data: Data, tmp_path: Path) -> None:
    settings = resolved(
        "cityscapes_mini", data, run="run", strategies="decomp", seeds=1, cycles=2, budget="2x3"
    )
    run = RunFiles(tmp_path, settings).write()
    metrics = run.results / Where("2x3", "decomp", 0, 2).folder / "metrics.json"
    files = [metrics, metrics.with_name("history.csv"), run.results / "pools/seed-0.csv"]
    files += [run.results / "truth.json", run.results / "config.yaml"]
    held = json.loads(metrics.read_text())
    wrong = [{**held, key: value} for key, value in OTHER]
    for file in files:
        whole = file.read_bytes()
        bad = [b"", whole[: len(whole) // 2], b"[]\n", b"\0\xff"]
        bad += [json.dumps(other).encode() for other in wrong] if file == metrics else []
        for content in bad:
            file.write_bytes(content)
            with pytest.raises(DataError, match=f"{file.name}: .*To do: delete "):
                write_some(run)
        file.write_bytes(whole)
    write_some(run)


def test_a_status_passes_over_what_has_just_gone(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = resolved("cityscapes_mini", data, run="run", strategies="decomp", seeds=1, cycles=3)
    run = RunFiles(tmp_path, settings).write()
    assert shortfalls_of("run", run.results.parent)
    gone = metrics_of(run.results, look_at(run))
    gone[-1].unlink()
    monkeypatch.setattr(gather, "metrics_of", lambda folder, look: gone)
    assert shortfalls_of("run", run.results.parent) == []


# Keys of metrics, and what does not lie where they do
OTHER = [("strategy", "random"), ("seed", 1), ("cycle", 3), ("budget", "9x9"), ("run", "../../x")]


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
    assert section(page, "curves") and section(page, "ranks") and (out / "curves.pdf").is_file()
    ranks = [r for r in rows_of(out / "ranks.csv") if r["measure"] == "area"]
    assert {r["strategy"] for r in ranks if r["mean_rank"]} == {"random", "decomp"}
    assert {r["strategy"]: r["note"] for r in ranks if not r["mean_rank"]} == {
        "uncertainty": "not in vol, 2x3"
    }
    shutil.copytree(volumes.results, tmp_path / "results/copy")
    assert call(tmp_path, "vol", "copy") == 1, "a copied run is not compared with itself"
    assert "results/copy: holds run 'vol'" in capsys.readouterr().err
    kept = tmp_path / "results/roi/config.yaml"
    kept.write_text(kept.read_text().replace("  scoring: ", "  scoring: 9"))
    assert call(tmp_path, "vol", "roi") == 1
    assert "score data in different ways (vol: " in capsys.readouterr().err


def test_pictures_wait_for_their_seed_and_data(data: Data, tmp_path: Path) -> None:
    """They show the first seed; what is missing is said on the page, which is there without."""
    settings = resolved(
        "kits23_mini", data, run="two", strategies="random", seeds=2, cycles=2, budget="2x3,3x2",
        references="none",
    )  # fmt: skip
    run = RunFiles(tmp_path, settings, lambda w: w.seed == 1 or w.budget == "2x3").write()
    look = look_at(run)
    assert draw_pictures(run.results, look) == ""
    pool = run.results / "pools/seed-0.csv"
    pool.write_text(pool.read_text().replace(str(data.folder), str(tmp_path / "gone")))
    trouble = draw_pictures(run.results, look)
    assert "imaging.nii.gz" in trouble
    page = page_of(run.results, look, read_run(run.results, look), trouble)
    assert "imaging.nii.gz" in plain(page.read_text())
    for path in run.results.glob("2x3/*/seed-0"):
        shutil.rmtree(path)
    assert "seed 0" in draw_pictures(run.results, look)


def test_nothing_evaluated(data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = resolved("kits23_mini", data, run="new", strategies="random", seeds=1, cycles=2)
    run = RunFiles(tmp_path, settings, lambda w: False).write()
    assert call(tmp_path, "new", "new") == 1, "one run named twice is one run"
    assert capsys.readouterr().err == "report: results/new: nothing was evaluated yet\n"
    assert not run.report.exists() and not (tmp_path / "results/comparisons").exists()
