"""``hact`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from al.io.tables import PoolRow

from ..base import ImageSource, Start
from ..learner import Preparing
from . import preflight, preparing
from .model import load
from .settings import HactSettings
from .training import HactTraining


class Hact(Preparing):
    """HACT-Net on graphs of nuclei and tissue.

    RoIs have features; windows of an image, which this learner does not know, have none.
    """

    settings = HactSettings
    training = HactTraining
    load = staticmethod(load)

    def prepare_part(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        part: int,
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs of one part (from 1), of all ``rows``; see ``preparing.prepare_part``."""
        preparing.prepare_part(layout, rows, part, folder, HactSettings.of(section))

    def prepare(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make the graphs that are missing and plans; see ``preparing.prepare``."""
        preparing.prepare(layout, rows, folder, HactSettings.of(section))

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Look at what was prepared, or at what it is prepared with; see ``preflight``."""
        preflight.check_all(HactSettings.of(section), start)

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return what imported graphs or weights are."""
        return preflight.identify(HactSettings.of(section))
