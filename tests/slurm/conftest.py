"""A cluster for the tests of this folder; they are skipped where there can be none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import Cluster, unavailable


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes with a pretended GPU each; tests leave them idle."""
    reason = unavailable()
    if reason:
        pytest.skip(f"no SLURM cluster here: {reason}")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start()
    yield made
    made.stop()
