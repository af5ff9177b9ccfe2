"""The page works in a browser that reaches no network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from al.report.interactive import main_curve, region_browser
from al.report.page import Section, render_page
from al.report.style import cost_label, new_figure, save

from . import page_sample as sample
from .browser import Page, browser, unavailable

pytestmark = pytest.mark.browser

CURVE = "document.getElementById('main-curve-plot')"
REGIONS = "document.getElementById('region-browser-plot')"
LABEL = cost_label("regions", "2d")
NAMED = "t => t.meta.strategy === arguments[0] && t.meta.role === 'mean'"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in progress: decomp lacks cycle 4, a seed of uncertainty its last cycles."""
    folder = tmp_path_factory.mktemp("report")
    held = [
        p for p in sample.points()
        if not (p.strategy == "decomp" and p.budget == "2x3" and p.cycle == 4)
        and not (p.strategy == "uncertainty" and p.seed == 1 and p.cycle > 4)
    ]  # fmt: skip
    views = sample.views(held, notes={"random": "a note"})
    figure = new_figure(6, 3)
    figure.add_subplot().plot([0, 1])
    save(figure, folder / "a.png", folder / "a.pdf")
    pictures = [sample.picture("street_01"), sample.picture("street_002")]
    regions = region_browser(
        {"2x3": pictures, "5x15": pictures[1:]},
        views[0].styles, sample.CLASSES, views[0].class_colours, 3,
    )  # fmt: skip
    names = [f"strategy_{i}" for i in range(14)]
    matrix = [["row minus column", *names], *[[n, *["+0.012 (p = 0.03)"] * 14] for n in names]]
    table = [["strategy", "area (%)", "final mIoU"], *[[n, "1.2", "0.71 ± 0.02"] for n in names]]
    render_page(
        "toy-convnet",
        [("Dataset", "toy"), ("Strategies", ", ".join(sample.STRATEGIES)), ("Seeds", "0-4")],
        [f"decomp, budget 2x3: cycle {c} of seeds 0-4" for c in range(4, 12)],
        [
            Section("curves", "Score against cost", "Results", "Means.",
                    html=main_curve(views, sample.COSTS), figure=folder / "a.png"),
            Section("static", "A figure", "Results", "Drawn.", figure=folder / "a.png",
                    files=[("PDF", "a.pdf")], notes=["A note."]),
            Section("reach", "Reach", "Results", "How much.", table=table),
            Section("matrix", "Comparisons", "Statistics", "Row minus column.", table=matrix),
            Section("regions", "Chosen regions", "Regions", "Where.", html=regions),
        ],
        folder / "report.html",
        lacking=(12, 48),
    )  # fmt: skip
    return folder / "report.html"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(shared: Page, report: Path) -> Iterator[Page]:
    """The page, opened afresh; in the end nothing was said in the console or fetched."""
    shared.resize(1300, 1000)
    shared.complaints(), shared.fetched()
    shared.open(report)
    yield shared
    assert shared.complaints() == []
    assert shared.fetched() == [report.as_uri()]


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where screenshots are kept: the folder in DECOMP_ARTEFACTS, if it is set."""
    folder = Path(os.environ.get("DECOMP_ARTEFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def xs(page: Page, name: str) -> list[float | None]:
    """x values of a strategy's mean."""
    held: list[float | None] = page.run(f"return {CURVE}.data.find({NAMED}).x", name)
    return held


def visible(page: Page) -> dict[str, set[Any]]:
    """Visibility of each strategy's traces."""
    pairs = page.run(f"return {CURVE}.data.map(t => [t.meta.strategy, String(t.visible)])")
    return {name: {shown for other, shown in pairs if other == name} for name, _ in pairs}


def shapes(page: Page) -> list[dict[str, Any]]:
    """Boxes on the picture, without the dark line under all of them."""
    held = page.run(f"return {REGIONS}.layout.shapes")
    assert [s["type"] for s in held[:1]] in ([], ["path"])
    return list(held[1:])


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


def test_cost_and_budget(page: Page) -> None:
    assert xs(page, "random") == pytest.approx([0.4 * c for c in range(1, 7)])
    page.choose("#main-curve-cost", LABEL)
    assert xs(page, "random") == [6, 12, 18, 24, 30, 36]
    assert xs(page, "decomp") == [6, 12, 18, None, 30, 36]
    title = f"return {CURVE}.querySelector('.xtitle').textContent"
    assert page.run(title) == LABEL
    page.choose("#main-curve-budget", "5x15")
    assert xs(page, "decomp") == [12, 24, 36, 48, 60, 72]
    hover = page.run(f"return {CURVE}.data.find({NAMED}).hovertemplate", "decomp")
    assert f"<br>{LABEL}: %{{x" in hover
    seeds = f"return {CURVE}.data.filter(t => t.meta.role === 'seeds').map(t => t.visible)"
    assert page.run(seeds) == [True] * 3
    page.find("#main-curve-spread").click()
    assert page.run(seeds) == [False] * 3


def test_legend_toggles_all_of_a_strategy(page: Page) -> None:
    assert visible(page) == {n: {"true"} for n in (*sample.STRATEGIES, "full", "full_same_steps")}
    entries = page.driver.find_elements("css selector", "#main-curve-plot .legendtoggle")
    assert len(entries) == 5
    entries[1].click()
    page.until(lambda: visible(page)["uncertainty"] == {"legendonly"})
    assert visible(page)["decomp"] == visible(page)["random"] == {"true"}
    drawn = "return document.querySelectorAll('#main-curve-plot .scatterlayer .trace').length"
    assert page.run(drawn) == 3 * 2 + 2
    page.choose("#main-curve-budget", "5x15")
    assert visible(page)["uncertainty"] == {"legendonly"}, "kept for the next budget"
    page.find(".strategies summary").click()
    ticks = page.driver.find_elements("css selector", "#main-curve-strategies input")
    assert [tick.is_selected() for tick in ticks] == [True, False, True, True, True]
    ticks[1].send_keys(" ")
    assert visible(page)["uncertainty"] == {"true"}


def test_double_click_shows_one_alone(page: Page) -> None:
    from selenium.webdriver import ActionChains

    def double() -> None:
        entries = page.driver.find_elements("css selector", "#main-curve-plot .legendtoggle")
        ActionChains(page.driver).double_click(entries[2]).perform()

    double()
    others = {"random", "uncertainty", "full", "full_same_steps"}
    page.until(lambda: {n for n, v in visible(page).items() if v == {"legendonly"}} == others)
    assert visible(page)["decomp"] == {"true"}
    page.until("return await new Promise(done => setTimeout(() => done(true), 500))")
    double()
    page.until(lambda: all(v == {"true"} for v in visible(page).values()))


def test_hover_tells_seed_cycle_cost_and_score(page: Page) -> None:
    seed = "t => t.meta.strategy === 'random' && t.meta.role === 'seeds'"
    words = page.run(
        f"""const plot = {CURVE}; const i = plot.data.findIndex({seed});
        Plotly.Fx.hover(plot, [{{curveNumber: i, pointNumber: 8}}]);
        return plot.querySelector('.hovertext').textContent"""
    )
    assert words.startswith("random, seed 1cycle 3annotated area (%): 1.2mIoU: 0.")


def test_slider_shows_boxes_cycle_by_cycle(page: Page) -> None:
    page.choose("#region-browser-strategy", "decomp")
    assert len(shapes(page)) == 6
    slider = page.find("#region-browser-cycle")
    for cycle, key in ((2, "\ue012"), (1, "\ue012"), (2, "\ue014")):  # left, left, right
        slider.send_keys(key)
        held = shapes(page)
        assert len(held) == 2 * cycle
        assert [s["line"]["dash"] for s in held] == ["dash"] * 2 + ["solid"] * (2 * cycle - 2)
        rows = page.driver.find_elements("css selector", "#region-browser-rows tr")
        assert [r.text.split()[0] for r in rows] == sorted(r.text.split()[0] for r in rows)
        assert len(rows) == 2 * cycle and rows[-1].text.startswith(str(cycle))
        said = page.find("#region-browser-count").text
        assert said == f"decomp: {2 * cycle} regions on this picture up to cycle {cycle}."
    held = shapes(page)
    white = "rgb(255,255,255)"
    assert [s["line"]["color"] == white for s in held] == [True, True, False, False]


def test_boxes_are_those_of_picture_strategy_and_budget(page: Page) -> None:
    pictures = [sample.picture("street_01"), sample.picture("street_002")]
    for title, picture in zip(("street_01", "street_002"), pictures, strict=True):
        page.choose("#region-browser-picture", title)
        for name in ("uncertainty", "random"):
            page.choose("#region-browser-strategy", name)
            found = sorted((s["y0"], s["x0"], s["y1"] - s["y0"]) for s in shapes(page))
            own = [b.rectangle for b in picture.boxes if b.strategy == name]
            assert found == sorted((top, left, height) for top, left, height, _ in own)
    source = f"return {REGIONS}.layout.images[0].source"
    second = page.run(source)
    page.choose("#region-browser-picture", "street_01")
    assert page.run(source) != second
    page.choose("#region-browser-strategy", "decomp")
    page.choose("#region-browser-budget", "5x15")
    assert page.run(source) == second
    assert page.run("return document.getElementById('region-browser-picture').options.length") == 1
    chosen = (
        "return document.getElementById('region-browser-strategy').selectedOptions[0].textContent"
    )
    assert page.run(chosen) == "decomp", "kept for the next budget"
    texts = page.run(f"return {REGIONS}.data[0].text")
    classes = [b.cls for b in pictures[1].boxes if b.strategy == "decomp"]
    named = ["none" if c is None else sample.CLASSES[c] for c in classes]
    assert [t.split("<br>")[1] for t in texts] == [f"class: {n}" for n in named]


def test_picture_and_boxes_have_one_scale(page: Page) -> None:
    """A box a quarter as wide as the picture is drawn a quarter as wide."""
    page.find("#region-browser-cycle").send_keys("\ue011")  # home
    size = "const r = {}.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    image = page.run(size.format(f"{REGIONS}.querySelector('.imagelayer image')"))
    path = page.run(size.format(f"{REGIONS}.querySelectorAll('.shapelayer path')[1]"))
    assert image[2] / image[3] == pytest.approx(2, rel=0.01)
    first = next(b for b in sample.picture("street_01").boxes if b.strategy == "random")
    top, left, height, width = first.rectangle
    scale = image[2] / 480
    assert path[0] - image[0] == pytest.approx(left * scale, abs=3)
    assert path[1] - image[1] == pytest.approx(top * scale, abs=3)
    assert path[2:] == pytest.approx([width * scale, height * scale], abs=5)


def test_play(page: Page) -> None:
    button = page.find("#region-browser-play")
    button.click()
    assert (button.text, len(shapes(page))) == ("Pause", 2)
    page.until(lambda: len(shapes(page)) == 4)
    page.until(lambda: len(shapes(page)) == 6 and button.text == "Play")


def test_no_button_sends_data_away(page: Page) -> None:
    titles = page.run(
        "return [...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)"
    )
    assert len(titles) == 8 and not any("cloud" in t.lower() or "hare" in t for t in titles)
    assert page.run("return document.querySelectorAll('.modebar a[href]').length") == 0


def test_keyboard_reaches_everything(page: Page) -> None:
    page.run("document.activeElement.blur()")
    reached = set()
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys("\ue004")  # tab
        reached.add(
            page.run("const e = document.activeElement; return e.id || e.className || e.tagName")
        )
    wanted = {f"main-curve-{p}" for p in ("cost", "budget", "spread")}
    wanted |= {f"region-browser-{p}" for p in ("budget", "picture", "strategy", "cycle", "play")}
    assert wanted | {"skip", "table", "SUMMARY"} <= reached


def test_screenshots(page: Page, artefacts: Path) -> None:
    page.shoot(artefacts / "report-desktop.png")
    page.find("#region-browser-cycle").send_keys("\ue012")
    page.choose("#region-browser-strategy", "decomp")
    page.run("document.getElementById('regions').scrollIntoView()")
    page.shoot(artefacts / "report-regions.png", whole=False)
    wide = page.run(f"return {CURVE}.querySelector('.main-svg').clientWidth")
    page.resize(420, 900)
    page.until(f"return {CURVE}.querySelector('.main-svg').clientWidth < 400")
    assert page.run("return document.documentElement.scrollWidth") <= 420
    for part in ("main-curve-plot", "region-browser-plot"):
        right = f"document.getElementById('{part}').getBoundingClientRect().right"
        assert page.run(f"return {right}") <= 420
    page.shoot(artefacts / "report-narrow.png")
    page.resize(1300, 1000)
    page.until(f"return {CURVE}.querySelector('.main-svg').clientWidth === {wide}")


def test_print(page: Page, artefacts: Path) -> None:
    import subprocess

    page.run("window.opened = null; window.addEventListener('beforeprint', () =>"
             " { window.opened = document.querySelector('.banner details').open })")  # fmt: skip
    wide = page.run(f"return {CURVE}.querySelector('.main-svg').clientWidth")
    page.print(artefacts / "report.pdf")
    assert page.run("return window.opened") is True
    assert page.run("return document.querySelector('.banner details').open") is False
    page.until(f"return {CURVE}.querySelector('.main-svg').clientWidth === {wide}")
    command = ["pdftotext", "-layout", str(artefacts / "report.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "12 of 48 results are missing" in text
    assert "decomp, budget 2x3: cycle 11 of seeds 0-4" in text, "the list is open"
    assert "Skip to" not in text and "Horizontal axis" not in text and "Play" not in text
    assert 3 <= text.count("\f") <= 8
    first = ["pdftoppm", "-r", "60", "-png", str(artefacts / "report.pdf")]
    subprocess.run([*first, str(artefacts / "report-print")], check=True)
