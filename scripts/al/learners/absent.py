"""What a learner cannot do: the methods of ``learners.base.Learner`` that refuse.

A learner inherits what it lacks; each method has the signature that the interface gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import ConfigError
from al.io.tables import PoolRow
from decomp_core import Region

from .base import ImageSource


class WithoutRois:
    """For a learner whose ``tasks`` leave out ``roi``."""

    name: str
    tasks: frozenset[str]

    def classify(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Raise ConfigError: RoIs are not for this learner."""
        raise self._no_rois()

    def embed_rois(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        settings: Mapping[str, Any],
        unit: bool = True,
    ) -> np.ndarray:
        """Raise ConfigError: RoIs are not for this learner."""
        raise self._no_rois()

    def residuals_rois(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Raise ConfigError: RoIs are not for this learner."""
        raise self._no_rois()

    def _no_rois(self) -> ConfigError:
        done = f"task{'s' if len(self.tasks) > 1 else ''} {', '.join(sorted(self.tasks))}"
        return ConfigError(f"task: 'roi'; learner {self.name} does {done}")


class WithoutFeatures:
    """For a learner whose ``has_features`` is false."""

    name: str

    def embed(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
        pooling: str = "mean",
    ) -> np.ndarray:
        """Raise ConfigError: this learner has no features of regions."""
        raise self._no_features()

    def residuals(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        regions: Sequence[Region],
        settings: Mapping[str, Any],
    ) -> np.ndarray:
        """Raise ConfigError: this learner has no features that residuals would belong to."""
        raise self._no_features()

    def _no_features(self) -> ConfigError:
        return ConfigError(f"learner: {self.name!r} has no features of regions")
