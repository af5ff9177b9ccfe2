"""One number per seed: worked by hand, with seeds, cycles and references missing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from al.report.measures import MEASURES, Summary, measure_of, reach_name, summaries
from al.report.view import View

from .curve_sample import Scores, make_view


def _of(view: View, measure: str) -> dict[tuple[str, int], Summary]:
    return {(s.strategy, s.seed): s for s in summaries(view) if s.measure == measure}


SCORES: Scores = {
    ("decomp", 0): (0.2, 0.70, 0.82),
    ("decomp", 1): (0.2, 0.76, 0.80),
    ("random", 0): (0.2, 0.30, 0.40),
}


def test_worked_example() -> None:
    view = make_view(SCORES)
    areas = _of(view, "area")
    assert list(areas) == [("random", 0), ("decomp", 0), ("decomp", 1)], "the order of legends"
    assert areas["decomp", 0].value == pytest.approx((0.45 + 0.76) / 2)
    assert areas["random", 0].value == pytest.approx((0.25 + 0.35) / 2)
    assert _of(view, "final")["decomp", 0].value == 0.82
    reach = _of(view, "reach_95")  # 0.95 * 0.8 = 0.76
    assert reach["decomp", 0].value == pytest.approx(5)  # halfway from 0.70 to 0.82
    assert reach["decomp", 1].value == pytest.approx(4) and not reach["decomp", 1].at_most
    never = reach["random", 0]
    assert math.isnan(never.value) and never.censored and not never.missing
    assert math.isnan(never.ended), "its curve is complete"
    reaches = {"reach_90", "reach_95", "reach_99"}
    assert {s.measure for s in summaries(view)} == {*MEASURES, *reaches}
    half = _of(make_view(SCORES, share=0.5), "reach_50")  # 0.4
    assert half["random", 0].value == pytest.approx(6), "the share of the view is one more"
    assert "50 %" in measure_of("reach_50").label and reach_name(0.995) == "reach_99.5"
    (early, *_) = _of(make_view({("a", 0): (0.77, 0.78)}), "reach_95").values()
    assert early.value == 2 and early.at_most and not early.censored


def test_a_missing_cycle_is_interpolated() -> None:
    other = {("random", 0): (0.2, 0.2, 0.3, 0.4)}
    whole = make_view({("decomp", 0): (0.2, 0.4, 0.5, 0.7), **other})
    gap = make_view({("decomp", 0): (0.2, 0.4, None, 0.7), **other})
    # 0.55 in place of 0.5 in the middle of the last two of three intervals
    more = _of(gap, "area")["decomp", 0].value - _of(whole, "area")["decomp", 0].value
    assert more == pytest.approx(0.05 / 3)
    late = make_view({("decomp", 0): (None, 0.4, 0.5), ("random", 0): (0.2, 0.3, 0.4)})
    assert _of(late, "area")["random", 0].value == pytest.approx(0.35), "from 4 to 6"
    apart = make_view({("decomp", 0): (0.2,), ("random", 0): (0.2, 0.3)})
    assert _of(apart, "area")["random", 0].missing


def test_a_curve_that_ends_early() -> None:
    scores = {("random", 0): (0.2, 0.3, 0.4), ("random", 1): (0.2, 0.3, 0.7)}
    view = make_view({("decomp", 0): (0.2, 0.4), **scores})
    final = _of(view, "final")["decomp", 0]
    assert final.missing
    assert _of(view, "final")["random", 1].value == 0.7
    reach = _of(view, "reach_90")
    assert reach["decomp", 0].censored and reach["decomp", 0].ended == 4
    assert math.isnan(reach["random", 0].ended)
    assert _of(replace(view, cycles=5), "reach_90")["random", 0].ended == 6


def test_a_curve_that_goes_further_is_read_where_most_end() -> None:
    view = make_view({("a", 0): (0.2, 0.3, 0.5), ("b", 0): (0.2, 0.4), ("b", 1): (0.2, 0.6)})
    final = _of(view, "final")["a", 0]
    assert final.value == 0.3
    tie = make_view({("a", 0): (0.2, 0.3, 0.5), ("b", 0): (0.2, 0.4)})
    assert _of(tie, "final")["a", 0].value == 0.5, "of as many, the latest cycle"
    assert _of(tie, "final")["b", 0].missing


def test_without_reference_or_results() -> None:
    found = summaries(make_view(SCORES, full=()))
    assert {s.measure for s in found} == {"area", "final", "efficiency"}
    assert all(s.missing for s in found if s.measure == "efficiency")
    assert summaries(make_view({})) == []
    assert summaries(make_view({("initial", 0): (0.2,)})) == [], "no strategy has gone on"
    found = summaries(make_view({("initial", 0): (0.2,)}, cycles=1))
    assert {s.strategy for s in found} == {"initial"}, "all there is to come"
