"""``nnunet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from al.io.tables import PoolRow

from ..base import Start, VolumeSource
from ..learner import Preparing
from ..training import choose_device
from . import store
from .model import load
from .planning import PLAIN, Plans, make_plans, nnunet_version, refuse_shallow
from .settings import NnunetSettings
from .training import NnunetTraining


class Nnunet(Preparing):
    """nnU-Net on partial labels."""

    settings = NnunetSettings
    training = NnunetTraining
    load = staticmethod(load)

    def prepare(
        self,
        layout: VolumeSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make plans and preprocessed images of a dataset; see ``store.prepare``."""
        store.prepare(layout, rows, folder, NnunetSettings.of(section), classes)

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Plan for the volumes of the pool by their headers, or look at what was prepared of them.

        Raises:
            ConfigError: for a device, configuration or patch that cannot be used.
            DataError: where what was prepared is of other volumes.
        """
        settings = NnunetSettings.of(section)
        if start.here:
            choose_device(settings.device, self.name)
        made = None if start.prepared is None else store.open_store(start.prepared)
        if made is not None:
            made.check(start.layout, start.rows)
        elif start.rows:
            refuse_shallow(_plans(settings, start))

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return the version of nnU-Net, and what it plans where the volumes are known."""
        found: dict[str, Any] = {"nnunetv2": nnunet_version()}
        if start.rows:
            found["plans"] = _plans(NnunetSettings.of(section), start).plans
        return found


def _plans(settings: NnunetSettings, start: Start) -> Plans:
    """Return the plans for whole volumes, of whatever intensities."""
    shapes = [store.case_shape(start.layout, row) for row in start.rows]
    return make_plans(shapes, PLAIN, start.classes, settings)
