"""Settings that decide how the graphs of a RoI are built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from al.io.errors import ConfigError

FORMAT = 1  # of the method; another number makes all graphs anew
COUNTS = (
    "neighbours", "superpixel_size", "max_superpixels", "tissue_downsample", "nucleus_patch",
    "tissue_patch",
)  # fmt: skip
RANGES = ("nucleus_diameter", "nucleus_area")


@dataclass(frozen=True)
class GraphSettings:
    """Settings of the graphs; the defaults are for 40x, 0.25 um a pixel.

    ``neighbours``, ``max_distance``, ``superpixel_size``, ``compactness``, ``tissue_downsample``
    and the patches are those published with HACT-Net for BRACS (Pati et al., Medical Image
    Analysis 2022); how nuclei are found and superpixels merged is this project's.

    Attributes:
        neighbours: nearest nuclei that an edge leads to from each nucleus.
        max_distance: longest edge between the centroids of two nuclei, pixels.
        nucleus_diameter: smallest and largest diameter of a nucleus, pixels; sets the smoothing,
            the distance of seeds and the overlap of tiles.
        nucleus_area: smallest and largest area of what is kept, square pixels; ``None``: of discs
            of ``nucleus_diameter``.
        nucleus_contrast: optical density (base e) by which the haematoxylin of nuclei exceeds that
            of the rest at least, before anything is taken for a nucleus.
        superpixel_size: area of a superpixel before merging, pixels of the downsampled image.
        max_superpixels: their number before merging; in larger images they are larger.
        compactness: of SLIC, weight of closeness against likeness of colour.
        merge_threshold: difference in mean colour (CIE Lab, Euclidean) up to which neighbours of
            common size merge; larger ones must be more alike.
        tissue_downsample: superpixels are found in means over so many pixels squared.
        weights: file of torchvision's ResNet-18, -34, -50 or -101, whose outputs become the
            features of nodes; ``None``: handcrafted features.
        nucleus_patch: side of the square around a nucleus that the network sees, pixels.
        tissue_patch: side of the squares of a superpixel that the network sees, pixels.
    """

    neighbours: int = 5
    max_distance: float = 50.0
    nucleus_diameter: tuple[float, float] = (12.0, 80.0)
    nucleus_area: tuple[float, float] | None = None
    nucleus_contrast: float = 0.15
    superpixel_size: int = 500
    max_superpixels: int = 10_000
    compactness: float = 20.0
    merge_threshold: float = 8.0
    tissue_downsample: int = 4
    weights: str | None = None
    nucleus_patch: int = 72
    tissue_patch: int = 144

    def check(self) -> None:
        """Refuse what no graph can be built with.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        for key in COUNTS:
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                _refuse(key, value, "a whole number from 1")
        for key in ("max_distance", "nucleus_contrast", "compactness"):
            if not _number(getattr(self, key)) or getattr(self, key) <= 0:
                _refuse(key, getattr(self, key), "a number above 0")
        if not _number(self.merge_threshold) or self.merge_threshold < 0:
            _refuse("merge_threshold", self.merge_threshold, "a number from 0")
        for key in RANGES:
            value = getattr(self, key)
            if value is None and key == "nucleus_area":
                continue
            if not _is_range(value):
                _refuse(key, value, "[smallest, largest], above 0, smallest below largest")
        if self.nucleus_diameter[0] < 3:
            _refuse("nucleus_diameter", self.nucleus_diameter, "smallest from 3")
        if self.weights is not None and (not isinstance(self.weights, str) or not self.weights):
            _refuse("weights", self.weights, "a file of a torchvision ResNet, or null")

    @property
    def areas(self) -> tuple[float, float]:
        """Smallest and largest area of a nucleus, square pixels."""
        if self.nucleus_area is not None:
            return self.nucleus_area
        low, high = (math.pi / 4 * diameter**2 for diameter in self.nucleus_diameter)
        return low, high


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise ConfigError(f"hact.{key}: {value!r}; allowed: {allowed}")


def _number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _is_range(value: Any) -> bool:
    pair = isinstance(value, tuple | list) and len(value) == 2 and all(map(_number, value))
    return pair and 0 < value[0] < value[1]
