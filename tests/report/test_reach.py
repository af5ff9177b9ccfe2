"""The reach table: seeds that never arrive, are unfinished or missing, and are there at once."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.measures import Summary, summaries
from al.report.reach import Reach, reach_cells, reach_head, reach_rows
from al.report.view import View

from .curve_sample import Scores, make_view

# Full is 0.8, so 95 % is 0.76; cycles 1, 2, 3 cost 2, 4, 6.
SCORES: Scores = {
    ("random", 0): (0.2, 0.30, 0.40),
    ("random", 1): (0.2, 0.30, 0.50),
    ("decomp", 0): (0.2, 0.66, 0.86),  # halfway between 4 and 6: 5
    ("decomp", 1): (0.2, 0.76, 0.80),  # 4
    ("decomp", 2): (0.2, 0.50, 0.60),  # not reached
}


def _rows(view: View) -> dict[str, Reach]:
    return {r.strategy: r for r in reach_rows(view)}


def _cells(view: View) -> dict[str, list[str]]:
    return {name: cells for _, name, *cells in reach_cells(view)}


def test_worked_example() -> None:
    view = make_view(SCORES)
    rows = _rows(view)
    assert list(rows) == ["random", "decomp", "full"], "the order of legends, references last"
    random, decomp, full = rows.values()
    assert decomp.threshold == pytest.approx(0.76)
    assert (decomp.reached, decomp.seeds, decomp.unfinished) == (2, 3, 0)
    # 4, 5 and beyond all: the mean of those that arrive would be 4.5.
    assert decomp.median == (pytest.approx(5), pytest.approx(5))
    assert (decomp.final_seeds, decomp.final_cycle, decomp.final_cost) == (3, 3, 6)
    # heights over 2..6: 0.2, 0.66, 0.86 -> 0.595; 0.2, 0.76, 0.80 -> 0.63; 0.2, 0.5, 0.6 -> 0.45
    assert decomp.area_mean == pytest.approx((0.595 + 0.63 + 0.45) / 3)
    assert (random.reached, random.seeds, random.median.low) == (0, 2, math.inf)
    assert random.final_sd == pytest.approx(0.0707107, abs=1e-6)
    assert (full.seeds, full.final_mean, full.final_cycle) == (2, pytest.approx(0.8), 0)
    assert math.isnan(full.median.low) and math.isnan(full.area_mean)
    cells = _cells(view)
    assert cells["decomp"][:2] == ["5.0", "2 of 3"]
    assert cells["random"][:3] == ["not reached", "0 of 2", "0.450 ± 0.071"]
    assert cells["full"] == ["", "2 seeds", "0.800 ± 0.028", ""]
    assert len(reach_head(view)) == 6


def test_unfinished_curves_are_open() -> None:
    scores: Scores = {
        ("a", 0): (0.2, 0.3, 0.4, 0.76),  # 8
        ("a", 1): (0.2, 0.3, 0.76, 0.8),  # 6
        ("a", 2): (0.2, 0.3),  # ends at 4
    }
    row = _rows(make_view(scores))["a"]
    assert (row.reached, row.unfinished, row.seeds) == (2, 1, 3)
    # Between 4, 6, 8 and 6, 8, never.
    assert row.median == (pytest.approx(6), pytest.approx(8))
    assert _cells(make_view(scores))["a"][:2] == ["6.0 to 8.0", "2 of 3"]


def test_without_full_reference_or_strategies() -> None:
    view = make_view(SCORES, full=())
    assert _cells(view)["decomp"][:2] == ["no full reference", "- of 3"]
    assert _rows(view)["decomp"].reached is None
    view = make_view({("initial", 0): (0.2,), ("initial", 1): (0.2,)})
    assert list(_rows(view)) == ["full"], "the first cycle alone is no row"
    both = make_view({**SCORES, ("initial", 7): (0.9,)})
    assert _rows(both)["random"] == _rows(make_view(SCORES))["random"], "it cuts no common range"
    for full in ((0.8,), ()):
        view = make_view({("initial", 0): (0.77,), ("initial", 1): (0.5,)}, full=full, cycles=1)
        row = _rows(view)["initial"]
        assert (row.seeds, row.final_mean, row.final_cycle) == (2, pytest.approx(0.635), 1)
        assert (row.reached, row.unfinished) == (1 if full else None, 0) and row.final_cost == 2


CURVE = st.lists(st.sampled_from([0.2, 0.5, 0.7, 0.76, 0.8]), min_size=2, max_size=5)


@st.composite
def runs(draw: st.DrawFn) -> View:
    """Few strategies and seeds, curves of any length."""
    seeds = range(draw(st.integers(1, 4)))
    scores = {(n, s): tuple(draw(CURVE)) for n in ("random", "decomp") for s in seeds}
    return replace(make_view(scores), cycles=draw(st.integers(0, 6)))


def _possible(s: Summary) -> list[float]:
    """Costs that the true one of a seed may be, among them the outermost."""
    if s.censored:
        return [math.inf] if math.isnan(s.ended) else [s.ended, s.ended + 1.5, math.inf]
    return [0.0, s.value / 2, s.value] if s.at_most else [s.value]


@settings(deadline=None, max_examples=25)
@given(runs())
def test_the_numbers_are_those_of_the_summaries(view: View) -> None:
    for name, row in _rows(view).items():
        if row.is_reference:
            continue
        own = [s for s in summaries(view) if s.strategy == name]
        reach = [s for s in own if s.measure == "reach_95"]
        assert row.seeds == len(reach) and row.reached == sum(not s.censored for s in reach)
        for measure, mean in (("final", row.final_mean), ("area", row.area_mean)):
            values = [s.value for s in own if s.measure == measure and not s.missing]
            expected = sum(values) / len(values) if values else math.nan
            assert mean == pytest.approx(expected, nan_ok=True)
        # Whatever the open seeds turn out to be, the median lies within its ends and touches them.
        found = [median(world) for world in product(*map(_possible, reach))]
        assert row.median == (pytest.approx(min(found)), pytest.approx(max(found)))
    assert "nan" not in str(reach_cells(view))
