"""``mmseg`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import Start
from ..learner import Learner
from . import preflight
from .model import load
from .settings import MmsegSettings
from .training import MmsegTraining


class Mmseg(Learner):
    """Networks of mmsegmentation, and InternImage."""

    settings = MmsegSettings
    training = MmsegTraining
    load = staticmethod(load)

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Build the network and try it; see ``preflight``."""
        preflight.check_all(MmsegSettings.of(section), start)

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return the resolved configuration and a hash of the first weights."""
        return preflight.identify(MmsegSettings.of(section), start)
