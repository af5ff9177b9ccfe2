"""One number per seed: worked by hand, with seeds, cycles and references missing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from al.io.errors import DataError
from al.report.summaries import MEASURES, Summary, area_range, measure_of, reach_name, summaries
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
    assert "not reached up to 6" in never.note and math.isnan(never.ended), "its curve is complete"
    assert {s.measure for s in summaries(view)} == set(MEASURES)
    assert all(s.run == "run" and s.budget == "2x3" for s in summaries(view))
    (early, *_) = _of(make_view({("a", 0): (0.77, 0.78)}), "reach_95").values()
    assert early.value == 2 and early.at_most and not early.censored
    with pytest.raises(DataError, match="no cost 'rois_percent'"):
        summaries(replace(view, x="rois_percent"))


def test_the_share_of_the_view_is_one_more_measure() -> None:
    reach = _of(make_view(SCORES, share=0.5), "reach_50")  # 0.4
    assert reach["random", 0].value == pytest.approx(6)
    assert "50 %" in measure_of("reach_50").label and reach_name(0.995) == "reach_99.5"
    assert not measure_of("reach_50").higher_better and measure_of("area").higher_better
    with pytest.raises(KeyError):
        measure_of("speed")


def test_a_missing_cycle_is_interpolated_and_told() -> None:
    other = {("random", 0): (0.2, 0.2, 0.3, 0.4)}
    whole = make_view({("decomp", 0): (0.2, 0.4, 0.5, 0.7), **other})
    gap = make_view({("decomp", 0): (0.2, 0.4, None, 0.7), **other})
    area = _of(gap, "area")["decomp", 0]
    assert "cycle 3 is missing" in area.note
    # 0.55 in place of 0.5 in the middle of the last two of three intervals
    assert area.value - _of(whole, "area")["decomp", 0].value == pytest.approx(0.05 / 3)
    assert "missing" not in _of(gap, "area")["random", 0].note
    assert "cycle 3 is missing" in _of(gap, "reach_90")["decomp", 0].note
    late = make_view({("decomp", 0): (None, 0.4, 0.5), ("random", 0): (0.2, 0.3, 0.4)})
    assert "starts at cycle 2" in _of(late, "area")["decomp", 0].note
    assert area_range(late) == (4, 6)
    apart = make_view({("decomp", 0): (0.2,), ("random", 0): (0.2, 0.3)})
    area = _of(apart, "area")["random", 0]
    assert area.missing and "decomp, seed 0 ends at 2" in area.note


def test_a_curve_that_ends_early() -> None:
    scores = {("random", 0): (0.2, 0.3, 0.4), ("random", 1): (0.2, 0.3, 0.7)}
    view = make_view({("decomp", 0): (0.2, 0.4), **scores})
    final = _of(view, "final")["decomp", 0]
    assert final.missing and "ends at cycle 2" in final.note
    assert _of(view, "final")["random", 1].value == 0.7
    assert area_range(view) == (2, 4), "the range of all curves"
    reach = _of(view, "reach_90")
    assert reach["decomp", 0].censored and reach["decomp", 0].ended == 4
    assert math.isnan(reach["random", 0].ended)
    assert _of(replace(view, cycles=5), "reach_90")["random", 0].ended == 6


def test_a_curve_that_goes_further_is_read_where_most_end() -> None:
    view = make_view({("a", 0): (0.2, 0.3, 0.5), ("b", 0): (0.2, 0.4), ("b", 1): (0.2, 0.6)})
    final = _of(view, "final")["a", 0]
    assert final.value == 0.3 and "this one at cycle 3" in final.note
    tie = make_view({("a", 0): (0.2, 0.3, 0.5), ("b", 0): (0.2, 0.4)})
    assert _of(tie, "final")["a", 0].value == 0.5, "of as many, the latest cycle"
    assert _of(tie, "final")["b", 0].missing


def test_without_reference_or_results() -> None:
    found = summaries(make_view(SCORES, full=()))
    assert {s.measure for s in found} == {"area", "final", "efficiency"}
    assert all(s.missing and s.note for s in found if s.measure == "efficiency")
    assert summaries(make_view({})) == []
    assert summaries(make_view({("initial", 0): (0.2,)})) == [], "no strategy has gone on"
    assert all(math.isnan(v) for v in area_range(make_view({})))


def test_efficiency_is_that_of_the_seed() -> None:
    view = make_view(SCORES)
    for p in view.points:
        p.costs.update({"foreground_percent": 10.0 * p.cycle} if p.cycle else {})
    found = _of(view, "efficiency")
    # gaps of random, seed 0: 0.6, 0.5, 0.4 at 0, 0.1, 0.2 beyond the start
    grid = np.linspace(0, 10, 200_001)
    error = (0.6 * np.exp(-grid * 0.1) - 0.5) ** 2 + (0.6 * np.exp(-grid * 0.2) - 0.4) ** 2
    assert found["random", 0].value == pytest.approx(grid[np.argmin(error)], abs=1e-4)
