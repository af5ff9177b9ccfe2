"""The matrix of pairs, the penalties and the seeds: what each cell and point says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import vl_convert
from scipy.stats import ttest_rel

from al.report.charts import configured
from al.report.pair_charts import BETTER, NEITHER, WORSE, comparisons, penalty, seeds

from .curve_sample import axes, make_view, rows, said

Drawn = dict[tuple[str, int], Sequence[float | None]]


def _scores(n: int) -> Drawn:
    """decomp is above random in each seed, and the only one that reaches 0.76."""
    found: Drawn = {}
    for s in range(n):
        found["random", s] = (0.2, 0.30 + 0.01 * s, 0.40 + 0.01 * s)
        found["decomp", s] = (0.2, 0.60 + 0.02 * s, 0.82)
    return found


def _cells(chart: Any, panel: int = 0) -> dict[tuple[str, str], tuple[str, str]]:
    """Text and colour of a panel's cells by row and column."""
    shown = chart["concat"][panel]["layer"][0]
    return {(r["row"], r["column"]): (r["text"], r["colour"]) for r in rows(shown)}


def _stars(chart: Any) -> int:
    return sum("*" in row.get("text", "") for row in rows(chart))


def test_direction_of_each_panel() -> None:
    chart = comparisons(make_view(_scores(6)))
    for channel in "xy":
        assert axes(chart, channel)[0]["scale"]["domain"] == ["random", "decomp"]
    # areas (0.2 + 2 m + e) / 4, m and e the second and last score: mean of (1.02 + 0.01 s) / 4
    cells = _cells(chart)
    assert cells["decomp", "random"] == ("+0.261*\n6:0", BETTER)
    assert cells["random", "decomp"] == ("−0.261*\n0:6", WORSE)
    cells = _cells(chart, 2)  # fewer annotations are better
    assert cells["decomp", "random"] == ("(−∞)*\n6:0", BETTER)
    assert cells["random", "decomp"] == ("(+∞)*\n0:6", WORSE)


def test_nothing_looks_ranked_that_is_not_significant() -> None:
    """Five seeds have no test; of six, three strategies cannot have one; five folds have."""
    few = comparisons(make_view(_scores(5)))
    assert not _stars(few) and {c for _, c in _cells(few).values()} == {NEITHER}
    assert _cells(few)["decomp", "random"][0].endswith("5:0") and "fewer than 6" in said(few)
    three = _scores(6) | {("other", s): (0.2, 0.25, 0.3) for s in range(6)}
    assert not _stars(shown := comparisons(make_view(three)))
    assert "0 of 9 pairs" in said(shown)
    scores = _scores(5)
    scores["decomp", 0] = (0.2, 0.60, 0.815)  # differences that vary
    folds = comparisons(replace(make_view(scores), folds=5, seeds=range(5)))
    assert _cells(folds)["decomp", "random"][0].endswith("*\n5:0")
    assert not any("*" in text for text, _ in _cells(folds, 2).values()), "costs not reached"


def test_what_neither_reached_is_said_and_what_nobody_reached_has_no_panel() -> None:
    three = _scores(6) | {("other", s): (0.2, 0.25, 0.3) for s in range(6)}
    cells = _cells(comparisons(make_view(three)), 2)
    assert cells["other", "random"] == cells["random", "other"] == ("neither\nreached", NEITHER)
    low = {key: values for key, values in three.items() if key[0] != "decomp"}
    chart = comparisons(make_view(low))
    assert len(chart["concat"]) == 2 and "Reached by none" in said(chart)
    without = comparisons(make_view(_scores(3), full=()))
    assert len(without["concat"]) == 2, "no cost to reach without full annotation"
    assert comparisons(make_view({("a", 0): (0.2, 0.3)})) is None
    assert comparisons(make_view({})) is None and seeds(make_view({})) is None


def test_many_strategies_have_colours_alone() -> None:
    scores = {(f"strategy_{i:02d}", s): (0.2, 0.3 + 0.01 * i) for i in range(29) for s in (0, 1)}
    chart = comparisons(make_view(scores))
    assert len(_cells(chart)) == 29 * 28
    assert {text for text, _ in _cells(chart).values()} == {""}


def test_penalties_are_shares_of_cycles_and_their_means() -> None:
    rng = np.random.default_rng(3)
    base = {"random": 0, "uncertainty": 0.02, "decomp": 1}
    names = list(base)
    scores = {
        (name, s): [0.2, *(0.3 + 0.1 * base[name] + rng.normal(0, 0.02, 6))]
        for name in names
        for s in range(5)
    }
    drawn = [row for row in rows(penalty(make_view(scores))) if "share" in row]
    found = {(row["row"], row["column"]): row["share"] for row in drawn}

    def share(a: str, b: str) -> float:
        """The slow way, without the shared first cycle."""
        won = 0
        for k in range(1, 7):
            one, two = ([scores[n, s][k] for s in range(5)] for n in (a, b))
            won += ttest_rel(one, two).pvalue < 0.05 and np.mean(one) > np.mean(two)
        return won / 6

    for a in names:
        others = [b for b in names if b != a]
        assert [found[a, b] for b in others] == pytest.approx([share(a, b) for b in others])
        assert found[a, "mean"] == pytest.approx(np.mean([share(a, b) for b in others]))
        assert found["mean", a] == pytest.approx(np.mean([share(b, a) for b in others]))
    assert share("decomp", "random") > 0.5 and "t-test" in said(penalty(make_view(scores)))
    assert penalty(make_view(_scores(2))) is None


def _points(chart: Any, title: str) -> list[dict[str, Any]]:
    panel = next(p for p in chart["concat"] if p["title"]["text"].startswith(title))
    return rows(panel["layer"][1])


def test_seeds_are_points_and_not_reached_is_open_beyond_every_cost() -> None:
    scores = _scores(2)
    chart = seeds(make_view(scores))
    drawn = {(r["strategy"], r["seed"]): r["x"] for r in _points(chart, "final")}
    assert drawn == {
        ("random", 0): pytest.approx(0.40),
        ("random", 1): pytest.approx(0.41),
        ("decomp", 0): pytest.approx(0.82),
        ("decomp", 1): pytest.approx(0.82),
    }
    costs = _points(chart, "cost to 95")
    closed = [r["x"] for r in costs if not r["open"]]
    opened = [r["x"] for r in costs if r["open"]]
    assert len(closed) == len(opened) == 2 and min(opened) > max(closed)


def test_a_measure_without_numbers_has_no_panel() -> None:
    low = {key: values for key, values in _scores(2).items() if key[0] == "random"}
    chart = seeds(make_view(low))
    assert not any(panel["title"]["text"].startswith("cost") for panel in chart["concat"])
    assert "NaN" not in vl_convert.vegalite_to_svg(configured(chart))
