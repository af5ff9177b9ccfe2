"""Figures of curves: the numbers drawn, what is missing, the spread, and equal files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from al.io.errors import DataError
from al.report.figures import draw_classes, draw_costs, draw_curves
from al.report.style import save
from al.report.view import View

from .curve_sample import grid, lines, make_view, notes, panels, point, points, texts, view

SCORES = {("decomp", 0): (0.2, 0.4, 0.6), ("decomp", 1): (0.3, 0.5, 0.7), ("random", 0): (0.2, 0.3)}


@pytest.fixture
def held() -> View:
    """Two strategies and both references."""
    made = make_view(SCORES, seeds=(0, 1), cycles=3)
    return replace(made, points=[*made.points, point("full_same_steps", 0, 0, 0.7)])


def test_lines_are_means_over_seeds(held: View) -> None:
    axes = draw_curves(held).axes[0]
    random, decomp, full, same = lines(axes).values()
    assert decomp.get_xdata().tolist() == [2, 4, 6]
    assert decomp.get_ydata().tolist() == pytest.approx([0.25, 0.45, 0.65])
    assert decomp.get_color() == "#D55E00" and random.get_ydata().tolist() == [0.2, 0.3]
    assert full.get_ydata()[0] == pytest.approx(0.76) and full.get_linestyle() == "--"
    assert same.get_ydata()[0] == pytest.approx(0.7) and same.get_linestyle() == ":"
    low, high = axes.get_ylim()
    assert low < 0.25 and high > 0.76, "also where nobody reaches the line"
    noted = texts(draw_curves(replace(held, notes={"random": "reads ground truth"})))
    assert any("random" in t and "reads ground truth" in t for t in noted)


def test_costs_have_panels_with_their_numbers() -> None:
    made = points(grid(["random", "decomp"], 2, 3))
    for p in made:
        p.costs.update(validation_images=0.0, foreground_percent=p.cycle / 2)
    made[1].costs.pop("foreground_percent")  # one point lacks it, the other never grows
    shown = panels(draw_costs(view(made)))
    assert len(shown) == 3
    for axes, factor in zip(shown, (2, 10, 4), strict=True):
        (line,) = (li for name, li in lines(axes).items() if name.startswith("decomp"))
        assert line.get_xdata().tolist() == [factor, 2 * factor, 3 * factor]
        assert line.get_ydata().tolist() == pytest.approx([0.125, 0.225, 0.325])


def test_a_class_that_is_only_predicted_has_no_panel(held: View) -> None:
    """The zeros of a class that the test set lacks are no scores: another model has none."""
    made = [
        replace(p, per_class={"road": p.score + 0.1} | ({} if p.cycle == 1 else {"pole": 0.0}))
        for p in held.points
    ]
    figure = draw_classes(replace(held, points=made))
    (axes,) = panels(figure)
    assert axes.get_title() == "road" and "pole" in notes(figure)
    drawn = lines(axes)
    (decomp,) = (line for name, line in drawn.items() if name.startswith("decomp"))
    assert decomp.get_ydata().tolist() == pytest.approx([0.35, 0.55, 0.75])
    assert drawn["95 % of full annotation"].get_ydata()[0] == pytest.approx(0.95 * 0.9)
    assert draw_classes(view([replace(p, per_class={}) for p in made])) is None
    folds = points(grid(["random"], 3, 2), per_class={"road": 0.4, "pole": 0.2})
    folds = [replace(p, per_class={"road": 0.4}) if p.seed == 1 else p for p in folds]
    assert "2 of 3" in panels(draw_classes(view(folds)))[1].get_title()


def test_a_missing_seed_and_missing_cycles() -> None:
    scores = grid(["random", "uncertainty", "decomp"], 3, 4)
    for seed in range(3):
        scores["decomp", seed][1] = None
    scores["uncertainty", 1][2] = None
    del scores["random", 2]
    names = ["random", "uncertainty", "decomp", "badge"]
    more = {"strategies": names, "known": names, "seeds": (0, 1, 2), "cycles": 4}
    figure = draw_curves(view(points(scores), **more))
    axes, said = figure.axes[0], texts(figure)
    random, uncertainty, decomp = lines(axes).values()
    for name, part in (("random", "2 of 3"), ("uncertainty", "cycle 3"), ("decomp", "cycle 2")):
        assert any(t.startswith(name) and part in t for t in said)
    assert "badge" in notes(figure), "no results yet"
    # The line over the cycles there are, broken where one is missing for all.
    assert decomp.get_xdata()[[0, 2, 3]].tolist() == [2, 6, 8]
    assert math.isnan(decomp.get_ydata()[1])
    assert decomp.get_ydata()[[0, 2, 3]].tolist() == pytest.approx([0.15, 0.35, 0.45])
    # Of the cycle that one seed lacks, the mean of the others (0.32 and 0.34), as an open marker.
    assert uncertainty.get_ydata()[2] == pytest.approx(0.33)
    (opened,) = [li for li in axes.get_lines() if li.get_label() == "_fewer seeds"]
    assert opened.get_xdata().tolist() == [6] and opened.get_markerfacecolor() == "white"
    assert random.get_markerfacecolor() == "white", "two of three seeds behind all points"
    assert decomp.get_markerfacecolor() == decomp.get_color()


@pytest.mark.parametrize(("folds", "factor"), [(0, 1 / 5), (5, 1 / 5 + 1 / 4)])
def test_the_band_is_the_t_interval(folds: int, factor: float) -> None:
    """Of five folds 1 part is tested on and 4 trained on, so 1/5 + 1/4 in place of 1/5.

    The last cycle, which two of five have, has no band: their points stand there.
    """
    scores = [0.2, 0.3, 0.4, 0.5, 0.6]
    made = points({("random", s): [v, v, v if s < 2 else None] for s, v in enumerate(scores)})
    figure = draw_curves(view(made, folds=folds, seeds=range(5), cycles=3))
    dots = [c for c in figure.axes[0].collections if type(c).__name__ == "PathCollection"]
    (area,) = [c for c in figure.axes[0].collections if c not in dots]
    outline = np.concatenate([p.vertices for p in area.get_paths()])
    half = 2.776445 * 0.158114 * math.sqrt(factor)  # t(0.975, 4), standard deviation
    assert outline[:, 1].min() == pytest.approx(0.4 - half, abs=1e-5)
    assert outline[:, 1].max() == pytest.approx(0.4 + half, abs=1e-5)
    assert outline[:, 0].max() == 4
    found = sorted(tuple(xy) for c in dots for xy in c.get_offsets().tolist())
    assert found == [pytest.approx((6, 0.2)), pytest.approx((6, 0.3))]
    assert any(("folds" if folds else "seeds") in t for t in texts(figure))


EVIL = ("$x^$", "a_b", "50% naïve", "a $\\alpha$ \\$c")


def test_names_are_shown_letter_by_letter_and_files_are_equal(tmp_path: Path) -> None:
    """Half of a formula would end the drawing, and a whole one would be set as one."""
    made = points(grid(EVIL, 1, 2), per_class={name: 0.1 * i for i, name in enumerate(EVIL)})
    more = {"classes": [*EVIL, "$_{absent"], "title": "$Q", "notes": {"a_b": "$n$"}}
    for name in ("a", "b"):
        figure = draw_classes(view(made, **more))
        save(figure, tmp_path / f"{name}.png", tmp_path / f"{name}.pdf", dpi=30)
    assert not any(t.get_parse_math() for t in figure.findobj(Text) if t.get_text())
    assert [a.get_title() for a in panels(figure)] == list(EVIL)
    for end in ("png", "pdf"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in content and b"/Type3" not in content, "printers want no Type 3"


@pytest.mark.parametrize("draw", [draw_curves, draw_classes, draw_costs])
def test_refusals(held: View, draw: Callable[[View], Any]) -> None:
    with pytest.raises(DataError, match=r"'9x9'.*'2x3'"):
        draw(held.at("9x9"))
    both = [replace(p, run=run) for p in held.points for run in ("a", "b")]
    with pytest.raises(DataError, match="a, b"):
        draw(replace(held, points=both))
    assert draw(replace(held, points=[], budget="")) is None
    if draw is not draw_costs:
        with pytest.raises(DataError, match="'area'"):
            draw(replace(held, x="area"))
