"""The best free window of a slice, kept row by row between choices."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from .kernels import scan_rows
from .space import Space


class _Rows:
    """The best free window of each row of positions of one slice, for one map of values."""

    def __init__(self, space: Space, number: int, values: np.ndarray) -> None:
        narrow = values.dtype == np.uint8 and 255 * values.size < 2**31
        dtype = np.int32 if narrow else np.int64
        self._space, self._number = space, number
        self._boxes = np.array(space.boxes, np.int64)
        self._lowest = int(np.iinfo(dtype).min)
        self._best = np.empty(space.positions[0], dtype)
        self._where = np.zeros(space.positions[0], np.int64)
        self._seen = len(space.changes(number))
        self._scan(values, 0, len(self._best))

    def _scan(self, values: np.ndarray, first: int, stop: int) -> None:
        blocked = self._space.blocked(self._number)
        scan_rows(values, self._boxes, blocked, first, stop, self._lowest, self._best, self._where)

    def update(self, values: Callable[[], np.ndarray]) -> None:
        """Look again at rows whose best window has been blocked since."""
        changes = self._space.changes(self._number)
        blocked = self._space.blocked(self._number)
        for first, stop in changes[self._seen :]:
            rows = np.arange(first, stop)
            lost = rows[blocked[rows, self._where[rows]] & (self._best[rows] > self._lowest)]
            if lost.size:
                self._scan(values(), int(lost[0]), int(lost[-1]) + 1)
        self._seen = len(changes)

    def peak(self) -> tuple[int, int, int] | None:
        y = int(self._best.argmax())
        value = int(self._best[y])
        return None if value == self._lowest else (value, y, int(self._where[y]))


class Peaks:
    """Finds the free window with the highest sum; ties go to the first in row-major order.

    Args:
        space: free positions; regions placed there are noticed.
        values: of a slice number and a key, the (H, W) bool, uint8 or int64 values to sum.
    """

    def __init__(self, space: Space, values: Callable[[int, Hashable], np.ndarray]) -> None:
        self._space, self._values = space, values
        self._rows: dict[tuple[int, Hashable], _Rows] = {}

    def best(self, number: int, key: Hashable = None) -> tuple[int, int, int] | None:
        """Sum, row and column of the best free window of a slice; ``None`` where none is free."""
        if self._space.closed[number]:
            return None
        rows = self._rows.get((number, key))
        if rows is None:
            rows = self._rows[number, key] = _Rows(self._space, number, self._plane(number, key))
        else:
            rows.update(lambda: self._plane(number, key))
        return rows.peak()

    def _plane(self, number: int, key: Hashable) -> np.ndarray:
        values = np.ascontiguousarray(self._values(number, key))
        return values.view(np.uint8) if values.dtype == np.bool_ else values
