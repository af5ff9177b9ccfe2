"""What all figures of curves share: open markers, spread over seeds and folds, limits, names."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from al.report.figures import draw_classes, draw_costs, draw_curves
from al.report.style import save

from .curve_sample import COLOURS
from .curve_sample import grid as _grid
from .curve_sample import lines as _lines
from .curve_sample import points as _points
from .curve_sample import texts as _texts
from .curve_sample import view as _view


def test_open_markers_where_nothing_was_planned() -> None:
    """Then the most seeds that a strategy has count as all."""
    scores = {k: v for k, v in _grid(["random", "decomp"], 3, 2).items() if k[:2] != ("decomp", 0)}
    lines = _lines(draw_curves(_view(_points(scores))).axes[0])
    assert lines["random (3 seeds)"].get_markerfacecolor() == COLOURS["random"]
    assert lines["decomp (2 seeds)"].get_markerfacecolor() == "white"
    whole = draw_curves(_view(_points(_grid(["random", "decomp"], 2, 2))))
    assert not [t for t in _texts(whole) if "fewer" in t]
    planned = draw_curves(_view(_points(_grid(["random", "decomp"], 2, 2)), seeds=(0, 1, 2)))
    assert "mean of fewer than 3 seeds" in _texts(planned)


def test_a_long_line_that_lacks_a_seed_has_few_markers() -> None:
    figure = draw_curves(_view(_points(_grid(["random"], 1, 90)), seeds=(0, 1)))
    axes = figure.axes[0]
    drawn = sum(len(li.get_markevery() or li.get_xdata()) for li in axes.get_lines())
    assert 10 < drawn < 20


def test_limits_hold_the_points_of_single_seeds() -> None:
    """Seeds far from a flat mean, and the interval of five of them."""
    spread = {0: -0.25, 1: 0.0, 2: 0.25}
    points = [
        p
        for s, off in spread.items()
        for p in _points({("random", s, c): 0.5 + 0.01 * c + off for c in (1, 2, 3)})
    ]
    for draw in (draw_curves, draw_classes, draw_costs):
        for axes in (a for a in draw(_view(points)).axes if a.get_visible()):
            low, high = axes.get_ylim()
            assert low < 0.26 and high > 0.78
    five = _points({("random", s, c): 0.5 + 0.01 * c + 0.1 * (s - 2) for s in range(5)
                    for c in (1, 2, 3)})  # fmt: skip
    low, high = draw_curves(_view(five)).axes[0].get_ylim()
    half = 2.776445 * 0.158114 / math.sqrt(5)
    assert low < 0.51 - half and high > 0.53 + half


def test_folds_have_the_corrected_interval() -> None:
    """Five folds: 1 of 5 parts is tested on, 4 trained on, so 1/5 + 1/4 in place of 1/5."""
    scores = [0.2, 0.3, 0.4, 0.5, 0.6]
    points = _points({("random", s, c): v for s, v in enumerate(scores) for c in (1, 2)})
    # t(0.975, 4) = 2.776445, sd = 0.158114
    plain = 2.776445 * 0.158114 * math.sqrt(1 / 5)
    wide = 2.776445 * 0.158114 * math.sqrt(1 / 5 + 1 / 4)
    for folds, half in ((0, plain), (5, wide)):
        figure = draw_curves(_view(points, folds=folds, seeds=range(5)))
        (area,) = figure.axes[0].collections
        heights = np.concatenate([p.vertices[:, 1] for p in area.get_paths()])
        assert heights.min() == pytest.approx(0.4 - half, abs=1e-5)
        assert heights.max() == pytest.approx(0.4 + half, abs=1e-5)
        unit = "fold" if folds else "seed"
        texts = _texts(figure)
        assert texts == [f"random (5 {unit}s)", f"95 % interval over {unit}s"]


def test_folds_are_called_folds() -> None:
    scores = _grid(["random", "decomp"], 3, 3)
    del scores["decomp", 1, 2]
    points = [
        replace(p, per_class={"road": 0.4} | ({} if p.seed else {"pole": 0.1}))
        for p in _points({k: v for k, v in scores.items() if k[:2] != ("random", 2)})
    ]
    view = _view(points, folds=3, seeds=range(3), cycles=3)
    assert _texts(draw_curves(view)) == [
        "random (2 of 3 folds)",
        "decomp (3 folds; cycle 2 missing for fold 1)",
        "single folds",
        "mean of fewer than 3 folds",
    ]
    titles = [a.get_title() for a in draw_classes(view).axes if a.get_visible()]
    assert titles == ["road", "pole (1 of 3 folds)"]


def test_a_band_is_broken_where_the_line_is() -> None:
    scores = {k: v for k, v in _grid(["random"], 5, 4).items() if k[2] != 3}
    scores |= {("random", s, 5): 0.6 + 0.01 * s for s in range(5)}
    (area,) = draw_curves(_view(_points(scores), seeds=range(5), cycles=5)).axes[0].collections
    spans = sorted((p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in area.get_paths())
    assert spans == [(1, 2), (4, 5)]


EVIL = ("$x^$", "a_b", "50%", "naïve", "$^$ {", "$\\alpha$", "a $b$ \\$c")


def test_names_are_shown_letter_by_letter(tmp_path: Path) -> None:
    """Half of a formula would end the drawing, and a whole one would be set as one."""
    from matplotlib.text import Text

    points = _points(_grid(list(EVIL), 2, 3), {name: 0.1 * i for i, name in enumerate(EVIL)})
    points += _points({("full", 0, 0): 0.9}, dict.fromkeys(EVIL, 0.9))
    more = {"classes": [*EVIL, "$_{absent"], "title": "$Q", "notes": {"a_b": "$n$"}}
    for draw in (draw_curves, draw_classes, draw_costs):
        figure = draw(_view(points, **more))
        save(figure, tmp_path / "a.png", tmp_path / "a.pdf", dpi=60)
        texts = [t for t in figure.findobj(Text) if t.get_text()]
        assert texts and not any(t.get_parse_math() for t in texts)
        said = [t.replace("\n", " ") for t in _texts(figure)]
        assert all(any(t.startswith(name) for t in said) for name in EVIL)
    titles = [a.get_title() for a in draw_classes(_view(points, **more)).axes if a.get_visible()]
    assert titles == list(EVIL)
