"""The matrix of comparisons and the seeds: what each cell and point says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.colors import to_hex

from al.report.matrix import BETTER, NEITHER, PALE, WORSE, draw_comparisons
from al.report.seeds import draw_seeds

from .curve_sample import make_view, panels

Drawn = dict[tuple[str, int], Sequence[float | None]]


def _scores(seeds: int) -> Drawn:
    """decomp is above random in each seed, and the only one that reaches 0.76."""
    found: Drawn = {}
    for s in range(seeds):
        found["random", s] = (0.2, 0.30 + 0.01 * s, 0.40 + 0.01 * s)
        found["decomp", s] = (0.2, 0.60 + 0.02 * s, 0.82)
    return found


def _panel(figure: Any, place: int) -> tuple[dict[tuple[int, int], list[str]], dict]:
    """Texts and colours of the cells by (row, column)."""
    axes = figure.axes[place]
    texts: dict[tuple[int, int], list[str]] = {}
    for t in axes.texts:
        x, y = t.get_position()
        texts.setdefault((round(y), round(x)), []).append(t.get_text())
    colours = {
        (round(p.get_y() + 0.5), round(p.get_x() + 0.5)): to_hex(p.get_facecolor()).upper()
        for p in axes.patches
    }
    return texts, colours


def _stars(figure: Any) -> int:
    return sum("*" in t.get_text() for axes in figure.axes for t in axes.texts)


def test_direction_of_each_panel() -> None:
    figure = draw_comparisons(make_view(_scores(6)))
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["random", "decomp"]
    # areas (0.2 + 2 m + e) / 4, m and e the second and last score: mean of (1.02 + 0.01 s) / 4
    texts, colours = _panel(figure, 0)
    assert texts[1, 0] == ["+0.261*", "◂ 6:0"] and texts[0, 1][1] == "▴ 0:6"
    assert texts[0, 1][0].startswith("−")
    assert colours[1, 0] == BETTER and colours[0, 1] == WORSE
    texts, colours = _panel(figure, 2)
    assert colours[1, 0] == BETTER, "fewer annotations are better"
    assert texts[1, 0] == ["(−∞)*", "◂ 6:0"] and texts[0, 1] == ["(+∞)*", "▴ 0:6"]


def test_stars_are_of_tests_alone() -> None:
    """Five seeds have no test; of six, three strategies cannot have one; five folds have."""
    assert not _stars(draw_comparisons(make_view(_scores(5))))
    three = _scores(6) | {("other", s): (0.2, 0.25, 0.3) for s in range(6)}
    assert not _stars(draw_comparisons(make_view(three)))
    scores = _scores(5)
    scores["decomp", 0] = (0.2, 0.60, 0.815)  # differences that vary
    folds = draw_comparisons(replace(make_view(scores), folds=5, seeds=range(5)))
    assert _panel(folds, 0)[0][1, 0][0].endswith("*")
    assert not any("*" in t.get_text() for t in folds.axes[2].texts), "costs not reached"


@pytest.mark.parametrize(
    ("differences", "texts", "colours"),
    [
        # mean -0.0002 shows as 0: 3 of 5 seeds won
        ([0.001] * 3 + [-0.002] * 2, (["0.000", "3:2"], ["0.000", "2:3"]), (NEITHER, NEITHER)),
        # mean -0.02, but 2 of 3 seeds won
        ([0.01, 0.01, -0.08], (["−0.020", "2:1"], ["+0.020", "1:2"]), (NEITHER, NEITHER)),
        # mean 0.02, 2 of 3 seeds won, no star with three
        (
            [0.04, 0.04, -0.02],
            (["+0.020", "◂ 2:1"], ["−0.020", "▴ 1:2"]),
            (PALE[BETTER], PALE[WORSE]),
        ),
    ],
)
def test_colour_is_for_what_number_and_wins_both_say(
    differences: list[float], texts: Any, colours: tuple[str, str]
) -> None:
    """Of final scores, decomp ahead of random by ``differences``."""
    scores: Drawn = {}
    for s, d in enumerate(differences):
        scores["random", s], scores["decomp", s] = (0.2, 0.3, 0.4), (0.2, 0.3, 0.4 + d)
    said, shown = _panel(draw_comparisons(make_view(scores)), 1)
    assert texts == (said[1, 0], said[0, 1]) and colours == (shown[1, 0], shown[0, 1])


def test_nothing_to_compare() -> None:
    assert draw_comparisons(make_view({("a", 0): (0.2, 0.3)})) is None
    assert draw_comparisons(make_view({})) is None and draw_seeds(make_view({})) is None
    without = draw_comparisons(make_view(_scores(3), full=()))
    assert len(panels(without)) == 2, "no cost to reach without full annotation"
    lone = {("a", 0): (0.2, 0.3), ("a", 1): (0.2, 0.3), ("b", 0): (0.2, 0.4), ("c", 1): (0.2, 0.4)}
    assert _panel(draw_comparisons(make_view(lone)), 0)[0][1, 2] == ["no pair"]


def test_seeds_are_points_joined_by_seed_and_not_reached_is_open_above_every_cost() -> None:
    scores = _scores(2)
    axes = draw_seeds(make_view(scores)).axes[1]
    joined = [line.get_xydata() for line in axes.get_lines() if len(line.get_xydata()) == 2]
    assert [xy.tolist() for xy in joined] == [
        [[0, pytest.approx(0.40)], [1, pytest.approx(0.82)]],
        [[0, pytest.approx(0.41)], [1, pytest.approx(0.82)]],
    ]
    scores["random", 1] = (0.2, 0.31)  # ends at cycle 2 of 3: unfinished
    figure = draw_seeds(make_view(scores, seeds=range(3)))
    axes = next(a for a in figure.axes if a.get_title().startswith("cost to reach"))
    points = [p for p in axes.get_lines() if p.get_marker() not in ("None", None)]
    (half,) = [p for p in points if p.get_fillstyle() == "left"]
    (opened,) = [p for p in points if p.get_markerfacecolor() == "white"]
    closed = [p for p in points if p not in (half, opened)]
    assert half.get_ydata()[0] > opened.get_ydata()[0] > max(p.get_ydata()[0] for p in closed)
    assert len(closed) == 2 and opened.get_xdata()[0] == half.get_xdata()[0] == 0
    said = " ".join(figure.get_supxlabel().split())
    assert "random, seed 2" in said and "decomp, seed 2" in said and "random, seed 1 (" in said
