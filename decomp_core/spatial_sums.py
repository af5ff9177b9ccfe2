"""Sums over a box at every position of a block, row by row, and the best free one of each tile.

An image of any number of axes is seen as volumes of three: axes before the last three are
*outer*, and the box at one outer position lies in several of these volumes. Positions are cut
into tiles. No map of sums is kept: one row of them stays in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiling import compiled
from .kernels import set_sums

BLOCKED = int(np.iinfo(np.int64).min)
STALE, DEAD = -1, -2
# Adding and taking away 2^12 rounds to multiples of 2^-40: sums of penalties below 2^13 are then
# exact, so that boxes equally far from the same picks tie whatever the order of the picks.
_ROUND = 2.0**12
NOTHING = 2.0**-41  # a penalty that is not larger rounds to 0


class Field(NamedTuple):
    """An image and the box that is moved over it.

    Attributes:
        values: (V, D, H, W) uint8, float32 or float64.
        members: (O, K) int64, the volumes under the box at each outer position.
        outer: (O, A) int64, outer positions.
        positions: of the box along the last three axes.
        size: of the box along these.
        scale: factors that make floats the integers to sum, two as one can leave float64's range.
        whole: whether values are such integers already.
    """

    values: np.ndarray
    members: np.ndarray
    outer: np.ndarray
    positions: tuple[int, int, int]
    size: tuple[int, int, int]
    scale: tuple[float, float]
    whole: bool


class Tiles(NamedTuple):
    """Tiles of positions, in the order of outer position, then row-major.

    Attributes:
        sides: of a tile along the last three axes; those at the end may be smaller.
        counts: tiles along these, for each outer position.
        bound: (T,) int64, the best sum of the tile when last looked at, or the best gain as
            ``ordered`` has it; ``BLOCKED`` without any.
        where: (T,) int64, the first position that has it, counted in row-major order.
        seen: (T,) int32, how many picks the bound knows of; ``STALE`` if its box is not free or
            was never looked at, ``DEAD`` if nothing is free.
        head: (T,) int32, first of the tile's entries, -1 for none.
        tree: (L,) int32, node i holds the better of what its children 2i and 2i + 1 hold; nodes
            from L on stand for the tiles.
    """

    sides: tuple[int, int, int]
    counts: tuple[int, int, int]
    bound: np.ndarray
    where: np.ndarray
    seen: np.ndarray
    head: np.ndarray
    tree: np.ndarray


class Blocks(NamedTuple):
    """Boxes of positions that are not free, listed for each tile that one partly covers.

    Attributes:
        boxes: (B, 6) int64, first along the last three axes, then stop.
        entries: (E, 2) int32, a box and the tile's next entry, -1 for none.
    """

    boxes: np.ndarray
    entries: np.ndarray


class Penalty(NamedTuple):
    """What near picks cost; nothing with weight 0.

    Attributes:
        weight, pixels: of the penalty, and of the box.
        units: two factors from means to the units of the image.
        tables: (A + 3, 2 M + 1) float64, the penalty of a distance along each axis.
        picks: (at least the count, A + 3) int64 positions.
    """

    weight: float
    pixels: float
    units: tuple[float, float]
    tables: np.ndarray
    picks: np.ndarray


class Work(NamedTuple):
    """Space to compute in, int32 or int64: ``plane`` for sums over the box's first axis (empty
    where the box is one plane), ``column`` over its rows, ``sums`` over all of it."""

    plane: np.ndarray
    column: np.ndarray
    sums: np.ndarray


@compiled
def scan(
    field: Field,
    tiles: Tiles,
    blocks: Blocks,
    penalty: Penalty,
    near: np.ndarray,
    work: Work,
    outer: int,
    starts: tuple[int, int, int],
    stops: tuple[int, int, int],
    low: np.ndarray,
) -> None:
    """Sum over the box at each position of a block of whole tiles, and keep each tile's best.

    Args:
        field, tiles, blocks, penalty, work: see there.
        near: numbers of the picks whose penalty is to be taken away; with a weight only for a
            block of one tile.
        outer: the outer position.
        starts: first position of the block along the last three axes.
        stops: position after its last.
        low: (1,) int64, lowered to the lowest free sum; (0,) if that is not asked for.
    """
    _, height, width = field.size
    x, cols = starts[2], stops[2] - starts[2] + width - 1
    y, rows = starts[1], stops[1] - starts[1] + height - 1
    column, sums = work.column[:cols], work.sums[: stops[2] - starts[2]]
    flat = work.plane.size == 0
    for z in range(starts[0], stops[0]):
        volume = field.values[field.members[outer, 0], z]
        if not flat:
            _set_plane(work.plane, field, outer, z, z == starts[0], y, rows, x, cols)
        column[:] = 0
        for r in range(rows):
            old = r - height
            if flat:
                new = volume[y + r, x : x + cols]
                gone = volume[y + max(old, 0), x : x + cols]
                _slide(column, new, gone, old >= 0, field.scale, field.whole)
            else:
                new = work.plane[r * cols : (r + 1) * cols]
                gone = work.plane[max(old, 0) * cols : (max(old, 0) + 1) * cols]
                _slide(column, new, gone, old >= 0, field.scale, True)
            if old >= -1:
                set_sums(column, width, sums)
                _keep_best(
                    sums, field, tiles, blocks, penalty, near, (outer, z, y + old + 1), x, low
                )


@compiled
def _set_plane(
    plane: np.ndarray,
    field: Field,
    outer: int,
    z: int,
    anew: bool,
    y: int,
    rows: int,
    x: int,
    cols: int,
) -> None:
    """Sum over the box's first axis and outer axes at z; not ``anew``: from what was at z - 1."""
    depth = field.size[0]
    if anew:
        plane[: rows * cols] = 0
    for k in range(field.members.shape[1]):
        volume = field.values[field.members[outer, k]]
        for r in range(rows):
            part = plane[r * cols : (r + 1) * cols]
            gone = volume[max(z - 1, 0), y + r, x : x + cols]
            for i in range(z if anew else z + depth - 1, z + depth):
                new = volume[i, y + r, x : x + cols]
                _slide(part, new, gone, not anew, field.scale, field.whole)


@compiled
def _slide(
    total: np.ndarray,
    new: np.ndarray,
    gone: np.ndarray,
    full: bool,
    scale: tuple[float, float],
    whole: bool,
) -> None:
    """Add a row; if the box is full already, take another away."""
    kind = total.dtype.type
    if whole and full:
        for x in range(total.size):
            total[x] += kind(new[x]) - kind(gone[x])
    elif whole:
        for x in range(total.size):
            total[x] += kind(new[x])
    elif full:
        for x in range(total.size):
            total[x] += kind(_fixed(new[x], scale)) - kind(_fixed(gone[x], scale))
    else:
        for x in range(total.size):
            total[x] += kind(_fixed(new[x], scale))


@compiled
def _fixed(value: float, scale: tuple[float, float]) -> float:
    return np.rint(np.float64(value) * scale[0] * scale[1])


@compiled
def _keep_best(
    sums: np.ndarray,
    field: Field,
    tiles: Tiles,
    blocks: Blocks,
    penalty: Penalty,
    near: np.ndarray,
    row: tuple[int, int, int],
    x: int,
    low: np.ndarray,
) -> None:
    """Compare a row of sums from column ``x`` on with the best of the tiles it runs through."""
    outer, z, y = row
    floor = np.iinfo(sums.dtype).min
    side = tiles.sides[2]
    before = (outer * tiles.counts[0] + z // tiles.sides[0]) * tiles.counts[1] + y // tiles.sides[1]
    place = ((outer * field.positions[0] + z) * field.positions[1] + y) * field.positions[2]
    for a in range(0, sums.size, side):
        tile = before * tiles.counts[2] + (x + a) // side
        if tiles.seen[tile] == DEAD:
            continue
        part = sums[a : a + side]
        _block(part, tile, z, y, x + a, tiles, blocks, floor)
        if low.size:
            _lower(low, part, floor)
        if penalty.weight == 0:
            highest = _highest(part)
            if highest > floor and highest > tiles.bound[tile]:
                tiles.bound[tile] = highest
                tiles.where[tile] = place + x + a + _first(part, highest)
        else:
            gain, i = _highest_gain(part, field, penalty, near, row, x + a, floor)
            if part[i] != floor and ordered(gain) > tiles.bound[tile]:
                tiles.bound[tile] = ordered(gain)
                tiles.where[tile] = place + x + a + i


@compiled
def _block(
    part: np.ndarray,
    tile: int,
    z: int,
    y: int,
    x: int,
    tiles: Tiles,
    blocks: Blocks,
    floor: int,
) -> None:
    entry = tiles.head[tile]
    while entry >= 0:
        box = blocks.boxes[blocks.entries[entry, 0]]
        if box[0] <= z < box[3] and box[1] <= y < box[4]:
            for i in range(max(box[2] - x, 0), min(box[5] - x, part.size)):
                part[i] = floor
        entry = blocks.entries[entry, 1]


@compiled
def _lower(low: np.ndarray, part: np.ndarray, floor: int) -> None:
    lowest = np.iinfo(part.dtype).max
    for x in range(part.size):
        lowest = min(lowest, part[x] if part[x] != floor else np.iinfo(part.dtype).max)
    if lowest < np.iinfo(part.dtype).max:
        low[0] = min(low[0], lowest)


@compiled
def _highest(part: np.ndarray) -> int:
    highest = part[0]
    for x in range(part.size):
        highest = max(highest, part[x])
    return highest


@compiled
def _first(part: np.ndarray, value: float) -> int:
    for x in range(part.size):
        if part[x] == value:
            return x
    return 0


@compiled
def _highest_gain(
    part: np.ndarray,
    field: Field,
    penalty: Penalty,
    near: np.ndarray,
    row: tuple[int, int, int],
    x: int,
    floor: int,
) -> tuple[float, int]:
    """The highest gain of a row of sums, -inf where none is free, and the first place of it."""
    loss = np.zeros(part.size)
    for number in near:
        _add_penalty(loss, field, penalty, penalty.picks[number], row, x)
    highest, place = -np.inf, 0
    for i in range(part.size):
        if part[i] != floor:
            gain = gain_of(part[i], penalty) - penalty.weight * loss[i]
            if gain > highest:
                highest, place = gain, i
    return highest, place


@compiled
def ordered(gain: float) -> int:
    """Return an integer that is in the order of floats, above ``BLOCKED``; see ``gain_from``.

    Integers stand for sums and gains alike, which spares the time to compile for both.
    """
    bits = np.float64(gain).view(np.int64)
    return bits if bits >= 0 else BLOCKED - bits


def gain_from(number: int) -> float:
    """Return the float that ``ordered`` made an integer of."""
    return float(np.int64(number if number >= 0 else BLOCKED - int(number)).view(np.float64))


@compiled
def gain_of(total: int, penalty: Penalty) -> float:
    """Return the mean over a box in the units of the image, which is its gain before any pick."""
    return total / penalty.pixels * penalty.units[0] * penalty.units[1]


@compiled
def _add_penalty(
    loss: np.ndarray,
    field: Field,
    penalty: Penalty,
    pick: np.ndarray,
    row: tuple[int, int, int],
    x: int,
) -> None:
    tables, axes = penalty.tables, field.outer.shape[1]
    middle = tables.shape[1] // 2
    factor = tables[axes + 1, middle + row[2] - pick[axes + 1]]
    factor *= tables[axes, middle + row[1] - pick[axes]]
    for axis in range(axes - 1, -1, -1):
        factor *= tables[axis, middle + field.outer[row[0], axis] - pick[axis]]
    if factor <= NOTHING:
        return
    table = tables[axes + 2, middle + x - pick[axes + 2] :]
    for i in range(loss.size):
        loss[i] += (factor * table[i] + _ROUND) - _ROUND
