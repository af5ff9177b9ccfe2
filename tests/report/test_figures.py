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
from al.report.curves import collect_curves, read_curves
from al.report.figures import draw_classes, draw_costs, draw_curves
from al.report.style import save
from al.report.view import View

from .conftest import WriteMetrics
from .curve_sample import grid, lines, notes, panels, points, texts
from .curve_sample import view as view_of

Draw = Callable[[View], Any]
EVERY = (draw_curves, draw_classes, draw_costs)


@pytest.fixture
def view(write_metrics: WriteMetrics, tmp_path: Path) -> View:
    files = [write_metrics("full", s, 0, 0.8, 100.0) for s in (0, 1)]
    files.append(write_metrics("full_same_steps", 0, 0, 0.7, 100.0))
    files += [write_metrics("initial", s, 1, 0.2 + 0.1 * s, 1.0) for s in (0, 1)]
    for name, seeds in (("decomp", (0, 1)), ("random", (0,))):
        for seed in seeds:
            files += [write_metrics(name, seed, c, 0.2 * c + 0.1 * seed, c) for c in (2, 3)]
    collect_curves(files, tmp_path / "curves.csv")
    return view_of(read_curves(tmp_path / "curves.csv"))


def test_lines_are_means_over_seeds(view: View) -> None:
    axes = draw_curves(view).axes[0]
    drawn = lines(axes)
    decomp, random, full, same = drawn.values()
    assert [name.split()[0] for name in drawn][:2] == ["decomp", "random"]
    assert decomp.get_xdata().tolist() == [1, 2, 3]
    assert decomp.get_ydata().tolist() == pytest.approx([0.25, 0.45, 0.65])
    assert decomp.get_color() == "#D55E00"
    assert full.get_ydata()[0] == pytest.approx(0.76) and full.get_linestyle() == "--"
    assert same.get_ydata()[0] == pytest.approx(0.7) and same.get_linestyle() == ":"
    low, high = axes.get_ylim()
    assert low < 0.25 and high > 0.76, "also where nobody reaches the line"
    noted = texts(draw_curves(replace(view, notes={"random": "reads ground truth"})))
    assert any("random" in t and "reads ground truth" in t for t in noted)


def test_classes_and_costs_have_panels_with_their_numbers(view: View) -> None:
    figure = draw_classes(view)
    (axes,) = panels(figure)
    assert axes.get_title() == "road" and "pole" in notes(figure), "no score of it anywhere"
    drawn = lines(axes)
    assert drawn["decomp"].get_ydata().tolist() == pytest.approx([0.35, 0.55, 0.75])
    assert drawn["95 % of full annotation"].get_ydata()[0] == pytest.approx(0.95 * 0.9)
    held = points(grid(["random", "decomp"], 2, 3))
    for p in held:
        p.costs.update(validation_images=0.0, foreground_percent=p.cycle / 2)
    held[1].costs.pop("foreground_percent")  # one point lacks it, the other never grows
    shown = panels(draw_costs(view_of(held)))
    assert len(shown) == 3
    for axes, factor in zip(shown, (1, 10, 2), strict=True):
        (line,) = (li for name, li in lines(axes).items() if name.startswith("decomp"))
        assert line.get_xdata().tolist() == [factor, 2 * factor, 3 * factor]
        assert line.get_ydata().tolist() == pytest.approx([0.125, 0.225, 0.325])


def test_a_class_that_is_only_predicted_has_no_panel() -> None:
    """The zeros of a class that the test set lacks are no scores: another model has none."""
    held = points({("random", 0, c): 0.3 for c in (1, 2)}, {"road": 0.4, "pole": 0.0})
    held[0] = replace(held[0], per_class={"road": 0.4})
    figure = draw_classes(view_of(held))
    assert [a.get_title() for a in panels(figure)] == ["road"] and "pole" in notes(figure)
    volumes = [replace(p, per_class={"road": 0.4}, task="3d") for p in held]
    assert "pole" not in notes(draw_classes(view_of(volumes))), "of groups nothing can be said"
    assert draw_classes(view_of([replace(p, per_class={}) for p in held])) is None
    folds = points(grid(["random"], 3, 2), {"road": 0.4, "pole": 0.2})
    folds = [replace(p, per_class={"road": 0.4}) if p.seed == 1 else p for p in folds]
    assert "2 of 3" in panels(draw_classes(view_of(folds)))[1].get_title()


def test_a_missing_seed_and_missing_cycles() -> None:
    scores = grid(["random", "uncertainty", "decomp"], 3, 4)
    for seed in range(3):
        del scores["decomp", seed, 2]
    del scores["uncertainty", 1, 3]
    scores = {k: v for k, v in scores.items() if k[0] != "random" or k[1] != 2}
    names = ["random", "uncertainty", "decomp", "badge"]
    figure = draw_curves(view_of(points(scores), strategies=names, seeds=(0, 1, 2), cycles=4))
    axes = figure.axes[0]
    random, uncertainty, decomp = lines(axes).values()
    said = texts(figure)
    for name, part in (("random", "2 of 3"), ("uncertainty", "cycle 3"), ("decomp", "cycle 2")):
        assert any(t.startswith(name) and part in t for t in said)
    assert "badge" in notes(figure), "no results yet"
    # The line over the cycles there are, broken where one is missing for all.
    assert decomp.get_xdata()[[0, 2, 3]].tolist() == [1, 3, 4]
    assert math.isnan(decomp.get_ydata()[1])
    assert decomp.get_ydata()[[0, 2, 3]].tolist() == pytest.approx([0.15, 0.35, 0.45])
    # Of the cycle that one seed lacks, the mean of the others (0.32 and 0.34), as an open marker.
    assert uncertainty.get_ydata()[2] == pytest.approx(0.33)
    opened = [li for li in axes.get_lines() if li.get_label() == "_fewer seeds"]
    assert [li.get_xdata().tolist() for li in opened] == [[3]]
    assert opened[0].get_markerfacecolor() == "white"
    # Two of three seeds stand behind all points of random.
    assert random.get_markerfacecolor() == "white"
    assert decomp.get_markerfacecolor() == decomp.get_color()


@pytest.mark.parametrize(
    ("strategies", "seeds", "areas", "dots"),
    [(6, 5, 6, 0), (7, 5, 0, 0), (6, 4, 0, 24), (7, 1, 0, 0)],
)
def test_bands_and_points_of_few_strategies_only(
    strategies: int, seeds: int, areas: int, dots: int
) -> None:
    figure = draw_curves(view_of(points(grid([f"s{i}" for i in range(strategies)], seeds, 2))))
    kinds = [type(c).__name__ for c in figure.axes[0].collections]
    assert kinds.count("PathCollection") == dots and len(kinds) - dots == areas
    left_out = [t for t in texts(figure) if "left out" in t]
    assert bool(left_out) == (strategies == 7 and seeds > 1)


@pytest.mark.parametrize(("folds", "factor"), [(0, 1 / 5), (5, 1 / 5 + 1 / 4)])
def test_the_band_is_the_t_interval(folds: int, factor: float) -> None:
    """Of five folds 1 part is tested on and 4 trained on, so 1/5 + 1/4 in place of 1/5."""
    scores = [0.2, 0.3, 0.4, 0.5, 0.6]
    held = points({("random", s, c): v for s, v in enumerate(scores) for c in (1, 2)})
    figure = draw_curves(view_of(held, folds=folds, seeds=range(5)))
    (area,) = figure.axes[0].collections
    heights = np.concatenate([p.vertices[:, 1] for p in area.get_paths()])
    half = 2.776445 * 0.158114 * math.sqrt(factor)  # t(0.975, 4), standard deviation
    assert heights.min() == pytest.approx(0.4 - half, abs=1e-5)
    assert heights.max() == pytest.approx(0.4 + half, abs=1e-5)
    low, high = figure.axes[0].get_ylim()
    assert low < 0.4 - half and 0.4 + half < high
    assert any(("folds" if folds else "seeds") in t for t in texts(figure))


def test_no_interval_where_too_few_seeds_are() -> None:
    """Five seeds, of which two have the last cycle: their points stand there, and no band."""
    scores = {k: v for k, v in grid(["random"], 5, 3).items() if k[2] < 3 or k[1] < 2}
    axes = draw_curves(view_of(points(scores), seeds=range(5), cycles=3)).axes[0]
    (area,) = [c for c in axes.collections if type(c).__name__ != "PathCollection"]
    assert max(path.vertices[:, 0].max() for path in area.get_paths()) == 2
    dots = [c.get_offsets() for c in axes.collections if type(c).__name__ == "PathCollection"]
    found = sorted(tuple(xy) for offsets in dots for xy in offsets.tolist())
    assert found == [pytest.approx((3, 0.3)), pytest.approx((3, 0.31))]


@pytest.mark.parametrize("score", [0.0, 0.25, 1.0])
def test_equal_scores_are_seen_and_said(score: float) -> None:
    axes = draw_curves(view_of(points({("random", s, c): score for s in (0, 1) for c in (1, 2)})))
    (axes,) = axes.axes
    low, high = axes.get_ylim()
    assert 0.03 < (score - low) / (high - low) < 0.97, "clear of the frame"
    assert f"{score:g}" in axes.texts[0].get_text()
    assert all(0 <= t <= 1 for t in axes.get_yticks())


EVIL = ("$x^$", "a_b", "50%", "naïve", "$^$ {", "$\\alpha$", "a $b$ \\$c")


def test_names_are_shown_letter_by_letter(tmp_path: Path) -> None:
    """Half of a formula would end the drawing, and a whole one would be set as one."""
    held = points(grid(list(EVIL), 1, 2), {name: 0.1 * i for i, name in enumerate(EVIL)})
    more = {"classes": [*EVIL, "$_{absent"], "title": "$Q", "notes": {"a_b": "$n$"}}
    figure = draw_classes(view_of(held, **more))
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf", dpi=60)
    assert not any(t.get_parse_math() for t in figure.findobj(Text) if t.get_text())
    assert [a.get_title() for a in panels(figure)] == list(EVIL)


def test_same_numbers_same_files(view: View, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(draw_curves(view), tmp_path / f"{name}.png", tmp_path / f"{name}.pdf", dpi=60)
    for end in ("png", "pdf"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in content and b"/Type3" not in content, "printers want no Type 3"


@pytest.mark.parametrize("draw", EVERY)
def test_refusals(view: View, draw: Draw) -> None:
    with pytest.raises(DataError, match=r"'9x9'.*'2x3'"):
        draw(view.at("9x9"))
    both = [replace(p, run=run) for p in view.points for run in ("a", "b")]
    with pytest.raises(DataError, match="a, b"):
        draw(replace(view, points=both))
    assert draw(replace(view, points=[], budget="")) is None
    if draw is not draw_costs:
        with pytest.raises(DataError, match="'area'"):
            draw(replace(view, x="area"))
