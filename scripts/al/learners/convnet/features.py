"""What the bottleneck of the first member holds of a region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from al.io.tables import PoolRow
from decomp_core import Region

from ..base import ImageSource
from ..regions import Cells, pool_regions
from .inference import open_image, run_tile, sides
from .model import Loaded


def region_features(
    model: Loaded,
    layout: ImageSource,
    row: PoolRow,
    regions: Sequence[Region],
    pooling: str = "mean",
) -> np.ndarray:
    """Return the bottleneck pooled over each region, (R, F) float32; see ``pool_regions``.

    Raises:
        ValueError: for another ``pooling`` or a region that leaves the image.
    """
    image = open_image(model, layout, row)
    stride = model.encoder.stride

    def run(part: tuple[slice, ...]) -> Cells:
        return run_tile(model, "features", image, part)[0].cpu().numpy(), stride

    axes, width = sides(image.shape[1:], model), model.encoder.widths[-1]
    return pool_regions(regions, axes, stride, width, run, pooling)
