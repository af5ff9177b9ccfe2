"""The start from labels that are there already, where people annotate."""

from __future__ import annotations

import numpy as np

from al.io.labels import UNKNOWN
from decomp_core import Region

from ..query import Pick, Query
from ..registry import register_pool


@register_pool("labelled", needs=frozenset({"truth"}))
def labelled(query: Query, n: int) -> list[tuple[str, Pick]]:
    """The smallest box in each image that holds all of its labels, or its RoIs with a class."""
    found: list[tuple[str, Pick]] = []
    for image, rows in query.groups.items():
        if rows[0].roi:
            have = [i for i, row in enumerate(rows) if query.truth(row) != UNKNOWN]
            found += [(image, i) for i in have]
            continue
        if not rows[0].label_path:
            continue
        places = np.nonzero(query.truth(rows[0]) != UNKNOWN)
        if places[0].size:
            start = [int(axis.min()) for axis in places]
            size = [int(axis.max()) + 1 - low for axis, low in zip(places, start, strict=True)]
            found.append((image, Region(tuple(start), tuple(size))))
    return found
