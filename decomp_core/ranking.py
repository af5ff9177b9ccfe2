"""The most uncertain boxes of an image one after the other, near ones made less attractive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from . import checks
from .boxes import Occupancy, box, exponent_for, integers_of, sums_in_order
from .region import Region

Places = tuple[slice, ...]

_TILE = 1024  # positions of a tile, at least
_NONE = int(np.iinfo(np.int64).min)
_WEIGHTS = (0.0, 1e100)
_SIGMAS = (1e-6, 1e6)
# Adding and taking away 2^12 rounds to multiples of 2^-40: sums of penalties below 2^13 are then
# exact, so that boxes equally far from the same picks tie whatever the order of the picks.
_ROUND = 2.0**12
_FAR = 30.0  # exp(-30) < 2^-42: a penalty that rounds to 0


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

    The next box is computed when it is asked for; the image must stay as it is until then.

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
    values, occupancy = _image(uncertainty, size, taken)
    return ranked(values, occupancy, weight, sigma)


def extreme_means(
    uncertainty: np.ndarray, size: Sequence[int], taken: Iterable[Region] = ()
) -> tuple[float, float]:
    """Return the lowest and highest mean over the free boxes; inf and -inf where none is free.

    Args:
        uncertainty, size, taken: see ``ranked_regions``.

    >>> extreme_means(np.uint8([[0, 8, 9], [0, 5, 0]]), (1, 2))
    (2.5, 8.5)
    """
    values, occupancy = _image(uncertainty, size, taken)
    exponent = exponent_for("uncertainty", values, occupancy.pixels)
    low, high = [], []
    every = sums_in_order(integers_of(occupancy.view(values), exponent), occupancy)
    for free, sums in zip(occupancy.free, every, strict=True):
        if free.any():
            low.append(sums[free].min())
            high.append(sums[free].max())
    if not low:
        return np.inf, -np.inf
    lowest, highest = (int(v) / occupancy.pixels for v in (min(low), max(high)))
    return math.ldexp(lowest, -exponent), math.ldexp(highest, -exponent)


def strength(weight: float, sigma: float) -> tuple[float, float]:
    """Return the weight and the width of the penalty if they are in range."""
    return checks.real("weight", weight, *_WEIGHTS), checks.real("sigma", sigma, *_SIGMAS)


def _image(
    uncertainty: np.ndarray, size: Sequence[int], taken: Iterable[Region]
) -> tuple[np.ndarray, Occupancy]:
    values = np.asarray(uncertainty)
    if values.dtype != np.uint8:
        values = checks.array("uncertainty (if not uint8)", values, "f")
    if not values.ndim or not values.size:
        raise ValueError(f"uncertainty has shape {values.shape}; it must have axes, none empty")
    return values, Occupancy(values.shape, box("size", size, values.shape), taken)


def ranked(
    values: np.ndarray, occupancy: Occupancy, weight: float = 0.0, sigma: float = 1.0
) -> Iterator[tuple[float, Region]]:
    """Yield what ``ranked_regions`` does, and place it when the next is asked for.

    Args:
        values: uint8 or finite float, the image.
        occupancy: of the box in it.
        weight, sigma: of the penalty.

    Raises:
        ValueError: at the call, a value that is not finite.
    """
    exponent = exponent_for("uncertainty", values, occupancy.pixels)
    turned = occupancy.view(values)
    crowding = Crowding(occupancy, exponent, weight, sigma) if weight else None
    return _ranked(turned, occupancy, exponent, crowding)


def _ranked(
    values: np.ndarray, occupancy: Occupancy, exponent: int, crowding: Crowding | None
) -> Iterator[tuple[float, Region]]:
    ranking = Ranking(values, occupancy, exponent, crowding)
    while (found := ranking.best()) is not None:
        gain, total, position = found
        score = math.ldexp(total / occupancy.pixels, -exponent)
        region = occupancy.region(position, None, score)
        yield (score if crowding is None else gain), region
        occupancy.place(region)
        if crowding is not None:
            ranking.fallen(crowding.pick(position, ranking.firsts, ranking.lasts))


class Ranking:
    """Finds the free box with the highest sum, or gain; the first of equals in row-major order.

    Of each tile of positions the best sum when last looked at is kept: as positions are closed and
    gains fall, it stays an upper bound. Only tiles that come out on top are summed again.

    Args:
        values: the image in the axes of ``occupancy.free``, uint8, bool or float.
        exponent: of floats in fixed point, see ``boxes.exponent_of``.
        occupancy: of the box; what is placed there is noticed.
        crowding: makes gains of the sums; ``fallen`` is to be told where they changed.
    """

    def __init__(
        self,
        values: np.ndarray,
        occupancy: Occupancy,
        exponent: int = 0,
        crowding: Crowding | None = None,
    ) -> None:
        self._values, self._exponent, self._crowding = values, exponent, crowding
        self._occupancy, self._free = occupancy, occupancy.free
        sides = [max(1, k // 2) for k in occupancy.size]
        for axis in reversed(range(len(sides))):
            rest = -(-_TILE // math.prod(sides))
            sides[axis] = min(self._free.shape[axis], sides[axis] * rest)
        self.firsts = [np.arange(0, p, k) for p, k in zip(self._free.shape, sides, strict=True)]
        """First position of the tiles along each axis."""
        self.lasts = [
            np.minimum(first + side, p) - 1
            for first, side, p in zip(self.firsts, sides, self._free.shape, strict=True)
        ]
        """Their last positions."""
        bound = np.full([len(first) for first in self.firsts], _NONE)
        for z, sums in enumerate(sums_in_order(integers_of(values, exponent), occupancy)):
            for axis, first in enumerate(self.firsts[1:]):
                sums = np.maximum.reduceat(sums, first, axis=axis)
            np.maximum(bound[z // sides[0]], sums, out=bound[z // sides[0]])
        self._bound = bound if crowding is None else crowding.means(bound)
        self._lowest = _NONE if crowding is None else -np.inf
        self._total = bound.copy()  # the sum at that position
        # the first position with that sum, or of the tile where it was not looked at
        self._place = self._order_of(np.ix_(*self.firsts))
        self._known = np.zeros(bound.shape, bool)

    def _order_of(self, position: Sequence[Any]) -> Any:
        """Where positions stand in the order that decides ties."""
        ordered = self._occupancy.in_order
        return np.ravel_multi_index(ordered(position), ordered(self._free.shape))

    def fallen(self, tiles: np.ndarray) -> None:
        """Take notice that gains of some tiles, a bool for each, may have fallen."""
        self._known &= ~tiles

    def best(self) -> tuple[float, int, tuple[int, ...]] | None:
        """Return the highest gain (the sum itself without crowding), its sum and its position.

        ``None`` where nothing is free.
        """
        bound, place, known = (a.reshape(-1) for a in (self._bound, self._place, self._known))
        shape, axis = self._occupancy.in_order(self._free.shape), self._occupancy.axis
        while (top := bound.max()) > self._lowest:
            tied = np.flatnonzero(bound == top)
            tile = tied[place[tied].argmin()]
            position = [int(i) for i in np.unravel_index(place[tile], shape)]
            position.insert(0, position.pop(axis))
            if known[tile] and self._free[tuple(position)]:
                return top.item(), int(self._total.flat[tile]), tuple(position)
            self._look(np.unravel_index(tile, self._bound.shape))
        return None

    def _look(self, tile: tuple[np.intp, ...]) -> None:
        """Find the best position of a tile anew."""
        places = tuple(
            slice(int(first[i]), int(last[i]) + 1)
            for i, first, last in zip(tile, self.firsts, self.lasts, strict=True)
        )
        free = self._free[places]
        self._known[tile], self._bound[tile] = True, self._lowest
        if not free.any():
            return
        sides = zip(places, self._occupancy.size, strict=True)
        values = self._values[tuple(slice(p.start, p.stop + k - 1) for p, k in sides)]
        found = sums_in_order(integers_of(values, self._exponent), self._occupancy, values.shape)
        totals = np.array([sums.copy() for sums in found])
        ranks = totals.copy() if self._crowding is None else self._crowding.gains(totals, places)
        ranks[~free] = self._lowest
        ordered = np.moveaxis(ranks, 0, self._occupancy.axis)
        best = [int(i) for i in np.unravel_index(ordered.argmax(), ordered.shape)]
        best.insert(0, best.pop(self._occupancy.axis))
        self._bound[tile], self._total[tile] = ranks[tuple(best)], totals[tuple(best)]
        self._place[tile] = self._order_of([p.start + i for p, i in zip(places, best, strict=True)])


class Crowding:
    """Gains: the mean under a box less what the boxes picked before cost it.

    Args:
        occupancy: of the box.
        exponent: of the integers that are summed.
        weight, sigma: of the penalty, see ``ranked_regions``.
    """

    def __init__(self, occupancy: Occupancy, exponent: int, weight: float, sigma: float) -> None:
        self._weight, self._picks = weight, []
        self._units = float(occupancy.pixels), 2.0**-exponent
        self._widths = np.array(occupancy.size) * sigma
        axes = zip(occupancy.free.shape, occupancy.size, strict=True)
        self._tables = [np.exp(-0.5 * (np.arange(1 - p, p) / k / sigma) ** 2) for p, k in axes]
        """The penalty of every distance along each axis; that of 0 in the middle."""

    def means(self, sums: np.ndarray) -> np.ndarray:
        """Return the means, which are the gains before any pick."""
        pixels, factor = self._units
        return sums / pixels * factor

    def gains(self, sums: np.ndarray, places: Places) -> np.ndarray:
        """Return the gains at a box of positions."""
        loss = np.zeros(sums.shape)
        ends = [p.start for p in places], [p.stop - 1 for p in places]
        for pick in self._picks:
            if self._reaches(pick, *ends):
                loss += self._penalty(places, pick)
        return self.means(sums) - self._weight * loss

    def pick(
        self, position: Sequence[int], firsts: Sequence[np.ndarray], lasts: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Add a pick; return which tiles it may cost something, a bool for each."""
        self._picks.append(position)
        return self._reaches(position, firsts, lasts)

    def _reaches(self, pick: Sequence[int], firsts: Sequence[Any], lasts: Sequence[Any]) -> Any:
        """Whether the penalty of a pick is above 0 in boxes of positions."""
        total = np.float64(0)
        for low, high, at, width in zip(firsts, lasts, pick, self._widths, strict=True):
            apart = np.maximum(np.maximum(low - at, at - high), 0) / width
            total = total[..., None] + 0.5 * apart**2
        return total < _FAR

    def _penalty(self, places: Places, pick: Sequence[int]) -> np.ndarray:
        near = [
            table[len(table) // 2 - at :][part]
            for table, part, at in zip(self._tables, places, pick, strict=True)
        ]
        *outer, last = np.ix_(*near)
        factor = outer[-1]
        for table in outer[-2::-1]:
            factor = factor * table
        return (factor * last + _ROUND) - _ROUND
