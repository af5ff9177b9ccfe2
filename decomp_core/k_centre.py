"""k-centre greedy, lazily: distances that cannot matter are not computed."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


class Farthest:
    """Finds the candidate farthest from all centres, the first of equals.

    A centre can only bring a candidate's distance to the nearest one down, so that the distance
    known from earlier centres bounds it from above: only candidates whose bound is the highest of
    all are compared with the centres they have not met. Every candidate meets a centre at most
    once, mostly never. Beside the features this holds three numbers per candidate.

    Args:
        table: (R, F) float32 or float64, candidates.
        fixed: (L, F) float64, centres from the start.
        open_: (R,) bool, candidates to choose from; may change from True to False at any time.
        most: how many centres will be added, at most.
    """

    def __init__(self, table: np.ndarray, fixed: np.ndarray, open_: np.ndarray, most: int) -> None:
        self._table, self._fixed, self._open = table, fixed, open_
        leaves = 1 << (max(len(table), 1) - 1).bit_length()
        self._tree = np.full(2 * leaves, -1.0)
        _fill(self._tree, len(table), np.inf)
        self._met = np.zeros(len(table), np.int64)
        self._centres = np.empty(most, np.int64)
        self._count = 0

    def add(self, index: int) -> None:
        """Make a candidate a centre."""
        self._centres[self._count] = index
        self._count += 1

    def next(self) -> int | None:
        """Return the open candidate farthest from its nearest centre, None if none is apart."""
        centres = self._centres[: self._count]
        found = _next(self._table, self._fixed, centres, self._open, self._met, self._tree)
        return None if found < 0 else int(found)


def _fill(tree: np.ndarray, n: int, value: float) -> None:
    first, last = len(tree) // 2, len(tree) // 2 + n - 1
    while first:
        tree[first : last + 1] = value
        first, last = first // 2, last // 2


@compiled
def _next(
    table: np.ndarray,
    fixed: np.ndarray,
    centres: np.ndarray,
    open_: np.ndarray,
    met: np.ndarray,
    tree: np.ndarray,
) -> int:
    """Find the first open candidate with the largest squared distance above 0; -1 without one.

    Args:
        table: (R, F) float32 or float64.
        fixed: (L, F) float64.
        centres: (K,) int64, candidates that are centres.
        open_: (R,) bool.
        met: (R,) int64, how many of the L + K centres a candidate's distance is of; changed.
        tree: (2 leaves,) float64, squared distances in a tree of maxima; changed.
    """
    leaves, total = tree.size // 2, fixed.shape[0] + centres.size
    while tree[1] > 0:
        node = 1
        while node < leaves:
            node *= 2
            if tree[node] < tree[node + 1]:
                node += 1
        i = node - leaves
        nearest = tree[node]
        if not open_[i]:
            nearest = -1.0
        elif met[i] == total:
            return i
        rival = _rival(tree, node)
        # on the first few, as many as it takes to fall behind another
        while met[i] < total and nearest >= rival and nearest > 0:
            k = met[i]
            if k < fixed.shape[0]:
                nearest = min(nearest, squared_distance(table[i], fixed[k]))
            else:
                other = table[centres[k - fixed.shape[0]]]
                nearest = min(nearest, squared_distance(table[i], other))
            met[i] += 1
        tree[node] = nearest
        while node > 1:
            node //= 2
            tree[node] = max(tree[2 * node], tree[2 * node + 1])
    return -1


@compiled
def _rival(tree: np.ndarray, node: int) -> float:
    """The highest of all other leaves."""
    rival = -1.0
    while node > 1:
        rival = max(rival, tree[node ^ 1])
        node //= 2
    return rival


# Sums may be reordered, which is ten times faster.
@compiled(fastmath={"reassoc", "contract"})
def squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Add the squared differences, in float64: identical rows are exactly 0 apart."""
    total = 0.0
    for j in range(a.size):
        difference = np.float64(a[j]) - np.float64(b[j])
        total += difference * difference
    return total
