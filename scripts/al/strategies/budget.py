"""How much a cycle annotates, and in regions of which size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from al.io.tables import PoolRow


@dataclass(frozen=True)
class Budget:
    """Images and regions of a cycle.

    Attributes:
        images: how many are opened by strategies that choose images first.
        regions: regions in each of them.
        window: (height, width) of a region in pixels; unused for RoIs.
        patch: size of the regions of pool-wide strategies, the slice axis first; ``None``: windows.
        footprint: shape that fills a window: ``square``, ``disc`` or ``annulus``.
    """

    images: int
    regions: int
    window: tuple[int, int]
    patch: tuple[int, ...] | None = None
    footprint: str = "square"

    @classmethod
    def parse(
        cls,
        text: str,
        window: Sequence[int],
        patch: Sequence[int] | None = None,
        footprint: str = "square",
    ) -> Budget:
        """Read ``5x15``: 5 images, 15 regions each."""
        images, regions = text.split("x")
        size = None if patch is None else tuple(patch)
        return cls(int(images), int(regions), (window[0], window[1]), size, footprint)

    def shape_of(self, window: tuple[int, int]) -> tuple[int, int] | np.ndarray:
        """Return what searches take: the window's size, or its (h, w) boolean footprint."""
        from decomp_core import footprint

        return window if self.footprint == "square" else footprint(self.footprint, window)

    def spread(self, factor: float, available: int) -> list[int]:
        """Return regions per image when ``factor`` times as many images share the same total.

        Where fewer images are available they share it; with a factor of 1 each image has its
        ``regions`` and no more.
        """
        if factor == 1:
            return [self.regions] * min(self.images, available)
        total = self.images * self.regions
        images = min(max(1, round(self.images * factor)), total, available)
        return [total // images + (i < total % images) for i in range(images)]

    def total(self, task: str) -> int:
        """Return the number of regions of a pool-wide strategy.

        Where its regions have another size, as many as have the same number of pixels (voxels),
        rounded, at least one (ours).
        """
        regions = self.images * self.regions
        if task == "roi" or self.patch is None:
            return regions
        return max(1, round(regions * math.prod(self.window) / math.prod(self.patch)))

    def window_in(self, row: PoolRow) -> tuple[tuple[int, int], str]:
        """Return the window clipped to the image (its slices), and a note when it had to be."""
        plane = tuple(s for a, s in enumerate(row.shape) if a != row.axis)
        clipped = (min(self.window[0], plane[0]), min(self.window[1], plane[1]))
        return clipped, _note(row, "window", self.window, clipped)

    def box_in(self, row: PoolRow) -> tuple[tuple[int, ...], str]:
        """Return a pool-wide strategy's region in array axes, clipped, and a note if it was."""
        axis = row.axis
        size = list(self.patch or ((1, *self.window) if axis is not None else self.window))
        if axis is not None:
            size.insert(axis, size.pop(0))
        clipped = tuple(min(k, n) for k, n in zip(size, row.shape, strict=True))
        return clipped, _note(row, "patch", tuple(size), clipped)

    def stride_in(self, row: PoolRow, stride: int | Sequence[int]) -> int | tuple[int, ...]:
        """Return strides given with the slice axis first in array axes; one number stays."""
        if isinstance(stride, int):
            return stride
        steps = list(stride)
        if row.axis is not None:
            steps.insert(row.axis, steps.pop(0))
        return tuple(steps)


def validation_images(wanted: int | str, images: int) -> int:
    """Return how many validation images a cycle opens beside ``images`` of the training pool.

    ``third`` is max(1, images // 3), as in the DECOMP paper's experiment on BRACS.
    """
    return max(1, images // 3) if wanted == "third" else int(wanted)


def _note(row: PoolRow, kind: str, asked: tuple[int, ...], clipped: tuple[int, ...]) -> str:
    return "" if asked == clipped else f"{row.image}: {kind} {asked} clipped to {clipped}"


def kind_of(row: PoolRow, size: Sequence[int]) -> str:
    """Return the kind of a region in ``regions.csv``."""
    if row.roi:
        return "roi"
    if row.axis is None:
        return "window"
    return "slice_window" if size[row.axis] == 1 else "patch"
