"""Which revealed regions a training is validated on instead of learning from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from decomp_core import Region

from .tables import LabelRow, PoolRow, RegionRow


def hold_out(
    regions: Iterable[RegionRow] | None,
    labels: Sequence[LabelRow],
    rows: Mapping[str, PoolRow],
    share: float,
) -> dict[str, list[Region]]:
    """Return what is held out, by image: about ``share`` of the regions, and at least one.

    A hash of its image and place decides on a region, so that it stays on its side in later cycles,
    whatever is added. One region is always left to learn from.

    Args:
        regions: all regions so far; ``None``: whole images are revealed, and held out.
        labels: where labels are revealed.
        rows: pool rows by image.
        share: above 0 and below 1.
    """
    if regions is None:
        shapes = {row.image: rows[row.image].shape for row in labels}
        boxes = [(image, Region((0,) * len(n), n)) for image, n in shapes.items()]
    else:
        boxes = [(row.image, row.region) for row in regions]
    order = sorted((_place(image, box), image, box.start, box.size) for image, box in boxes)
    count = sum(place < share for place, *_ in order)
    held: dict[str, list[Region]] = {}
    for _, image, start, size in order[: max(1, min(count, len(order) - 1))]:
        held.setdefault(image, []).append(Region(start, size))
    return held if len(order) > 1 else {}


def _place(image: str, box: Region) -> float:
    """Return a number from 0 to 1, the same for the same region in every run."""
    text = repr((image, tuple(map(int, box.start)), tuple(map(int, box.size))))
    return int.from_bytes(sha256(text.encode()).digest()[:8]) / 2**64
