"""The numbers behind the interactive parts are those of the run, gaps included."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from al.io.errors import DataError
from al.report import interactive
from al.report.figures import draw_curves
from al.report.interactive import main_curve, region_browser
from al.report.pictures import Box, Picture
from al.report.style import LINES, MARKERS, Style, cost_label
from al.report.traces import SYMBOLS, broken, dash

from . import page_sample as sample

STYLES = {n: Style(c, "o", "-") for n, c in sample.COLOURS.items()}
RGB = [(1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 1.0)]


def embedded(markup: Markup) -> dict[str, Any]:
    """The JSON in a part, as a browser reads it: up to the first end of a script."""
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script', markup, re.S)
    assert found
    held: dict[str, Any] = json.loads(found[1])
    return held


def traces(data: dict[str, Any], budget: int = 0, role: str = "mean") -> dict[str, dict[str, Any]]:
    """Traces of one role by strategy, with their x values by cost."""
    held = data["budgets"][budget]
    return {
        trace["meta"]["strategy"]: trace | {"x": {c: x[i] for c, x in held["x"].items()}}
        for i, trace in enumerate(held["traces"])
        if trace["meta"]["role"] == role
    }


def test_means_of_complete_run() -> None:
    held = sample.points()
    data = embedded(main_curve(sample.views(held), sample.COSTS))
    assert [c["key"] for c in data["costs"]] == list(sample.COSTS)
    assert [c["label"] for c in data["costs"]] == [cost_label(c, "2d") for c in sample.COSTS]
    assert [b["name"] for b in data["budgets"]] == list(sample.BUDGETS)
    for b, budget in enumerate(sample.BUDGETS):
        drawn = traces(data, b)
        assert list(drawn) == list(sample.STRATEGIES)
        for name, trace in drawn.items():
            for k in range(sample.CYCLES):
                own = [
                    p for p in held
                    if (p.budget, p.strategy, p.cycle) == (budget, name, k + 1)
                ]  # fmt: skip
                assert trace["y"][k] == pytest.approx(mean(p.score for p in own), rel=1e-5)
                for cost in sample.COSTS:
                    at = mean(p.costs[cost] for p in own)
                    assert trace["x"][cost][k] == pytest.approx(at, rel=1e-5)
            assert trace["name"] == f"{name} (5 seeds)"
            assert trace["line"]["color"] == sample.COLOURS[name]
            assert set(trace["marker"]["symbol"]) <= set(SYMBOLS.values())
        assert data["budgets"][b]["hint"] == "" and data["budgets"][b]["lacking"] == {}


def test_each_seed_is_a_point() -> None:
    held = sample.points(seeds=2)
    seeds = traces(embedded(main_curve(sample.views(held, 2), ["regions"])), role="seeds")
    found = {
        (name, *told, x, y)
        for name, t in seeds.items()
        for told, x, y in zip(t["customdata"], t["x"]["regions"], t["y"], strict=True)
        for told in [tuple(told)]
    }
    wanted = {
        (p.strategy, p.seed, p.cycle, p.costs["regions"], float(f"{p.score:.6g}"))
        for p in held
        if p.budget == "2x3"
    }
    assert found == wanted


def test_gaps_are_drawn_and_said() -> None:
    """decomp lacks cycle 4, seed 0 of random ends after cycle 3, uncertainty has 4 of 5 seeds."""
    held = [
        p for p in sample.points()
        if not (p.strategy == "decomp" and p.cycle == 4)
        and not (p.strategy == "random" and p.seed == 0 and p.cycle > 3)
        and not (p.strategy == "uncertainty" and p.seed == 2)
    ]  # fmt: skip
    data = embedded(main_curve(sample.views(held), ["images"]))
    drawn = traces(data)
    decomp = drawn["decomp"]
    assert decomp["x"]["images"] == [2, 4, 6, None, 10, 12]
    assert decomp["y"][3] is None and len(decomp["y"]) == 6
    assert [c[0] for c in decomp["customdata"]] == [1, 2, 3, 0, 5, 6]
    hollow = [symbol.endswith("-open") for symbol in drawn["random"]["marker"]["symbol"]]
    assert hollow == [False] * 3 + [True] * 3
    assert [c[1] for c in drawn["random"]["customdata"]] == [5, 5, 5, 4, 4, 4]
    assert all(symbol.endswith("-open") for symbol in drawn["uncertainty"]["marker"]["symbol"])
    assert drawn["random"]["name"] == "random (4 to 5 of 5 seeds)"
    assert drawn["uncertainty"]["name"] == "uncertainty (4 of 5 seeds)"
    assert drawn["decomp"]["name"] == "decomp (5 seeds)"
    assert data["budgets"][0]["hint"] == "Hollow: mean of fewer than 5 seeds."
    bands = {name: t["x"]["images"] for name, t in traces(data, role="band").items()}
    assert bands["decomp"] == [2, 4, 6, 6, 4, 2, 2, None, 10, 12, 12, 10, 10]
    assert bands["random"] == [2, 4, 6, 6, 4, 2, 2] and "uncertainty" not in bands


def test_band_is_the_t_interval_from_five_seeds_on() -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.5]
    held = [
        sample.point("decomp", s, c, score, "2x3", images=c)
        for s, score in enumerate(scores)
        for c in (1, 2)
    ]
    band = traces(embedded(main_curve(sample.views(held), ["images"])), role="band")["decomp"]
    half = 2.776445 * 0.1581139 / 5**0.5  # t of 4 degrees of freedom, sample deviation
    low, high = pytest.approx(0.3 - half, abs=1e-5), pytest.approx(0.3 + half, abs=1e-5)
    assert band["y"] == [low, low, high, high, low] and band["x"]["images"] == [1, 2, 2, 1, 1]
    few = [p for p in held if p.seed < 4]
    assert not traces(embedded(main_curve(sample.views(few), ["images"])), role="band")


def test_folds_have_the_corrected_interval_and_are_named() -> None:
    """Five folds: 1/5 + 1/4 in place of 1/5."""
    scores = [0.1, 0.2, 0.3, 0.4, 0.5]
    held = [
        sample.point("decomp", s, c, score, "2x3", images=c)
        for s, score in enumerate(scores)
        for c in (1, 2, 3)
        if (s, c) != (4, 3)
    ]
    data = embedded(main_curve(sample.views(held, folds=5), ["images"]))
    band = traces(data, role="band")["decomp"]
    half = 2.776445 * 0.1581139 * (1 / 5 + 1 / 4) ** 0.5
    low, high = pytest.approx(0.3 - half, abs=1e-5), pytest.approx(0.3 + half, abs=1e-5)
    assert band["y"] == [low, low, high, high, low]
    mean = traces(data)["decomp"]
    assert mean["name"] == "decomp (4 to 5 of 5 folds)"
    assert "folds: %{customdata[1]}" in mean["hovertemplate"]
    assert ", fold %" in traces(data, role="seeds")["decomp"]["hovertemplate"]
    assert data["budgets"][0]["hint"] == "Hollow: mean of fewer than 5 folds."


def test_looks_are_those_of_the_figures() -> None:
    """Also of strategies that the run no longer has, each of which has one of its own."""
    held = sample.points(1, ["earlier", "older", "decomp"], ["2x3"])
    (view,) = sample.views(held, 1, strategies=["decomp"])
    drawn = traces(embedded(main_curve([view], ["images"])))
    lines = {li.get_label().split()[0]: li for li in draw_curves(view).axes[0].get_lines()}
    for name in ("earlier", "older", "decomp"):
        assert drawn[name]["line"]["color"] == lines[name].get_color()
    assert len({t["line"]["color"] for t in drawn.values()}) == 3


def test_one_seed_has_no_points_beside_its_line() -> None:
    data = embedded(main_curve(sample.views(sample.points(seeds=1), 1), ["images"]))
    assert not traces(data, role="seeds") and not traces(data, role="band")
    assert traces(data)["random"]["name"] == "random (1 seed)"


def test_references_span_every_cost() -> None:
    drawn = traces(embedded(main_curve(sample.views(sample.points(), share=0.8), sample.COSTS)),
                   role="reference")  # fmt: skip
    assert list(drawn) == ["full", "full_same_steps"]
    assert drawn["full"]["y"] == [pytest.approx(0.8 * 0.745)] * 2
    assert drawn["full"]["name"] == "80 % of full annotation (0.596)"
    assert drawn["full_same_steps"]["y"] == [0.7, 0.7]
    low, high = drawn["full"]["x"]["images"]
    assert 1 < low < 2 and 12 < high < 13
    assert drawn["full"]["line"]["color"] == "#000000"


def test_cost_that_a_model_lacks() -> None:
    held = [
        replace(p, costs={"images": p.costs["images"]})
        if p.strategy == "decomp" and p.budget == "2x3" and p.seed == 1 and p.cycle == 3
        else p
        for p in sample.points()
    ]
    data = embedded(main_curve(sample.views(held), ["regions", "images", "hours"]))
    assert [c["key"] for c in data["costs"]] == ["regions", "images"]
    drawn = traces(data)["decomp"]
    assert drawn["x"]["regions"] == [] and len(drawn["x"]["images"]) == sample.CYCLES
    lacking = "Not drawn, as this cost is not known of each of its models: decomp."
    assert data["budgets"][0]["lacking"] == {"regions": lacking}
    assert data["budgets"][1]["lacking"] == {}
    with pytest.raises(DataError, match="hours.*area_percent, images, regions"):
        main_curve(sample.views(held), ["hours"])


def test_first_cost_is_that_of_the_view() -> None:
    view = replace(sample.views(sample.points())[0], x="regions")
    markup = main_curve([view], sample.COSTS)
    assert re.findall(r'<option value="(\w+)" selected>', markup) == ["regions"]


def test_before_any_strategy_went_on() -> None:
    held = [sample.point("initial", 0, 1, 0.2, "2x3", images=2.0)]
    data = embedded(main_curve(sample.views(held, 1), ["images"]))
    assert list(traces(data)) == ["initial"]
    references = [p for p in sample.points() if not p.budget]
    view = replace(sample.views(sample.points())[0], points=references)
    for nothing in ([], [view], [replace(view, points=[])]):
        assert "No model of a cycle has been evaluated yet." in main_curve(nothing, ["images"])


def test_many_strategies_hide_what_covers_the_lines() -> None:
    names = [f"s{i}" for i in range(7)]
    for held, spread in ((names, False), (names[:6], True)):
        points = sample.points(5, held, ["2x3"])
        data = embedded(main_curve(sample.views(points), ["images"]))
        assert data["budgets"][0]["spread"] is spread
        assert len(traces(data, role="band")) == len(held)


@given(st.lists(st.integers(1, 30), min_size=1, unique=True).map(sorted))
def test_breaks_stand_where_a_cycle_is_missing(cycles: list[int]) -> None:
    values = broken([float(c) for c in cycles], np.array(cycles))
    assert [int(v) for v in values if v is not None] == cycles
    slow = []
    for c in range(cycles[0], cycles[-1] + 1):
        slow.append("x" if c in cycles else " ")
    assert "".join("x" if v is not None else " " for v in values) == re.sub(
        " +", " ", "".join(slow)
    )


def test_looks_have_a_counterpart() -> None:
    from plotly.validator_cache import ValidatorCache

    allowed = ValidatorCache.get_validator("scatter.marker", "symbol")
    for marker in MARKERS:
        allowed.validate_coerce(SYMBOLS[marker])
        allowed.validate_coerce(f"{SYMBOLS[marker]}-open")
    dashes = [dash(Style("#000000", "o", line)) for line in LINES]
    assert dashes == ["solid", "8px,2.4px", "2.4px,2px", "12px,2.4px,2.4px,2.4px"]


EVIL = """</script><b>&"'$&"""


def test_names_are_escaped() -> None:
    view = sample.views(
        sample.points(2, [EVIL], ["2x3", EVIL]), 2, notes={EVIL: "<i>note"}, known=[EVIL]
    )
    markup = main_curve(view, ["images"])
    trace = traces(embedded(markup))[EVIL]
    shown = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert trace["name"] == f"{shown} (2 seeds; &lt;i&gt;note)"
    assert f"<b>{shown}</b>" in trace["hovertemplate"]
    assert "<b>&" not in markup and "<i>" not in markup
    picture = replace(sample.picture("p", [EVIL]), title=EVIL)
    styles = {EVIL: STYLES["random"]}
    markup = region_browser({EVIL: [picture]}, styles, [EVIL, "b", "c"], RGB, 3)
    data = embedded(markup)
    assert data["budgets"][0]["name"] == data["budgets"][0]["pictures"][0]["title"] == EVIL
    assert data["classes"][0] == {"name": EVIL, "html": shown, "colour": "rgb(255,0,0)"}
    parser = Tags()
    parser.feed(markup)
    assert "b" not in parser.seen and parser.seen.count("script") == 1


class Tags(HTMLParser):
    """Names of all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)


def pixels_of(uri: str) -> np.ndarray:
    kind, _, text = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_pictures_and_boxes() -> None:
    box = Box("decomp", 2, 5, 1, (10, 20.25, 30, 40), "window")
    first = Box("random", 1, 0, None, (0, 0, 4, 4), "window")
    pixels = np.full((60, 90, 3), (200, 30, 90), np.uint8)
    picture = Picture("a", "street a", pixels, (box, first))
    other = Picture("b", "street b", 255 - pixels, (box,))
    data = embedded(
        region_browser({"2x3": [picture, other], "5x15": [other], "9x9": []}, STYLES,
                       sample.CLASSES, RGB, 1)
    )  # fmt: skip
    assert [b["name"] for b in data["budgets"]] == ["2x3", "5x15"]
    assert [s["name"] for s in data["budgets"][0]["strategies"]] == ["random", "decomp"]
    assert [s["name"] for s in data["budgets"][1]["strategies"]] == ["decomp"]
    shown = data["budgets"][0]["pictures"][0]
    assert (shown["width"], shown["height"], shown["title"]) == (90, 60, "street a")
    assert shown["boxes"] == [
        [1, 2, 5, 1, 10, 20.25, 30, 40, "window"],
        [0, 1, 0, -1, 0, 0, 4, 4, "window"],
    ]
    assert data["budgets"][1]["pictures"][0]["boxes"][0][0] == 0
    assert data["cycles"] == 2, "no less than the cycles of the boxes"
    assert len(data["images"]) == 2, "a picture of two budgets is there once"
    for i, held in enumerate((pixels, 255 - pixels)):
        assert np.abs(pixels_of(data["images"][i]).astype(int) - held).max() <= 3


def test_large_pictures_are_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive, "MAX_SIDE", 50)
    pixels = np.zeros((40, 200, 3), np.uint8)
    data = embedded(region_browser({"b": [Picture("a", "a", pixels)]}, {}, [], [], 3))
    assert pixels_of(data["images"][0]).shape == (10, 50, 3)
    assert data["budgets"][0]["pictures"][0]["width"] == 200


def test_what_cannot_be_shown_is_refused() -> None:
    picture = sample.picture("p")
    with pytest.raises(DataError, match=r"boxes of \['decomp'\], strategies are"):
        few = {n: s for n, s in STYLES.items() if n != "decomp"}
        region_browser({"2x3": [picture]}, few, sample.CLASSES, RGB, 3)
    with pytest.raises(DataError, match="p: box of class 2, there are 2 classes"):
        boxes = (Box("decomp", 1, 0, 2, (0, 0, 1, 1), "window"),)
        region_browser({"2x3": [replace(picture, boxes=boxes)]}, STYLES, ["a", "b"], RGB[:2], 3)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), float)):
        with pytest.raises(DataError, match=r"p: pixels are .*allowed is \(H, W, 3\) uint8"):
            region_browser(
                {"2x3": [replace(picture, pixels=wrong)]}, STYLES, sample.CLASSES, RGB, 3
            )
    assert "No region has been chosen yet." in region_browser({"2x3": []}, {}, [], [], 3)
