"""All figures of a run: they are written whole, fit a page, and are what Vega-Lite allows."""

from __future__ import annotations

import re
from pathlib import Path

import altair as alt
import pytest

from al.report.catalogue import figures_of
from al.report.charts import PAGE, configured, nothing, save_chart
from al.report.curve_charts import classes
from al.report.figures import DRAW, save_figures
from al.report.groups import KINDS
from al.report.view import Confidence, View

from .curve_sample import grid, point, points, view

EVIL = ("$x^$", "a_b", "50% naïve", "a $\\alpha$ \\$c", "<b>&amp;")
NAMES = ["random", "decomp", "uncertainty"]
LOOK = {"strategies": NAMES, "definitions": {}, "budgets": ["2x3"], "cycles": 4}
LOOK |= {"predicted": ["decomp"], "seeds": range(5), "background": None}


def _view(names: list[str], seeds: int = 5, cycles: int = 4) -> View:
    made = points(grid(names, seeds, cycles), per_class={"road": 0.3, "pole": 0.4, "sky": 0.5})
    for p in made:
        p.annotated.update(road=1.0 * p.cycle, pole=2.0)
    made += [point("full", s, 0, 0.62, per_class={"road": 0.6}) for s in range(2)]
    rates = [
        Confidence("2x3", "decomp", 0, c, cls, 100, 10 * c + 20 * i)
        for c in (1, 2)
        for i, cls in enumerate(("road", "pole", "sky"))
    ]
    shape = {"title": "dataset, learner", "classes": ["road", "pole", "sky"], "confidence": rates}
    return view(made, truth={"road": 90, "pole": 10}, seeds=range(seeds), cycles=cycles, **shape)


def test_figures_are_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert save_figures(_view(NAMES), LOOK, tmp_path / folder) == []
    stems = {stem for _, stem, _ in figures_of(LOOK)}
    files = {f"{stem}.{end}" for stem in stems for end in ("svg", "pdf", "png")}
    assert {p.name for p in (tmp_path / "a").iterdir()} == files
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for stem in stems:
        svg = (tmp_path / "a" / f"{stem}.svg").read_text(encoding="utf-8")
        size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
        assert size and float(size[1]) <= PAGE + 1
        assert "NaN" not in svg and "undefined" not in svg
        sizes = [float(v) for v in re.findall(r'font-size="([\d.]+)px"', svg)]
        assert min(sizes) >= 7, "a pixel is a point of print"
        pdf = (tmp_path / "a" / f"{stem}.pdf").read_bytes()
        box = re.search(rb"/MediaBox ?\[ ?0 0 ([\d.]+)", pdf)
        assert box is None or float(box[1]) == pytest.approx(float(size[1]), abs=1)
        assert b"/Type3" not in pdf, "printers want no Type 3"


@pytest.mark.parametrize("name", [n for n in DRAW if n not in (*KINDS, "budgets")])
def test_figures_are_what_vega_lite_allows(name: str) -> None:
    """Nothing is checked while figures are drawn, as that would take most of the time."""
    alt.Chart.from_dict(configured(DRAW[name](_view(NAMES))))


def test_the_largest_figure_is_no_larger_than_a_picture(tmp_path: Path) -> None:
    made = points(grid([f"s{i}" for i in range(29)], 5, 8))
    made = [p for p in made if not p.per_class.update({f"c{i}": p.score for i in range(18)})]
    save_chart(classes(view(made)), tmp_path, "classes")
    assert (tmp_path / "classes.svg").stat().st_size < 400_000


def test_what_has_nothing_to_draw_says_so(tmp_path: Path) -> None:
    empty = save_figures(view([], budget=""), LOOK, tmp_path)
    assert empty == [stem for _, stem, _ in figures_of(LOOK)]
    assert all(draw(view([])) is None for draw in DRAW.values())
    save_chart(nothing("$a_b"), tmp_path, "one")
    assert "$a_b" in (tmp_path / "one.svg").read_text(encoding="utf-8")


def test_names_are_shown_letter_by_letter(tmp_path: Path) -> None:
    made = points(grid(EVIL, 1, 2), per_class={name: 0.1 * i for i, name in enumerate(EVIL)})
    more = {"classes": EVIL, "title": "$Q", "notes": {"a_b": "$n$"}}
    save_chart(classes(view(made, **more)), tmp_path, "classes")
    svg = (tmp_path / "classes.svg").read_text(encoding="utf-8")
    for name in (*EVIL, "$Q", "$n$"):
        escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert escaped in svg
