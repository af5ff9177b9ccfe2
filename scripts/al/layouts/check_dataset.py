"""The whole dataset is opened once before anything is computed on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError, shortened
from al.io.fingerprints import take
from al.io.pool import assign_splits, grouped
from al.io.tables import SPLITS, FileRow, PoolRow

from . import Layout, get_layout


def check_dataset(
    root: str,
    layout: dict[str, Any],
    split: dict[str, Any] | None,
    seeds: Sequence[int],
    needed: Collection[str] = ("train", "test"),
    group: str | None = None,
) -> tuple[list[PoolRow], list[FileRow]]:
    """Index a dataset, open every image and label of it, and split it as every seed will.

    Prints how much there is of every class in every split, and warns of classes that are missing
    and of images that are there twice.

    ``needed``: splits that must hold images, and pixels (RoIs) with a class. Of a layout that lists
    images without a label ``train`` alone must hold images, with a class or without. ``group``:
    pattern of what belongs together in the names of images (``io.pool.grouped``).

    Returns:
        Its rows, and the fingerprints of its files.

    Raises:
        DataError: naming the files, what was found and what is allowed.
    """
    opened = get_layout(**layout)
    rows = grouped(opened.index(Path(root)), group)
    must = ("train",) if opened.unlabelled else needed
    splits: dict[int, np.ndarray] = {}
    for seed in seeds:
        try:
            splits[seed] = np.array([row.split for row in assign_splits(rows, split, seed)])
        except ValueError as error:
            raise DataError(f"{root}: {error}") from None
        seen = set(splits[seed].tolist())
        if not set(must) <= seen:
            raise DataError(
                f"{root}: images in split {', '.join(sorted(seen))} alone; "
                f"{' and '.join(must)} need{'s' if len(must) == 1 else ''} some"
            )
    print(f"Checking {len(rows)} images or RoIs in {root} ...", flush=True)
    files: dict[str, FileRow] = {}
    counts = np.array(opened.check(rows, partial(take, files, Path(root))))
    labelled = np.array([bool(row.label_path) for row in rows])
    if not labelled.all():
        print(f"{np.count_nonzero(~labelled)} of {len(rows)} have no label", flush=True)
    if labelled.any():
        of_labelled = {seed: names[labelled] for seed, names in splits.items()}
        _tell_classes(root, opened, counts[labelled], of_labelled, needed)
    _tell_copies(rows, files)
    return rows, list(files.values())


def _tell_copies(rows: Sequence[PoolRow], files: Mapping[str, FileRow]) -> None:
    """Warn of images that are there twice and may be trained on under one name, scored under two.

    Those that stay in one split, of the dataset's own or as one image or group, do no harm.
    """
    first: dict[str, PoolRow] = {}
    copies = []
    for row in rows:
        other = first.setdefault(files[row.path].sha256, row)
        if (row.split or row.group or row.image) != (other.split or other.group or other.image):
            names = [f"{r.path} ({r.split})" if r.split else r.path for r in (other, row)]
            copies.append(" and ".join(names))
    if copies:
        print(f"WARNING: {len(copies)} images are there twice, so that one may be trained on and "
              f"the other tested: {'; '.join(shortened(copies))}", flush=True)  # fmt: skip


def _tell_classes(
    root: str,
    layout: Layout,
    counts: np.ndarray,
    splits: Mapping[int, np.ndarray],
    needed: Collection[str],
) -> None:
    """Print what the labels hold, warn of missing classes and refuse splits without any.

    ``counts``: (N, C + 1) pixels or RoIs of each row, void last; ``splits``: (N,) names, by seed.
    """
    classes, seed = layout.classes, min(splits)
    which = f" of seed {seed}" if len(splits) > 1 else ""
    for line in _table(classes, counts, splits[seed], which):
        print(line, flush=True)
    lacking: dict[tuple[str, str], list[int]] = {}
    for number, of_rows in splits.items():
        for name in needed:
            held = counts[of_rows == name].sum(0)
            if layout.unlabelled and (name == "train" or name not in of_rows):
                continue
            if not held[:-1].any():
                raise DataError(
                    f"{root}: no label in split {name} (seed {number}) has a class, all is void; "
                    f"allowed: some of {', '.join(classes)}"
                )
            for cls in np.flatnonzero(held[:-1] == 0):
                lacking.setdefault((classes[cls], name), []).append(number)
    nowhere = [name for name, n in zip(classes, counts.sum(0)[:-1], strict=True) if n == 0]
    if nowhere:
        shown = ", ".join(nowhere)
        print(f"WARNING: {len(nowhere)} of {len(classes)} classes occur nowhere: {shown}. Are the "
              "ids in the label files those of the configuration?", flush=True)  # fmt: skip
    for (cls, name), seeds in lacking.items():
        if cls not in nowhere:
            every = "" if len(seeds) == len(splits) else f" of seed {', '.join(map(str, seeds))}"
            print(f"WARNING: class {cls} is in no label of split {name}{every}", flush=True)


def _table(classes: Sequence[str], counts: np.ndarray, splits: np.ndarray, which: str) -> list[str]:
    """Return lines: pixels (RoIs) of each class in each split, and the images that have some."""
    shown = [name for name in SPLITS if name in splits]
    width = max(map(len, [*classes, "class"]))
    lines = ["class".ljust(width) + "".join(f"{name + which:>30}" for name in shown)]
    for index, cls in enumerate([*classes, "void"]):
        cells = []
        for name in shown:
            column = counts[splits == name, index]
            cells.append(f"{column.sum():,} in {np.count_nonzero(column):,}".rjust(30))
        if index < len(classes) or counts[:, index].any():
            lines.append(cls.ljust(width) + "".join(cells))
    return lines
