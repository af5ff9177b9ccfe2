"""Transforms of our own: scale relative to the image, crop where something is revealed."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from al.io.labels import UNKNOWN


@TRANSFORMS.register_module()
class ScaleImage(BaseTransform):
    """Resizes image and labels by a factor drawn uniformly from ``low`` to ``high``."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img`` (H, W, 3) uint8 and ``gt_seg_map`` (H, W) uint8."""
        factor = np.random.uniform(self.low, self.high)
        height, width = results["img"].shape[:2]
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        results["img"] = mmcv.imresize(results["img"], size)
        for key in results["seg_fields"]:
            results[key] = mmcv.imresize(results[key], size, interpolation="nearest")
        results["img_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class CropAroundLabels(BaseTransform):
    """Cuts a crop that holds a revealed pixel, wherever in the crop that pixel lies.

    A pixel is drawn first, then the place of the crop among those that hold it.

    Args:
        size: height, width; what the image is smaller is left for the padding of the batch.
        balanced: share of the crops for which the class of the pixel is drawn before the pixel.
    """

    def __init__(self, size: tuple[int, int], balanced: float = 0.0) -> None:
        self.size, self.balanced = tuple(size), balanced

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut ``img`` and ``gt_seg_map``."""
        label = results["gt_seg_map"]
        inside = []
        for centre, size, length in zip(self._pixel(label), self.size, label.shape, strict=True):
            low = max(0, centre - size + 1)
            high = max(low, min(centre, length - size))
            start = int(np.random.randint(low, high + 1)) if length > size else 0
            inside.append(slice(start, start + size))
        for key in ("img", *results["seg_fields"]):
            results[key] = results[key][tuple(inside)]
        results["img_shape"] = results["img"].shape[:2]
        return results

    def _pixel(self, label: np.ndarray) -> tuple[int, int]:
        wanted = label != UNKNOWN
        if np.random.rand() < self.balanced:
            present = np.unique(label[wanted])
            if len(present):
                wanted = label == np.random.choice(present)
        places = np.flatnonzero(wanted)
        if not len(places):  # scaled away; the sample is drawn again
            return tuple(int(n) // 2 for n in label.shape)
        return tuple(int(v) for v in np.unravel_index(np.random.choice(places), label.shape))
