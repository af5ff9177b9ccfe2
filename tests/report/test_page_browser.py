"""The page of a run works in a browser that reaches no network, on wide and narrow screens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Page, browser, unavailable
from .run_files import Data, RunFiles, Where, call, resolved

pytestmark = pytest.mark.browser

MEANS = "#curves-2x3 .plot g.mark-symbol path"
PICTURE = "#regions-2x3 .plot image"
WIDTHS = (1400, 600)


@pytest.fixture(scope="module")
def report(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two budgets, one cycle of it missing."""
    settings = resolved(
        "cityscapes_mini", data, run="run", strategies="random,decomp", seeds=2, cycles=3,
        budget="2x3,3x2",
    )  # fmt: skip
    gone = Where("2x3", "decomp", 1, 3)
    run = RunFiles(tmp_path_factory.mktemp("run"), settings, lambda w: w != gone).write()
    assert call(run.folder, "run") == 0
    return run.report / "report.html"


@pytest.fixture(scope="module", params=WIDTHS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")
    with browser(tmp_path_factory.mktemp("browser"), request.param) as page:
        yield page


@pytest.fixture
def page(shared: Page, report: Path) -> Iterator[Page]:
    """The page, opened afresh; in the end nothing was said in the console or fetched."""
    shared.complaints(), shared.fetched()
    shared.open(report)
    yield shared
    assert shared.complaints() == []
    assert shared.fetched() == [report.as_uri()]


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


def test_curves_follow_cost_and_budget(page: Page) -> None:
    def places() -> list[str]:
        script = f"return [...document.querySelectorAll('{MEANS}')].map(p => p.outerHTML)"
        return sorted(page.run(script))

    before = places()
    assert len(before) >= 6, "three cycles of two strategies"
    page.choose("#curves-2x3 select", "annotated regions")
    page.until(lambda: places() != before)
    chosen = places()
    budget = page.driver.find_elements("css selector", "#curves-2x3 select")[1]
    budget.send_keys("3")
    page.until(lambda: places() != chosen)
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")


def test_a_picture_keeps_its_size_while_it_plays(page: Page) -> None:
    def size() -> list[float]:
        plot = f"document.querySelector('{PICTURE}').closest('svg').getBoundingClientRect()"
        return page.run(f"const r = {plot}; return [r.width, r.height]")

    def boxes() -> int:
        count: int = page.run(
            "return document.querySelectorAll('#regions-2x3 .plot g.mark-rect path').length"
        )
        return count

    slider, before, full = page.find("#regions-2x3 input[type=range]"), size(), boxes()
    slider.send_keys("\ue012", "\ue012")  # to the first cycle
    page.until(lambda: boxes() < full)
    assert size() == before


def test_what_is_folded_opens_for_print(page: Page) -> None:
    closed = "return document.querySelectorAll('main details:not([open], .plot details)').length"
    assert page.run(closed) > 3
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run(closed) == 0
    media = {"media": "print"}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    seen = "return [...document.querySelectorAll('#curves-2x3 :is(.plot, .paper)')].map("
    assert page.run(f"{seen}p => p.offsetHeight > 0)") == [False, True], "the figure stands for it"
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run(closed) > 3
