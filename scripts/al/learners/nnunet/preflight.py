"""What of a run can be refused before its first job."""

from __future__ import annotations

from typing import Any

from ..base import Start
from ..training import choose_device
from .planning import PLAIN, Plans, make_plans, nnunet_version, refuse_shallow
from .settings import NnunetSettings
from .store import case_shape, open_store


def check_all(settings: NnunetSettings, start: Start) -> None:
    """Plan for the volumes of the pool by their headers, and look at what was prepared of them.

    Raises:
        ConfigError: for a device, configuration or patch that cannot be used.
        DataError: where what was prepared is of other volumes.
    """
    rows, prepared = start.rows, start.prepared
    if start.here:
        choose_device(settings.device, "nnunet")
    if not rows:
        return
    if prepared is not None and (store := open_store(prepared)) is not None:
        store.check(start.layout, rows)
    else:
        refuse_shallow(plan_of(settings, start))


def plan_of(settings: NnunetSettings, start: Start) -> Plans:
    """Return the plans for whole volumes, of whatever intensities."""
    shapes = [case_shape(start.layout, row) for row in start.rows]
    return make_plans(shapes, PLAIN, start.classes, settings)


def identify(settings: NnunetSettings, start: Start) -> dict[str, Any]:
    """Return the version of nnU-Net, and what it plans where the volumes are known."""
    found: dict[str, Any] = {"nnunetv2": nnunet_version()}
    if start.rows:
        found["plans"] = plan_of(settings, start).plans
    return found
