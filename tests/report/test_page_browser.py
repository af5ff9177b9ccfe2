"""The page works in a browser that reaches no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from al.report.interactive import main_curve, region_browser
from al.report.page import Section, render_page

from . import page_sample as sample
from .browser import Page, browser, unavailable

pytestmark = pytest.mark.browser

CURVE = "document.getElementById('main-curve-plot')"
REGIONS = "document.getElementById('region-browser-plot')"
NAMED = "t => t.meta.strategy === arguments[0] && t.meta.role === 'mean'"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in progress: decomp lacks cycle 4."""
    held = [
        p for p in sample.run_points()
        if not (p.strategy == "decomp" and p.budget == "2x3" and p.cycle == 4)
    ]  # fmt: skip
    views = sample.views(held)
    pictures = {"2x3": [sample.picture("street_01"), sample.picture("street_002")]}
    regions = region_browser(pictures, views[0].styles, sample.CLASSES, sample.RGB, 3)
    out = tmp_path_factory.mktemp("report") / "report.html"
    curve = main_curve(views, sample.COSTS)
    sections = [
        Section("curves", "Score against cost", "Results", "Means.", html=curve),
        Section("regions", "Chosen regions", "Regions", "Where.", html=regions),
    ]
    render_page("toy-convnet", [("Dataset", "toy")], ["decomp: cycle 4"], sections, out)
    return out


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(shared: Page, report: Path) -> Iterator[Page]:
    """The page, opened afresh; in the end nothing was said in the console or fetched."""
    shared.complaints(), shared.fetched()
    shared.open(report)
    yield shared
    assert shared.complaints() == []
    assert shared.fetched() == [report.as_uri()]


def shapes(page: Page) -> list[dict[str, Any]]:
    """Boxes on the picture, without the dark line under all of them."""
    return list(page.run(f"return {REGIONS}.layout.shapes")[1:])


def test_a_complaint_is_noticed(shared: Page, report: Path) -> None:
    """What the other tests rest on: errors and attempts to fetch are seen."""
    shared.open(report)
    shared.complaints(), shared.fetched()
    shared.run("setTimeout(() => { throw new Error('broken') }, 0)")
    shared.run("const i = new Image(); i.src = 'https://example.org/a.png'")
    said: list[str] = []
    shared.until(lambda: said.extend(shared.complaints()) or len(said) >= 2)
    assert any("broken" in line for line in said)
    assert any("Content Security Policy" in line for line in said)


def test_curves_follow_cost_budget_and_legend(page: Page) -> None:
    def xs(name: str) -> list[float | None]:
        held: list[float | None] = page.run(f"return {CURVE}.data.find({NAMED}).x", name)
        return held

    def hidden() -> set[str]:
        pairs = page.run(f"return {CURVE}.data.map(t => [t.meta.strategy, String(t.visible)])")
        return {name for name, shown in pairs if shown == "legendonly"}

    assert xs("random") == [2, 4, 6, 8, 10, 12]
    page.choose("#main-curve-cost", "annotated regions")
    assert xs("decomp") == [10, 20, 30, None, 50, 60]
    page.choose("#main-curve-budget", "5x15")
    assert xs("decomp") == [10, 20, 30, 40]
    entries = page.driver.find_elements("css selector", "#main-curve-plot .legendtoggle")
    entries[1].click()
    page.until(lambda: hidden() == {"uncertainty"})
    page.choose("#main-curve-budget", "2x3")
    assert hidden() == {"uncertainty"}, "kept for the next budget"
    seed = "t => t.meta.strategy === 'random' && t.meta.role === 'seeds'"
    words = page.run(
        f"""const plot = {CURVE}; const i = plot.data.findIndex({seed});
        Plotly.Fx.hover(plot, [{{curveNumber: i, pointNumber: 8}}]);
        return plot.querySelector('.hovertext').textContent"""
    )
    assert words.startswith("random, seed 1cycle 3")


def test_boxes_of_picture_strategy_and_cycle(page: Page) -> None:
    for title in ("street_01", "street_002"):
        page.choose("#region-browser-picture", title)
        page.choose("#region-browser-strategy", "decomp")
        found = sorted((s["y0"], s["x0"], s["y1"] - s["y0"]) for s in shapes(page))
        boxes = [b.rectangle for b in sample.picture(title).boxes if b.strategy == "decomp"]
        assert found == sorted((top, left, height) for top, left, height, _ in boxes)
    slider = page.find("#region-browser-cycle")
    for cycle, key in ((2, "\ue012"), (1, "\ue012"), (2, "\ue014")):  # left, left, right
        slider.send_keys(key)
        held = shapes(page)
        assert [s["line"]["dash"] for s in held] == ["dash"] * 2 + ["solid"] * (2 * cycle - 2)
        rows = page.driver.find_elements("css selector", "#region-browser-rows tr")
        assert len(rows) == 2 * cycle and rows[-1].text.startswith(str(cycle))
    # A box a tenth as wide as the picture is drawn a tenth as wide.
    size = "const r = {}.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    image = page.run(size.format(f"{REGIONS}.querySelector('.imagelayer image')"))
    path = page.run(size.format(f"{REGIONS}.querySelectorAll('.shapelayer path')[1]"))
    top, left, height, width = boxes[0]
    scale = image[2] / 480
    assert path == pytest.approx(
        [image[0] + left * scale, image[1] + top * scale, width * scale, height * scale], abs=5
    )
