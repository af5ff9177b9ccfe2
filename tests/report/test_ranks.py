"""Mean ranks over runs and budgets, Friedman's test by its formula, and what is left out."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.measures import Summary
from al.report.ranks import RANK_COLUMNS, mean_ranks, rank_rows


def _summary(
    name: str, seed: int, value: float, run: str = "run", budget: str = "2x3", **more: float
) -> Summary:
    """Infinite is not reached, NaN is missing."""
    never = value == math.inf
    held = math.nan if never else value
    return Summary(run, budget, name, seed, "reach_95", held, never, **more)


def _of_runs(rows: list[list[float]], names: str = "abc") -> list[Summary]:
    """Runs with one budget and seed each; lower is better."""
    return [
        _summary(name, 0, value, f"r{i}")
        for i, row in enumerate(rows)
        for name, value in zip(names, row, strict=True)
    ]


def _means(summaries: list[Summary]) -> dict[str, float]:
    rows = mean_ranks(summaries, "reach_95")
    return {r["strategy"]: r["mean_rank"] for r in rows if not math.isnan(r["mean_rank"])}


def _notes(summaries: list[Summary]) -> dict[str, str]:
    return {r["strategy"]: r["note"] for r in mean_ranks(summaries, "reach_95")}


def test_friedman_by_hand_over_runs() -> None:
    rows = [[1, 2, 3]] * 5 + [[1, 3, 2], [2, 1, 3]]
    held = _of_runs(rows)
    first, *_ = mean_ranks(held, "reach_95")
    sums = [7 * mean for mean in _means(held).values()]
    by_hand = 12 / (7 * 3 * 4) * sum(v * v for v in sums) - 3 * 7 * 4
    assert first["p"] == pytest.approx(math.exp(-by_hand / 2)), "chi-square of 2 degrees of freedom"
    assert first["note"] == "" and first["blocks"] == 7
    # A run counts once, however many budgets it has.
    one = [_summary(n, 0, v, budget=f"{i}x1") for i in range(8) for v, n in enumerate("abc")]
    for few in (one, _of_runs([[1, 2]] * 6, "ab"), _of_runs([[1, 1, 1]] * 6)):
        row, *_ = mean_ranks(few, "reach_95")
        assert math.isnan(row["p"]) and row["note"] and not math.isnan(row["mean_rank"])


def test_what_is_left_out_and_why() -> None:
    held = _of_runs([[1, 2, 3], [1, 2, math.nan]])
    assert _means(held) == {"a": 1, "b": 2} and "r1" in _notes(held)["c"]
    assert _means(_of_runs([[1]], "a")) == {} and mean_ranks([], "reach_95") == []
    open_ = [_summary("a", 0, 3.0), _summary("b", 0, math.inf, ended=2.0)]
    whole = [_summary(n, 0, v, "other") for n, v in (("a", 7.0), ("b", 5.0))]
    apart = [_summary("a", 0, 1.0, "apart"), _summary("b", 1, 1.0, "apart")]
    held = [*open_, *whole, *apart]
    assert _means(held) == {"a": 2, "b": 1}
    assert "unfinished" in _notes(held)["run, 2x3"] and "seed" in _notes(held)["apart, 2x3"]
    assert all(row.keys() == set(RANK_COLUMNS) for row in rank_rows(held))
    # Of a seed that another strategy lacks an open curve is of no account.
    lacking = [*whole, _summary("b", 2, math.inf, "other", ended=2.0)]
    assert _means(lacking) == {"a": 2, "b": 1}


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.integers(0, 3)),
        st.sampled_from([1.0, 2.0, 4.0, math.inf]),
    )
)
def test_order_against_the_obvious(held: dict[tuple[str, int], float]) -> None:
    """Means over shared seeds; medians where one did not reach, which is beyond all."""
    shared = [s for s in range(4) if ("a", s) in held and ("b", s) in held]
    ranks = _means([_summary(*key, v) for key, v in held.items()])
    if not shared:
        assert ranks == {}
        return
    whole = all(held[n, s] < math.inf for n in "ab" for s in shared)
    of = (lambda own: sum(own) / len(own)) if whole else median
    values = {n: of([held[n, s] for s in shared]) for n in "ab"}
    assert ranks["a"] - ranks["b"] == (values["a"] > values["b"]) - (values["a"] < values["b"])
