"""Data that whole runs share."""

from __future__ import annotations

import pytest

from .run_files import Data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Generated datasets, each made once."""
    return Data(tmp_path_factory.mktemp("data"))
