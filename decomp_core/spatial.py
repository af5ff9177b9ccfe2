"""The most uncertain boxes of one image one after the other, near ones made less attractive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np

from . import checks
from .fixed import fixed_exponent, powers, to_fixed
from .patches import box
from .region import Region
from .spatial_sums import BLOCKED, DEAD, STALE, Blocks, Field, Penalty, Tiles, Work, gain_from, scan
from .spatial_tiles import best_free, bound_gains, cut, grow, place

_WEIGHTS = (0.0, 1e100)
_SIGMAS = (1e-6, 1e6)
_TILE = 1024  # positions at least, so that what is kept of a tile is little next to its values
_ROW = 32  # positions at least in a row of a tile, for loops over rows to be long
_CACHE = 1 << 19  # bytes of sums over the box's first axis that stay in the cache


def strength(weight: float, sigma: float) -> tuple[float, float]:
    """Return the weight and the width of the penalty if they are in range."""
    return checks.real("weight", weight, *_WEIGHTS), checks.real("sigma", sigma, *_SIGMAS)


def ranked_regions(
    uncertainty: np.ndarray,
    size: Sequence[int],
    taken: Iterable[Region] = (),
    *,
    weight: float = 0.0,
    sigma: float = 1.0,
) -> Iterator[tuple[float, Region]]:
    """Rank the boxes of one image greedily: each time the free one with the highest gain.

    The gain of a box is its mean uncertainty minus ``weight`` times the sum over the boxes ranked
    before it of exp(-d^2 / (2 sigma^2)), d the distance of the centres with each axis in units of
    the box's side (ours; terms are rounded to multiples of 2^-40). Boxes lie at stride 1 and
    overlap nothing taken and nothing ranked before; taken regions add no penalty. With weight 0
    these are ``uncertain_regions``.

    The next box is computed when it is asked for; the image must stay as it is until then. Gains
    never rise from one box to the next, so that the best gain of a tile of positions when last
    looked at is an upper bound: only tiles whose bound is the highest of all are summed again, and
    no sum is kept. Images that are not contiguous take longer; with more than three axes, or of
    another float than 32 or 64 bit, they are copied.

    Args:
        uncertainty: uint8 (sums are exact) or finite float (summed in fixed point), any number of
            axes.
        size: of the box in pixels (voxels), one integer per axis; 1 along the slice axis for
            windows of slices.
        taken: regions nothing may overlap, boxes of any size.
        weight: of the penalty, in the units of ``uncertainty``, 0 to 1e100.
        sigma: width of the penalty in box sides, 1e-6 to 1e6.

    Returns:
        Iterator of (gain, region), the first of equals in row-major order, until nothing is free;
        ``score`` is the mean uncertainty in the units given. With weight 0 gain and score are the
        same float.

    Raises:
        ValueError: at the call; a wrong dtype or number of axes, or a value out of range.

    >>> next(ranked_regions(np.uint8([[0, 8, 9], [0, 5, 0]]), (1, 2)))
    (8.5, Region(start=(0, 1), size=(1, 2), cls=None, score=8.5))
    """
    weight, sigma = strength(weight, sigma)
    return _Search(uncertainty, size, taken).ranked(weight, sigma)


def extreme_means(
    uncertainty: np.ndarray, size: Sequence[int], taken: Iterable[Region] = ()
) -> tuple[float, float]:
    """Return the lowest and highest mean over the free boxes; inf and -inf where none is free.

    Args:
        uncertainty, size, taken: see ``ranked_regions``.

    Raises:
        ValueError: a wrong dtype or number of axes, or a value out of range.

    >>> extreme_means(np.uint8([[0, 8, 9], [0, 5, 0]]), (1, 2))
    (2.5, 8.5)
    """
    search = _Search(uncertainty, size, taken)
    lowest = np.array([np.iinfo(np.int64).max])
    search.sum_all(lowest)
    highest = search.tiles.bound.max()
    if highest == BLOCKED:
        return np.inf, -np.inf
    return search.mean(lowest[0]), search.mean(highest)


class _Search:
    """One image and one box: what is known of its tiles, and which positions are blocked.

    Args:
        uncertainty, size, taken: see ``ranked_regions``.

    Attributes:
        tiles: with sums as bounds until a penalty is asked for.
    """

    def __init__(
        self, uncertainty: np.ndarray, size: Sequence[int], taken: Iterable[Region]
    ) -> None:
        values = np.asarray(uncertainty)
        if values.dtype != np.uint8:
            values = checks.array("uncertainty (if not uint8)", values, "f")
        if not values.ndim or not values.size:
            raise ValueError(f"uncertainty has shape {values.shape}; it must have axes, none empty")
        self._size = box("size", size, values.shape)
        regions = checks.regions(taken, values.ndim)
        self._shape = values.shape
        self._pixels = math.prod(self._size)
        whole = values.dtype == np.uint8
        self._exponent = 0 if whole else fixed_exponent("uncertainty", values, self._pixels)
        sides = zip(values.shape, self._size, strict=True)
        self._positions = tuple(n - k + 1 for n, k in sides)
        self._field = _field(values, self._size, powers(self._exponent))
        self.tiles = _tiles(self._field)
        self._work = _work(self._field, self.tiles, self._pixels)
        self._blocks = Blocks(np.zeros((16, 6), np.int64), np.zeros((64, 2), np.int32))
        self._boxes = self._entries = 0
        self._block(regions)

    def mean(self, total: int) -> float:
        """Return the mean over a box whose sum is ``total``, in the units of the image."""
        return math.ldexp(int(total) / self._pixels, -self._exponent)

    def sum_all(self, lowest: np.ndarray | None = None) -> None:
        """Find the best position of each tile; lower ``lowest``, (1,) int64, to the lowest sum."""
        depth, height, width = self._field.positions
        rows = _slab(self._field, self.tiles, self._work.sums.itemsize)
        low = np.empty(0, np.int64) if lowest is None else lowest
        near, free = np.empty(0, np.int64), self._penalty(0.0, 1.0)
        for outer in range(len(self._field.outer)):
            for y in range(0, height, rows):
                stops = depth, min(y + rows, height), width
                known = self._field, self.tiles, self._blocks, free, near, self._work
                scan(*known, outer, (0, y, 0), stops, low)
        seen = self.tiles.seen
        seen[:] = np.where(self.tiles.bound == BLOCKED, DEAD, 0)

    def ranked(self, weight: float, sigma: float) -> Iterator[tuple[float, Region]]:
        """Yield what ``ranked_regions`` does."""
        self.sum_all()
        penalty = self._penalty(weight, sigma)
        if weight:
            bound_gains(self._field, self.tiles, penalty)
        grow(self.tiles)
        count = 0
        while True:
            known = self._field, self.tiles, self._blocks
            tile = best_free(*known, penalty, count, self._work)
            if tile < 0:
                return
            bound = int(self.tiles.bound[tile])
            place = np.unravel_index(int(self.tiles.where[tile]), self._positions)
            start = tuple(int(i) for i in place)
            score = self._score(start) if weight else self.mean(bound)
            gain = gain_from(bound) if weight else score
            region = Region(start, self._size, None, score)
            yield gain, region
            self._block([region])
            if count == len(penalty.picks):
                penalty = penalty._replace(picks=_longer(penalty.picks, count + 1))
            penalty.picks[count, -len(start) :] = start
            count += 1

    def _score(self, start: Sequence[int]) -> float:
        """The mean over the box at a position."""
        inside = tuple(slice(a, a + k) for a, k in zip(start, self._size, strict=True))
        values = self._field.values.reshape(self._shape)[inside]
        if self._field.whole:
            return self.mean(values.sum(dtype=np.int64))
        fixed = np.empty(values.shape, np.int64)
        to_fixed(values, self._exponent, fixed)
        return self.mean(fixed.sum())

    def _penalty(self, weight: float, sigma: float) -> Penalty:
        padding = (1,) * (3 - len(self._size))
        tables = _gaussians(padding + self._positions, padding + self._size, sigma)
        picks = np.zeros((16, len(tables)), np.int64)
        return Penalty(weight, float(self._pixels), powers(-self._exponent), tables, picks)

    def _block(self, regions: Sequence[Region]) -> None:
        """Block the positions of boxes that overlap regions."""
        if not regions:
            return
        low = _last_axes([r.start for r in regions], self._shape, 0)
        high = _last_axes([r.stop for r in regions], self._shape, 1)
        first, stop = self._boxes, self._boxes + len(regions)
        boxes = _longer(self._blocks.boxes, stop)
        field, tiles = self._field, self.tiles
        room = cut(low, high, field.size, field.positions, tiles.sides, tiles.counts, boxes, first)
        lead = len(self._shape) - 3
        if lead <= 0:
            where = [(0, first, stop)]
        else:
            where = [(o, k, k + 1) for k, r in enumerate(regions, first) for o in self._outer(r)]
            room *= len(field.outer)
        self._blocks = Blocks(boxes, _longer(self._blocks.entries, self._entries + int(room)))
        for outer in where:
            known = field, tiles, self._blocks
            self._entries = place(*known, *outer, self._entries)
        self._boxes = stop

    def _outer(self, region: Region) -> Iterator[int]:
        """Outer positions at which the box overlaps a region in the axes before the last three."""
        sides = zip(region.start, region.stop, self._size, self._positions[:-3], strict=False)
        ranges = [range(max(0, a - k + 1), min(b, p)) for a, b, k, p in sides]
        for outer in product(*ranges):
            yield int(np.ravel_multi_index(outer, self._positions[:-3]))


def _field(values: np.ndarray, size: Sequence[int], scale: tuple[float, float]) -> Field:
    """The image and the box as the compiled search sees them, without a copy where it can."""
    kinds = {"u1": np.uint8, "f2": np.float32, "f4": np.float32}
    values = values.astype(kinds.get(values.dtype.str[1:], np.float64), copy=False)
    sides = (1,) * (3 - values.ndim) + values.shape
    size = (1,) * (3 - len(size)) + tuple(size)
    lead = sides[:-3]
    positions = tuple(n - k + 1 for n, k in zip(sides, size, strict=True))
    outer = _grid(positions[:-3])
    under = _grid(size[:-3])
    members = (
        np.ravel_multi_index(np.moveaxis(outer[:, None] + under, -1, 0), lead)
        if lead
        else np.zeros((1, 1), np.int64)
    )
    volumes = values.reshape(-1, *sides[-3:])
    volumes.flags.writeable = False  # one kind of argument, one compilation
    whole = values.dtype == np.uint8
    return Field(volumes, members, outer, positions[-3:], size[-3:], scale, whole)


def _grid(sides: Sequence[int]) -> np.ndarray:
    """All positions of a grid in row-major order, (positions, axes) int64."""
    return np.array(list(np.ndindex(*sides)), np.int64).reshape(math.prod(sides), len(sides))


def _tiles(field: Field) -> Tiles:
    """Tiles of half the box, larger where that is small; nothing known of them."""
    sides = [min(p, max(1, k // 2), 16) for p, k in zip(field.positions, field.size, strict=True)]
    sides[2] = min(field.positions[2], _ROW)
    for axis in (2, 1, 0):
        rest = -(-_TILE // math.prod(sides))
        sides[axis] = min(field.positions[axis], sides[axis] * rest)
    counts = tuple(-(-p // t) for p, t in zip(field.positions, sides, strict=True))
    total = math.prod(counts) * len(field.outer)
    bound, where = np.full(total, BLOCKED), np.full(total, -1, np.int64)
    seen, head = np.full(total, STALE, np.int32), np.full(total, -1, np.int32)
    tree = np.zeros(max(2, 1 << (total - 1).bit_length()), np.int32)
    return Tiles(tuple(sides), counts, bound, where, seen, head, tree)


def _slab(field: Field, tiles: Tiles, itemsize: int) -> int:
    """Rows of positions to sum at once: many, but so that sums over planes stay in the cache."""
    height, width = field.size[1], field.values.shape[-1]
    room = min(_CACHE, field.values.nbytes // 32)
    rows = max(room // (itemsize * width) - height, height, tiles.sides[1])
    return min(rows // tiles.sides[1] * tiles.sides[1], field.positions[1])


def _work(field: Field, tiles: Tiles, pixels: int) -> Work:
    kind = np.dtype(np.int32 if field.whole and 255 * pixels < 2**31 else np.int64)
    width = field.values.shape[-1]
    rows = _slab(field, tiles, kind.itemsize) + field.size[1] - 1
    flat = field.size[0] == 1 and field.members.shape[1] == 1
    sizes = 0 if flat else rows * width, width, field.positions[2]
    return Work(*(np.zeros(n, kind) for n in sizes))


def _last_axes(corners: Sequence[Sequence[int]], shape: Sequence[int], fill: int) -> np.ndarray:
    """Corners along the last three axes, (R, 3) int64, none beyond the image."""
    pad = (fill,) * (3 - len(shape))
    found = [pad + tuple(map(min, c[-3:], shape[-3:])) for c in corners]
    return np.array(found, np.int64)


def _longer(table: np.ndarray, rows: int) -> np.ndarray:
    """The table if it has so many rows, else a longer copy."""
    if rows <= len(table):
        return table
    longer = np.zeros((max(rows, 2 * len(table)), table.shape[1]), table.dtype)
    longer[: len(table)] = table
    return longer


def _gaussians(positions: Sequence[int], size: Sequence[int], sigma: float) -> np.ndarray:
    """exp(-d^2 / (2 sigma^2)) along each axis, of distances in pixels; 0 in the middle column."""
    distance = np.arange(1 - max(positions), max(positions))
    sides = np.array(size, np.float64)[:, None]
    return np.exp(-0.5 * (distance / sides / sigma) ** 2)
