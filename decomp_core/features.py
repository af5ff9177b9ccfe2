"""Choosing among candidates pooled over images, by their features.

- ``cluster``: k-means, k = min(n, R), then the candidate of highest priority of each cluster, in
  the order of these priorities, if its image has room.
- ``coreset``: k-centre greedy, the candidate farthest from all chosen, the first at random
  (Sener and Savarese 2018).
- ``badge``: k-means++ seeding over the gradient embeddings, from the largest (Ash et al. 2020).
  Squared distances up to 1e-12 of the squared norms count as 0 (ours).
- ``badge_kmeans``: as ``cluster``, over the gradient embeddings (the published DECOMP code).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .draw import draw_one
from .kernels import farthest, squared_distances

METHODS = ("cluster", "coreset", "badge", "badge_kmeans")
_BADGE = ("badge", "badge_kmeans")
_SAME = 1e-12  # of the squared norms: a squared distance up to this is rounding


def choose(
    features: ArrayLike,
    priority: ArrayLike,
    group: ArrayLike,
    n: int,
    per_group: int | None,
    rng: np.random.Generator,
    method: str,
    *,
    residuals: ArrayLike | None = None,
    centres: ArrayLike | None = None,
) -> list[int]:
    """Choose candidates that differ from each other, at most ``per_group`` of one image.

    The methods are those of the module; what empty clusters, distances of 0 and the cap leave open
    is filled by priority.

    Args:
        features: (R, F) finite float32 or float64; float32 is not widened.
        priority: (R,) finite numbers, higher is more uncertain.
        group: (R,) integers, the image of each candidate; any values.
        n: how many, at least 0.
        per_group: most to choose of one group, at least 1; ``None`` is no cap.
        rng: seeds k-means (on one thread), draws the first of ``"coreset"``, others of ``"badge"``,
            and everywhere one of equals.
        method: one of ``METHODS``.
        residuals: (R, C) finite numbers, p - onehot(argmax p), for the badge methods only.
        centres: (L, F) finite numbers, features of earlier labels, for ``"coreset"`` only: chosen
            before all others, so that no first one is drawn.

    Returns:
        Indices in the order of choice: min(n, what the cap leaves) of them.

    Raises:
        ValueError: a wrong dtype or shape, a value out of range, an unknown method, or residuals
            or centres that the method lacks or does not take.

    >>> x = np.float32([[0.0], [1.0], [5.0]])
    >>> rng = np.random.default_rng(0)
    >>> choose(x, [0.1, 0.2, 0.3], [7, 7, 9], 2, None, rng, "coreset", centres=[[0.0]])
    [2, 1]
    """
    table = checks.features("features", features)
    size, width = table.shape
    ranks = checks.numbers("priority", priority, (size,))
    batch, rng = _Batch(_groups(group, size), n, per_group), checks.generator(rng)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    factors = _only("residuals", residuals, method, _BADGE, (size, None))
    if factors is None and method in _BADGE:
        raise ValueError(f"residuals is None; method {method!r} needs an array ({size}, C)")
    fixed = _only("centres", centres, method, ("coreset",), (None, width))
    if batch.wanted and method == "coreset":
        _farthest(batch, table, fixed, rng)
    elif batch.wanted and method == "badge":
        _seeds(batch, table, factors, rng)
    elif batch.wanted:
        labels = _clusters(table, factors, min(n, size), rng)
        _one_per_cluster(batch, ranks, labels, rng)
    batch.fill(_ranking(ranks, rng))
    return batch.chosen


def _ranking(ranks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices from the highest to the lowest, equals in random order."""
    return np.lexsort((rng.permutation(ranks.size), -ranks))


def _gradient_embeddings(table: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the loss gradient of the last layer for the predicted label (Ash et al. 2020).

    (R, F * C) float32, the outer product of each row's features and residuals, p - onehot(argmax
    p); feature f and class c at f * C + c.

    Raises:
        ValueError: a product that float32 cannot hold.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = table.astype(np.float32, copy=False), factors.astype(np.float32)
        product = left[:, :, None] * right[:, None, :]
    if not np.isfinite(product).all():
        raise ValueError("features times residuals: the products must be at most 3.4e+38")
    return product.reshape(len(table), table.shape[1] * factors.shape[1])


class _Batch:
    """The candidates chosen so far and those whose group has room.

    Attributes:
        chosen: indices in the order of choice.
        open: (R,) bool, not chosen and of a group with room.
        wanted: how many there will be in the end.
    """

    def __init__(self, group: np.ndarray, n: int, per_group: int | None) -> None:
        n = checks.integer("n", n, 0)
        cap = group.size if per_group is None else checks.integer("per_group", per_group, 1)
        _, self._group, sizes = np.unique(group, return_inverse=True, return_counts=True)
        self._room = [min(size, cap) for size in sizes.tolist()]
        self.wanted = min(n, sum(self._room))
        self.open = np.ones(group.size, bool)
        self.chosen: list[int] = []

    @property
    def full(self) -> bool:
        return len(self.chosen) >= self.wanted

    def take(self, index: int) -> None:
        self.chosen.append(index)
        self.open[index] = False
        number = self._group[index]
        self._room[number] -= 1
        if not self._room[number]:
            self.open[self._group == number] = False

    def fill(self, order: np.ndarray) -> None:
        """Take what is open in this order until nothing is wanted."""
        for index in order.tolist():
            if self.full:
                return
            if self.open[index]:
                self.take(index)


def _clusters(
    table: np.ndarray, residuals: np.ndarray | None, k: int, rng: np.random.Generator
) -> np.ndarray:
    """Cluster of each row, or of its embedding; fewer than ``k`` where fewer are distinct."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    seed = int(rng.integers(2**32))
    model = KMeans(k, n_init=1, random_state=seed, copy_x=residuals is None)
    # the order in which threads add up would decide ties
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = table if residuals is None else _gradient_embeddings(table, residuals)
        return model.fit(rows).labels_


def _one_per_cluster(
    batch: _Batch, ranks: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> None:
    """Take the highest of each cluster, but where its group is full; the highest cluster first."""
    order = _ranking(ranks, rng)
    highest = order[np.unique(labels[order], return_index=True)[1]]
    # drawn anew: of equals, the winner of a large cluster would come early
    batch.fill(highest[_ranking(ranks[highest], rng)])


def _farthest(
    batch: _Batch, table: np.ndarray, centres: np.ndarray | None, rng: np.random.Generator
) -> None:
    """Take the row farthest from all chosen until no open one has any distance."""
    size, width = table.shape
    fixed = np.empty((0, width)) if centres is None else centres
    if not len(fixed):
        batch.take(int(rng.integers(size)))
    nearest, met = np.full(size, np.inf), np.zeros(size, np.int64)
    while not batch.full:
        chosen = np.array(batch.chosen, np.int64)
        distance = farthest(table, fixed, chosen, batch.open, nearest, met)
        if distance <= 0:
            return
        batch.take(draw_one(np.flatnonzero(batch.open & (nearest == distance)), rng))


def _seeds(
    batch: _Batch, table: np.ndarray, residuals: np.ndarray, rng: np.random.Generator
) -> None:
    """Take the largest embedding, then draw by squared distance while any is above 0.

    With A and B the squared norms of the two factors, E and Q their squared distances from those
    of a row, |a r' - b s'|^2 is half of (A_i - A)(B_i - B) + E (B_i + B) + Q (A_i + A) - E Q
    (ours): unlike the difference of norms and inner products it is 0 for identical factors.
    """
    left, right = (squared_distances(v, np.zeros(v.shape[1])) for v in (table, residuals))
    norms, nearest = left * right, np.full(len(table), np.inf)
    index = draw_one(np.flatnonzero(norms == norms.max()), rng)
    while True:
        batch.take(index)
        if batch.full:
            return
        e, q = (squared_distances(v, v[index].astype(np.float64)) for v in (table, residuals))
        a, b = left[index], right[index]
        squared = (left - a) * (right - b) + e * (right + b) + q * (left + a) - e * q
        squared /= 2
        squared[squared <= _SAME * (norms + norms[index])] = 0
        np.minimum(nearest, squared, out=nearest)
        share = np.where(batch.open, nearest, 0)
        top = share.max()
        if top == 0:
            return
        share /= top
        index = int(rng.choice(len(share), p=share / share.sum()))


def _groups(value: Any, size: int) -> np.ndarray:
    found = checks.plain(value)
    if not found.size:  # an empty list has no integer dtype
        found = found.astype(np.int64)
    return checks.array("group", found, "iu", (size,))


def _only(
    name: str, value: Any, method: str, takers: Sequence[str], shape: tuple[int | None, ...]
) -> np.ndarray | None:
    """Return an argument that only some methods take, as float64; ``None`` where it is absent."""
    if value is None:
        return None
    if method not in takers:
        raise ValueError(
            f"{name} is given; it must be None with {method!r}, only {' and '.join(takers)} take it"
        )
    return np.ascontiguousarray(checks.numbers(name, value, shape))
