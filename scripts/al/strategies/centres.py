"""Where random windows of a volume may be centred."""

from __future__ import annotations

from typing import Any

import numpy as np

from al.io.tables import PoolRow
from al.strategies.body import body_mask

from .query import Open


def centres_from(layout: dict[str, Any], limits: dict[str, float] | None) -> Open:
    """Return a function that opens a volume and masks its body; without limits, no mask."""
    if limits is None:
        return lambda row: None

    def centres(row: PoolRow) -> np.ndarray | None:
        from al.layouts import get_layout

        volume = get_layout(**layout).open_image(row)
        return body_mask(volume, limits["low"], limits["high"])

    return centres
