"""The best free box one after the other: of a class by tiles, of noisy scores by blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .boxes import Occupancy
from .kernels import highest_free, mark_values
from .ranking import Places, Ranking
from .tile_kernels import SIDE, bound_tiles, search, summarise

_AT_ONCE = 8  # slices copied together where they do not lie together in memory
_BLOCK = 256  # positions that share a bound
_SLACK = 1e-12  # of a logarithm or noise; each is rounded by a few times 1e-16 of itself
_TINY = 1e-300


class ClassSearch:
    """Finds the free window with the most pixels of a class, the first of equals.

    Boxes are searched by tiles, see ``tile_kernels``; other footprints by a ``Ranking``.

    Args:
        labels: uint8, the image.
        occupancy: of the window, one slice deep; what is placed there is noticed.

    Attributes:
        found: (slices, 256) bool, the labels that each slice holds.
    """

    def __init__(self, labels: np.ndarray, occupancy: Occupancy) -> None:
        labels = occupancy.view(labels)
        self._labels, self._occupancy = labels, occupancy
        self._size, plane = occupancy.size[1:], labels.shape[1:]
        self._ranked = occupancy.parts is not None
        self._scratch = np.empty(
            (6, plane[1]), np.uint16 if math.prod(self._size) < 2**16 else np.uint32
        )
        self._blocks: dict[int, tuple[np.ndarray, ...]] = {}
        self._tiles: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._rankings: dict[tuple[int, int], Ranking] = {}
        self.found = np.zeros((len(labels), 256), bool)
        if len(labels) == 1:
            self._blocks[0] = self._summarised(0)
        else:
            for first in range(0, len(labels), _AT_ONCE):
                slices = np.ascontiguousarray(labels[first : first + _AT_ONCE])
                for found, plane in zip(self.found[first:], slices, strict=False):
                    mark_values(plane.reshape(-1), found)

    def best(self, number: int, cls: int) -> tuple[int, tuple[int, int, int]] | None:
        """Pixels and position of the best free window of a slice; ``None`` where none has any."""
        if not self.found[number, cls]:
            return None
        if self._ranked:
            return self._best_ranked(number, cls)
        plane = np.ascontiguousarray(self._labels[number])
        tiles = self._tiles.get((number, cls))
        if tiles is None:
            if number not in self._blocks:
                self._blocks[number] = self._summarised(number)
            free = self._occupancy.free.shape[1:]
            shape = -(-free[0] // SIDE), -(-free[1] // SIDE)
            tiles = np.empty(shape, np.int64), np.full(shape, -1, np.int64)
            self._tiles[number, cls] = tiles
            bound_tiles(plane, cls, self._size, *self._blocks[number], tiles[0])
        free = self._occupancy.free[number]
        pixels, y, x = search(plane, cls, self._size, free, *tiles, self._scratch)
        return (pixels, (number, y, x)) if pixels else None

    def _best_ranked(self, number: int, cls: int) -> tuple[int, tuple[int, int, int]] | None:
        ranking = self._rankings.get((number, cls))
        if ranking is None:
            only = self._occupancy.of_slice(number)
            ranking = Ranking(self._labels[number : number + 1] == cls, only)
            self._rankings[number, cls] = ranking
        found = ranking.best()
        return (found[1], (number, *found[2][1:])) if found is not None and found[1] else None

    def _summarised(self, number: int) -> tuple[np.ndarray, ...]:
        """The range of each block of a slice; see ``tile_kernels.summarise``."""
        plane = np.ascontiguousarray(self._labels[number])
        shape = tuple(-(-n // SIDE) for n in plane.shape)
        blocks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        summarise(plane, *blocks, self.found[number])
        return blocks


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
        highest_free(self._bits, free, _BLOCK, np.arange(n_blocks), self._tops, self._where)
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

    def closed(self, part: Places, shape: Sequence[int]) -> None:
        """Take notice that a box of positions, of ``shape`` in all, is no longer free."""
        if any(p.stop <= p.start for p in part):
            return
        ends = np.array([part[-1].start, part[-1].stop - 1])
        rows = np.ix_(*(np.arange(p.start, p.stop) for p in part[:-1]), ends)
        rows = np.ravel_multi_index(rows, shape).reshape(-1, 2) // _BLOCK
        reached = np.zeros(len(self._tops) + 1, np.int64)
        np.add.at(reached, rows[:, 0], 1)
        np.add.at(reached, rows[:, 1] + 1, -1)
        blocks = np.flatnonzero(reached.cumsum()[:-1])
        lost = blocks[(self._tops[blocks] > 0) & ~self._free[self._where[blocks]]]
        before = self._tops[lost]
        highest_free(self._bits, self._free, _BLOCK, lost, self._tops, self._where)
        known = self._known[blocks]
        drawn = blocks[(known >= 0) & ~self._free[known]]
        lower = lost[(before != self._tops[lost]) & (self._known[lost] < 0)]
        self._set_bounds(np.concatenate([drawn, lower]))
