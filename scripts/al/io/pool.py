"""The pool by image, and what has been annotated in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from decomp_core import Region

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


def assign_splits(rows: list[PoolRow], split: dict[str, Any] | None, seed: int) -> list[PoolRow]:
    """Return the pool as one seed sees it: every row in ``train``, ``val`` or ``test``.

    Datasets with splits of their own keep them. Shares are drawn by image (patient, slide) from
    the seed; with ``folds: k`` the images are dealt into k folds, the same for all seeds, and
    seed f tests on fold f.

    Raises:
        ValueError: rows without a split and no rule for one, or a split that would be empty.
    """
    if all(r.split for r in rows):
        return rows
    if not split:
        raise ValueError("the dataset fixes no split and the configuration has no `split`")
    images = sorted({r.image for r in rows})
    if "folds" in split:
        order = generator(0, 0).permutation(len(images))
        test = {images[i] for i in order[seed :: split["folds"]]}
        names = {image: "test" if image in test else "train" for image in images}
    else:
        order = [images[i] for i in generator(seed, 0).permutation(len(images))]
        n_test = max(1, round(split["test"] * len(order)))
        n_val = round(split["val"] * len(order))
        names = dict.fromkeys(order[:n_test], "test")
        names |= dict.fromkeys(order[n_test : n_test + n_val], "val")
        names |= dict.fromkeys(order[n_test + n_val :], "train")
    found = set(names.values())
    if not {"train", "test"} <= found:
        raise ValueError(f"{len(images)} images give only the splits {sorted(found)} of {SPLITS}")
    return [r.with_split(names[r.image]) for r in rows]
