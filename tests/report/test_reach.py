"""The reach table: seeds that never arrive, are unfinished or missing, and are there at once."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.errors import DataError
from al.report.reach import NO_STRATEGY, Reach, reach_markdown, reach_rows, table_row
from al.report.summaries import Summary, summaries
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


def _text(view: View, remark: str = "") -> str:
    return reach_markdown(reach_rows(view), view, remark)


def _cells(text: str, name: str) -> list[str]:
    """Cells behind a name, which may have a mark."""
    (line,) = [s for s in text.splitlines() if s.startswith(f"| {name} ")]
    return [c.strip() for c in line.strip("|").split("|")][1:]


def test_worked_example() -> None:
    view = make_view(SCORES, seeds=(0, 1, 2), notes={"random": "reads ground truth"})
    rows = _rows(view)
    assert list(rows) == ["random", "decomp", "full"], "the order of legends, references last"
    random, decomp, full = rows.values()
    assert decomp.threshold == pytest.approx(0.76)
    assert (decomp.reached, decomp.seeds, decomp.unfinished) == (2, 3, 0)
    # 4, 5 and beyond all: the mean of those that arrive would be 4.5.
    assert decomp.median == (pytest.approx(5), pytest.approx(5))
    assert decomp.lowest.value == pytest.approx(4) and decomp.highest == (math.inf, math.inf)
    assert (decomp.final_seeds, decomp.final_cycle) == (3, 3)
    # heights over 2..6: 0.2, 0.66, 0.86 -> 0.595; 0.2, 0.76, 0.80 -> 0.63; 0.2, 0.5, 0.6 -> 0.45
    assert decomp.area_mean == pytest.approx((0.595 + 0.63 + 0.45) / 3)
    assert (random.reached, random.seeds, random.median.low) == (0, 2, math.inf)
    assert random.final_sd == pytest.approx(0.0707107, abs=1e-6)
    assert (full.seeds, full.final_mean, full.final_cycle) == (2, pytest.approx(0.8), 0)
    assert math.isnan(full.median.value) and math.isnan(full.area_mean)
    text = _text(view)
    assert _cells(text, "decomp")[:3] == ["5.0", "2 of 3", "4.0 to not reached"]
    assert _cells(text, "random")[:4] == ["not reached", "0 of 2", "-", "0.450 ± 0.071"]
    assert _cells(text, "full") == ["", "2 seeds", "", "0.800 ± 0.028", ""]
    assert "\n(1) reads ground truth: random.\n" in text
    assert "0.760" in text and "1 of 3 seeds" in text, "the score to reach, and what random lacks"
    held = {name: table_row(row) for name, row in rows.items()}
    assert held["random"]["reached"] == 0 and math.isnan(held["random"]["median"])
    assert held["decomp"]["median"] == pytest.approx(5)


def test_unfinished_curves_are_open() -> None:
    scores: Scores = {
        ("a", 0): (0.2, 0.3, 0.4, 0.76),  # 8
        ("a", 1): (0.2, 0.3, 0.76, 0.8),  # 6
        ("a", 2): (0.2, 0.3),  # ends at 4
    }
    row, text = _rows(make_view(scores))["a"], _text(make_view(scores))
    assert (row.reached, row.unfinished, row.seeds) == (2, 1, 3)
    # Between 4, 6, 8 and 6, 8, never.
    assert row.median == (pytest.approx(6), pytest.approx(8))
    assert row.lowest == (pytest.approx(4), pytest.approx(6))
    assert row.highest == (pytest.approx(8), math.inf)
    assert _cells(text, "a")[:3] == ["6.0 to 8.0", "2 of 3", "≤ 6.0 to ≥ 8.0"]
    assert "1 unfinished" in text
    held = table_row(row)
    assert math.isnan(held["median"]) and math.isnan(held["lowest"])


def test_without_full_reference_or_strategies() -> None:
    view = make_view(SCORES, full=())
    assert _cells(_text(view), "decomp")[:2] == ["no full reference", "- of 3"]
    assert "nan" not in _text(view) and table_row(_rows(view)["decomp"])["reached"] is None
    view = make_view({("initial", 0): (0.2,), ("initial", 1): (0.2,)})
    assert list(_rows(view)) == ["full"], "the first cycle alone is no row"
    assert NO_STRATEGY in _text(view) and "initial" not in _text(view)
    both = make_view({**SCORES, ("initial", 7): (0.9,)})
    assert _rows(both) == _rows(make_view(SCORES)), "no curve that cuts the common range"
    with pytest.raises(ValueError, match="share is 95"):
        reach_rows(make_view(SCORES, share=95))
    with pytest.raises(DataError, match=r"no learning curves, only \['full'\]"):
        _text(make_view({}))


LEVELS = st.sampled_from([0.2, 0.5, 0.7, 0.76, 0.8])
CURVE = st.lists(LEVELS, min_size=2, max_size=5)


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
        # Whatever the open seeds turn out to be, the numbers lie within their ends and touch them.
        worlds = list(product(*map(_possible, reach)))
        for cost, of in ((row.median, median), (row.lowest, min), (row.highest, max)):
            found = [of(world) for world in worlds]
            assert cost == (pytest.approx(min(found)), pytest.approx(max(found)))
        text = _text(view)
        assert "nan" not in text and max(map(len, text.splitlines())) <= 100
