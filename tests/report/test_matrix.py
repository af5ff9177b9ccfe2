"""The matrix of comparisons and the seeds: what each cell and point says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from al.report.matrix import BETTER, NEITHER, PALE, WORSE, draw_comparisons
from al.report.seeds import draw_seeds
from al.report.style import save

from .test_summaries import make_view


def _scores(seeds: int) -> dict[tuple[str, int], Sequence[float | None]]:
    """decomp is above random in each seed, and the only one that reaches 0.76."""
    found: dict[tuple[str, int], Sequence[float | None]] = {}
    for s in range(seeds):
        found["random", s] = (0.2, 0.30 + 0.01 * s, 0.40 + 0.01 * s)
        found["decomp", s] = (0.2, 0.60 + 0.02 * s, 0.82)
    return found


def _panel(figure: Any, place: int) -> tuple[list[str], dict[tuple[int, int], list[str]], dict]:
    """Row names, texts of the cells by (row, column), and their colours."""
    axes = figure.axes[place]
    texts: dict[tuple[int, int], list[str]] = {}
    for t in axes.texts:
        x, y = t.get_position()
        texts.setdefault((round(y), round(x)), []).append(t.get_text())
    colours = {
        (round(p.get_y() + 0.5), round(p.get_x() + 0.5)): to_hex(p.get_facecolor()).upper()
        for p in axes.patches
    }
    return [t.get_text() for t in axes.get_yticklabels()], texts, colours


def _overlapping(figure: Any) -> list[tuple[str, str]]:
    """Texts whose boxes cover each other, or leave the drawn figure at a side."""
    FigureCanvasAgg(figure).draw()
    texts = [t for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_visible()]
    texts = [t for t in texts if t.get_text().strip()]
    visible = [(t.get_text(), t.get_window_extent()) for t in texts]
    frame = figure.bbox
    found = [(text, "the edge") for text, box in visible if box.x0 < -1 or box.x1 > frame.x1 + 1]
    for i, (a, box) in enumerate(visible):
        for b, other in visible[i + 1 :]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            if width > 1 and height > 1:
                found.append((a, b))
    return found


def test_direction_of_each_panel() -> None:
    figure = draw_comparisons(make_view(_scores(6)))
    titles = [a.get_title() for a in figure.axes]
    assert [t.splitlines()[-1] for t in titles] == ["higher is better"] * 2 + ["lower is better"]
    names, texts, colours = _panel(figure, 0)
    assert names == ["random", "decomp"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == names
    assert "row − column:" in [t.get_text() for t in figure.axes[0].texts]
    # areas (0.2 + 2 m + e) / 4, m and e the second and last score: mean of (1.02 + 0.01 s) / 4
    assert texts[1, 0] == ["+0.261*", "◂ 6:0"]
    assert texts[0, 1][0].startswith("−") and texts[0, 1][1] == "▴ 0:6"
    assert colours[1, 0] == BETTER and colours[0, 1] == WORSE
    _, texts, colours = _panel(figure, 2)
    assert colours[1, 0] == BETTER, "fewer annotations are better"
    assert texts[1, 0] == ["(−∞)*", "◂ 6:0"] and texts[0, 1] == ["(+∞)*", "▴ 0:6"]
    said = " ".join(figure.get_supxlabel().split())
    assert "Blue, ◂: the row's strategy is better than the column's" in said
    assert (
        "full colour: p < 0.05 in the exact Wilcoxon signed-rank test, after Holm's correction"
        in said
    )
    assert "In brackets: the median" in said


def test_costs_that_all_reach_have_a_plain_difference() -> None:
    scores = {
        (n, s): v for n, v in (("a", (0.2, 0.8, 0.8)), ("b", (0.2, 0.5, 0.8))) for s in (0, 1)
    }
    figure = draw_comparisons(make_view(scores, full=(0.8,)))
    # 0.76 is 2 + 2 * 0.56 / 0.6 = 3.867 for a, 4 + 2 * 0.26 / 0.3 = 5.733 for b
    _, texts, colours = _panel(figure, 2)
    assert texts[0, 1] == ["−1.9", "◂ 2:0"] and colours[0, 1] == PALE[BETTER]
    assert "median" not in figure.get_supxlabel()
    _, texts, colours = _panel(figure, 1)
    assert texts[0, 1][1] == "0:0" and colours[0, 1] == NEITHER


def test_few_seeds_have_no_stars_and_it_is_said() -> None:
    figure = draw_comparisons(make_view(_scores(5)))
    assert "5 seeds: no test can be significant below 6." in figure.get_supxlabel()
    assert not any("*" in t.get_text() for axes in figure.axes for t in axes.texts)
    _, _, colours = _panel(figure, 0)
    assert colours[1, 0] == PALE[BETTER] and colours[0, 1] == PALE[WORSE]


def test_folds_are_tested_from_five_on() -> None:
    folds = draw_comparisons(replace(make_view(_scores(4)), folds=4, seeds=range(4)))
    assert "4 folds: no test is made below 5." in folds.get_supxlabel()
    scores = _scores(5)
    scores["decomp", 0] = (0.2, 0.60, 0.815)  # differences that vary
    folds = draw_comparisons(replace(make_view(scores), folds=5, seeds=range(5)))
    said = " ".join(folds.get_supxlabel().split())
    assert "corrected resampled t-test (Nadeau and Bengio)" in said and "5 folds." in said
    _, texts, colours = _panel(folds, 0)
    assert texts[1, 0][0].endswith("*") and colours[1, 0] == BETTER
    seeds = draw_seeds(replace(make_view(scores), folds=5, seeds=range(5)))
    assert "no test" not in seeds.get_supxlabel()
    assert "Costs that not all reach have no test here." in said
    assert not any("*" in t.get_text() for t in folds.axes[2].texts)


def test_six_seeds_of_three_strategies_cannot_have_a_star() -> None:
    scores = _scores(6) | {("other", s): (0.2, 0.25, 0.3) for s in range(6)}
    figure = draw_comparisons(make_view(scores))
    assert not any("*" in t.get_text() for axes in figure.axes for t in axes.texts)
    said = " ".join(figure.get_supxlabel().split())
    assert (
        "No star is possible: of 6 seeds, the smallest p after Holm's correction is 0.094" in said
    )


def _finals(differences: Sequence[float], higher: float = 0.4) -> Any:
    """The panel of final scores, decomp ahead of random by ``differences``."""
    scores: dict[tuple[str, int], Sequence[float | None]] = {}
    for s, d in enumerate(differences):
        scores["random", s] = (0.2, 0.3, higher)
        scores["decomp", s] = (0.2, 0.3, higher + d)
    _, texts, colours = _panel(draw_comparisons(make_view(scores)), 1)
    return texts[1, 0], colours[1, 0], texts[0, 1], colours[0, 1]


def test_colour_is_for_what_number_and_wins_both_say() -> None:
    blue, orange = PALE[BETTER], PALE[WORSE]
    # mean (0.003 - 0.002) / 2 = 0.0005, one seed each
    assert _finals([0.003, -0.002])[1::2] == (NEITHER, NEITHER)
    # mean -0.0002 shows as 0: 3 of 5 seeds won
    tiny = _finals([0.001, 0.001, 0.001, -0.002, -0.002])
    assert tiny == (["0.000", "3:2"], NEITHER, ["0.000", "2:3"], NEITHER)
    # mean -0.02, but 2 of 3 seeds won
    assert _finals([0.01, 0.01, -0.08])[:2] == (["−0.020", "2:1"], NEITHER)
    # mean 0.02, 2 of 3 seeds won, no star with three
    assert _finals([0.04, 0.04, -0.02]) == (
        ["+0.020", "◂ 2:1"], blue, ["−0.020", "▴ 1:2"], orange,
    )  # fmt: skip
    assert _finals([0.01 * k for k in range(1, 7)])[1::2] == (BETTER, WORSE)
    said = " ".join(draw_comparisons(make_view(_scores(3))).get_supxlabel().split())
    assert "pale: not significant or not tested" in said
    assert "Grey: neither; the number rounds to 0, or most seeds do not agree with it." in said


def test_a_middle_between_not_reached_and_reached_goes_by_the_wins() -> None:
    scores = {("random", 0): (0.2, 0.3, 0.4), ("random", 1): (0.2, 0.3, 0.8)}
    scores |= {("decomp", s): (0.2, 0.8, 0.8) for s in (0, 1)}
    _, texts, colours = _panel(draw_comparisons(make_view(scores)), 2)
    assert texts[1, 0] == ["(open)", "◂ 2:0"] and colours[1, 0] == PALE[BETTER]


@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize("seeds", [3, 8])
def test_eight_strategies_fit_a_page(count: int, seeds: int) -> None:
    names = ["random", "decomp", "uncertainty_badge_kmeans", "decomp_uncertainty"]
    names = [*names, "uncertainty_cluster", "uncertainty_coreset", "decomp_tau_0.3", "uncertainty"]
    rng = np.random.default_rng(count)
    scores: dict[tuple[str, int], Sequence[float | None]] = {
        (n, s): (0.2, 0.4 + 0.3 * rng.random(), 0.5 + 0.32 * rng.random())
        for n in names[:count]
        for s in range(seeds)
    }
    scores["random", 0] = (0.2, 0.3)  # ends early
    figure = draw_comparisons(make_view(scores, title="a run, budget 2x3"))
    assert len(figure.axes) - sum(not a.get_visible() for a in figure.axes) == 3
    assert figure.get_figwidth() <= 7.0 and figure.get_figheight() <= 9.5
    assert _overlapping(figure) == []
    texts = [t for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text().strip()]
    assert min(t.get_fontsize() for t in texts) >= 7
    # Each name is there in full, whatever its lines.
    for axes in (a for a in figure.axes if a.get_visible()):
        labels = [t.get_text().replace("\n", "") for t in axes.get_xticklabels()]
        assert sorted(labels) == sorted(names[:count])


def test_nothing_to_compare() -> None:
    assert draw_comparisons(make_view({("a", 0): (0.2, 0.3)})) is None
    assert draw_comparisons(make_view({})) is None and draw_seeds(make_view({})) is None
    figure = draw_comparisons(make_view(_scores(3), full=()))
    assert len(figure.axes) == 2, "no cost to reach without full annotation"
    lone = {("a", 0): (0.2, 0.3), ("a", 1): (0.2, 0.3), ("b", 0): (0.2, 0.4), ("c", 1): (0.2, 0.4)}
    _, texts, _ = _panel(draw_comparisons(make_view(lone)), 0)
    assert texts[1, 2] == ["no pair"]


def _lines(axes: Any) -> list[np.ndarray]:
    return [line.get_xydata() for line in axes.get_lines()]


def test_seeds_are_points_joined_by_seed() -> None:
    figure = draw_seeds(make_view(_scores(2)))
    axes = figure.axes[1]
    assert axes.get_title() == "final score"
    joined = [xy for xy in _lines(axes) if len(xy) == 2]
    assert [xy.tolist() for xy in joined] == [
        [[0, pytest.approx(0.40)], [1, pytest.approx(0.82)]],
        [[0, pytest.approx(0.41)], [1, pytest.approx(0.82)]],
    ]
    assert [t.get_text() for t in axes.get_xticklabels()] in (["random", "decomp"], ["", ""])


def test_not_reached_is_open_and_above_every_cost() -> None:
    figure = draw_seeds(make_view(_scores(2)))
    axes = next(a for a in figure.axes if a.get_title() == "cost to reach 95 % of full")
    points = [line for line in axes.get_lines() if line.get_marker() not in ("None", None)]
    closed = [p for p in points if p.get_markerfacecolor() != "white"]
    opened = [p for p in points if p.get_markerfacecolor() == "white"]
    assert [p.get_xdata()[0] for p in opened] == [0, 0] and len(closed) == 2
    assert min(p.get_ydata()[0] for p in opened) > max(p.get_ydata()[0] for p in closed)
    assert max(axes.get_yticks()) < opened[0].get_ydata()[0], "no number stands beside it"
    assert "not reached" in [t.get_text() for t in axes.texts]


def test_unfinished_is_apart_from_not_reached() -> None:
    scores = _scores(2)
    scores["random", 1] = (0.2, 0.31)  # ends at cycle 2 of 3
    figure = draw_seeds(make_view(scores))
    axes = next(a for a in figure.axes if a.get_title() == "cost to reach 95 % of full")
    points = [p for p in axes.get_lines() if p.get_marker() not in ("None", None)]
    half = [p for p in points if p.get_fillstyle() == "left"]
    opened = [p for p in points if p.get_markerfacecolor() == "white"]
    assert [len(half), len(opened), len(points)] == [1, 1, 4]
    assert half[0].get_xdata()[0] == opened[0].get_xdata()[0] == 0
    assert half[0].get_ydata()[0] > opened[0].get_ydata()[0]
    said = figure.get_supxlabel()
    assert "Half-filled markers: unfinished, not reached so far; may still be reached." in said
    assert "unfinished" not in draw_seeds(make_view(_scores(2))).get_supxlabel()
    said = " ".join(draw_comparisons(make_view(scores)).get_supxlabel().split())
    assert "both not reached is a tie, as is what unfinished curves leave open" in said


def test_what_is_missing_is_said() -> None:
    scores = _scores(3)
    del scores["random", 2]
    scores["decomp", 0] = (0.2, 0.6)
    said = " ".join(draw_seeds(make_view(scores, seeds=range(4))).get_supxlabel().split())
    assert "4 seeds: no test can be significant below 6." in said
    assert "No results yet: random, seed 2; random, seed 3; decomp, seed 3." in said
    assert "Missing in final score: decomp, seed 0 (ends at cycle 2, not comparable" in said
    start = {("a", s): (0.79, 0.8) for s in range(2)}
    figure = draw_seeds(make_view(start))
    assert "above the score from the first cycle on" in figure.get_supxlabel()


@pytest.mark.parametrize("count", [2, 3, 4, 10, 13])
def test_no_text_covers_another(count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(count)
    names = [f"uncertainty_{i}" for i in range(count)]
    scores = {
        (n, s): (0.2, 0.4 + 0.3 * rng.random(), 0.5 + 0.32 * rng.random())
        for n in names
        for s in range(3)
    }
    view = make_view(scores, title="a run, budget 2x3")
    for name, figure in (("matrix", draw_comparisons(view)), ("seeds", draw_seeds(view))):
        assert _overlapping(figure) == []
        assert figure.get_figwidth() < 8
        sizes = [t.get_fontsize() for axes in figure.axes for t in axes.texts]
        assert min(sizes, default=7) >= 7
        save(figure, tmp_path / f"{name}.png")
