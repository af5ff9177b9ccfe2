"""The best free box one after the other: of a map, of a class by tiles, of noisy scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from .boxes import Occupancy, Places, exponent_for, set_sums
from .draw import draw_apart, draw_one
from .kernels import slide, values_in
from .region import Region
from .tile_kernels import SIDE, Blocks, bound_tiles, equals_in, search, summarise

Rng = np.random.Generator | None
_BLOCK = 256  # positions that share a bound
_DRAWS = 4 * _BLOCK  # at once: the only equal of its block is seldom missed
_OUT = int(np.iinfo(np.int64).min)
_SLACK = 1e-12  # of a logarithm or noise; each is rounded by a few times 1e-16 of itself
_TINY = 1e-300
# Adding and taking away 2^12 rounds to multiples of 2^-40: sums of penalties below 2^13 are then
# exact, so that boxes equally far from the same picks tie whatever the order of the picks.
_ROUND = 2.0**12
_NOTHING = 2.0**-42  # a penalty up to this rounds to 0


class Falling:
    """Finds the highest of values that only ever fall.

    Of each block of positions the highest is kept; it is sought anew where it has fallen.

    Args:
        shape: of the values.
        out: what a position has that is out, an int or a float; no value is lower.
        rng: draws one of equals uniformly; without it the first in row-major order is taken.

    Attributes:
        values: int64 or float64, for the caller to set, then to lower; ``keep`` is told where.
        blocks: (blocks, 256), the same in row-major order, filled up with ``out``.
        tops: (blocks,), the highest of each.
    """

    def __init__(self, shape: Sequence[int], out: float, rng: Rng = None) -> None:
        size = math.prod(shape)
        flat = np.empty(-(-size // _BLOCK) * _BLOCK, np.int64 if out == _OUT else np.float64)
        flat[size:] = out
        self.values, self.blocks = flat[:size].reshape(shape), flat.reshape(-1, _BLOCK)
        self.tops = np.full(len(self.blocks), np.iinfo(np.int64).max if out == _OUT else np.inf)
        self._rng, self._out, self._where = rng, out, np.zeros(len(self.blocks), np.int64)
        self._first, self._stop = len(self.blocks), 0  # the blocks in which values fell

    def keep(self, free: np.ndarray, places: Places = ()) -> None:
        """Put out what is not free of a box of positions, in which other values may have fallen."""
        part, here = self.values[places], free[places]
        if here.any():
            np.copyto(part, self._out, where=~here)
        else:
            part[...] = self._out
        line, (rows, *_) = self.values[0].size, places or [slice(0, len(self.values))]
        self._first = min(self._first, rows.start * line // _BLOCK)
        self._stop = max(self._stop, -(-rows.stop * line // _BLOCK))

    def look(self) -> np.ndarray:
        """Bring ``tops`` up to date; return the blocks whose highest has fallen, at first all."""
        blocks = np.arange(self._first, self._stop)
        fallen = blocks[self.blocks[blocks, self._where[blocks]] != self.tops[blocks]]
        self._first, self._stop = len(self.blocks), 0
        rows = self.blocks if fallen.size == len(self.blocks) else self.blocks[fallen]
        self._where[fallen] = rows.argmax(axis=1)
        self.tops[fallen] = self.blocks[fallen, self._where[fallen]]
        return fallen

    def best(self) -> tuple[float, tuple[int, ...]] | None:
        """Return the highest value and its position; ``None`` where all are out."""
        self.look()
        block = int(self.tops.argmax())
        if self.tops[block] == self._out:
            return None
        top = self.tops[block].item()
        if self._rng is None:
            return top, self.position(block, self._where[block])
        return top, self._draw(top, np.flatnonzero(self.tops == top), self._rng)

    def _draw(self, top: float, blocks: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
        """Draw places of the blocks, each as likely as any other, until one has the highest."""
        while True:
            drawn = blocks[rng.integers(blocks.size, size=_DRAWS)]
            places = rng.integers(_BLOCK, size=_DRAWS)
            hits = np.flatnonzero(self.blocks[drawn, places] == top)
            if hits.size:
                return self.position(drawn[hits[0]], places[hits[0]])

    def position(self, block: int, place: int) -> tuple[int, ...]:
        """Return where a place of a block is."""
        return tuple(map(int, np.unravel_index(block * _BLOCK + place, self.values.shape)))


def ranked(
    values: np.ndarray,
    occupancy: Occupancy,
    weight: float = 0.0,
    sigma: float = 1.0,
    rng: Rng = None,
) -> Iterator[tuple[float, Region]]:
    """Yield gain and region of the boxes of an image, uint8 or float: see ``spatially_diverse``.

    What was yielded is placed when the next is asked for. ``weight``, ``sigma``: of the penalty;
    ``rng``: see ``Falling``.

    Raises:
        ValueError: at the call, a value that is not finite.
    """
    exponent = exponent_for("uncertainty", values, occupancy.pixels)
    return _ranked(values, occupancy, exponent, weight, sigma, rng)


def _ranked(
    values: np.ndarray,
    occupancy: Occupancy,
    exponent: int,
    weight: float,
    sigma: float,
    rng: Rng,
) -> Iterator[tuple[float, Region]]:
    """Without a weight sums are ranked, as exact as integers are; else means less penalties."""
    free = occupancy.free
    best = Falling(free.shape, -np.inf if weight else _OUT, rng)
    sums = np.empty(free.shape, np.int64) if weight else best.values
    set_sums(values, exponent, occupancy, sums)
    loss = np.zeros(free.shape if weight else 0)
    axes = zip(free.shape, occupancy.size, strict=True)
    # the penalty of every distance along each axis; that of 0 in the middle
    tables = [np.exp(-0.5 * (np.arange(1 - p, p) / k / sigma) ** 2) for p, k in axes]

    def gains(part: Places) -> np.ndarray:
        return sums[part] / float(occupancy.pixels) * 2.0**-exponent - weight * loss[part]

    if weight:
        best.values[...] = gains(())
    best.keep(free)
    while (found := best.best()) is not None:
        gain, place = found
        score = math.ldexp(int(sums[place]) / occupancy.pixels, -exponent)
        region = occupancy.region(place, None, score)
        yield (gain if weight else score), region
        if weight:
            near, penalty = _around(place, tables)
            loss[near] += penalty
            best.values[near] = gains(near)
            best.keep(free, near)
        best.keep(free, occupancy.place(region))


def _around(place: Sequence[int], tables: Sequence[np.ndarray]) -> tuple[Places, np.ndarray]:
    """Return where the penalty of a pick is above 0, and the penalty there."""
    places, near = [], []
    for at, table in zip(place, tables, strict=True):
        line = table[len(table) // 2 - at :][: len(table) // 2 + 1]
        reached = np.flatnonzero(line > _NOTHING)
        places.append(slice(int(reached[0]), int(reached[-1]) + 1))
        near.append(line[places[-1]])
    *outer, last = np.ix_(*near)
    penalty = reduce(np.multiply, [*outer[::-1], last])
    return tuple(places), (penalty + _ROUND) - _ROUND


class ClassSearch:
    """Finds the free window with the most pixels of a class.

    Boxes are searched by tiles, see ``tile_kernels``; of other footprints every sum is taken.

    Args:
        labels: uint8, the image.
        occupancy: of the window, one slice deep; what is placed there is noticed.

    Attributes:
        found: (slices, 256) bool, the labels that each slice holds.
    """

    def __init__(self, labels: np.ndarray, occupancy: Occupancy) -> None:
        self._labels, self._free = occupancy.planes(labels), occupancy.planes(occupancy.free)
        self._size = occupancy.turned(occupancy.size, 1)[1:]
        self._parts = occupancy.plane_parts
        self._is_box = self._parts.tolist() == [[0, 0, *self._size]]
        self._scratch = np.empty(
            (6, self._labels.shape[2]), np.uint16 if math.prod(self._size) < 2**16 else np.uint32
        )
        self._blocks: dict[int, Blocks] = {}
        self._tiles: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self.found = np.zeros((len(self._labels), 256), bool)
        if len(self._labels) == 1:
            self._blocks[0] = summarise(self._plane(0), self.found[0])
        else:
            for number, found in enumerate(self.found):
                found[:] = values_in(self._plane(number).reshape(-1))

    def _plane(self, number: int) -> np.ndarray:
        """A slice of the labels, contiguous and read-only: the only kind that is compiled for."""
        plane = np.ascontiguousarray(self._labels[number]).view()
        plane.flags.writeable = False
        return plane

    def best(
        self, number: int, cls: int, rng: Rng = None
    ) -> tuple[int, tuple[int, int, int]] | None:
        """Pixels and position of the best free window of a slice; ``None`` where none has any.

        ``rng`` draws one of equals uniformly; without it the first in row-major order is taken.
        """
        if not self.found[number, cls]:
            return None
        plane, free = self._plane(number), np.ascontiguousarray(self._free[number])
        seek = self._best_box if self._is_box else self._best_footprint
        pixels, place = seek(number, plane, cls, free, rng)
        return (pixels, (number, *divmod(place, free.shape[1]))) if pixels else None

    def _best_footprint(
        self, _: int, plane: np.ndarray, cls: int, free: np.ndarray, rng: Rng
    ) -> tuple[int, int]:
        sums = np.zeros(free.shape, np.int64)
        slide((plane == cls).astype(np.int64), self._parts, 1, 1, np.zeros_like(sums), sums)
        sums *= free
        equals = np.flatnonzero(sums == sums.max())
        return int(sums.max()), int(equals[0]) if rng is None else draw_one(equals, rng)

    def _best_box(
        self, number: int, plane: np.ndarray, cls: int, free: np.ndarray, rng: Rng
    ) -> tuple[int, int]:
        tiles = self._tiles.get((number, cls))
        if tiles is None:
            if number not in self._blocks:
                self._blocks[number] = summarise(plane, self.found[number])
            bound = bound_tiles(plane, cls, self._size, self._blocks[number])
            tiles = self._tiles[number, cls] = bound, np.full(bound.shape, -1)
        pixels, place = search(plane, cls, self._size, free, *tiles, self._scratch)
        if rng is None or not pixels:
            return pixels, place
        rows, columns = np.nonzero(tiles[0] == pixels)

        def equals(k: int) -> np.ndarray:
            tile = int(rows[k]), int(columns[k])
            return equals_in(plane, cls, self._size, free, tile, pixels, self._scratch)

        return pixels, draw_apart(rows.size, SIDE**2, equals, rng)


class GumbelNoise:
    """Independent Gumbel(0, 1 / beta) at every position, a function of the seed alone.

    Gumbel noise is -log(E) / beta, E standard exponential. The least of the E of a block of B is
    exponential with scale 1 / B and lies anywhere in the block; the others exceed it by standard
    exponentials of their own (no memory). So the most a block can hold is drawn first, one number
    per block of 256, and the rest of a block only when it is asked for, from a stream of its own.
    """

    def __init__(self, n_blocks: int, beta: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._beta, self._seed = beta, seed
        self._least = np.maximum(rng.standard_exponential(n_blocks) / _BLOCK, _TINY)
        self._place = rng.integers(_BLOCK, size=n_blocks)
        self.highest = np.log(self._least) / -beta  # of each block

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


class Noisy:
    """Finds the position with the highest logarithm of a value plus Gumbel noise.

    Each block of positions has a bound, its highest value and its highest noise, though they may be
    of two positions. Only where the bound is the highest of all is the noise of the block drawn.
    Values are above 0; 0 is out.
    """

    def __init__(self, means: Falling, beta: float, seed: int) -> None:
        self._means, self._noise = means, GumbelNoise(len(means.blocks), beta, seed)
        self._bounds = np.empty(len(means.blocks))
        self._known = np.full(len(means.blocks), -1)  # where a block's bound is reached

    def best(self) -> tuple[float, tuple[int, ...]] | None:
        """Return the highest score and its position, ``None`` where all are out."""
        self._lower(self._means.look())
        while True:
            block = int(self._bounds.argmax())
            bound, place = float(self._bounds[block]), self._known[block]
            if bound == -math.inf:
                return None
            if place >= 0 and self._means.blocks[block, place] > 0:
                return bound, self._means.position(block, place)
            with np.errstate(divide="ignore"):
                scores = np.log(self._means.blocks[block])
            scores += self._noise.of_block(block)
            self._known[block] = place = scores.argmax()
            self._bounds[block] = scores[place]

    def _lower(self, fallen: np.ndarray) -> None:
        """Set the bounds of blocks whose highest value has fallen, if their noise is not known."""
        blocks = fallen[self._known[fallen] < 0]
        tops = self._means.tops[blocks]
        bounds = _raised(np.log(np.maximum(tops, _TINY)))
        bounds += _raised(self._noise.highest[blocks])
        self._bounds[blocks] = np.where(tops > 0, bounds, -np.inf)
