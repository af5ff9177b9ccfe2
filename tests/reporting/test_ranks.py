"""Mean ranks, Friedman's test by its formula, and what is left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.ranks import block_values, draw_ranks, mean_ranks
from reporting.style import save, strategy_styles
from reporting.summaries import Summary


def _blocks(rows: list[list[float]], names: str = "abc") -> dict[str, dict[str, float]]:
    return {f"d{i}": dict(zip(names, row, strict=True)) for i, row in enumerate(rows)}


def test_worked_example() -> None:
    ranks = mean_ranks(_blocks([[0.5, 0.7, 0.6], [0.5, 0.5, 0.4], [0.9, 0.8, 0.7]]), True)
    assert ranks is not None
    # a: 3, 1.5, 1; b: 1, 1.5, 2; c: 2, 3, 3
    assert ranks.strategies == ["b", "a", "c"]
    assert ranks.mean.tolist() == pytest.approx([1.5, 5.5 / 3, 8 / 3])
    assert ranks.ranks.tolist() == [[1, 3, 2], [1.5, 1.5, 3], [2, 1, 3]]
    assert math.isnan(ranks.p) and ranks.reason == "3 blocks: no test below 6"
    assert all(math.isnan(p.p) and math.isnan(p.p_holm) for p in ranks.pairs)
    ab = ranks.pairs[0]
    assert (ab.first, ab.second) == ("b", "a")
    assert (ab.first_better, ab.second_better, ab.ties) == (1, 1, 1)


def test_lower_is_better_and_not_reached_is_last() -> None:
    ranks = mean_ranks(_blocks([[3, math.inf, math.inf], [4, 5, 6]]), False)
    assert ranks is not None and ranks.strategies == ["a", "b", "c"]
    assert ranks.ranks.tolist() == [[1, 2.5, 2.5], [1, 2, 3]]
    assert (ranks.pairs[2].first_better, ranks.pairs[2].ties) == (1, 1)


def test_friedman_and_pairs_by_hand() -> None:
    rows = [[3, 2, 1]] * 5 + [[3, 1, 2], [2, 3, 1]]
    ranks = mean_ranks(_blocks(rows), True)
    assert ranks is not None and ranks.reason == ""
    sums = 7 * ranks.mean
    by_hand = 12 / (7 * 3 * 4) * float((sums**2).sum()) - 3 * 7 * 4
    assert ranks.statistic == pytest.approx(by_hand)
    assert ranks.p == pytest.approx(math.exp(-by_hand / 2)), "chi-square of 2 degrees of freedom"
    a_b = next(p for p in ranks.pairs if (p.first, p.second) == ("a", "b"))
    # differences 1, 1, 1, 1, 1, 2, -1: ranks 3.5 six times and 7; one of 3.5 is negative.
    # At most as low: none (1) or one of 3.5 (6) negative, or 7 alone (1): 2 * 7 / 128 without 7.
    assert (a_b.first_better, a_b.second_better) == (6, 1)
    assert a_b.p == pytest.approx(2 * 7 / 128)
    smallest = min(p.p for p in ranks.pairs)
    assert min(p.p_holm for p in ranks.pairs) == pytest.approx(min(1, 3 * smallest))


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
    assert two.pairs[0].p == pytest.approx(2 / 64)
    same = mean_ranks(_blocks([[1, 1, 1]] * 6), True)
    assert same is not None and "equal in every block" in same.reason


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=5))
def test_ranks_sum_up_and_follow_the_direction(rows: list[tuple[int, ...]]) -> None:
    up = mean_ranks(_blocks([list(r) for r in rows]), True)
    down = mean_ranks(_blocks([[-v for v in r] for r in rows]), False)
    assert up is not None and down is not None
    assert up.ranks.sum(axis=1).tolist() == [6.0] * len(rows)
    assert up.strategies == down.strategies and up.mean.tolist() == down.mean.tolist()
    for i, row in enumerate(rows):
        for name, rank in zip(up.strategies, up.ranks[i], strict=True):
            own = row["abc".index(name)]
            above, equal = sum(v > own for v in row), sum(v == own for v in row)
            assert rank == above + (equal + 1) / 2


def test_values_of_blocks() -> None:
    def summary(name: str, seed: int, value: float, budget: str = "2x3") -> Summary:
        never = value == math.inf
        given_value = math.nan if never else value
        return Summary("run", budget, name, seed, "reach_95", given_value, never, "")

    found = [summary("a", s, v) for s, v in enumerate((3.0, 4.0, 8.0))]
    found += [summary("b", s, v) for s, v in enumerate((5.0, 6.0, math.nan))]
    assert block_values(found, "reach_95") == {("run", "2x3"): {"a": 5.0, "b": 5.5}}
    found += [summary("c", s, v) for s, v in enumerate((5.0, math.inf, math.inf))]
    values = block_values(found, "reach_95")["run", "2x3"]
    assert values == {"a": 4.0, "b": 5.5, "c": math.inf}, "medians, where one did not reach"
    found += [summary("d", s, v) for s, v in enumerate((5.0, math.inf))]
    assert block_values(found, "reach_95")["run", "2x3"]["d"] == math.inf
    assert block_values(found, "area") == {}


def test_the_figure_has_every_rank_and_mean(tmp_path: Path) -> None:
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
    assert "no test below 6" in figure.get_supxlabel()
    save(figure, tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 1000
