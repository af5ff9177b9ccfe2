"""Features of candidate regions, from the model of the cycle before."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from al.io.tables import PoolRow, RegionRow
from al.learners import Model


class Embedder:
    """A model, and the pool that regions lie in."""

    def __init__(self, model: Model, rows: list[PoolRow]) -> None:
        self.model = model
        self.rows = {row.key: row for row in rows}

    def features(self, regions: list[RegionRow], gradient: bool) -> np.ndarray:
        """Return (R, F) features: of length 1, or as a gradient embedding takes them."""
        if regions and regions[0].kind == "roi":
            return self.model.embed_rois(self._rois(regions), unit=not gradient)
        pooling = "max" if gradient else "mean"
        return self._by_image(regions, lambda row, held: self.model.embed(row, held, pooling))

    def residuals(self, regions: list[RegionRow]) -> np.ndarray:
        """Return (R, C) means of p - onehot(argmax p)."""
        if regions and regions[0].kind == "roi":
            return self.model.residuals_rois(self._rois(regions))
        return self._by_image(regions, self.model.residuals)

    def _rois(self, regions: list[RegionRow]) -> list[PoolRow]:
        return [self.rows[f"{r.image}/{r.roi}"] for r in regions]

    def _by_image(self, regions: list[RegionRow], run: Any) -> np.ndarray:
        """Run once on each image; rows come back in the order of ``regions``."""
        order = sorted(range(len(regions)), key=lambda i: regions[i].image)
        found = [
            run(self.rows[image], [regions[i].region for i in held])
            for image, held in groupby(order, key=lambda i: regions[i].image)
        ]
        if not found:
            return np.zeros((0, 1), np.float32)
        return np.concatenate(found)[np.argsort(order)]
