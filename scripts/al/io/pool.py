"""The pool by image, and what has been annotated in it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from decomp_core import Region

from .errors import DataError, shortened
from .rng import generator
from .tables import SPLITS, PoolRow, RegionRow


def by_image(rows: Iterable[PoolRow]) -> dict[str, list[PoolRow]]:
    """Group rows by image, images and RoIs sorted by name."""
    groups: dict[str, list[PoolRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r.image, r.roi)):
        groups[row.image].append(row)
    return dict(groups)


def size_of(rows: list[PoolRow]) -> int:
    """Size of one image: its pixels (voxels), or the number of its RoIs."""
    if rows[0].roi:
        return len(rows)
    size = 1
    for length in rows[0].shape:
        size *= length
    return size


def shapes_of(rows: Iterable[PoolRow]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each image; of RoIs their number."""
    return {
        image: (len(held),) if held[0].roi else held[0].shape
        for image, held in by_image(rows).items()
    }


def openings(history: Iterable[RegionRow]) -> Counter[str]:
    """In how many cycles each image was opened."""
    return Counter(image for image, _ in {(r.image, r.cycle) for r in history})


def taken_of(history: Iterable[RegionRow]) -> dict[str, list[Region] | set[str]]:
    """What is annotated in each image: regions, or identifiers of RoIs."""
    taken: dict[str, Any] = {}
    for row in history:
        if row.kind == "roi":
            taken.setdefault(row.image, set()).add(row.roi)
        else:
            taken.setdefault(row.image, []).append(row.region)
    return taken


def grouped(rows: Iterable[PoolRow], pattern: str | None) -> list[PoolRow]:
    """Return rows with the group that a regular expression finds in the name of their image.

    Args:
        rows: of the pool.
        pattern: searched for; its first group is the name, or all that it matches where it has
            none. ``None`` leaves rows as they are.

    Raises:
        DataError: naming an image in which it finds nothing.
    """
    if pattern is None:
        return list(rows)
    search, found = re.compile(pattern).search, []
    for row in rows:
        match = search(row.image)
        name = match and match[min(1, match.re.groups)]
        if not name:
            raise DataError(f"group: {pattern!r} finds nothing in the name of image {row.image!r}")
        found.append(replace(row, group=name))
    return found


def _unit(row: PoolRow) -> str:
    """What is not torn apart by a split."""
    return row.group or row.image


def _refuse_torn(rows: Iterable[PoolRow]) -> None:
    """Refuse splits of a dataset's own in which something lies on two sides. Raises DataError."""
    held: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        held[_unit(row)].setdefault(row.split, row.key)
    for unit, keys in held.items():
        if len(keys) > 1:
            places = " and ".join(f"{key!r} in {split}" for split, key in keys.items())
            raise DataError(f"{unit!r} lies in several splits: {places}; allowed: one")


def _refuse_unlabelled(rows: Iterable[PoolRow]) -> None:
    """Refuse what has no label in a split that scores are computed on. Raises DataError."""
    found = [
        f"{r.path} ({r.split})" for r in rows if r.split in ("val", "test") and not r.label_path
    ]
    if found:
        raise DataError(
            f"{len(found)} images of split val or test have no label: "
            f"{', '.join(shortened(found))}; allowed: labels for them, or split train"
        )


def assign_splits(rows: list[PoolRow], split: dict[str, Any] | None, seed: int) -> list[PoolRow]:
    """Return the pool as one seed sees it: every row in ``train``, ``val`` or ``test``.

    What has a split of the dataset's own keeps it. Shares are drawn of the rest by image (patient,
    slide), or by group where images have one, from the seed; with ``folds: k`` these are dealt into
    k folds, the same for all seeds, and seed f tests on fold f.

    What has no label is in ``train``, with all of its image or group; shares and folds are of the
    others, and without a rule these are in ``train`` too. There need then be no ``test``.

    Raises:
        DataError: rows without a split and no rule for one, a split that would be empty, an image
            or group in two splits, or a row of ``val`` or ``test`` without a label.
    """
    _refuse_unlabelled(rows)
    bare = {_unit(r) for r in rows if not r.label_path}
    if bare:
        rows = [r if r.split or (split and r.label_path) else r.with_split("train") for r in rows]
    if all(r.split for r in rows):
        _refuse_torn(rows)
        return rows
    if not split:
        raise DataError("the dataset fixes no split and the configuration has no `split`")
    own = {_unit(r): r.split for r in rows if r.split}
    units = sorted({_unit(r) for r in rows} - bare - own.keys())
    names = _drawn(units, split, seed) | dict.fromkeys(bare, "train") | own
    found = set(names.values())
    if not bare and not {"train", "test"} <= found:
        what = "groups" if any(r.group for r in rows) else "images"
        raise DataError(f"{len(units)} {what} give only the splits {sorted(found)} of {SPLITS}")
    rows = [r if r.split else r.with_split(names[_unit(r)]) for r in rows]
    _refuse_torn(rows)
    return rows


def _drawn(units: list[str], split: dict[str, Any], seed: int) -> dict[str, str]:
    """Deal units into splits, as ``assign_splits`` says."""
    if "folds" in split:
        order = generator(0, 0).permutation(len(units))
        test = {units[i] for i in order[seed :: split["folds"]]}
        return {unit: "test" if unit in test else "train" for unit in units}
    order = [units[i] for i in generator(seed, 0).permutation(len(units))]
    n_test = max(1, round(split["test"] * len(order)))
    n_val = round(split["val"] * len(order))
    names = dict.fromkeys(order[:n_test], "test")
    names |= dict.fromkeys(order[n_test : n_test + n_val], "val")
    return names | dict.fromkeys(order[n_test + n_val :], "train")
