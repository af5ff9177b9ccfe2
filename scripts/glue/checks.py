"""The whole dataset is opened once before anything is computed on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def check_data(root: str, layout: dict[str, Any]) -> None:
    """Index a dataset and open every image and label of it.

    Raises:
        DataError: naming the files, what was found and what is allowed.
    """
    from layouts import get_layout

    opened = get_layout(**layout)
    rows = opened.index(Path(root))
    print(f"Checking {len(rows)} images or RoIs in {root} ...", flush=True)
    opened.check(rows)
