"""What of a run can be refused before its first job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.io.tables import PoolRow

from ..base import VolumeSource
from ..training import choose_device
from .planning import PLAIN, Plans, make_plans, nnunet_version, refuse_shallow
from .settings import NnunetSettings
from .store import case_shape, open_store


def check_all(
    settings: NnunetSettings,
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    here: bool,
    layout: VolumeSource,
    prepared: Path | None,
) -> None:
    """Plan for the volumes of the pool by their headers, and look at what was prepared of them.

    Raises:
        ConfigError: for a device, configuration or patch that cannot be used.
        DataError: where what was prepared is of other volumes.
    """
    if here:
        choose_device(settings.device, "nnunet")
    if not rows:
        return
    if prepared is not None and (store := open_store(prepared)) is not None:
        store.check(layout, rows)
    else:
        refuse_shallow(plan_of(settings, classes, rows, layout))


def plan_of(
    settings: NnunetSettings,
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    layout: VolumeSource,
) -> Plans:
    """Return the plans for whole volumes, of whatever intensities."""
    return make_plans([case_shape(layout, row) for row in rows], PLAIN, classes, settings)


def identify(
    settings: NnunetSettings,
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    layout: VolumeSource,
) -> dict[str, Any]:
    """Return the version of nnU-Net, and what it plans where the volumes are known."""
    found: dict[str, Any] = {"nnunetv2": nnunet_version()}
    if rows:
        found["plans"] = plan_of(settings, classes, rows, layout).plans
    return found
