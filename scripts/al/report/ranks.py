"""Mean ranks of strategies over datasets and budgets."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

from .comparisons import FEWEST
from .style import INK, Style, new_figure
from .summaries import Summary, measure_of

FEWEST_STRATEGIES = 3
ONE_RUN = "budgets of one run share seeds and test images: no test"
LEGEND_WIDTH = 84


@dataclass(frozen=True)
class Ranks:
    """Ranks of strategies within blocks (a dataset and budget); rank 1 is the best.

    Attributes:
        strategies: ranked together, S of them, best mean rank first.
        blocks: B of them.
        ranks: (B, S); equal values share the mean of their ranks.
        mean: (S,) over the blocks.
        left_out: strategy or block -> why it is not ranked.
        statistic, p: Friedman's test over runs; NaN where there is none.
        reason: why there is none; empty otherwise.
        notes: of blocks that rest on some of their seeds alone.
    """

    strategies: list[str]
    blocks: list[Hashable]
    ranks: np.ndarray
    mean: np.ndarray
    left_out: dict[str, str]
    statistic: float
    p: float
    reason: str
    notes: tuple[str, ...] = ()


class Block(NamedTuple):
    """A run and budget: its values, why there are none, and which seeds they are over."""

    values: dict[str, float]
    why: str
    note: str


def block_values(
    summaries: Sequence[Summary], measure: str
) -> dict[tuple[str, str], dict[str, float]]:
    """One value per block (run, budget) and strategy: the mean over the seeds that all share.

    Where one of these seeds has not reached the score, medians instead, for all strategies of the
    block, with ``not reached`` as infinite. Strategies without any value are left out. A block has
    no values where an unfinished curve may still reach the score, or where no seed is shared.
    """
    return {name: block.values for name, block in blocks_of(summaries, measure).items()}


def blocks_of(summaries: Sequence[Summary], measure: str) -> dict[tuple[str, str], Block]:
    """The blocks of ``block_values``, with what is to be known of them."""
    mine = [s for s in summaries if s.measure == measure and not s.missing]
    names = dict.fromkeys((s.run, s.budget) for s in mine)
    return {name: _block([s for s in mine if (s.run, s.budget) == name]) for name in names}


def _block(own: Sequence[Summary]) -> Block:
    seeds: dict[str, set[int]] = {}
    for s in own:
        seeds.setdefault(s.strategy, set()).add(s.seed)
    shared, either = set.intersection(*seeds.values()), set.union(*seeds.values())
    if not shared:
        return Block({}, "its strategies share no seed", "")
    own = [s for s in own if s.seed in shared]
    if unfinished := sum(s.ended == s.ended for s in own):
        return Block({}, f"open: {_count(unfinished, 'curve')} unfinished", "")
    note = ""
    if shared < either:
        note = f"over the {len(shared)} of {len(either)} seeds that all strategies have"
    # A mean of infinite values would rank by one seed alone.
    middle = np.median if any(s.censored or s.value == inf for s in own) else np.mean
    found = {}
    for name in seeds:
        values = [inf if s.censored else s.value for s in own if s.strategy == name]
        found[name] = float(middle(np.array(values)))
    return Block(found, "", note)


def rank(summaries: Sequence[Summary], measure: str) -> Ranks | None:
    """Mean ranks in a measure over the runs and budgets of summaries; ``None`` as ``mean_ranks``.

    Raises:
        KeyError: no such measure.
    """
    blocks = blocks_of(summaries, measure)
    values = {name: block.values for name, block in blocks.items()}
    why = {name: block.why for name, block in blocks.items() if block.why}
    found = mean_ranks(values, measure_of(measure).higher_better, why)
    notes = tuple(f"{_name(name)} {block.note}" for name, block in blocks.items() if block.note)
    return found and replace(found, notes=notes)


def mean_ranks(
    values: Mapping[Hashable, Mapping[str, float]],
    higher_better: bool,
    why: Mapping[Hashable, str] | None = None,
) -> Ranks | None:
    """Rank the strategies that all blocks have, block by block, and average.

    Blocks count alike, however many seeds they have (Demsar 2006). Blocks of one run share seeds
    and test images, so Friedman's test (chi-square) is over runs: the mean ranks of each, ranked
    again. There must be ``FEWEST`` runs and three strategies.

    Args:
        values: block -> strategy -> value; NaN is no value, infinite values rank last or first.
            A block is named by its run and budget; by anything else it is a run of its own.
        higher_better: whether rank 1 is the highest value.
        why: block -> why it has no values, where that is known.

    Returns:
        ``None`` where fewer than two strategies are in all blocks that have values.
    """
    has = {b: {n: v for n, v in own.items() if v == v} for b, own in values.items()}
    reasons = why or {}
    left_out = {_name(b): reasons.get(b, "no values") for b, own in has.items() if not own}
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
    statistic, p, reason = _friedman(blocks, ranks)
    return Ranks(
        [names[i] for i in order],
        blocks,
        ranks[:, order],
        mean[order],
        left_out,
        statistic,
        p,
        reason,
    )


def _name(block: Hashable) -> str:
    return ", ".join(map(str, block)) if isinstance(block, tuple) else str(block)


def _rank(table: np.ndarray, higher_better: bool) -> np.ndarray:
    from scipy.stats import rankdata

    # Scores that differ by rounding alone are equal.
    return rankdata(np.round(-table if higher_better else table, 12), axis=1)


def _friedman(blocks: Sequence[Hashable], ranks: np.ndarray) -> tuple[float, float, str]:
    from scipy.stats import friedmanchisquare

    runs = [b[0] if isinstance(b, tuple) else b for b in blocks]
    names = list(dict.fromkeys(runs))
    if len(names) == 1 < len(blocks):
        return nan, nan, ONE_RUN
    if len(names) < FEWEST:
        return nan, nan, f"{_count(len(names), 'run')}: no test below {FEWEST}"
    strategies = ranks.shape[1]
    if strategies < FEWEST_STRATEGIES:
        return nan, nan, f"{strategies} strategies: no test below {FEWEST_STRATEGIES}"
    of_run = [ranks[[r == name for r in runs]].mean(axis=0) for name in names]
    again = _rank(np.array(of_run), higher_better=False)
    if (again == again[:, :1]).all():
        return nan, nan, "all strategies are equal in every run"
    found = friedmanchisquare(*again.T)
    return float(found.statistic), float(found.pvalue), ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


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
    legend = _legend(ranks)
    figure = new_figure(4.6, 0.86 + 0.12 * len(legend.split("\n")) + 0.28 * count)
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
    figure.supxlabel(legend, fontsize=7, x=0.01, ha="left")
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
    lines += [f"In part: {note}." for note in ranks.notes]
    lines += [f"Not ranked: {name} ({why})." for name, why in ranks.left_out.items()]
    return "\n".join(part for line in lines for part in textwrap.wrap(line, LEGEND_WIDTH))
