"""Mean ranks, Friedman's test by its formula, and what is left out."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.ranks import ONE_RUN, block_values, draw_ranks, mean_ranks, rank
from al.report.style import strategy_styles
from al.report.summaries import Summary
from al.report.tabulation import rank_rows


def _blocks(rows: list[list[float]], names: str = "abc") -> dict[str, dict[str, float]]:
    return {f"d{i}": dict(zip(names, row, strict=True)) for i, row in enumerate(rows)}


def test_worked_example_and_its_figure() -> None:
    ranks = mean_ranks(_blocks([[0.5, 0.7, 0.6], [0.5, 0.5, 0.4], [0.9, 0.8, 0.7]]), True)
    # a: 3, 1.5, 1; b: 1, 1.5, 2; c: 2, 3, 3
    assert ranks.strategies == ["b", "a", "c"]
    assert ranks.mean.tolist() == pytest.approx([1.5, 5.5 / 3, 8 / 3])
    assert ranks.ranks.tolist() == [[1, 3, 2], [1.5, 1.5, 3], [2, 1, 3]]
    assert math.isnan(ranks.p) and ranks.reason == "3 runs: no test below 6"
    axes = draw_ranks(ranks, strategy_styles("abc", {}), "area").axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ranks.strategies
    drawn = [np.asarray(c.get_offsets()) for c in axes.collections]
    assert [d[0, 0] for d in drawn[1::2]] == ranks.mean.tolist()
    for row in range(3):
        assert drawn[2 * row][:, 0].tolist() == ranks.ranks[:, row].tolist()


def test_friedman_by_hand_over_runs() -> None:
    rows = [[3, 2, 1]] * 5 + [[3, 1, 2], [2, 3, 1]]
    ranks = mean_ranks(_blocks(rows), True)
    sums = 7 * ranks.mean
    by_hand = 12 / (7 * 3 * 4) * float((sums**2).sum()) - 3 * 7 * 4
    assert ranks.statistic == pytest.approx(by_hand) and ranks.reason == ""
    assert ranks.p == pytest.approx(math.exp(-by_hand / 2)), "chi-square of 2 degrees of freedom"
    # A run counts once, however many budgets it has; the means are over all of them.
    blocks = {(f"r{i}", "2x3"): dict(zip("abc", row, strict=True)) for i, row in enumerate(rows)}
    turned = {("r0", "3x3"): {"a": 3, "b": 2, "c": 1}, ("r0", "4x3"): {"a": 2, "b": 3, "c": 1}}
    more = mean_ranks({**blocks, **turned}, True)
    assert (more.statistic, more.p) == (ranks.statistic, ranks.p) and len(more.blocks) == 9
    assert more.mean.tolist() != ranks.mean.tolist()
    one = mean_ranks({("r", f"{i}x1"): {"a": 1.0, "b": 2.0, "c": 3.0} for i in range(8)}, True)
    assert math.isnan(one.p) and one.reason == ONE_RUN


def test_what_is_left_out_and_why() -> None:
    rows = {
        ("r1", "2x3"): {"a": 1.0, "b": 2.0, "c": 3.0},
        ("r2", "2x3"): {"a": 1.0, "b": 2.0, "c": math.nan},
        ("r3", "9x9"): {"a": math.nan},
    }
    ranks = mean_ranks(rows, True)
    assert ranks.strategies == ["b", "a"] and ranks.blocks == [("r1", "2x3"), ("r2", "2x3")]
    assert ranks.left_out == {"r3, 9x9": "no values", "c": "not in r2, 2x3"}
    assert mean_ranks({"d": {"a": 1.0}}, True) is None and mean_ranks({}, True) is None
    assert "no test below 3" in mean_ranks(_blocks([[1, 2]] * 6, "ab"), True).reason
    assert "equal in every run" in mean_ranks(_blocks([[1, 1, 1]] * 6), True).reason


def _summary(name: str, seed: int, value: float, budget: str = "2x3", **more: object) -> Summary:
    """Infinite is not reached, NaN is missing."""
    never = value == math.inf
    given_value = math.nan if never else value
    return Summary("run", budget, name, seed, "reach_95", given_value, never, "", **more)


def test_an_unfinished_curve_leaves_its_block_open() -> None:
    whole = [_summary(n, s, 3.0 + s) for n in "ab" for s in (0, 1)]
    other = [_summary(n, s, v, "9x9") for n, v in (("a", 7.0), ("b", 5.0)) for s in (0, 1)]
    held = [*whole[:3], _summary("b", 1, math.inf, ended=2.0), *other]
    values = {("run", "2x3"): {}, ("run", "9x9"): {"a": 7.0, "b": 5.0}}
    assert block_values(held, "reach_95") == values
    ranks = rank(held, "reach_95")
    assert ranks.blocks == [("run", "9x9")]
    assert ranks.strategies == ["b", "a"], "lower is better, as the measure says"
    assert ranks.left_out == {"run, 2x3": "open: 1 curve unfinished"}
    assert rank(held[:4], "reach_95") is None
    # Of a seed that another strategy lacks it is of no account.
    lacking = [*whole, _summary("b", 2, math.inf, ended=2.0)]
    assert block_values(lacking, "reach_95")["run", "2x3"] == {"a": 3.5, "b": 3.5}


def test_rows_of_the_table_say_what_is_left_out() -> None:
    whole = [_summary(n, s, 3.0 + s + (n == "b")) for n in "ab" for s in (0, 1)]
    lacking = [_summary("a", s, 3.0, "9x9") for s in (0, 1)] + [_summary("b", 1, 5.0, "9x9")]
    rows = rank_rows([*whole, *lacking])
    assert [(r["strategy"], r["mean_rank"], r["blocks"]) for r in rows] == [
        *(("a", 1.0, 2), ("b", 2.0, 2)),
    ]
    assert all("1 of 2 seeds" in r["note"] for r in rows)
    (row,) = rank_rows([*whole, _summary("a", 2, 1.0), _summary("b", 2, math.inf, ended=2.0)])
    assert (row["strategy"], row["mean_rank"], row["blocks"]) == ("run, 2x3", None, 0)
    assert "1 curve unfinished" in row["note"]


@settings(deadline=None, max_examples=20)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.integers(0, 3)),
        st.sampled_from([1.0, 2.0, 4.0, math.inf]),
    )
)
def test_values_against_the_obvious(held: dict[tuple[str, int], float]) -> None:
    """Over shared seeds; medians where one did not reach, which is beyond all."""
    names = {name for name, _ in held}
    shared = [s for s in range(4) if all((n, s) in held for n in names)]
    found = block_values([_summary(*key, v) for key, v in held.items()], "reach_95")
    whole = all(held[n, s] < math.inf for n in names for s in shared)
    values = found.get(("run", "2x3"), {})
    assert values.keys() == (names if shared else set())
    for name, value in values.items():
        own = sorted(held[name, s] for s in shared)
        assert value == pytest.approx(sum(own) / len(own) if whole else median(own))
