"""Pictures of a report: what stands on them, how large they are, and what is said of gaps."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert
from PIL import Image

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.io.tables import PoolRow, RegionRow, read_regions, write_regions
from al.paths import EXAMPLES
from al.report import charts
from al.report.catalogue import pictures_of
from al.report.pictures import cases, errors, overlay, predictions, save_pictures
from al.report.regions import (
    FRAME,
    NO_CLASS,
    Annotated,
    choose_images,
    regions,
    regions_explorer,
    slices_of,
)
from al.report.tiles import LARGEST
from al.scoring.examples import Example, read_examples
from decomp_core import Region

from .run_files import Data, RunFiles, look_at, resolved

DATASETS = {"2d": "cityscapes_mini", "3d": "kits23_mini", "roi": "bracs_mini"}
SMALL: dict[str, Any] = {"strategies": "random,decomp", "seeds": 1, "cycles": 3, "budget": "2x3"}
STRATEGIES = ("random", "decomp")
BUDGET = "2x3"


@pytest.fixture(scope="module")
def runs(data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFiles]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        task: RunFiles(folder, resolved(name, data, run=f"run_{task}", **SMALL)).write()
        for task, name in DATASETS.items()
    }


def rows_in(chart: Any) -> list[dict[str, Any]]:
    """Rows of all data of a chart; charts hold them as JSON."""

    def texts(part: Any) -> Iterator[str]:
        for value in part.values() if isinstance(part, dict) else part:
            if isinstance(value, str) and value.startswith("[{"):
                yield value
            elif isinstance(value, dict | list):
                yield from texts(value)

    return [row for text in texts(chart) for row in json.loads(text)]


def texts_in(chart: Any) -> list[str]:
    return [row["text"] for row in rows_in(chart) if "text" in row]


def images_in(chart: Any) -> list[dict[str, Any]]:
    """Rows of pictures, mosaics or sheets; none is too large, beyond the page or on another one."""
    images = [row for row in rows_in(chart) if "url" in row]
    for i, one in enumerate(images):
        assert 0 <= one["x"] < one["x2"] <= charts.PAGE + 0.1
        data = io.BytesIO(base64.b64decode(one["url"].partition(",")[2]))
        assert max(Image.open(data).size) <= 2.1 * LARGEST
        for other in images[:i]:
            apart = one["x"] >= other["x2"] or other["x"] >= one["x2"]
            assert apart or one["y"] >= other["y2"] or other["y"] >= one["y2"]
    return images


def legends_of(chart: Any) -> list[str]:
    """Entries of the legends of a chart, as Vega makes them."""
    vega = vl_convert.vegalite_to_vega(charts.configured(chart))
    domains = {scale["name"]: scale["domain"] for scale in vega.get("scales", ())}
    return [name for legend in vega.get("legends", ()) for name in domains[legend["fill"]]]


@pytest.mark.parametrize("task", DATASETS)
def test_predictions_of_every_model_on_the_fixed_cases(
    task: str, runs: dict[str, RunFiles]
) -> None:
    run, look = runs[task], look_at(runs[task])
    chart = predictions(run.results, look, BUDGET)
    texts = texts_in(chart)
    folders = ["2x3/initial/seed-0/cycle-001", "references/full/seed-0"]
    folders += [f"2x3/{name}/seed-0/cycle-003" for name in STRATEGIES]
    shown = [read_examples(run.results / folder / EXAMPLES) for folder in folders]
    fixed = [e.name for e in shown[0] if "fixed" in e.roles]
    own = [e for examples in shown for e in examples if e.name in fixed]
    assert all(any(text.startswith(name) for text in texts) for name in fixed)
    said = " ".join(texts)
    assert all(f"{name}" in said for name in (*STRATEGIES, "full", "cycle 1", "cycle 3"))
    if task == "roi":
        assert len(images_in(chart)) == len(fixed) and not legends_of(chart)
        assert said.count("right") == sum(e.true == e.predicted for e in own)
        assert said.count("WRONG") == sum(e.true != e.predicted for e in own)
        return
    assert len(images_in(chart)) == len(fixed) * (1 + len(folders))
    for example in own:
        assert any(text.endswith(f": {example.score:.3f}") for text in texts)
        assert example.plane is None or str(example.plane) in said
    maps = [m for e in own for m in (e.truth, e.prediction)]
    used = {look["classes"][i] for m in maps for i in np.unique(m) if i != UNKNOWN}
    assert set(legends_of(chart)) == used


@pytest.mark.parametrize("task", DATASETS)
def test_worst_median_and_best_case_of_every_strategy(task: str, runs: dict[str, RunFiles]) -> None:
    run = runs[task]
    chart = cases(run.results, look_at(run), BUDGET)
    texts = texts_in(chart)
    assert len(images_in(chart)) == len(STRATEGIES) * 3
    for name in STRATEGIES:
        held = read_examples(run.results / f"2x3/{name}/seed-0/cycle-003" / EXAMPLES)
        for role in ("worst", "median", "best"):
            (example,) = (e for e in held if role in e.roles)
            assert f"{role}: {example.score:.3f}" in texts
            assert any(text.startswith(example.name) for text in texts)
        assert any(text.startswith(name) for text in texts)
    wrong = [row for row in rows_in(chart) if row.get("text", "").endswith("WRONG")]
    assert bool(wrong) == (task == "roi") and len({row["colour"] for row in wrong}) < 2


def test_wrong_pixels_have_one_colour_and_void_is_plain(runs: dict[str, RunFiles]) -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array([0, 1, UNKNOWN], np.uint8), (40, 60))
    labels = rng.integers(0, 2, (40, 60)).astype(np.uint8)
    image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    example = Example("a", "a", (), 0.5, image, truth, labels)
    found, void = errors(example), truth == UNKNOWN
    coloured = np.ptp(found.astype(int), axis=2) > 0
    assert np.array_equal(coloured, ~void & (truth != labels))
    assert len(np.unique(found[coloured], axis=0)) == 1
    for picture in (found, overlay(example, truth, look_at(runs["2d"]))):
        (grey,) = np.unique(picture[void], axis=0)
        assert len(set(grey)) == 1


@pytest.mark.parametrize("task", DATASETS)
def test_regions_are_where_they_were_chosen(task: str, runs: dict[str, RunFiles]) -> None:
    run, look = runs[task], look_at(runs[task])
    chart, pool = regions(run.results, look, BUDGET), Annotated(run.results, look, [BUDGET])
    assert images_in(chart)
    drawn = [row["cycle"] for row in rows_in(chart) if "rim" in row]
    held = {r.cycle for own in pool.regions.values() for r in own}
    assert drawn and set(drawn) <= held
    for image in choose_images(pool.regions, 9):
        row = next(r for r in run.rows if r.image == image)
        found = pool.tiles(image, list(pool.regions), 9, 100)
        for box in (box for tile in found for box in tile.boxes):
            history = run.results / f"2x3/{box.owner[1]}/seed-0/cycle-003/history.csv"
            here = [r for r in read_regions(history) if r.image == image and r.order == box.order]
            assert any(r.cycle == box.cycle and _fits(r, box.place, row) for r in here)
            assert box.cls in (*look["classes"], NO_CLASS)


def _fits(region: RegionRow, place: tuple[float, ...], row: PoolRow) -> bool:
    """Whether a box has the place of a region, as shares of the picture."""
    if region.kind == "roi":
        return all(0 <= v <= 1 for v in place)
    start, size, shape = list(region.region.start), list(region.region.size), list(row.shape)
    if row.axis is not None:
        for numbers in (start, size, shape):
            del numbers[row.axis]
    shares = [start[1] / shape[1], start[0] / shape[0], size[1] / shape[1], size[0] / shape[0]]
    return place == pytest.approx(shares)


def test_slices_hold_most_regions() -> None:
    places = [(0, 1), (2, 3), (3, 1), (3, 2), (7, 1), (7, 1), (9, 1)]  # first slice, and depth
    rows = [
        RegionRow.of(2, "ct", "patch", Region((z, i, 0), (depth, 1, 1)), i)
        for i, (z, depth) in enumerate(places)
    ]
    assert slices_of(rows, 0, 1) == [3] and slices_of(rows, 0, 2) == [3, 7]
    assert slices_of([*rows, *rows[-1:] * 9], 0, 2) == [3, 7], "shared ones count once"
    assert slices_of(rows, 0, 9) == [0, 3, 7, 9]


def test_every_strategy_is_seen_on_few_images() -> None:
    opened = {"a": "wxy", "b": "wx", "c": "wz", "d": "z", "e": "y"}
    rows = {(BUDGET, n): [_roi(2, image) for image in own] for n, own in opened.items()}
    # w has a, b and c; then x has none that is new, y has e, z has d
    assert choose_images(rows, 3) == ["w", "y", "z"]
    assert choose_images({(BUDGET, "a"): [_roi(1, "first"), _roi(2, "later")]}, 9) == ["later"]
    assert choose_images({(BUDGET, "a"): [_roi(1, "first")]}, 9) == ["first"]


def _roi(cycle: int, image: str) -> RegionRow:
    return RegionRow(cycle, image, "roi", *(None,) * 6, "r", None, 0.5, 0)


@pytest.mark.parametrize("task", DATASETS)
def test_the_explorer_keeps_its_size_and_names_every_region(
    task: str, runs: dict[str, RunFiles]
) -> None:
    run = runs[task]
    spec = regions_explorer(run.results, look_at(run), [BUDGET])
    assert spec is not None and (spec["width"], spec["height"]) == FRAME
    rows = rows_in(spec)
    assert {r["strategy"] for r in rows if r.get("cycle") == 2} == set(STRATEGIES)
    for row in rows:
        assert -0.1 <= row["x"] < row["x2"] <= FRAME[0] + 0.1
        assert -0.1 <= row["y"] < row["y2"] <= FRAME[1] + 0.1
    named = {p["name"]: p for p in spec["params"]}
    assert set(named) == {"picture", "budget", "strategy", "cycle"}
    assert named["strategy"]["bind"]["options"] == list(STRATEGIES)
    assert named["cycle"]["bind"]["max"] == 3
    assert set(legends_of(spec)) == {row["class"] for row in rows if "class" in row}
    svg = vl_convert.vegalite_to_svg(spec)
    none = re.search(rf'<path[^>]*fill="#ffffff"[^>]*stroke="(#\w+)".*?{re.escape(NO_CLASS)}', svg)
    assert none and none[1] != "#ffffff", "white is seen on white"


def test_files_of_a_run_and_of_one_without_results(
    runs: dict[str, RunFiles], data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "PPI", 40)
    empty = RunFiles(tmp_path, resolved(DATASETS["2d"], data, run="x", **SMALL), lambda w: False)
    for run in (runs["2d"], empty.write()):
        look = look_at(run)
        save_pictures(run.results, look, run.report)
        stems = {stem for _, stem, _ in pictures_of(look)}
        for end in ("svg", "pdf", "png"):
            held = {file.stem: file.stat().st_size for file in run.report.glob(f"*.{end}")}
            assert held.keys() == stems and 0 < max(held.values()) < 2_000_000
    assert predictions(empty.results, look, BUDGET) is None is cases(empty.results, look, BUDGET)
    assert regions(empty.results, look, BUDGET) is None
    assert regions_explorer(empty.results, look, [BUDGET]) is None


def test_what_cannot_be_read_is_named_and_keeps_nothing_else(data: Data, tmp_path: Path) -> None:
    run = RunFiles(tmp_path, resolved(DATASETS["2d"], data, run="x", **SMALL)).write()
    look, place = look_at(run), run.results / "2x3/decomp/seed-0/cycle-003"
    (place / EXAMPLES).write_bytes(b"no archive")
    with pytest.raises(DataError, match=EXAMPLES):
        save_pictures(run.results, look, run.report)
    assert sorted(file.name for file in run.report.glob("*.svg")) == ["regions-2x3.svg"]
    rows = read_regions(place / "history.csv")
    far = RegionRow.of(3, rows[-1].image, "window", Region((10_000, 0), (8, 8)), 0)
    write_regions(place / "history.csv", [*rows, far])
    with pytest.raises(DataError, match=f"{far.image}.*10000"):
        regions(run.results, {**look, "overlay_images": 99}, BUDGET)
