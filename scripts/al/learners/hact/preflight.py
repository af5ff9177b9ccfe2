"""What of a run can be refused before its first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, DataError

from ..base import Start
from ..training import choose_device
from .preparing import Store, check_imported, source_of
from .settings import ORIGINAL, HactSettings


def check_all(settings: HactSettings, start: Start) -> None:
    """Look, before the first job, at what was prepared of the pool or is to be prepared with.

    Raises:
        ConfigError: for a device or a package that is not there, for weights that are none.
        DataError: where what was prepared is of other RoIs; for RoIs without imported graphs.
    """
    if start.here:
        choose_device(settings.device, "hact")
    store = None if start.prepared is None else Store.of(start.prepared)
    if store is not None:
        store.check(start.rows)
        _refuse_other_source(settings, store)
    elif settings.builds:
        source_of(settings)
        from . import node_features  # imports scikit-image

        if settings.runs_network:
            node_features.Cnn(settings)
    elif settings.graphs == ORIGINAL and not Path(settings.imported_from).is_dir():
        raise ConfigError(
            f"hact.graphs: {ORIGINAL} needs an environment of its own; start Snakemake with "
            "--sdm conda, or import graphs that were made elsewhere (docs/hact.md)"
        )
    elif start.rows:
        check_imported(start.rows, settings)


def _refuse_other_source(settings: HactSettings, store: Store) -> None:
    """Refuse imported graphs or weights that are others than those taken; they may be gone."""
    now = identify(settings).get("source", store.plans["source"])
    if now != store.plans["source"]:
        imported = f"graphs: {settings.imported_from}"
        told = f"weights: {settings.weights}" if settings.builds else imported
        raise DataError(
            f"hact.{told} is another than {store.folder} was made from. Put it back, or delete "
            "that folder: runs that used it can then not be continued"
        )


def identify(settings: HactSettings) -> dict[str, Any]:
    """Return what imported graphs or weights are, where they are there."""
    try:
        source = source_of(settings)
    except (ConfigError, DataError):
        return {}
    return {} if source is None else {"source": source}
