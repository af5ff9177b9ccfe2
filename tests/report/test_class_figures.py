"""The figures per class draw the numbers they are given, and say what they lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from al.report.class_figures import draw_imbalance, draw_share_curves, draw_shares
from al.report.confidence_figures import draw_confidence, draw_confidence_scatter
from al.report.view import Confidence, View

from .curve_sample import notes, panels, point, view

CLASSES = ["road", "pole", "sky", "bus"]
STRATEGIES = ["random", "uncertainty", "decomp"]
TRUTH = {"road": 6000, "pole": 30, "sky": 3000, "bus": 970}
ORDER = ["road", "sky", "bus", "pole"]


def _value(strategy: str, seed: int, cycle: int, place: int, kind: int) -> float:
    """A number of its own for every cell; the first cycle is the same for all strategies."""
    who = 0 if cycle == 1 else STRATEGIES.index(strategy)
    rng = np.random.default_rng([who, seed, cycle, place, kind])
    return float(rng.uniform(0.05, 0.95))


def _view(**more: Any) -> View:
    """No ``bus`` in the test set, but `decomp` predicts it in cycle 2; no `pole` in the pool.

    Of `random` seed 2 lacks cycle 3, of which no predictions are there.
    """
    points, confidence = [], []
    for name, seed, cycle in ((n, s, c) for n in STRATEGIES for s in range(3) for c in (1, 2, 3)):
        of = (name, seed, cycle)
        scores = {c: _value(*of, i, 0) for i, c in enumerate(CLASSES)} | {"bus": 0.0}
        shares = {c: 100 * _value(*of, i, 1) for i, c in enumerate(CLASSES)}
        if (name, cycle) != ("decomp", 2):
            del scores["bus"]
        del shares["pole"]
        costs = {"area_percent": float(cycle), "images": 2.0 * cycle}
        if of != ("random", 2, 3):
            points.append(point(*of, 0.5, costs=costs, per_class=scores, annotated=shares))
        if cycle < 3 and (cycle == 1 or name != "random"):
            for i, c in enumerate(CLASSES):
                k = 0 if (c, cycle) == ("sky", 1) else 1000
                n = int(k * _value(*of, i, 2))
                confidence.append(Confidence("2x3", name, seed, cycle, c, k, n))
    for s in (0, 1):
        full = {"road": 0.9 + 0.02 * s, "pole": 0.7 + 0.02 * s, "sky": 0.8 + 0.02 * s}
        points.append(point("full", s, 0, 0.8, costs={}, per_class=full))
    held = {"classes": CLASSES, "known": STRATEGIES, "confidence": confidence, "truth": TRUTH}
    return view(points, **(held | {"seeds": range(3), "cycles": 3} | more))


def _mean(kind: int, name: str, cycle: int, cls: str) -> float:
    """The slow way; confidence as the whole counts give it."""
    seeds = range(2 if (name, cycle) == ("random", 3) else 3)
    values = [_value(name, s, cycle, CLASSES.index(cls), kind) for s in seeds]
    return sum(int(1000 * v) / 1000 if kind == 2 else v for v in values) / len(values)


def _rows(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


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
    (axes,) = draw_imbalance(_view()).axes
    assert _rows(axes) == ORDER and axes.get_xscale() == "log"
    assert [bar.get_width() for bar in axes.patches[-4:]] == pytest.approx([60, 30, 9.7, 0.3])
    lacking = draw_imbalance(_view(truth={"road": 100, "pole": 0, "sky": 1, "bus": 99}))
    assert list(_said(lacking.axes[0])) == [3], "not in the training pool"
    assert draw_imbalance(_view(truth={})) is None


def test_confidence_above_scores_below() -> None:
    figure = draw_confidence(_view())
    assert len(figure.axes) == 4  # cycles 1 and 2; the last model predicts nothing
    for place, cycle in enumerate((1, 2)):
        bars, dots = figure.axes[place], figure.axes[2 + place]
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
        drawn = _dots(dots)
        assert list(drawn) == (["first cycle (shared)"] if cycle == 1 else STRATEGIES)
        for name, found in drawn.items():
            own = "random" if cycle == 1 else name
            assert found == pytest.approx({r: _mean(0, own, cycle, ORDER[r]) for r in (0, 1, 3)})
        assert list(_said(dots)) == [2], "not in the test set"
    assert _rows(figure.axes[0]) == _rows(figure.axes[2]) == ORDER
    (full,) = [c for c in figure.axes[3].collections if hasattr(c, "get_segments")]
    marks = {round(s[:, 1].mean()): s[0, 0] for s in full.get_segments()}
    assert marks == pytest.approx({0: 0.91, 1: 0.81, 3: 0.71})


def test_scatter_of_confidence_and_score() -> None:
    figure = draw_confidence_scatter(_view())
    for cycle, axes in zip((1, 2), figure.axes, strict=True):
        used = ["road", "pole"] if cycle == 1 else ["road", "sky", "pole"]
        means = sorted((_mean(2, "decomp", cycle, c), _mean(0, "decomp", cycle, c)) for c in used)
        large = [tuple(c.get_offsets()[0]) for c in axes.collections if c.get_sizes()[0] > 10]
        assert sorted(large) == [pytest.approx(m) for m in means]
    both = [
        [[_value("decomp", s, 2, i, kind) for i in (0, 1, 2)] for kind in (2, 0)] for s in range(3)
    ]
    rho = np.mean([spearmanr(*values).statistic for values in both])
    assert f"{rho:.2f}" in figure.axes[1].get_title()
    assert "sky (cycle 1)" in notes(figure) and "bus (cycles 1, 2)" in notes(figure)


def test_shares_of_the_cycles_that_follow_and_how_they_grow() -> None:
    held = _view()
    figure, grown = draw_shares(held), draw_share_curves(held)
    rows = ["road", "sky", "bus"]
    assert _rows(figure.axes[0]) == rows and "pole" in notes(figure), "not in the training pool"
    for cycle, axes in zip((2, 3), figure.axes, strict=True):
        for name, found in _dots(axes).items():
            of = {r: 100 * _mean(1, name, cycle, c) for r, c in enumerate(rows)}
            assert found == pytest.approx(of)
    assert "random, cycle 3 (2)" in notes(figure), "means of fewer seeds are said"
    assert [axes.get_title() for axes in panels(grown)] == rows
    for axes in panels(grown):
        for name, line in zip(STRATEGIES, axes.get_lines(), strict=False):
            expected = [100 * _mean(1, name, k, axes.get_title()) for k in (1, 2, 3)]
            assert list(line.get_ydata()) == pytest.approx(expected)
    bare = replace(held, points=[replace(p, annotated={}) for p in held.points])
    assert draw_shares(bare) is None and draw_share_curves(bare) is None
