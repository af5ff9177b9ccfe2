"""The base of all layouts of RoI classification."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from al.io.tables import PoolRow

from .base import Layout
from .images import image_size, read_rgb


class RoiLayout(Layout):
    """RoI classification: one small image file per RoI, several RoIs per image (slide, patient)."""

    task = "roi"

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Read a RoI: (H, W, 3) uint8; where it is transparent it is white, as a slide's glass."""
        return read_rgb(row.path, on_white=True, shape=row.shape)


def roi_row(image: str, roi: str, split: str, path: Path, label_path: Path | str) -> PoolRow:
    """Describe a RoI; reads the header of its file, raises DataError where that fails."""
    return PoolRow(image, roi, split, str(path), str(label_path), image_size(path))
