"""Mean ranks of strategies over datasets and budgets."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, nan
from typing import Any

import numpy as np

from .comparisons import FEWEST, holm, signed_rank
from .style import INK, Style, new_figure
from .summaries import Summary, measure_of

FEWEST_STRATEGIES = 3


@dataclass(frozen=True)
class RankPair:
    """Two strategies over the blocks: the exact signed-rank test on their values, with Holm."""

    first: str
    second: str
    first_better: int
    second_better: int
    ties: int
    p: float
    p_holm: float


@dataclass(frozen=True)
class Ranks:
    """Ranks of strategies within blocks (a dataset and budget); rank 1 is the best.

    Attributes:
        strategies: ranked together, S of them, best mean rank first.
        blocks: B of them.
        ranks: (B, S); equal values share the mean of their ranks.
        mean: (S,) over the blocks.
        left_out: strategy or block -> why it is not ranked.
        statistic, p: Friedman's test; NaN where there is none.
        reason: why there is none; empty otherwise.
        pairs: all pairs; p is NaN with fewer than ``FEWEST`` blocks.
    """

    strategies: list[str]
    blocks: list[Hashable]
    ranks: np.ndarray
    mean: np.ndarray
    left_out: dict[str, str]
    statistic: float
    p: float
    reason: str
    pairs: list[RankPair]


def block_values(
    summaries: Sequence[Summary], measure: str
) -> dict[tuple[str, str], dict[str, float]]:
    """One value per block (run, budget) and strategy: the mean over seeds.

    Where a seed of the block has not reached the score, medians instead, for all its strategies,
    with ``not reached`` as infinite. Strategies without any value are left out.
    """
    mine = [s for s in summaries if s.measure == measure and not s.missing]
    found: dict[tuple[str, str], dict[str, float]] = {}
    for block in dict.fromkeys((s.run, s.budget) for s in mine):
        own = [s for s in mine if (s.run, s.budget) == block]
        middle = np.median if any(s.censored or s.value == inf for s in own) else np.mean
        found[block] = {}
        for name in dict.fromkeys(s.strategy for s in own):
            values = [inf if s.censored else s.value for s in own if s.strategy == name]
            found[block][name] = float(_finite_or_inf(middle, values))
    return found


def _finite_or_inf(middle: Any, values: list[float]) -> float:
    """``middle`` of the values; infinite where it falls between a number and infinity."""
    with np.errstate(invalid="ignore"):
        return float(middle(np.array(values)))


def mean_ranks(values: Mapping[Hashable, Mapping[str, float]], higher_better: bool) -> Ranks | None:
    """Rank the strategies that all blocks have, block by block, and average.

    Friedman's test (chi-square) with at least ``FEWEST`` blocks and three strategies; pairs by the
    exact signed-rank test over blocks, Holm's correction over all of them. Blocks count alike,
    however many seeds they have (Demsar 2006).

    Args:
        values: block -> strategy -> value; NaN is no value, infinite values rank last or first.
        higher_better: whether rank 1 is the highest value.

    Returns:
        ``None`` where fewer than two strategies are in all blocks that have values.
    """
    has = {b: {n: v for n, v in own.items() if v == v} for b, own in values.items()}
    left_out = {_name(b): "no values" for b, own in has.items() if not own}
    blocks = [b for b, own in has.items() if own]
    names = list(dict.fromkeys(n for b in blocks for n in has[b]))
    for n in names:
        if lacking := [_name(b) for b in blocks if n not in has[b]]:
            left_out[n] = f"not in {', '.join(lacking)}"
    names = [n for n in names if n not in left_out]
    if len(names) < 2:
        return None
    table = np.array([[has[b][n] for n in names] for b in blocks], float)
    ranks = _rank(table, higher_better)
    mean = ranks.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    statistic, p, reason = _friedman(ranks)
    pairs = _pairs([names[i] for i in order], table[:, order], higher_better)
    return Ranks(
        [names[i] for i in order],
        blocks,
        ranks[:, order],
        mean[order],
        left_out,
        statistic,
        p,
        reason,
        pairs,
    )


def _name(block: Hashable) -> str:
    return ", ".join(map(str, block)) if isinstance(block, tuple) else str(block)


def _rank(table: np.ndarray, higher_better: bool) -> np.ndarray:
    from scipy.stats import rankdata

    # Scores that differ by rounding alone are equal.
    return rankdata(np.round(-table if higher_better else table, 12), axis=1)


def _friedman(ranks: np.ndarray) -> tuple[float, float, str]:
    from scipy.stats import friedmanchisquare

    blocks, strategies = ranks.shape
    if blocks < FEWEST:
        return nan, nan, f"{_count(blocks, 'block')}: no test below {FEWEST}"
    if strategies < FEWEST_STRATEGIES:
        return nan, nan, f"{strategies} strategies: no test below {FEWEST_STRATEGIES}"
    if (ranks == ranks[:, :1]).all():
        return nan, nan, "all strategies are equal in every block"
    found = friedmanchisquare(*ranks.T)
    return float(found.statistic), float(found.pvalue), ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _pairs(names: list[str], table: np.ndarray, higher_better: bool) -> list[RankPair]:
    found = []
    for i, j in combinations(range(len(names)), 2):
        a, b = table[:, i], table[:, j]
        with np.errstate(invalid="ignore"):
            d = np.where(a == b, 0.0, np.round(a - b, 12))
        better = np.sign(d) * (1 if higher_better else -1)
        counts = (int((better > 0).sum()), int((better < 0).sum()), int((better == 0).sum()))
        p = signed_rank(d) if len(d) >= FEWEST else nan
        found.append((names[i], names[j], *counts, p))
    adjusted = holm([row[-1] for row in found])
    return [RankPair(*row, q) for row, q in zip(found, adjusted, strict=True)]


def draw_ranks(ranks: Ranks, styles: Mapping[str, Style], measure: str = "") -> Any:
    """One line per strategy, best first: its rank in each block and, larger, the mean.

    Args:
        ranks: of ``mean_ranks``.
        styles: look of each strategy, such as ``View.styles``.
        measure: what was ranked, for the axis; a key of ``summaries.MEASURES``.

    Returns:
        A Matplotlib figure.
    """
    count = len(ranks.strategies)
    figure = new_figure(4.6, 1.1 + 0.28 * count)
    axes = figure.add_subplot()
    for row, name in enumerate(ranks.strategies):
        own, style = ranks.ranks[:, row], styles[name]
        axes.scatter(own, row + _spread(own), s=9, color=style.colour, alpha=0.45, linewidths=0)
        size = 95 if style.marker == "*" else 46
        axes.scatter(
            [ranks.mean[row]],
            [row],
            s=size,
            color=style.colour,
            marker=style.marker,
            edgecolors=INK,
            linewidths=0.7,
            zorder=3,
        )
        axes.annotate(
            f"{ranks.mean[row]:.2f}", (1.02, row), xycoords=("axes fraction", "data"), fontsize=8,
            va="center",
        )  # fmt: skip
    axes.set_yticks(range(count), ranks.strategies, fontsize=8)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(0.6, count + 0.4)
    axes.set_xticks(range(1, count + 1))
    axes.tick_params(labelsize=8)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    of = f" in {measure_of(measure).label}" if measure else ""
    axes.set_xlabel(f"rank{of} (1 is the best)", fontsize=8)
    figure.supxlabel(_legend(ranks), fontsize=7, x=0.01, ha="left")
    return figure


def _spread(values: np.ndarray) -> np.ndarray:
    """Vertical places of points, (B,), so that equal ranks lie side by side."""
    places = np.zeros(len(values))
    for value in np.unique(values):
        at = np.flatnonzero(values == value)
        step = min(0.11, 0.7 / max(1, len(at)))
        places[at] = (np.arange(len(at)) - (len(at) - 1) / 2) * step
    return places


def _legend(ranks: Ranks) -> str:
    blocks = len(ranks.blocks)
    lines = [f"Large: mean over {_count(blocks, 'dataset and budget')}; small: each of them."]
    if blocks != 1:
        lines = [f"Large: mean over {blocks} datasets and budgets; small: each of them."]
    test = ranks.reason or f"chi-square {ranks.statistic:.3g}, p = {ranks.p:.2g}"
    lines.append(f"Friedman test: {test}.")
    lines += [f"Not ranked: {name} ({why})." for name, why in ranks.left_out.items()]
    return "\n".join(lines)
