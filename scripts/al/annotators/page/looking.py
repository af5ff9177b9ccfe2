"""What people look at: tiles of images, slices of volumes, by the id of a region in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from al.annotators.assignment import Assignment
from al.annotators.targets import Target
from al.io.tables import PoolRow

from . import bodies
from .bodies import Refusal
from .onward import Loop
from .views import Views, tiles_of


class Looking:
    """The images of a run's regions; what a client asks of them is compared with their shape.

    Args:
        loop: the run.
        views: of its layout.
    """

    def __init__(self, loop: Loop, views: Views) -> None:
        self.loop, self.views = loop, views

    def tile(self, number: str, cycle: str | None, level: str, down: str, across: str) -> bytes:
        """Return a tile of a region's image, BMP or JPEG."""
        row = self._flat(number, cycle)
        tiles = tiles_of(row.shape)
        k = bodies.number_of(level, "level", len(tiles))
        at = zip((down, across), tiles[k], strict=True)
        return self.views.tile(row, k, *(bodies.number_of(a, "tile", n) for a, n in at))

    def thumbnail(self, number: str) -> bytes:
        """Return a small picture of a region's image, JPEG."""
        return self.views.thumbnail(self._flat(number))

    def _flat(self, number: str, cycle: str | None = None) -> PoolRow:
        """Return the image or RoI of a region. Raises Refusal (404) for a volume's."""
        row = self._target(number, _asked(cycle))[1].row
        if row.axis is not None:
            raise Refusal(404, "This image has slices.")
        return row

    def slice(self, number: str, cycle: str | None, axis: str | None, index: str | None) -> bytes:
        """Return a plane of a region's volume: uint16, little-endian, rows by columns."""
        row = self._target(number, _asked(cycle))[1].row
        if row.axis is None:
            raise Refusal(404, "This image has no slices.")
        along = bodies.number_of(axis, "axis", len(row.shape))
        return self.views.slice(row, along, bodies.number_of(index, "slice", row.shape[along]))

    def _target(
        self, number: str, body: Mapping[str, Any] | None = None
    ) -> tuple[Assignment, Target]:
        """Return the region of an id; ids count anew in each cycle."""
        assignment = self.loop.assignment()
        if assignment is None:
            raise Refusal(404, "No region waits now.")
        cycle = bodies.whole(body or {}, "cycle", 10**6, none=True)
        if cycle not in (None, assignment.cycle):
            raise Refusal(409, f"Cycle {cycle} is over.", reason="cycle")
        at = bodies.number_of(number, "region", len(assignment.targets))
        return assignment, assignment.targets[at]


def _asked(cycle: str | None) -> dict[str, int]:
    """Return what a client says of the cycle that it means, as in a body."""
    return {} if cycle is None else {"cycle": bodies.number_of(cycle, "cycle", 10**6)}
