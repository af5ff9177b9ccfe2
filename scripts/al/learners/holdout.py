"""What a training is validated on: revealed regions held out of it, or images that are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

import numpy as np

from al.io.labels import UNKNOWN, read_label
from al.io.tables import LabelRow, PoolRow, RegionRow
from al.layouts import Layout
from al.scoring.scores import score_images
from decomp_core import Region

from .base import Scorer


def hold_out(
    regions: Iterable[RegionRow] | None,
    labels: Sequence[LabelRow],
    rows: Mapping[str, PoolRow],
    share: float,
    is_known: Callable[[str, Region], bool] = lambda image, region: True,
) -> dict[str, list[Region]]:
    """Return what is held out, by image: about ``share`` of the regions, and at least one.

    A hash of its image and place decides on a region, so that it stays on its side in later cycles,
    whatever is added. Where a first cycle would leave none to validate on, or none to learn from,
    the region nearest to the other side changes it for good.

    Args:
        regions: all regions so far; ``None``: whole images are revealed, and held out.
        labels: where labels are revealed.
        rows: pool rows by image.
        share: above 0 and below 1.
        is_known: whether a region of an image has a labelled pixel; others are left as they are.

    Returns:
        Nothing where fewer than two regions of the first cycle are known.
    """
    if regions is None:
        boxes = [(0, row.image, Region((0,) * 2, rows[row.image].shape)) for row in labels]
    else:
        boxes = [(row.cycle, row.image, row.region) for row in regions]
    known = [box for box in boxes if is_known(*box[1:])]
    first = min((cycle for cycle, *_ in known), default=0)
    begun = sorted(_place(image, box) for cycle, image, box in known if cycle == first)
    if len(begun) < 2:
        return {}
    changed = None
    if begun[0] >= share:
        changed = begun[0]
    elif begun[-1] < share:
        changed = begun[-1]
    held: dict[str, list[Region]] = {}
    for _, image, box in known:
        place = _place(image, box)
        if (place < share) != (place == changed):
            held.setdefault(image, []).append(Region(box.start, box.size))
    return held


def _place(image: str, box: Region) -> float:
    """Return a number from 0 to 1, the same for the same region in every run."""
    text = repr((image, tuple(map(int, box.start)), tuple(map(int, box.size))))
    return int.from_bytes(sha256(text.encode()).digest()[:8]) / 2**64


def scorer(layout: Layout, rows: Sequence[PoolRow], classes: Sequence[str]) -> Scorer:
    """Return a function that scores predictions of images, and shows none of their labels."""

    def score(segment: Callable[[PoolRow], np.ndarray]) -> float:
        pairs = ((layout.open_label(row), segment(row)) for row in rows)
        return score_images(pairs, classes)["score"]

    return score


def has_labels(labels: Sequence[LabelRow]) -> Callable[[str, Region], bool]:
    """Return a function that says whether a region of an image has a labelled pixel."""
    paths = {row.image: row.path for row in labels}
    opened = lru_cache(maxsize=8)(read_label)

    def known(image: str, region: Region) -> bool:
        return bool((opened(paths[image])[region.slices] != UNKNOWN).any())

    return known
