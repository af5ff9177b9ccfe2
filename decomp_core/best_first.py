"""The highest free position one after the other, with noise drawn only where it can win."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .box_kernels import highest_again, highest_free

_BLOCK = 256  # positions that share a bound
_SLACK = 1e-12  # of a logarithm or noise; each is rounded by a few times 1e-16 of itself
_TINY = 1e-300


class GumbelNoise:
    """Independent Gumbel(0, 1 / beta) at every position, a function of the seed alone.

    Gumbel noise is -log(E) / beta, E standard exponential. The least of the E of a block of B is
    exponential with scale 1 / B and lies anywhere in the block; the others exceed it by standard
    exponentials of their own (no memory). So the most a block can hold is drawn first, one number
    per block, and the rest of a block only when it is asked for, from a stream of its own.

    Args:
        n_blocks: blocks of 256 positions.
        beta: inverse scale, above 0.
        seed: 0 to 2^63 - 1.
    """

    def __init__(self, n_blocks: int, beta: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._beta, self._seed = beta, seed
        self._least = np.maximum(rng.standard_exponential(n_blocks) / _BLOCK, _TINY)
        self._place = rng.integers(_BLOCK, size=n_blocks)
        self.highest = np.log(self._least) / -beta
        """(blocks,) float64, the highest noise of each block."""

    def of_block(self, block: int) -> np.ndarray:
        """Return the noise (256,) float64 of one block."""
        rng = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, block, 0, 0]))
        draws = rng.standard_exponential(_BLOCK)
        draws[self._place[block]] = 0
        draws += self._least[block]
        np.log(draws, out=draws)
        draws /= -self._beta
        return draws


def _raised(numbers: np.ndarray) -> np.ndarray:
    """Bounds of numbers not above these, however both are rounded.

    Sums of two such bounds are bounds of the sums, as rounding keeps the order.
    """
    return numbers + _SLACK * np.abs(numbers)


class BestFirst:
    """Finds the free position with the highest score: a logarithm, and noise if there is any.

    Each block of positions has a bound, its highest free value and its highest noise, though they
    may be of two positions. Only where the bound is the highest of all is the noise of the whole
    block drawn. Without noise bounds are reached, and ties go to the first position.

    Args:
        values: (N,) float64 above 0, one per position.
        free: (N,) bool, contiguous; what is no longer free is told by ``blocked``.
        beta: inverse scale of Gumbel noise added to the logarithm; ``None`` is no noise.
        seed: of the noise, 0 to 2^63 - 1.
    """

    def __init__(self, values: np.ndarray, free: np.ndarray, beta: float | None, seed: int) -> None:
        n_blocks = -(-values.size // _BLOCK)
        self._values, self._free = values, free
        self._bits = values.view(np.int64)
        self._tops, self._where = np.zeros((2, n_blocks), np.int64)
        highest_free(self._bits, free, _BLOCK, self._tops, self._where)
        self._noise = None if beta is None else GumbelNoise(n_blocks, beta, seed)
        self._known = np.full(n_blocks, -1)  # the best position of a block whose noise was drawn
        self._bounds = np.empty(n_blocks)
        self._set_bounds(np.arange(n_blocks))

    def _set_bounds(self, blocks: np.ndarray) -> None:
        tops = self._tops[blocks]
        bounds = tops.view(np.float64)
        if self._noise is not None:
            bounds = _raised(np.log(np.maximum(bounds, _TINY)))
            bounds += _raised(self._noise.highest[blocks])
        self._bounds[blocks] = np.where(tops > 0, bounds, -np.inf)
        self._known[blocks] = -1

    def best(self) -> tuple[float, int] | None:
        """Return the highest score and its position, ``None`` where nothing is free."""
        while True:
            block = int(self._bounds.argmax())
            bound = float(self._bounds[block])
            if bound == -math.inf:
                return None
            if self._noise is None:
                return math.log(bound), int(self._where[block])
            if self._known[block] >= 0:
                return bound, int(self._known[block])
            self._look(block, self._noise.of_block(block))

    def _look(self, block: int, noise: np.ndarray) -> None:
        """Replace a block's bound by its highest score."""
        part = slice(block * _BLOCK, (block + 1) * _BLOCK)
        scores = np.log(self._values[part])
        scores += noise[: scores.size]
        scores[~self._free[part]] = -np.inf
        place = int(scores.argmax())
        self._bounds[block], self._known[block] = scores[place], part.start + place

    def blocked(self, part: tuple[slice, ...], shape: Sequence[int]) -> None:
        """Take notice that a box of positions, of ``shape`` in all, is no longer free."""
        width = part[-1].stop - part[-1].start
        if any(p.stop <= p.start for p in part):
            return
        starts = np.ravel_multi_index(
            np.ix_(*(np.arange(p.start, p.stop) for p in part[:-1]), [part[-1].start]), shape
        ).ravel()
        before = self._tops.copy()
        highest_again(self._bits, self._free, _BLOCK, self._tops, self._where, starts, width)
        drawn = np.flatnonzero(self._known >= 0)
        lost = drawn[~self._free[self._known[drawn]]]
        lower = np.flatnonzero((before != self._tops) & (self._known < 0))
        self._set_bounds(np.concatenate([lost, lower]))
