"""What of a run can be refused before its first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, DataError

from ..base import Start
from ..training import choose_device
from .preparing import Store, check_imported, open_store, source_of
from .settings import ORIGINAL, HactSettings


def check_all(settings: HactSettings, start: Start) -> None:
    """Look at what was prepared of the pool, or at what it would be prepared with.

    Raises:
        ConfigError: for a device or a package that is not there, for weights that are none.
        DataError: where what was prepared is of other RoIs; for RoIs without imported graphs.
    """
    rows, prepared = start.rows, start.prepared
    if start.here:
        choose_device(settings.device, "hact")
    store = None if prepared is None else open_store(prepared)
    if store is not None:
        store.check(rows)
        _refuse_other_source(settings, store)
    elif settings.builds:
        from . import building  # noqa: F401 - imports scikit-image

        source_of(settings)
        if settings.runs_network:
            from .node_features import Cnn

            Cnn(settings.weights, "cpu", settings)
    elif settings.graphs == ORIGINAL and not Path(settings.imported_from).is_dir():
        raise ConfigError(
            f"hact.graphs: {ORIGINAL} needs an environment of its own; start Snakemake with "
            "--sdm conda, or import graphs that were made elsewhere (docs/hact.md)"
        )
    elif rows:
        check_imported(rows, settings)


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
