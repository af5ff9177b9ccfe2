"""Features of candidate regions, from the model of the cycle before."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from al.io.tables import PoolRow, RegionRow
from al.learners import Learner


class Embedder:
    """A model and what it needs to open images."""

    def __init__(
        self, learner: Learner, model: Path, layout: Any, rows: list[PoolRow], settings: Any
    ) -> None:
        self.learner, self.settings = learner, settings
        self.model, self.layout = model, layout
        self.rows = {row.key: row for row in rows}

    def features(self, regions: list[RegionRow], gradient: bool) -> np.ndarray:
        """Return (R, F) features: of length 1, or as a gradient embedding takes them."""
        if regions and regions[0].kind == "roi":
            rows = [self.rows[f"{r.image}/{r.roi}"] for r in regions]
            return self.learner.embed_rois(
                self.model, self.layout, rows, self.settings, unit=not gradient
            )
        pooling = "max" if gradient else "mean"
        return self._by_image(
            regions,
            lambda row, held: self.learner.embed(
                self.model, self.layout, row, held, self.settings, pooling=pooling
            ),
        )

    def residuals(self, regions: list[RegionRow]) -> np.ndarray:
        """Return (R, C) means of p - onehot(argmax p)."""
        if regions and regions[0].kind == "roi":
            rows = [self.rows[f"{r.image}/{r.roi}"] for r in regions]
            return self.learner.residuals_rois(self.model, self.layout, rows, self.settings)
        return self._by_image(
            regions,
            lambda row, held: self.learner.residuals(
                self.model, self.layout, row, held, self.settings
            ),
        )

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
