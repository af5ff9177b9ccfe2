"""The numbers behind the interactive parts are those of the run, gaps included."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from al.io.errors import DataError
from al.report import interactive
from al.report.interactive import main_curve, region_browser
from al.report.pictures import Box, Picture
from al.report.style import Style

from . import page_sample as sample
from .curve_sample import grid, points

STYLES = {n: Style(c, "o", "-") for n, c in sample.COLOURS.items()}


def embedded(markup: Markup) -> dict[str, Any]:
    """The JSON in a part, as a browser reads it: up to the first end of a script."""
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script', markup, re.S)
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


def test_means_seeds_and_references_of_a_complete_run() -> None:
    held = sample.run_points()
    data = embedded(main_curve(sample.views(held, share=0.8), sample.COSTS))
    assert [c["key"] for c in data["costs"]] == list(sample.COSTS)
    assert [b["name"] for b in data["budgets"]] == list(sample.CYCLES)
    for b, (budget, cycles) in enumerate(sample.CYCLES.items()):
        drawn, seeds = traces(data, b), traces(data, b, "seeds")
        assert list(drawn) == list(seeds) == list(sample.STRATEGIES)
        for name, trace in drawn.items():
            mine = [p for p in held if (p.budget, p.strategy) == (budget, name)]
            for k in range(cycles):
                own = [p for p in mine if p.cycle == k + 1]
                assert trace["y"][k] == pytest.approx(mean(p.score for p in own), rel=1e-5)
                for cost in sample.COSTS:
                    at = mean(p.costs[cost] for p in own)
                    assert trace["x"][cost][k] == pytest.approx(at, rel=1e-5)
            assert trace["line"]["color"] == sample.COLOURS[name]
            first = [p.score for p in mine if p.cycle == 1]
            half = 2.776445 * np.std(first, ddof=1) / 5**0.5  # t of 4 degrees of freedom
            band = traces(data, b, "band")[name]["y"]
            ends = (mean(first) - half, mean(first) + half)
            assert (band[0], band[-2]) == pytest.approx(ends, abs=1e-5)
            each = seeds[name]
            told = zip(each["customdata"], each["x"]["regions"], each["y"], strict=True)
            assert {(*t, x, y) for t, x, y in told} == {
                (p.seed, p.cycle, p.costs["regions"], float(f"{p.score:.6g}")) for p in mine
            }
    references = traces(data, role="reference")
    assert references["full"]["y"] == [pytest.approx(0.8 * 0.745)] * 2
    assert references["full_same_steps"]["y"] == [0.7, 0.7]
    low, high = references["full"]["x"]["images"]
    assert 3 < low < 4 and 24 < high < 25


def test_gaps_are_drawn_and_said() -> None:
    """decomp lacks cycle 4, seed 0 of random ends after cycle 3, uncertainty has 4 of 5 seeds."""
    held = [
        p for p in sample.run_points()
        if not (p.strategy == "decomp" and p.cycle == 4)
        and not (p.strategy == "random" and p.seed == 0 and p.cycle > 3)
        and not (p.strategy == "uncertainty" and p.seed == 2)
    ]  # fmt: skip
    data = embedded(main_curve(sample.views(held), ["regions"]))
    drawn = traces(data)
    decomp = drawn["decomp"]
    assert decomp["x"]["regions"] == [10, 20, 30, None, 50, 60]
    assert decomp["y"][3] is None and len(decomp["y"]) == 6
    hollow = [symbol.endswith("-open") for symbol in drawn["random"]["marker"]["symbol"]]
    assert hollow == [False] * 3 + [True] * 3
    assert [c[1] for c in drawn["random"]["customdata"]] == [5, 5, 5, 4, 4, 4]
    assert all(symbol.endswith("-open") for symbol in drawn["uncertainty"]["marker"]["symbol"])
    assert "4 to 5 of 5" in drawn["random"]["name"] and "4 of 5" in drawn["uncertainty"]["name"]
    assert data["budgets"][0]["hint"]
    bands = {name: t["x"]["regions"] for name, t in traces(data, role="band").items()}
    assert bands["decomp"] == [10, 20, 30, 30, 20, 10, 10, None, 50, 60, 60, 50, 50]
    assert bands["random"] == [10, 20, 30, 30, 20, 10, 10] and "uncertainty" not in bands


def test_cost_that_a_model_lacks() -> None:
    held = [
        replace(p, costs={"images": p.costs["images"]})
        if (p.strategy, p.budget, p.seed, p.cycle) == ("decomp", "2x3", 1, 3)
        else p
        for p in sample.run_points()
    ]
    data = embedded(main_curve(sample.views(held), ["regions", "images", "hours"]))
    assert [c["key"] for c in data["costs"]] == ["regions", "images"]
    drawn = traces(data)["decomp"]
    assert drawn["x"]["regions"] == [] and len(drawn["x"]["images"]) == 6
    assert "decomp" in data["budgets"][0]["lacking"]["regions"]
    assert data["budgets"][1]["lacking"] == {}
    with pytest.raises(DataError, match="hours.*area_percent, images, regions"):
        main_curve(sample.views(held), ["hours"])


EVIL = """</script><b>&"'$&"""


def test_names_are_escaped() -> None:
    views = sample.views(points(grid([EVIL], 2, 2)), notes={EVIL: "<i>note"})
    markup = main_curve(views, ["images"])
    trace = traces(embedded(markup))[EVIL]
    shown = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown in trace["name"] and shown in trace["hovertemplate"]
    assert "<b>&" not in markup and "<i>" not in markup
    picture = replace(sample.picture("p", [EVIL]), title=EVIL)
    styles, classes = {EVIL: STYLES["random"]}, [EVIL, "b", "c"]
    markup = region_browser({EVIL: [picture]}, styles, classes, sample.RGB, 3)
    data = embedded(markup)
    assert data["budgets"][0]["name"] == data["budgets"][0]["pictures"][0]["title"] == EVIL
    assert "<b>" not in markup and markup.count("<script") == 1


def pixels_of(uri: str) -> np.ndarray:
    kind, _, text = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_pictures_and_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box("decomp", 2, 5, 1, (10, 20.25, 30, 40), "window")
    first = Box("random", 1, 0, None, (0, 0, 4, 4), "window")
    pixels = np.full((60, 90, 3), (200, 30, 90), np.uint8)
    picture = Picture("a", "street a", pixels, (box, first))
    other = Picture("b", "street b", 255 - pixels, (box,))
    given = {"2x3": [picture, other], "5x15": [other], "9x9": []}
    data = embedded(region_browser(given, STYLES, sample.CLASSES, sample.RGB, 1))
    assert [b["name"] for b in data["budgets"]] == ["2x3", "5x15"]
    assert [s["name"] for s in data["budgets"][0]["strategies"]] == ["random", "decomp"]
    shown = data["budgets"][0]["pictures"][0]
    assert (shown["width"], shown["height"], shown["title"]) == (90, 60, "street a")
    assert shown["boxes"] == [
        [1, 2, 5, 1, 10, 20.25, 30, 40, "window"],
        [0, 1, 0, -1, 0, 0, 4, 4, "window"],
    ]
    assert data["cycles"] == 2, "no less than the cycles of the boxes"
    assert len(data["images"]) == 2, "a picture of two budgets is there once"
    for i, held in enumerate((pixels, 255 - pixels)):
        assert np.abs(pixels_of(data["images"][i]).astype(int) - held).max() <= 3
    monkeypatch.setattr(interactive, "MAX_SIDE", 50)
    large = Picture("a", "a", np.zeros((40, 200, 3), np.uint8))
    data = embedded(region_browser({"b": [large]}, {}, [], [], 3))
    assert pixels_of(data["images"][0]).shape == (10, 50, 3)
    assert data["budgets"][0]["pictures"][0]["width"] == 200
    with pytest.raises(DataError, match=r"boxes of \['decomp'\]"):
        few = {n: s for n, s in STYLES.items() if n != "decomp"}
        region_browser(given, few, sample.CLASSES, sample.RGB, 3)
    with pytest.raises(DataError, match="a: box of class 1, there are 1 classes"):
        region_browser(given, STYLES, ["a"], sample.RGB[:1], 3)
