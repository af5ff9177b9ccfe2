"""Sections whose nuclei are known, and what builds graphs of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from al.io.tables import PoolRow
from al.layouts.images import read_rgb

PINK, BLUE, PALE = (228, 170, 200), (75, 45, 125), (245, 240, 244)


def section(height: int, width: int, seed: int = 0, gap: int = 44) -> tuple[np.ndarray, np.ndarray]:
    """Return pink tissue with dark blue ellipses, and their middles (N, 2)."""
    rng = np.random.default_rng(seed)
    image = np.empty((height, width, 3), np.float32)
    image[:] = PINK
    image[:, : width // 3] = PALE
    y, x = np.mgrid[:height, :width]
    places = []
    for row in range(gap // 2, height - gap // 3, gap):
        for column in range(gap // 2, width - gap // 3, gap):
            middle = np.array([row, column]) + rng.uniform(-5, 5, 2)
            turn, long, short = rng.uniform(0, np.pi), rng.uniform(10, 15), rng.uniform(8, 10)
            dy, dx = y - middle[0], x - middle[1]
            u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
            image[(u / long) ** 2 + (v / short) ** 2 <= 1] = BLUE
            places.append(middle)
    image += rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), np.array(places)


@dataclass
class Folder:
    """A layout of PNGs; picklable, as those of the project."""

    root: Path

    def open_image(self, row: PoolRow) -> np.ndarray:
        return read_rgb(row.path)

    def add(self, name: str, image: np.ndarray) -> PoolRow:
        path = self.root / f"{name}.png"
        Image.fromarray(image).save(path)
        return PoolRow("slide", name, "train", str(path), str(path), image.shape[:2])


def resnet(path: Path, name: str = "resnet18", **changes: Any) -> Path:
    """Write random weights of a network of torchvision."""
    import torch

    from al.learners.torchvision_cpu import import_torchvision

    import_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    state = {**getattr(models, name)(weights=None).state_dict(), **changes}
    torch.save({k: v for k, v in state.items() if v is not None}, path)
    return path
