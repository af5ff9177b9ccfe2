"""The figures are drawn from the right numbers, the same way every time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from al.io.errors import DataError
from al.report.curves import collect_curves, read_curves
from al.report.figures import draw_classes, draw_costs, draw_curves
from al.report.panels import frame
from al.report.style import save
from al.report.view import View

from .conftest import WriteMetrics
from .curve_sample import grid as _grid
from .curve_sample import lines as _lines
from .curve_sample import notes as _notes
from .curve_sample import points as _points
from .curve_sample import texts as _texts
from .curve_sample import view as _view

Draw = Callable[[View], Any]


@pytest.fixture
def view(write_metrics: WriteMetrics, tmp_path: Path) -> View:
    files = [write_metrics("full", s, 0, 0.8, 100.0) for s in (0, 1)]
    files.append(write_metrics("full_same_steps", 0, 0, 0.7, 100.0))
    files += [write_metrics("initial", s, 1, 0.2 + 0.1 * s, 1.0) for s in (0, 1)]
    for name, seeds in (("decomp", (0, 1)), ("random", (0,))):
        for seed in seeds:
            files += [write_metrics(name, seed, c, 0.2 * c + 0.1 * seed, c) for c in (2, 3)]
    collect_curves(files, tmp_path / "curves.csv")
    return _view(read_curves(tmp_path / "curves.csv"))


def test_lines_of_the_main_figure(view: View, tmp_path: Path) -> None:
    png, pdf = tmp_path / "c.png", tmp_path / "c.pdf"
    figure = draw_curves(replace(view, title="Toy"))
    save(figure, png, pdf)
    axes = figure.axes[0]
    lines = _lines(axes)
    assert list(lines) == [
        "decomp (2 seeds)",
        "random (1 seed)",
        "95 % of full annotation",
        "full annotation, same steps",
    ]
    decomp = lines["decomp (2 seeds)"]
    assert decomp.get_xdata().tolist() == [1, 2, 3]
    assert decomp.get_ydata().tolist() == pytest.approx([0.25, 0.45, 0.65])
    assert decomp.get_color() == "#D55E00"
    dashed = lines["95 % of full annotation"]
    assert (dashed.get_linestyle(), dashed.get_color()) == ("--", "#000000")
    assert dashed.get_ydata()[0] == pytest.approx(0.76)
    dotted = lines["full annotation, same steps"]
    assert dotted.get_linestyle() == ":" and dotted.get_ydata()[0] == pytest.approx(0.7)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("annotated area (%)", "mIoU")
    low, high = axes.get_ylim()
    assert 0 <= low < 0.2 and 0.76 < high <= 1
    assert figure.get_suptitle() == "Toy" and figure.get_figwidth() == 3.4
    with Image.open(png) as image:
        assert min(image.size) > 500
    content = pdf.read_bytes()
    assert content[:5] == b"%PDF-" and b"/CIDFontType2" in content and b"/Type3" not in content


@pytest.mark.parametrize("draw", [draw_curves, draw_classes, draw_costs])
def test_same_numbers_same_files(view: View, tmp_path: Path, draw: Draw) -> None:
    for name in ("a", "b"):
        save(draw(view), tmp_path / f"{name}.png", tmp_path / f"{name}.pdf", dpi=100)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_one_panel_per_scored_class(view: View) -> None:
    figure = draw_classes(view)
    panels = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title() for a in panels] == ["road"], "pole has no score anywhere"
    lines = _lines(panels[0])
    assert lines["decomp"].get_ydata().tolist() == pytest.approx([0.35, 0.55, 0.75])
    assert lines["95 % of full annotation"].get_ydata()[0] == pytest.approx(0.95 * 0.9)
    assert len(figure.legends) == 1
    assert "Not in the test set, so without a panel: pole." in _notes(figure)


def test_a_class_that_is_only_predicted_has_no_panel() -> None:
    """The zeros of a class that the test set lacks are no scores: another model has none."""
    points = _points({("random", 0, c): 0.3 for c in (1, 2)}, {"road": 0.4, "pole": 0.0})
    points[0] = replace(points[0], per_class={"road": 0.4})
    figure = draw_classes(_view(points))
    assert [a.get_title() for a in figure.axes if a.get_visible()] == ["road"]
    assert "without a panel: pole" in _notes(figure)
    # Of groups of classes nothing can be said: they have names of their own.
    groups = [replace(p, per_class={"wood": 0.4}) for p in points]
    assert "without a panel" not in _notes(draw_classes(_view(groups)))
    volumes = [replace(p, per_class={"road": 0.4}, task="3d") for p in points]
    assert "without a panel" not in _notes(draw_classes(_view(volumes)))
    # Nor of the background, which has no score.
    assert "without" not in _notes(draw_classes(_view(points, background=1)))
    assert draw_classes(_view([replace(p, per_class={}) for p in points])) is None


def test_a_class_of_some_folds_only() -> None:
    points = _points(_grid(["random"], 3, 2), {"road": 0.4, "pole": 0.2})
    points = [replace(p, per_class={"road": 0.4}) if p.seed == 1 else p for p in points]
    titles = [a.get_title() for a in draw_classes(_view(points)).axes if a.get_visible()]
    assert titles == ["road", "pole (2 of 3 seeds)"]


def test_many_classes() -> None:
    scores = {f"class {i}": i / 20 for i in range(19)}
    points = _points({("random", 0, c): 0.3 for c in (1, 2)}, scores)
    figure = draw_classes(_view(points, classes=list(scores)))
    panels = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title() for a in panels] == list(scores)
    for axes, score in zip(panels, scores.values(), strict=True):
        low, high = axes.get_ylim()
        assert low <= score <= high and low < high


def test_the_score_against_every_cost() -> None:
    points = _points(_grid(["random", "decomp"], 2, 3))
    for p in points:
        p.costs.update(validation_images=0.0, foreground_percent=p.cycle / 2)
    points[1].costs.pop("foreground_percent")
    figure = draw_costs(_view(points))
    panels = [a for a in figure.axes if a.get_visible()]
    assert [a.get_xlabel() for a in panels] == [
        "annotated area (%)",
        "annotated regions",
        "images opened",
    ], "validation images never grow, and one point has no foreground"
    for axes, factor in zip(panels, (1, 10, 2), strict=True):
        line = _lines(axes)["decomp (2 seeds)"]
        assert line.get_xdata().tolist() == [factor, 2 * factor, 3 * factor]
        assert line.get_ydata().tolist() == pytest.approx([0.125, 0.225, 0.325])
        assert axes.get_ylim() == panels[0].get_ylim()
    assert len(figure.legends) == 1


def test_refusals(view: View) -> None:
    for draw in (draw_curves, draw_classes, draw_costs):
        with pytest.raises(DataError, match=r"no curves of budget '9x9', there are \['2x3'\]"):
            draw(view.at("9x9"))
        both = [replace(p, run=run) for p in view.points for run in ("a", "b")]
        with pytest.raises(DataError, match="one run per figure, found a, b"):
            draw(replace(view, points=both))
        assert draw(replace(view, points=[], budget="")) is None
    for draw in (draw_curves, draw_classes):
        with pytest.raises(DataError, match="no cost 'area'"):
            draw(replace(view, x="area"))


def test_a_missing_seed_and_missing_cycles() -> None:
    scores = _grid(["random", "uncertainty", "decomp"], 3, 4)
    for seed in range(3):
        del scores["decomp", seed, 2]
    del scores["uncertainty", 1, 3]
    scores = {k: v for k, v in scores.items() if k[0] != "random" or k[1] != 2}
    figure = draw_curves(_view(_points(scores), seeds=(0, 1, 2), cycles=4))
    assert _texts(figure) == [
        "random (2 of 3 seeds)",
        "uncertainty (3 seeds; cycle 3 missing for seed 1)",
        "decomp (3 seeds; cycle 2 missing)",
        "single seeds",
        "mean of fewer than 3 seeds",
    ]
    axes = figure.axes[0]
    lines = _lines(axes)
    # The line over the cycles there are, broken where one is missing for all.
    decomp = lines["decomp (3 seeds; cycle 2 missing)"]
    assert decomp.get_xdata()[[0, 2, 3]].tolist() == [1, 3, 4]
    assert math.isnan(decomp.get_ydata()[1])
    assert decomp.get_ydata()[[0, 2, 3]].tolist() == pytest.approx([0.15, 0.35, 0.45])
    assert set(decomp.get_markevery()) == {0, 2, 3}
    # Of the cycle that one seed lacks, the mean of the others (0.32 and 0.34), as an open marker.
    uncertainty = lines["uncertainty (3 seeds; cycle 3 missing for seed 1)"]
    assert uncertainty.get_ydata()[2] == pytest.approx(0.33)
    assert 2 not in uncertainty.get_markevery()
    opened = [li for li in axes.get_lines() if li.get_label() == "_fewer seeds"]
    assert [li.get_xdata().tolist() for li in opened] == [[3]]
    assert opened[0].get_markerfacecolor() == "white"
    assert opened[0].get_markeredgecolor() == uncertainty.get_color()
    # Two of three seeds stand behind all points of random: all are open, also in the legend.
    random = lines["random (2 of 3 seeds)"]
    assert len(random.get_markevery()) == 4 and random.get_markerfacecolor() == "white"
    for line in (decomp, uncertainty):
        assert line.get_markerfacecolor() == line.get_color()


def test_strategies_without_results_are_named() -> None:
    view = _view(_points(_grid(["random"], 1, 2)), strategies=["random", "badge", "decomp"])
    for draw in (draw_curves, draw_classes, draw_costs):
        assert "No results yet: badge, decomp." in _notes(draw(view))


def test_a_strategy_that_never_reaches_the_line(view: View) -> None:
    lines = _lines(draw_curves(view).axes[0])
    assert lines["decomp (2 seeds)"].get_ydata().max() < 0.76
    low, high = draw_curves(view).axes[0].get_ylim()
    assert low < 0.25 and high > 0.76


@pytest.mark.parametrize("draw", [draw_curves, draw_classes, draw_costs])
@pytest.mark.parametrize(("score", "said"), [(0.0, "0"), (0.25, "0.25"), (1.0, "1")])
@pytest.mark.parametrize("full", [None, 0.7])
def test_equal_scores_are_seen_and_said(
    draw: Draw, score: float, said: str, full: float | None
) -> None:
    points = _points({("random", s, c): score for s in (0, 1) for c in (1, 2, 3)})
    if full is not None:
        points += _points({("full", 0, 0): full})
    figure = draw(_view(points))
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    # Clear of the axis by more than its line is wide, and not at the top.
    assert 0.03 < (score - low) / (high - low) < 0.97
    assert [t.get_text() for t in axes.texts] == [f"all scores are {said}"]
    assert all(0 <= t <= 1 for t in axes.get_yticks())
    figure.draw_without_rendering()
    box = axes.texts[0].get_window_extent()
    for line in axes.get_lines():
        height = axes.transData.transform((0, line.get_ydata()[0]))[1]
        assert not box.y0 <= height <= box.y1


def test_one_shared_cycle_is_not_called_equal() -> None:
    points = _points({("random", 0, 1): 0.3, ("decomp", 0, 1): 0.3})
    assert not draw_curves(_view(points)).axes[0].texts


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_limits_hold_every_value(values: list[float]) -> None:
    axes = Figure().add_subplot()
    axes.plot(range(len(values)), values)
    frame([axes], 0.15)
    low, high = axes.get_ylim()
    assert low < min(values) and max(values) < high
    assert low >= -0.1 and high <= 1.1
    assert all(max(0, low) <= t <= min(1, high) for t in axes.get_yticks())


@pytest.mark.parametrize(
    ("strategies", "seeds", "says", "areas", "points"),
    [
        (6, 5, "95 % interval over seeds", 6, 0),
        (7, 5, "bands left out: 7 strategies", 0, 0),
        (6, 4, "single seeds", 0, 24),
        (7, 2, "points of single seeds left out: 7 strategies", 0, 0),
        (7, 1, None, 0, 0),
    ],
)
def test_bands_of_few_strategies_only(
    strategies: int, seeds: int, says: str | None, areas: int, points: int
) -> None:
    names = [f"s{i:02d}" for i in range(strategies)]
    full = _points({("full", 0, 0): 0.8})
    figure = draw_curves(_view([*full, *_points(_grid(names, seeds, 2))]))
    axes = figure.axes[0]
    texts = _texts(figure)
    spread = [t for t in texts if "interval" in t or "left out" in t or t == "single seeds"]
    assert spread == ([says] if says else [])
    assert [t for t in texts if t not in spread] == [
        *(f"s{i:02d} ({seeds} seed{'s' * (seeds > 1)})" for i in range(strategies)),
        "95 % of full annotation",
    ]
    kinds = [type(c).__name__ for c in axes.collections]
    assert kinds.count("PathCollection") == points
    assert len(kinds) - points == areas


def test_no_interval_where_too_few_seeds_are() -> None:
    """Five seeds, of which two have the last cycle: their points stand there, and no band."""
    scores = {k: v for k, v in _grid(["random"], 5, 3).items() if k[2] < 3 or k[1] < 2}
    figure = draw_curves(_view(_points(scores), seeds=range(5), cycles=3))
    axes = figure.axes[0]
    assert _texts(figure)[1:] == [
        *("95 % interval over seeds", "single seeds", "mean of fewer than 5 seeds")
    ]
    (area,) = [c for c in axes.collections if type(c).__name__ != "PathCollection"]
    assert max(path.vertices[:, 0].max() for path in area.get_paths()) == 2
    dots = [c.get_offsets() for c in axes.collections if type(c).__name__ == "PathCollection"]
    found = sorted(tuple(xy) for offsets in dots for xy in offsets.tolist())
    assert found == [pytest.approx((3, 0.3)), pytest.approx((3, 0.31))]


@pytest.mark.parametrize("draw", [draw_curves, draw_classes, draw_costs])
@pytest.mark.parametrize("strategies", [2, 25])
def test_the_figures_grow_with_their_legends(draw: Draw, strategies: int) -> None:
    names = [f"s{i:02d}" for i in range(strategies)]
    points = _points(_grid(names, 1, 2), {f"c{i}": 0.1 * i for i in range(5)})
    notes = {"s01": "reads ground truth, and says so at some length, more than has room in a line"}
    title = "a title that has no room in one line of a figure that is one column wide"
    figure = draw(
        _view(points, notes=notes, title=title, strategies=[*names, "badge"], classes=["c0"])
    )
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    foot = figure.texts[-1].get_window_extent()
    title_box = figure._suptitle.get_window_extent()
    for box in (legend, foot, title_box):
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1
    panels = [a.get_tightbbox() for a in figure.axes if a.get_visible()]
    for box in (legend, foot, title_box):
        assert not any(box.padded(-2).overlaps(panel) for panel in panels)
    assert not legend.padded(-2).overlaps(foot)
    wide = figure.axes[0].get_window_extent().width * (1 if draw == draw_curves else 3)
    assert wide > 0.5 * figure.bbox.width
    high = figure.axes[0].get_window_extent().height / figure.dpi
    assert high > (1.8 if draw == draw_curves else 0.9), "the legend takes no room of the panels"


@pytest.mark.parametrize("draw", [draw_curves, draw_classes, draw_costs])
def test_sizes_are_those_of_print(draw: Draw) -> None:
    """Figures are as wide as one or two columns of a page, with no text below 7 points."""
    from matplotlib.text import Text

    figure = draw(_view(_points(_grid(["random", "decomp"], 3, 3)), title="Toy"))
    assert figure.get_figwidth() in (3.4, 7.0)
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    assert len(texts) > 10 and min(t.get_fontsize() for t in texts) >= 7


def test_notes_stand_in_the_legend(view: View) -> None:
    noted = replace(view, notes={"random": "reads ground truth", "absent": "never seen"})
    first, second = _texts(draw_curves(noted))[:2], _texts(draw_classes(noted))[:2]
    assert first == ["decomp (2 seeds)", "random (1 seed; reads ground truth)"]
    assert second == ["decomp", "random (reads ground truth)"]


def test_curves_that_the_view_does_not_know() -> None:
    """The shared first cycle before any strategy goes on, and a strategy of an earlier run."""
    points = _points(_grid(["initial", "earlier", "decomp"], 1, 2))
    lines = _lines(draw_curves(_view(points, strategies=["decomp"])).axes[0])
    assert list(lines) == ["decomp (1 seed)", "earlier (1 seed)", "initial (1 seed)"]
    assert len({line.get_color() for line in lines.values()}) == 3
