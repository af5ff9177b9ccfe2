"""Compiled search for the best free box: of each tile of positions an upper bound is known.

Of each tile the best position is kept, which stays an upper bound when boxes are blocked or
penalised: only tiles that come out on top are summed again.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled
from .spatial_sums import (
    BLOCKED,
    DEAD,
    NOTHING,
    STALE,
    Blocks,
    Field,
    Penalty,
    Tiles,
    Work,
    gain_of,
    ordered,
    scan,
)


@compiled
def best_free(
    field: Field, tiles: Tiles, blocks: Blocks, penalty: Penalty, count: int, work: Work
) -> int:
    """Return the tile whose bound is the first highest gain of all, -1 where nothing is free.

    Args:
        field, blocks, work: see there.
        tiles: bounds are brought up to date where needed, in place.
        penalty: of the picks.
        count: how many picks there are.
    """
    near = np.empty(count, np.int64)
    while True:
        tile = tiles.tree[1]
        if tiles.seen[tile] == DEAD:
            return -1
        if tiles.seen[tile] != STALE:
            if penalty.weight == 0 or tiles.seen[tile] == count:
                return tile
            if _reaching(near, tile, field, tiles, penalty, tiles.seen[tile], count) == 0:
                tiles.seen[tile] = count
                return tile
        reaching = _reaching(near, tile, field, tiles, penalty, 0, count)
        _look_again(tile, field, tiles, blocks, penalty, near[:reaching], work)
        if tiles.seen[tile] != DEAD:
            tiles.seen[tile] = count
        climb(tiles, tile)


@compiled
def bound_gains(field: Field, tiles: Tiles, penalty: Penalty) -> None:
    """Turn bounds of sums into bounds of gains; all tiles are to be looked at again.

    Unequal sums can have equal gains: any position of a tile may be the first that has the bound.
    """
    for tile in range(tiles.bound.size):
        if tiles.seen[tile] != DEAD:
            tiles.bound[tile] = ordered(gain_of(tiles.bound[tile], penalty))
            outer, z, y, x = _corner(tile, tiles)
            row = (outer * field.positions[0] + z) * field.positions[1] + y
            tiles.where[tile] = row * field.positions[2] + x
            tiles.seen[tile] = STALE


@compiled
def climb(tiles: Tiles, tile: int) -> None:
    """Bring the nodes above a tile up to date."""
    node = (tile + tiles.tree.size) // 2
    while node:
        _settle(tiles, node)
        node //= 2


@compiled
def grow(tiles: Tiles) -> None:
    """Fill the tree."""
    for node in range(tiles.tree.size - 1, 0, -1):
        _settle(tiles, node)


@compiled
def _settle(tiles: Tiles, node: int) -> None:
    leaves = tiles.tree.size
    left, right = 2 * node - leaves, 2 * node + 1 - leaves
    if left < 0:
        left, right = tiles.tree[2 * node], tiles.tree[2 * node + 1]
    elif right >= tiles.bound.size:
        right = -1
        left = left if left < tiles.bound.size else -1
    best = left
    if right >= 0:
        a, b = tiles.bound[left], tiles.bound[right]
        if b > a or (a == b and tiles.where[right] < tiles.where[left]):
            best = right
    tiles.tree[node] = best


@compiled
def _corner(tile: int, tiles: Tiles) -> tuple[int, int, int, int]:
    """Outer position of a tile and its first position along the other axes."""
    rest, i = divmod(tile, tiles.counts[2])
    rest, j = divmod(rest, tiles.counts[1])
    outer, k = divmod(rest, tiles.counts[0])
    return outer, k * tiles.sides[0], j * tiles.sides[1], i * tiles.sides[2]


@compiled
def _reaching(
    near: np.ndarray,
    tile: int,
    field: Field,
    tiles: Tiles,
    penalty: Penalty,
    first: int,
    stop: int,
) -> int:
    """Write the picks of a range whose penalty reaches a tile to ``near``; return how many."""
    if penalty.weight == 0:
        return 0
    corner, found = _corner(tile, tiles), 0
    middle, axes = penalty.tables.shape[1] // 2, field.outer.shape[1]
    for number in range(first, stop):
        pick, factor = penalty.picks[number], 1.0
        for axis in range(axes):
            factor *= penalty.tables[axis, middle + field.outer[corner[0], axis] - pick[axis]]
        for axis in range(3):
            low = corner[axis + 1]
            last = min(low + tiles.sides[axis], field.positions[axis]) - 1
            nearest = min(max(pick[axes + axis], low), last)
            factor *= penalty.tables[axes + axis, middle + nearest - pick[axes + axis]]
        if factor > 0.5 * NOTHING:  # half: products of another order may differ in the last bit
            near[found] = number
            found += 1
    return found


@compiled
def _look_again(
    tile: int,
    field: Field,
    tiles: Tiles,
    blocks: Blocks,
    penalty: Penalty,
    near: np.ndarray,
    work: Work,
) -> None:
    """Find the best position of a tile anew."""
    outer, z, y, x = _corner(tile, tiles)
    stops = (
        min(z + tiles.sides[0], field.positions[0]),
        min(y + tiles.sides[1], field.positions[1]),
        min(x + tiles.sides[2], field.positions[2]),
    )
    tiles.bound[tile] = BLOCKED
    low = np.empty(0, np.int64)
    scan(field, tiles, blocks, penalty, near, work, outer, (z, y, x), stops, low)
    if tiles.bound[tile] == BLOCKED:
        tiles.seen[tile] = DEAD


@compiled
def cut(
    starts: np.ndarray,
    stops: np.ndarray,
    size: tuple[int, int, int],
    positions: tuple[int, int, int],
    sides: tuple[int, int, int],
    counts: tuple[int, int, int],
    boxes: np.ndarray,
    first: int,
) -> int:
    """Write the boxes of positions at which a box overlaps regions; return the entries they need.

    Args:
        starts, stops: (R, 3) int64, of the regions along the last three axes.
        size, positions: see ``Field``.
        sides, counts: see ``Tiles``.
        boxes: see ``Blocks``; changed in place from ``first`` on. A box without positions is 0.
        first: number of the first box.
    """
    room = 0
    for k in range(starts.shape[0]):
        box, touched, whole = boxes[first + k], 1, 1
        for axis in range(3):
            low = max(starts[k, axis] - size[axis] + 1, 0)
            high = min(stops[k, axis], positions[axis])
            box[axis], box[axis + 3] = low, high
            touched *= max((high - 1) // sides[axis] - low // sides[axis] + 1, 0)
            last = counts[axis] if high == positions[axis] else high // sides[axis]
            whole *= max(last - (low + sides[axis] - 1) // sides[axis], 0)
        if min(box[3] - box[0], box[4] - box[1], box[5] - box[2]) <= 0:
            box[:] = 0
        else:
            room += touched - whole
    return room


@compiled
def place(
    field: Field,
    tiles: Tiles,
    blocks: Blocks,
    outer: int,
    first: int,
    stop: int,
    used: int,
) -> int:
    """Block boxes of positions at one outer position.

    Args:
        field: see there.
        tiles: changed in place.
        blocks: entries are added, in place; there must be room.
        outer: the outer position.
        first: number of the first box.
        stop: number after the last.
        used: entries in use.

    Returns:
        Entries in use now.
    """
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for number in range(first, stop):
        box = blocks.boxes[number]
        for axis in range(3):
            low[axis] = box[axis] // tiles.sides[axis]
            high[axis] = (box[axis + 3] - 1) // tiles.sides[axis] + 1
        for k in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                for i in range(low[2], high[2]):
                    tile = (outer * tiles.counts[0] + k) * tiles.counts[1] + j
                    tile = tile * tiles.counts[2] + i
                    used = _cover(tile, number, field, tiles, blocks, used)
    return used


@compiled
def _cover(
    tile: int,
    number: int,
    field: Field,
    tiles: Tiles,
    blocks: Blocks,
    used: int,
) -> int:
    if tiles.seen[tile] == DEAD:
        return used
    box, corner = blocks.boxes[number], _corner(tile, tiles)
    whole = True
    for axis in range(3):
        low = corner[axis + 1]
        whole &= box[axis] <= low
        whole &= min(low + tiles.sides[axis], field.positions[axis]) <= box[axis + 3]
    if whole:
        tiles.seen[tile], tiles.bound[tile] = DEAD, BLOCKED
        climb(tiles, tile)
        return used
    rest, x = divmod(tiles.where[tile], field.positions[2])
    rest, y = divmod(rest, field.positions[1])
    z = rest % field.positions[0]
    if box[0] <= z < box[3] and box[1] <= y < box[4] and box[2] <= x < box[5]:
        tiles.seen[tile] = STALE
    blocks.entries[used, 0], blocks.entries[used, 1] = number, tiles.head[tile]
    tiles.head[tile] = used
    return used + 1
