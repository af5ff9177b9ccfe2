"""The figures per class draw the numbers they are given, and say what they lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from al.report.class_figures import draw_imbalance, draw_share_curves, draw_shares
from al.report.class_panels import confident_strategy, share_cycles, shown_cycles
from al.report.confidence_figures import draw_confidence, draw_confidence_scatter
from al.report.curves import Point
from al.report.point_names import name_points
from al.report.style import new_figure
from al.report.view import Confidence, View

CLASSES = ["road", "pole", "sky", "bus"]
COLOURS = {"random": "#7f7f7f", "uncertainty": "#0072B2", "decomp": "#D55E00", "full": "#000000"}
STRATEGIES = ["random", "uncertainty", "decomp"]
TRUTH = {"road": 6000, "pole": 30, "sky": 3000, "bus": 970}
ORDER = ["road", "sky", "bus", "pole"]


def _value(strategy: str, seed: int, cycle: int, place: int, kind: int) -> float:
    """A number of its own for every cell; the first cycle is the same for all strategies."""
    who = 0 if cycle == 1 else STRATEGIES.index(strategy)
    rng = np.random.default_rng([who, seed, cycle, place, kind])
    return float(rng.uniform(0.05, 0.95))


def _view(cycles: int = 3, seeds: int = 3, **more: Any) -> View:
    """No ``bus`` in the test set, but `decomp` predicts it in cycle 2; no `pole` in the pool."""
    points, confidence = [], []
    for seed in range(seeds):
        for name in STRATEGIES:
            for cycle in range(1, cycles + 1):
                scores = {c: _value(name, seed, cycle, i, 0) for i, c in enumerate(CLASSES)}
                scores["bus"] = 0.0
                if (name, cycle) != ("decomp", 2):
                    del scores["bus"]
                shares = {c: 100 * _value(name, seed, cycle, i, 1) for i, c in enumerate(CLASSES)}
                del shares["pole"]
                costs = {"area_percent": float(cycle), "images": 2.0 * cycle}
                points.append(
                    Point("r", "2x3", name, seed, cycle, "2d", "mIoU", 0.5, costs, scores, shares)
                )
                if cycle < cycles and (cycle == 1 or name != "random"):
                    for i, c in enumerate(CLASSES):
                        k = 0 if (c, cycle) == ("sky", 1) else 1000
                        n = int(k * _value(name, seed, cycle, i, 2))
                        confidence.append(Confidence("2x3", name, seed, cycle, c, k, n))
    full = {"road": 0.9, "pole": 0.7, "sky": 0.8}
    points += [
        Point(
            "r", "", "full", s, 0, "2d", "mIoU", 0.8, {}, {c: v + 0.02 * s for c, v in full.items()}
        )
        for s in (0, 1)
    ]
    view = View(points, "2x3", "area_percent", STRATEGIES, {}, CLASSES, COLOURS, STRATEGIES)
    view = replace(view, confidence=confidence, truth=TRUTH, seeds=range(seeds), cycles=cycles)
    return replace(view, **more)


def _mean(kind: int, name: str, cycle: int, cls: str, seeds: int = 3) -> float:
    """The slow way; confidence as the whole counts give it."""
    values = [_value(name, s, cycle, CLASSES.index(cls), kind) for s in range(seeds)]
    return sum(int(1000 * v) / 1000 if kind == 2 else v for v in values) / seeds


def _rows(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def _texts(figure: Any) -> str:
    return " ".join(" ".join(t.get_text() for t in figure.texts).split())


def _said(axes: Any) -> dict[int, str]:
    """What is written in the rows, by row."""
    return {int(t.xy[1]): t.get_text() for t in axes.texts if t.get_style() == "italic"}


def _dots(axes: Any) -> dict[str, dict[int, float]]:
    """Row -> value of each strategy's dots."""
    found = {}
    for line in axes.get_lines():
        if not line.get_label().startswith("_"):
            rows = np.round(line.get_ydata()).astype(int).tolist()
            found[line.get_label()] = dict(zip(rows, line.get_xdata(), strict=True))
    return found


def _drawn(figure: Any) -> list[Any]:
    """Every text that can be seen."""
    found = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    for axes in figure.axes:
        if axes.get_visible():
            found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                found += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [text for text in found if text.get_text() and text.get_visible()]


def _legend(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_imbalance_in_the_order_of_size_on_a_logarithmic_axis() -> None:
    figure = draw_imbalance(_view())
    (axes,) = figure.axes
    assert _rows(axes) == ORDER and axes.get_xscale() == "log"
    assert [bar.get_width() for bar in axes.patches[-4:]] == pytest.approx([60, 30, 9.7, 0.3])
    view = _view()
    for bar, name in zip(axes.patches[-4:], ORDER, strict=True):
        colour = view.class_colours[CLASSES.index(name)]
        assert bar.get_facecolor()[:3] == pytest.approx(colour)
    assert [t.get_text() for t in axes.texts] == ["60.0 %", "30.0 %", "9.7 %", "0.3 %"]


def test_imbalance_of_two_decades_and_a_class_that_the_pool_lacks() -> None:
    figure = draw_imbalance(_view(truth={"road": 100, "pole": 0, "sky": 1, "bus": 99}))
    (axes,) = figure.axes
    assert axes.get_xscale() == "linear"
    assert _rows(axes) == ["road", "bus", "sky", "pole"]
    assert _said(axes) == {3: "not in the training pool"}
    assert draw_imbalance(_view(truth={})) is None


def test_confidence_above_scores_below() -> None:
    view = _view()
    figure = draw_confidence(view)
    assert len(figure.axes) == 4  # cycles 1 and 2; the last model predicts nothing
    for place, cycle in enumerate((1, 2)):
        bars, dots = figure.axes[place], figure.axes[2 + place]
        assert bars.get_title() == dots.get_title() == f"cycle {cycle}"
        widths = {
            round(bar.get_y() + 0.35): bar.get_width()
            for bar in bars.patches
            if bar.get_height() == pytest.approx(0.7)
        }
        expected = {r: _mean(2, "decomp", cycle, c) for r, c in enumerate(ORDER)}
        if cycle == 1:
            del expected[1]
            assert _said(bars) == {1: "never predicted"}
        assert widths == pytest.approx(expected)
        names = ["first cycle (shared)"] if cycle == 1 else STRATEGIES
        drawn = _dots(dots)
        assert list(drawn) == names
        for name in names:
            of = {r: _mean(0, "random" if cycle == 1 else name, cycle, ORDER[r]) for r in (0, 1, 3)}
            assert drawn[name] == pytest.approx(of)
        assert _said(dots) == {2: "not in the test set"}
    assert _rows(figure.axes[0]) == _rows(figure.axes[2]) == ORDER
    assert figure.axes[0].get_xlabel() == "confidence (decomp)"
    assert figure.axes[2].get_xlabel() == "test IoU"
    assert _legend(figure) == [*STRATEGIES, "first cycle (shared)", "full annotation"]
    assert "Means over 3 seeds; faint: single seeds." in _texts(figure)


def test_single_seeds_and_full_annotation_in_the_scores() -> None:
    figure = draw_confidence(_view())
    axes = figure.axes[3]
    expected = [
        (round(_value(n, s, 2, CLASSES.index(ORDER[r]), 0), 6), r)
        for n in STRATEGIES
        for s in range(3)
        for r in (0, 1, 3)
    ]
    points = [c for c in axes.collections if not hasattr(c, "get_segments")]
    assert len(points) == 3
    found = [tuple(xy) for c in points for xy in c.get_offsets()]
    assert sorted((round(float(x), 6), round(float(y))) for x, y in found) == sorted(expected)
    colours = {tuple(np.round(c.get_facecolor()[0][:3] * 255).astype(int)) for c in points}
    assert colours == {(0x7F, 0x7F, 0x7F), (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)}
    (full,) = [c for c in axes.collections if hasattr(c, "get_segments")]
    marks = {round(s[:, 1].mean()): s[0, 0] for s in full.get_segments()}
    assert marks == pytest.approx({0: 0.91, 1: 0.81, 3: 0.71})


def test_dots_have_the_colours_of_their_strategies() -> None:
    view = _view()
    for line in draw_confidence(view).axes[3].get_lines():
        style = view.styles[line.get_label()]
        assert (line.get_color(), line.get_marker()) == (style.colour, style.marker)


def test_a_missing_seed_and_a_missing_cycle_are_said() -> None:
    view = _view(cycles=4)
    gone = {("random", 2, 3), *(("uncertainty", s, 2) for s in range(3))}
    view = replace(
        view, points=[p for p in view.points if (p.strategy, p.seed, p.cycle) not in gone]
    )
    figure = draw_confidence(view)
    two, three = figure.axes[4], figure.axes[5]
    assert list(_dots(two)) == ["random", "decomp"]
    assert _dots(three)["random"] == pytest.approx(
        {r: _mean(0, "random", 3, ORDER[r], seeds=2) for r in (0, 1, 3)}
    )
    texts = _texts(figure)
    assert "No results: uncertainty, cycle 2." in texts
    assert "Fewer than 3 seeds: random, cycle 3 (2)." in texts
    assert "Means over 2 to 3 seeds" in texts


def test_without_confidence_the_scores_alone() -> None:
    figure = draw_confidence(_view(confidence=()))
    assert len(figure.axes) == 3 and figure.axes[0].get_xlabel() == "test IoU"
    assert "No class confidence" in _texts(figure)
    assert draw_confidence_scatter(_view(confidence=())) is None
    view = _view()
    assert draw_confidence(replace(view, points=view.points[-1:], confidence=())) is None


def test_volumes_have_scores_of_groups_and_classes_without_any() -> None:
    view = _view()
    points = [
        replace(p, task="3d", score_name="mean Dice", per_class={"sky": 0.4, "sky and bus": 0.6})
        for p in view.points
    ]
    figure = draw_confidence(replace(view, points=points))
    axes = figure.axes[3]
    assert _rows(figure.axes[2]) == [*ORDER, "sky and bus"]
    assert _said(axes) == dict.fromkeys((0, 2, 3), "not scored alone")
    assert _dots(axes)["decomp"] == pytest.approx({1: 0.4, 4: 0.6})


def test_a_class_in_the_test_set_of_one_fold_only() -> None:
    view = _view()
    points = [
        replace(p, per_class=p.per_class | {"bus": 0.5}) if p.seed == 1 else p for p in view.points
    ]
    figure = draw_confidence(replace(view, points=points))
    assert _dots(figure.axes[3])["decomp"][2] == 0.5
    assert "In the test set of some seeds only: bus (1 of 3)." in _texts(figure)


def test_scatter_of_confidence_and_score() -> None:
    figure = draw_confidence_scatter(_view())
    for cycle, axes in zip((1, 2), figure.axes, strict=True):
        used = ["road", "pole"] if cycle == 1 else ["road", "sky", "pole"]
        means = sorted((_mean(2, "decomp", cycle, c), _mean(0, "decomp", cycle, c)) for c in used)
        large = [tuple(c.get_offsets()[0]) for c in axes.collections if c.get_sizes()[0] > 10]
        assert sorted(large) == [pytest.approx(m) for m in means]
        seeds = [c.get_offsets() for c in axes.collections if c.get_sizes()[0] < 10]
        assert sum(map(len, seeds)) == 3 * len(used)
        diagonal = axes.get_lines()[0]
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
        assert axes.get_xlim() == axes.get_ylim()
    rho = np.mean(
        [
            spearmanr(
                [int(1000 * _value("decomp", s, 2, i, 2)) for i in (0, 1, 2)],
                [_value("decomp", s, 2, i, 0) for i in (0, 1, 2)],
            ).statistic
            for s in range(3)
        ]
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "cycle 1: no rank correlation"
    assert titles[1] == f"cycle 2: \u03c1 = {rho:.2f} (3 seeds, 3 classes)"
    texts = _texts(figure)
    assert "never predicted in one seed or more: sky (cycle 1)" in texts
    assert "not in the test set in one seed or more: bus (cycles 1, 2)" in texts
    assert "No rank correlation in cycle 1: 2 of 4 classes" in texts
    assert {t.get_text() for t in figure.axes[1].texts} == {"road", "sky", "pole"}


def test_shares_of_the_cycles_that_follow() -> None:
    view = _view()
    figure = draw_shares(view)
    assert [axes.get_title() for axes in figure.axes] == ["cycle 2", "cycle 3"]
    rows = ["road", "sky", "bus"]
    assert _rows(figure.axes[0]) == rows
    for cycle, axes in zip((2, 3), figure.axes, strict=True):
        for name, found in _dots(axes).items():
            of = {r: 100 * _mean(1, name, cycle, c) for r, c in enumerate(rows)}
            assert found == pytest.approx(of)
        assert axes.get_xlim()[0] <= 0
    assert "Not in the training pool: pole." in _texts(figure)
    assert _legend(figure) == STRATEGIES
    bare = [replace(p, annotated={}) for p in view.points]
    assert draw_shares(replace(view, points=bare)) is None
    assert draw_share_curves(replace(view, points=bare)) is None


def test_shares_of_a_run_of_one_cycle() -> None:
    (axes,) = draw_shares(_view(cycles=1)).axes
    assert axes.get_title() == "cycle 1" and list(_dots(axes)) == ["first cycle (shared)"]


def test_share_curves() -> None:
    view = _view()
    figure = draw_share_curves(view)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["road", "sky", "bus"]
    for axes in panels:
        lines = axes.get_lines()
        for name, line in zip(STRATEGIES, lines, strict=False):
            assert line.get_color() == view.styles[name].colour
            assert list(line.get_xdata()) == [1, 2, 3]
            expected = [100 * _mean(1, name, k, axes.get_title()) for k in (1, 2, 3)]
            assert list(line.get_ydata()) == pytest.approx(expected)
        assert list(lines[3].get_xdata()) == list(lines[3].get_ydata()) == [0, 3]
    assert _legend(figure) == [*STRATEGIES, "as the whole pool"]
    other = draw_share_curves(replace(view, x="images"))
    assert _legend(other) == STRATEGIES


def test_share_curves_of_the_rarest_classes() -> None:
    classes = [f"class {i}" for i in range(23)]
    shares = {name: 1.0 for name in classes}
    points = [replace(p, annotated=shares) for p in _view().points]
    truth = {name: 100 - i for i, name in enumerate(classes)}
    figure = draw_share_curves(_view(points=points, classes=classes, truth=truth))
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == classes[3:]
    assert "3 more common classes are left out." in _texts(figure)


def test_cycles_spread_over_the_run() -> None:
    assert shown_cycles(_view(cycles=5)) == [1, 2, 3, 4]
    assert shown_cycles(_view(cycles=41)) == [1, 3, 12, 40]
    assert share_cycles(_view(cycles=41)) == [2, 4, 13, 41]
    assert shown_cycles(_view(cycles=6, confidence=())) == [1, 2, 3, 6]
    assert share_cycles(_view(cycles=6, confidence=())) == [2, 3, 4, 6]


def test_whose_confidence() -> None:
    view = _view()
    assert confident_strategy(view) == "decomp"
    others = [r for r in view.confidence if r.strategy != "decomp"]
    # `random` has the shared first cycle alone.
    assert confident_strategy(replace(view, confidence=others)) == "uncertainty"
    assert confident_strategy(replace(view, budget="9x9")) is None


def test_names_never_cover_points_or_each_other() -> None:
    rng = np.random.default_rng(5)
    names = [f"class {i}" for i in range(30)]
    points = {name: [tuple(rng.uniform(0.4, 0.6, 2))] for name in names}
    figure = new_figure(3.5, 3.5)
    axes = figure.add_subplot()
    axes.set_xlim(0.3, 0.7)
    axes.set_ylim(0.3, 0.7)
    figure.draw_without_rendering()
    numbers = {name: i for i, name in enumerate(names, 100)}
    numbered, unnamed = name_points(axes, points, numbers)
    assert numbered and unnamed  # a crowd
    texts = {t.get_text(): t for t in axes.texts}
    written = set(names) - set(numbered) - set(unnamed)
    assert texts.keys() == written | {str(numbers[name]) for name in numbered}
    boxes = [t.get_window_extent() for t in axes.texts]
    for i, box in enumerate(boxes):
        # Edges may meet to within a pixel's rounding.
        inner = box.expanded(0.98, 0.9)
        assert not inner.count_overlaps([b.expanded(0.98, 0.9) for b in boxes[:i]])
        for xy in points.values():
            assert not box.contains(*axes.transData.transform(xy[0]))
        assert axes.get_window_extent().contains(*box.min)


@pytest.mark.parametrize(("classes", "strategies"), [(2, 1), (19, 8)])
def test_no_text_below_seven_points_and_none_outside(classes: int, strategies: int) -> None:
    names = [f"strategy_{i}" for i in range(strategies)]
    labels = [f"traffic light {i}" for i in range(classes)]
    rng = np.random.default_rng(0)
    points, confidence = [], []
    for name in names:
        for cycle in (1, 2, 3):
            scores = dict(zip(labels, rng.uniform(0, 1, classes).tolist(), strict=True))
            costs = {"area_percent": float(cycle)}
            points.append(
                Point("r", "2x3", name, 0, cycle, "2d", "mIoU", 0.5, costs, scores, scores)
            )
            confidence += [
                Confidence("2x3", name, 0, cycle, c, 9, i % 9) for i, c in enumerate(labels)
            ]
    truth = {name: 10 + i for i, name in enumerate(labels)}
    view = View(points, "2x3", "area_percent", names, {}, labels, known=names)
    view = replace(view, confidence=confidence, truth=truth, title="toy, convnet")
    drawers = (
        draw_imbalance, draw_confidence, draw_confidence_scatter, draw_shares, draw_share_curves,
    )  # fmt: skip
    for draw in drawers:
        figure = draw(view)
        figure.draw_without_rendering()
        assert figure.get_figheight() < 10
        for text in _drawn(figure):
            assert text.get_fontsize() >= 7, text.get_text()
            box, place = text.get_window_extent(), (draw.__name__, text.get_text())
            assert box.x0 > -2 and box.x1 < figure.bbox.width + 2, place
            assert box.y0 > -2 and box.y1 < figure.bbox.height + 2, place
