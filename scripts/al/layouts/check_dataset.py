"""The whole dataset is opened once before anything is computed on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from al.io.errors import DataError
from al.io.pool import assign_splits
from al.io.tables import PoolRow

from . import get_layout


def check_dataset(
    root: str,
    layout: dict[str, Any],
    split: dict[str, Any] | None,
    seeds: Iterable[int],
    needed: Collection[str] = ("train", "test"),
) -> list[PoolRow]:
    """Index a dataset, open every image and label of it, and split it as every seed will.

    ``needed``: splits that must hold images.

    Returns:
        Its rows.

    Raises:
        DataError: naming the files, what was found and what is allowed.
    """
    opened = get_layout(**layout)
    rows = opened.index(Path(root))
    for seed in seeds:
        try:
            seen = {row.split for row in assign_splits(rows, split, seed)}
        except ValueError as error:
            raise DataError(f"{root}: {error}") from None
        if not set(needed) <= seen:
            raise DataError(
                f"{root}: images in split {', '.join(sorted(seen))} alone; "
                f"{' and '.join(needed)} need some"
            )
    print(f"Checking {len(rows)} images or RoIs in {root} ...", flush=True)
    opened.check(rows)
    return rows
