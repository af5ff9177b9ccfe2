"""Mean ranks, Friedman's test by its formula, and what is left out."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.report.ranks import ONE_RUN, block_values, blocks_of, draw_ranks, mean_ranks, rank
from al.report.style import strategy_styles
from al.report.summaries import Summary
from al.report.tabulation import rank_rows


def _blocks(rows: list[list[float]], names: str = "abc") -> dict[str, dict[str, float]]:
    return {f"d{i}": dict(zip(names, row, strict=True)) for i, row in enumerate(rows)}


def test_worked_example() -> None:
    ranks = mean_ranks(_blocks([[0.5, 0.7, 0.6], [0.5, 0.5, 0.4], [0.9, 0.8, 0.7]]), True)
    assert ranks is not None
    # a: 3, 1.5, 1; b: 1, 1.5, 2; c: 2, 3, 3
    assert ranks.strategies == ["b", "a", "c"]
    assert ranks.mean.tolist() == pytest.approx([1.5, 5.5 / 3, 8 / 3])
    assert ranks.ranks.tolist() == [[1, 3, 2], [1.5, 1.5, 3], [2, 1, 3]]
    assert math.isnan(ranks.p) and ranks.reason == "3 runs: no test below 6"


def test_friedman_by_hand() -> None:
    rows = [[3, 2, 1]] * 5 + [[3, 1, 2], [2, 3, 1]]
    ranks = mean_ranks(_blocks(rows), True)
    assert ranks is not None and ranks.reason == ""
    sums = 7 * ranks.mean
    by_hand = 12 / (7 * 3 * 4) * float((sums**2).sum()) - 3 * 7 * 4
    assert ranks.statistic == pytest.approx(by_hand)
    assert ranks.p == pytest.approx(math.exp(-by_hand / 2)), "chi-square of 2 degrees of freedom"


def test_what_is_left_out_and_why() -> None:
    rows = {
        ("r1", "2x3"): {"a": 1.0, "b": 2.0, "c": 3.0},
        ("r2", "2x3"): {"a": 1.0, "b": 2.0, "c": math.nan},
        ("r3", "9x9"): {"a": math.nan},
    }
    ranks = mean_ranks(rows, True)
    assert ranks is not None
    assert ranks.strategies == ["b", "a"] and ranks.blocks == [("r1", "2x3"), ("r2", "2x3")]
    assert ranks.left_out == {"r3, 9x9": "no values", "c": "not in r2, 2x3"}
    assert mean_ranks({"d": {"a": 1.0}}, True) is None and mean_ranks({}, True) is None
    two = mean_ranks(_blocks([[1, 2]] * 6, "ab"), True)
    assert two is not None and "no test below 3" in two.reason
    same = mean_ranks(_blocks([[1, 1, 1]] * 6), True)
    assert same is not None and "equal in every run" in same.reason


def test_budgets_of_one_run_are_not_tested() -> None:
    ranks = mean_ranks({("r", f"{i}x1"): {"a": 1.0, "b": 2.0, "c": 3.0} for i in range(8)}, True)
    assert ranks is not None and ranks.mean.tolist() == [1, 2, 3]
    assert math.isnan(ranks.p) and ranks.reason == ONE_RUN
    five = {(f"r{i % 5}", f"{i}x1"): {"a": 1.0, "b": 2.0, "c": 3.0} for i in range(10)}
    ranks = mean_ranks(five, True)
    assert ranks is not None and ranks.reason == "5 runs: no test below 6"


def test_a_run_counts_once_however_many_budgets() -> None:
    """The test is that of the mean ranks of six runs, ranked again; the means are over all."""
    once = [[3, 2, 1]] * 4 + [[3, 1, 2], [2, 3, 1]]
    blocks = {(f"r{i}", "2x3"): dict(zip("abc", row, strict=True)) for i, row in enumerate(once)}
    single = mean_ranks(blocks, True)
    # Three budgets of a run, one of which differs: its mean ranks are in the same order.
    turned = {("r0", "3x3"): {"a": 3, "b": 2, "c": 1}, ("r0", "4x3"): {"a": 2, "b": 3, "c": 1}}
    more = mean_ranks({**blocks, **turned}, True)
    assert single is not None and more is not None and len(more.blocks) == 8
    assert (more.statistic, more.p) == (single.statistic, single.p) and more.reason == ""
    assert more.mean.tolist() != single.mean.tolist()
    assert more.mean.tolist() == pytest.approx(more.ranks.mean(axis=0).tolist())


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=5))
def test_ranks_sum_up_and_follow_the_direction(rows: list[tuple[int, ...]]) -> None:
    up = mean_ranks(_blocks([list(r) for r in rows]), True)
    down = mean_ranks(_blocks([[-v for v in r] for r in rows]), False)
    assert up is not None and down is not None
    assert up.ranks.sum(axis=1).tolist() == [6.0] * len(rows)
    assert up.strategies == down.strategies and up.mean.tolist() == down.mean.tolist()
    for i, row in enumerate(rows):
        for name, found in zip(up.strategies, up.ranks[i], strict=True):
            own = row["abc".index(name)]
            above, equal = sum(v > own for v in row), sum(v == own for v in row)
            assert found == above + (equal + 1) / 2


def _summary(name: str, seed: int, value: float, budget: str = "2x3", **more: object) -> Summary:
    """Infinite is not reached, NaN is missing."""
    never = value == math.inf
    given_value = math.nan if never else value
    return Summary("run", budget, name, seed, "reach_95", given_value, never, "", **more)


def test_values_of_blocks_are_over_shared_seeds() -> None:
    found = [_summary("a", s, v) for s, v in enumerate((3.0, 4.0, 8.0))]
    found += [_summary("b", s, v) for s, v in enumerate((5.0, 6.0, math.nan))]
    # Seed 2 of b is missing, so that of a does not count either: 3.5, not 5.
    assert block_values(found, "reach_95") == {("run", "2x3"): {"a": 3.5, "b": 5.5}}
    (block,) = blocks_of(found, "reach_95").values()
    assert "2 of 3 seeds" in block.note and block.why == ""
    assert block_values(found, "area") == {}
    assert blocks_of(found[:3], "reach_95")["run", "2x3"].note == ""


def test_not_reached_is_beyond_all_in_medians() -> None:
    found = [_summary("a", s, v) for s, v in enumerate((3.0, 4.0, 11.0))]
    found += [_summary("b", s, v) for s, v in enumerate((5.0, 6.0, math.inf))]
    found += [_summary("c", s, v) for s, v in enumerate((5.0, math.inf, math.inf))]
    values = block_values(found, "reach_95")["run", "2x3"]
    assert values == {"a": 4.0, "b": 6.0, "c": math.inf}, "medians, where one did not reach"
    # Of the two seeds that d shares, the middle of b is halfway to infinity.
    found += [_summary("d", s, v) for s, v in ((0, 5.0), (2, 7.0))]
    values = block_values(found, "reach_95")["run", "2x3"]
    assert values == {"a": 7.0, "b": math.inf, "c": math.inf, "d": 6.0}


def test_an_unfinished_curve_leaves_its_block_open() -> None:
    whole = [_summary(n, s, 3.0 + s) for n in "ab" for s in (0, 1)]
    other = [_summary(n, s, v, "9x9") for n, v in (("a", 7.0), ("b", 5.0)) for s in (0, 1)]
    held = [*whole[:3], _summary("b", 1, math.inf, ended=2.0), *other]
    assert block_values(held, "reach_95") == {
        ("run", "2x3"): {},
        ("run", "9x9"): {"a": 7.0, "b": 5.0},
    }
    ranks = rank(held, "reach_95")
    assert ranks is not None and ranks.blocks == [("run", "9x9")]
    assert ranks.strategies == ["b", "a"], "lower is better, as the measure says"
    assert ranks.left_out == {"run, 2x3": "open: 1 curve unfinished"}
    assert rank(held[:4], "reach_95") is None
    # Of a seed that another strategy lacks it is of no account.
    lacking = [*whole, _summary("b", 2, math.inf, ended=2.0)]
    assert block_values(lacking, "reach_95")["run", "2x3"] == {"a": 3.5, "b": 3.5}


def test_rows_of_the_table_say_what_is_left_out() -> None:
    whole = [_summary(n, s, 3.0 + s + (n == "b")) for n in "ab" for s in (0, 1)]
    lacking = [_summary("a", s, 3.0, "9x9") for s in (0, 1)] + [_summary("b", 1, 5.0, "9x9")]
    rows = {r["strategy"]: r for r in rank_rows([*whole, *lacking])}
    assert {n: (r["mean_rank"], r["blocks"]) for n, r in rows.items()} == {
        "a": (1.0, 2), "b": (2.0, 2),
    }  # fmt: skip
    assert all("1 of 2 seeds" in r["note"] for r in rows.values())
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
def test_values_do_not_depend_on_seeds_that_are_not_shared(
    held: dict[tuple[str, int], float],
) -> None:
    found = [_summary(*key, value) for key, value in held.items()]
    names = {name for name, _ in held}
    shared = [s for s in range(4) if all((n, s) in held for n in names)]
    kept = [s for s in found if s.seed in shared]
    assert rank(found, "reach_95") is None or names
    values = block_values(found, "reach_95").get(("run", "2x3"), {})
    assert values == block_values(kept, "reach_95").get(("run", "2x3"), {})
    for name, value in values.items():
        own = sorted(held[name, s] for s in shared)
        whole = all(held[n, s] < math.inf for n in names for s in shared)
        assert value == pytest.approx(sum(own) / len(own) if whole else median(own))


def test_the_figure_has_every_rank_and_mean() -> None:
    ranks = mean_ranks(_blocks([[1, 2, 3], [1, 3, 2], [1, 1, 3]]), True)
    assert ranks is not None
    figure = draw_ranks(ranks, strategy_styles("abc", {}), "area")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ranks.strategies
    drawn = [np.asarray(c.get_offsets()) for c in axes.collections]
    assert [d[0, 0] for d in drawn[1::2]] == ranks.mean.tolist()
    for row in range(3):
        assert drawn[2 * row][:, 0].tolist() == ranks.ranks[:, row].tolist()
        assert np.abs(drawn[2 * row][:, 1] - row).max() < 0.5
