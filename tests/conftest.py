"""What every test may count on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Programs that tests start find `al` as those of the Makefile do.
_scripts = str(Path(__file__).resolve().parents[1] / "scripts")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_scripts, os.environ.get("PYTHONPATH")]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole runs first: last, one of them would keep one process busy and the others idle."""
    items.sort(key=lambda item: "tests/workflow/" not in item.nodeid)
