"""Data that whole runs share, and figures in few dots: drawing takes most of a report's time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from al.report import boxes, style

from .run_files import Data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Generated datasets, each made once."""
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session", autouse=True)
def _coarse() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(style.save.__kwdefaults__, "dpi", 50)
        patch.setattr(boxes, "PNG_DPI", 50)
        yield
