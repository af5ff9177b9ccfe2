"""Candidates of all opened images, and the choice among them by features."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from al.io.arrays import read_arrays
from al.io.files import reading
from al.io.tables import RegionRow


@dataclass(frozen=True)
class Candidates:
    """Regions that a batch selector chooses from.

    Attributes:
        rows: R regions, by image and, within one, most uncertain first; ``score`` is the mean
            uncertainty.
        features: (R, F) float32.
        residuals: (R, C) float32, mean over the region of p - onehot(argmax p), if asked for.
        annotated: (L, F) float32, features of what was annotated before, if asked for.
        options: the strategy's definition.
    """

    rows: list[RegionRow]
    features: np.ndarray
    residuals: np.ndarray | None = None
    annotated: np.ndarray | None = None
    options: dict = field(default_factory=dict)

    def keep(self, candidates: np.ndarray, annotated: np.ndarray) -> Candidates:
        """Return some of the candidates, (R,) bool, and of what was annotated, (L,) bool."""
        return Candidates(
            [row for row, kept in zip(self.rows, candidates, strict=True) if kept],
            self.features[candidates],
            None if self.residuals is None else self.residuals[candidates],
            None if self.annotated is None else self.annotated[annotated],
            self.options,
        )

    @property
    def group(self) -> np.ndarray:
        """(R,) int64: number of each candidate's image."""
        return np.unique([r.image for r in self.rows], return_inverse=True)[1].astype(np.int64)

    @property
    def priority(self) -> np.ndarray:
        """(R,) mean uncertainty."""
        return np.array([r.score for r in self.rows], np.float64)


def read_candidates(rows: list[RegionRow], path: str | Path, options: dict) -> Candidates:
    """Put candidates and their features together.

    Raises:
        DataError: the file holds features of another number of candidates.
    """
    held = read_arrays(path)
    with reading(path):
        if any(array.ndim != 2 for array in held.values()):
            raise ValueError(f"arrays of {[array.shape for array in held.values()]}")
        if len(held["features"]) != len(rows):
            raise ValueError(f"features of {len(held['features'])} of {len(rows)} candidates")
    return Candidates(rows, held["features"], held.get("residuals"), held.get("annotated"), options)
