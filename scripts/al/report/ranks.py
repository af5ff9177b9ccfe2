"""Mean ranks of strategies over runs and budgets, where several runs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np

from .comparisons import FEWEST
from .measures import Summary, measure_of
from .statistics import mean_ranks_of

Block = tuple[str, str]  # a run and budget
RANK_COLUMNS = ("measure", "strategy", "mean_rank", "blocks", "p", "note")
FEWEST_STRATEGIES = 3


def rank_rows(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Mean ranks of strategies in each measure, 1 for the best; keys ``RANK_COLUMNS``."""
    return [
        {"measure": measure, **row}
        for measure in dict.fromkeys(s.measure for s in summaries)
        for row in mean_ranks(summaries, measure)
    ]


def mean_ranks(summaries: Sequence[Summary], measure: str) -> list[dict[str, Any]]:
    """Rank the strategies that all blocks have in a measure, block by block.

    A block, a run and budget, has one value per strategy: the mean over the seeds that all its
    strategies have, or, where one of these seeds has not reached the score, the median with ``not
    reached`` as infinite. Blocks count alike, however many seeds they have (Demsar 2006). Blocks of
    one run share seeds and test images, so Friedman's test (chi-square) is over runs: the mean
    ranks of each, ranked again, from ``FEWEST`` runs and three strategies on.

    Returns:
        a row per strategy with its ``mean_rank``, the number of ``blocks``, ``p`` of the test (NaN
        where there is none, for what ``note`` says); then one for whatever is left out, with the
        reason as ``note``. No strategy is ranked where fewer than two are in all blocks.
    """
    mine = [s for s in summaries if s.measure == measure and not s.missing]
    found = {
        block: _values([s for s in mine if (s.run, s.budget) == block])
        for block in dict.fromkeys((s.run, s.budget) for s in mine)
    }
    why = "no seed that its strategies share, or an unfinished curve leaves the order open"
    left_out = {", ".join(block): why for block, own in found.items() if not own}
    values = {block: own for block, own in found.items() if own}
    names = list(dict.fromkeys(n for own in values.values() for n in own))
    lacking = {n: [", ".join(b) for b, own in values.items() if n not in own] for n in names}
    left_out |= {n: f"not in {'; '.join(blocks)}" for n, blocks in lacking.items() if blocks}
    names = [n for n in names if not lacking[n]]
    rows: list[dict[str, Any]] = []
    if len(names) > 1:
        table = np.array([[own[n] for n in names] for own in values.values()])
        ranks = _ranked(table if not measure_of(measure).higher_better else -table)
        p, reason = _friedman([run for run, _ in values], ranks)
        held = {"blocks": len(values), "p": p, "note": reason}
        means = zip(names, ranks.mean(axis=0).tolist(), strict=True)
        rows = [{"strategy": name, "mean_rank": mean, **held} for name, mean in means]
    none = {"mean_rank": nan, "blocks": len(values), "p": nan}
    return rows + [{"strategy": name, **none, "note": why} for name, why in left_out.items()]


def _values(own: Sequence[Summary]) -> dict[str, float]:
    """The values of a block by strategy, none where there is no order."""
    names = dict.fromkeys(s.strategy for s in own)
    shared = set.intersection(*({s.seed for s in own if s.strategy == n} for n in names))
    own = [s for s in own if s.seed in shared]
    if any(s.unfinished for s in own):
        return {}
    # A mean of infinite values would rank by one seed alone.
    middle = np.median if any(s.censored or s.value == inf for s in own) else np.mean
    held = {n: [inf if s.censored else s.value for s in own if s.strategy == n] for n in names}
    return {name: float(middle(values)) for name, values in held.items() if values}


def _ranked(table: np.ndarray) -> np.ndarray:
    """Ranks within the rows of (B, S), 1 for the lowest; what differs by rounding is equal."""
    return np.array([mean_ranks_of(row) for row in np.round(table, 12)])


def _friedman(runs: Sequence[str], ranks: np.ndarray) -> tuple[float, str]:
    """p over runs of (B, S) ranks, or why there is none."""
    names = list(dict.fromkeys(runs))
    if len(names) < FEWEST or ranks.shape[1] < FEWEST_STRATEGIES:
        return nan, f"no test below {FEWEST} runs and {FEWEST_STRATEGIES} strategies"
    again = _ranked(np.array([ranks[[r == n for r in runs]].mean(axis=0) for n in names]))
    if (again == again[:, :1]).all():
        return nan, "all strategies are equal in every run"
    from scipy.stats import friedmanchisquare

    return float(friedmanchisquare(*again.T).pvalue), ""
