"""DCNv3, slowly and as is usual: what the fast one is compared with."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def loop_dcnv3(
    value: np.ndarray, offset: np.ndarray, mask: np.ndarray, groups: int, scale: float = 1.0
) -> np.ndarray:
    """Sample pixel by pixel, corner by corner.

    Args:
        value: (N, H, W, C).
        offset: (N, H, W, groups * 18), x before y.
        mask: (N, H, W, groups * 9).
        groups: the channels fall into so many.
        scale: of the distances of the points, their own and the learned ones.

    Returns:
        (N, H, W, C) float64.
    """
    images, height, width, channels = value.shape
    each = channels // groups
    offset = offset.reshape(images, height, width, groups, 9, 2)
    mask = mask.reshape(images, height, width, groups, 9)
    out = np.zeros((images, height, width, groups, each))
    table = value.reshape(images, height, width, groups, each).astype(np.float64)
    for n, i, j, g, k in np.ndindex(images, height, width, groups, 9):
        x = j + (k // 3 - 1 + float(offset[n, i, j, g, k, 0])) * scale
        y = i + (k % 3 - 1 + float(offset[n, i, j, g, k, 1])) * scale
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(x), math.floor(x) + 1):
                if 0 <= row < height and 0 <= column < width:
                    weight = (1 - abs(y - row)) * (1 - abs(x - column)) * mask[n, i, j, g, k]
                    out[n, i, j, g] += weight * table[n, row, column, g]
    return out.reshape(value.shape)


def grid_dcnv3(
    value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float = 1.0
) -> Tensor:
    """Sample with ``grid_sample`` on the padded value, as is usual; arguments as above."""
    images, height, width, channels = value.shape
    padded = F.pad(value, (0, 0, 1, 1, 1, 1))
    steps = torch.arange(-1, 2, dtype=value.dtype, device=value.device)
    points = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(9, 2)
    rows = torch.arange(height, dtype=value.dtype, device=value.device)
    columns = torch.arange(width, dtype=value.dtype, device=value.device)
    centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1) + 1.5
    offset = offset.reshape(images, height, width, groups, 9, 2)
    places = centres[None, :, :, None, None] + (points + offset) * scale
    size = torch.tensor([width + 2, height + 2], dtype=value.dtype, device=value.device)
    grid = (2 * places / size - 1).permute(0, 3, 1, 2, 4, 5)
    grid = grid.reshape(images * groups, height * width, 9, 2)
    table = padded.reshape(images, height + 2, width + 2, groups, channels // groups)
    table = table.permute(0, 3, 4, 1, 2).reshape(images * groups, -1, height + 2, width + 2)
    sampled = F.grid_sample(table, grid, "bilinear", "zeros", align_corners=False)
    weights = mask.reshape(images, height * width, groups, 9).transpose(1, 2)
    weights = weights.reshape(images * groups, 1, height * width, 9)
    out = (sampled * weights).sum(-1).reshape(images, channels, height, width)
    return out.permute(0, 2, 3, 1).contiguous()
