"""A start without a model: what is typical of each kind of images, and of regions in them.

After TypiClust (Hacohen, Dekel and Weinshall 2022, "Active Learning on a Budget: Opposite
Strategies Suit High and Low Budgets"), by simple features in place of learnt ones (ours).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from decomp_core import Region

from ..appearance import looks_of_regions
from ..pool_state import PoolState
from ..query import ImageQuery
from ..registry import register_images, register_regions
from .regions import random

NEIGHBOURS = 20
CANDIDATES = 10  # regions looked at for each that is chosen


def typical(looks: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
    """Return the most typical one of each of ``n`` clusters; of equals one is drawn.

    Typical is what has its 20 nearest neighbours near by, in the whole table (TypiClust: in the
    cluster).

    Args:
        looks: (R, F) features, which are brought to one scale.
        n: how many; all where there are no more.
        rng: seeds k-means and draws.
    """
    from scipy.spatial import KDTree

    from decomp_core import choose

    if not len(looks):
        return []
    spread = looks.std(axis=0)
    table = (looks - looks.mean(axis=0)) / np.where(spread > 1e-6, spread, 1)
    nearest = np.arange(1, min(NEIGHBOURS + 1, len(table)) + 1)  # the first is itself
    typicality = -KDTree(table).query(table, nearest)[0].mean(axis=1)
    return choose(table, typicality, np.arange(len(table)), n, None, rng, "cluster")


@register_images("diverse", needs=frozenset({"images"}))
def diverse_images(state: PoolState, options: dict[str, Any]) -> np.ndarray:
    """The most typical image of each cluster of those that can be opened, before all others."""
    scores = np.zeros(len(state.images))
    open_now = np.flatnonzero(state.eligible)
    scores[open_now[typical(state.looks[open_now], state.wanted, state.rng)]] = 1
    return scores


@register_regions("diverse", needs=frozenset({"images"}))
def diverse(asked: ImageQuery, rng: np.random.Generator) -> list[Region] | list[int]:
    """The most typical of each cluster of windows or RoIs, which are drawn."""
    drawn = random(replace(asked, n=CANDIDATES * asked.n), rng)
    looks = looks_of_regions(asked.query, asked.image, drawn)
    return [drawn[i] for i in typical(looks, asked.n, rng)]
