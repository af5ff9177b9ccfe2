"""The figures per class draw the numbers they are given, and say what they lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from al.report.class_figures import draw_imbalance, draw_share_curves, draw_shares
from al.report.confidence_figures import draw_confidence, draw_confidence_scatter
from al.report.curves import Point
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


def test_imbalance_in_the_order_of_size_on_a_logarithmic_axis() -> None:
    figure = draw_imbalance(_view())
    (axes,) = figure.axes
    assert _rows(axes) == ORDER and axes.get_xscale() == "log"
    assert [bar.get_width() for bar in axes.patches[-4:]] == pytest.approx([60, 30, 9.7, 0.3])
    lacking = draw_imbalance(_view(truth={"road": 100, "pole": 0, "sky": 1, "bus": 99}))
    assert list(_said(lacking.axes[0])) == [3], "not in the training pool"
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
            assert list(_said(bars)) == [1], "never predicted"
        assert widths == pytest.approx(expected)
        names = ["first cycle (shared)"] if cycle == 1 else STRATEGIES
        drawn = _dots(dots)
        assert list(drawn) == names
        for name in names:
            of = {r: _mean(0, "random" if cycle == 1 else name, cycle, ORDER[r]) for r in (0, 1, 3)}
            assert drawn[name] == pytest.approx(of)
        assert list(_said(dots)) == [2], "not in the test set"
    assert _rows(figure.axes[0]) == _rows(figure.axes[2]) == ORDER
    (full,) = [c for c in figure.axes[3].collections if hasattr(c, "get_segments")]
    marks = {round(s[:, 1].mean()): s[0, 0] for s in full.get_segments()}
    assert marks == pytest.approx({0: 0.91, 1: 0.81, 3: 0.71})


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
    assert "uncertainty, cycle 2" in texts and "random, cycle 3 (2)" in texts


def test_scatter_of_confidence_and_score() -> None:
    figure = draw_confidence_scatter(_view())
    for cycle, axes in zip((1, 2), figure.axes, strict=True):
        used = ["road", "pole"] if cycle == 1 else ["road", "sky", "pole"]
        means = sorted((_mean(2, "decomp", cycle, c), _mean(0, "decomp", cycle, c)) for c in used)
        large = [tuple(c.get_offsets()[0]) for c in axes.collections if c.get_sizes()[0] > 10]
        assert sorted(large) == [pytest.approx(m) for m in means]
    rho = np.mean(
        [
            spearmanr(
                [int(1000 * _value("decomp", s, 2, i, 2)) for i in (0, 1, 2)],
                [_value("decomp", s, 2, i, 0) for i in (0, 1, 2)],
            ).statistic
            for s in range(3)
        ]
    )
    assert f"{rho:.2f}" in figure.axes[1].get_title()
    assert "sky (cycle 1)" in _texts(figure) and "bus (cycles 1, 2)" in _texts(figure)


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
    assert "pole" in _texts(figure), "not in the training pool"
    bare = [replace(p, annotated={}) for p in view.points]
    assert draw_shares(replace(view, points=bare)) is None
    assert draw_share_curves(replace(view, points=bare)) is None


def test_share_curves() -> None:
    view = _view()
    figure = draw_share_curves(view)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["road", "sky", "bus"]
    for axes in panels:
        lines = axes.get_lines()
        for name, line in zip(STRATEGIES, lines, strict=False):
            expected = [100 * _mean(1, name, k, axes.get_title()) for k in (1, 2, 3)]
            assert list(line.get_ydata()) == pytest.approx(expected)
        assert list(lines[3].get_xdata()) == list(lines[3].get_ydata()) == [0, 3]
