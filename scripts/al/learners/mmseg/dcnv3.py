"""DCNv3, the deformable convolution of InternImage (Wang et al., CVPR 2023), in plain PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

SIDE = 3
POINTS = SIDE * SIDE
# Sampled numbers held at a time; at least those of one image.
GRID_NUMBERS = 1 << 26


def dcnv3(value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float = 1.0) -> Tensor:
    """Sample each group of channels at nine learned points per pixel and add them up, weighted.

    Point k of the pixel in row i and column j lies in row ``i + (k % 3 - 1 + offset_y) * scale``
    and column ``j + (k // 3 - 1 + offset_x) * scale``. Between pixels the value is bilinear,
    outside the image 0. Samples are not kept for the backward pass, which samples again.

    Args:
        value: (N, H, W, C), floating point.
        offset: (N, H, W, groups * 18), in pixels, x before y.
        mask: (N, H, W, groups * 9), the weights.
        groups: the C channels fall into so many; each has points of its own.
        scale: of the distances between the points and their pixel.

    Returns:
        (N, H, W, C) of the dtype of ``value``. Coordinates and sums are float32, or float64 where
        ``value`` is: 8 bits of bfloat16 cannot tell the pixels of a line apart.

    Raises:
        ValueError: where the shapes do not belong together.
    """
    _check(value, offset, mask, groups)
    precise = torch.float64 if value.dtype == torch.float64 else torch.float32
    step = max(1, GRID_NUMBERS // max(1, POINTS * value[:1].numel()))
    parts = zip(*(t.to(precise).split(step) for t in (value, offset, mask)), strict=True)
    found = [
        checkpoint(
            _sample, *part, groups, float(scale), use_reentrant=False, preserve_rng_state=False
        )
        for part in parts
    ]
    return torch.cat(found).to(value.dtype)


def _check(value: Tensor, offset: Tensor, mask: Tensor, groups: int) -> None:
    if value.ndim != 4 or groups < 1 or value.shape[-1] % groups:
        raise ValueError(
            f"value: {tuple(value.shape)} with groups {groups}; allowed: (N, H, W, C) with C "
            "divisible by groups"
        )
    for name, tensor, each in (("offset", offset, 2 * POINTS), ("mask", mask, POINTS)):
        allowed = (*value.shape[:-1], groups * each)
        if tuple(tensor.shape) != allowed:
            raise ValueError(f"{name}: {tuple(tensor.shape)}; allowed: {allowed}")


def _sample(value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float) -> Tensor:
    """DCNv3 in operations that autograd knows; shapes as in ``dcnv3``."""
    images, height, width, channels = value.shape
    options = {"dtype": value.dtype, "device": value.device}
    steps = torch.arange(-1, SIDE - 1, **options)
    points = torch.stack([steps.repeat_interleave(SIDE), steps.repeat(SIDE)], -1)
    y, x = torch.arange(height, **options), torch.arange(width, **options)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[:, :, None, None] + 0.5
    offset = offset.reshape(images, height, width, groups, POINTS, 2)
    size = torch.tensor([width, height], **options)
    grid = (centres + (points + offset) * scale) * (2 / size) - 1
    grid = grid.permute(0, 3, 4, 1, 2, 5).reshape(images * groups, POINTS, height * width, 2)
    table = value.reshape(images, height, width, groups, channels // groups)
    table = table.permute(0, 3, 4, 1, 2).reshape(images * groups, -1, height, width)
    weights = mask.reshape(images, height * width, groups, POINTS).permute(0, 2, 3, 1)
    samples = F.grid_sample(table, grid, "bilinear", "zeros", align_corners=False)
    out = (samples * weights.reshape(images * groups, 1, POINTS, -1)).sum(2)
    return out.view(images, channels, height, width).permute(0, 2, 3, 1).contiguous()
