"""DCNv3, the deformable convolution of InternImage (Wang et al., CVPR 2023), in plain PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SIDE = 3
POINTS = SIDE * SIDE
# Points handled at a time on a CPU: what the caches hold, and what is worth a sort.
FORWARD_POINTS = 1 << 16
BACKWARD_POINTS = 1 << 18
# Sampled numbers held at a time elsewhere; at least those of one image.
GRID_NUMBERS = 1 << 26
# Zeros before and after each line and column: a point that is clamped to the first or the last
# place has four corners of zeros, so that neither its value nor its gradient needs a condition.
BEFORE, AFTER = 2, 3


def dcnv3(value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float = 1.0) -> Tensor:
    """Sample each group of channels at nine learned points per pixel and add them up, weighted.

    Point k of the pixel in row i and column j lies in row ``i + (k % 3 - 1 + offset_y) * scale``
    and column ``j + (k // 3 - 1 + offset_x) * scale``. Between pixels the value is bilinear,
    outside the image 0.

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
    tensors = [t.to(_precise(value)).contiguous() for t in (value, offset, mask)]
    function = ByTable if value.device.type == "cpu" else ByGrid
    return function.apply(*tensors, groups, float(scale)).to(value.dtype)


def point_softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis, in float32 or float64; on a CPU fast where that axis is short."""
    logits = logits.to(_precise(logits))
    return ShortSoftmax.apply(logits) if logits.device.type == "cpu" else logits.softmax(-1)


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


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


class ShortSoftmax(torch.autograd.Function):
    """Softmax over a short last axis: PyTorch's own takes 5 times as long for 9 numbers."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        out = (logits - logits.amax(-1, keepdim=True)).exp_()
        out.div_(out.sum(-1, keepdim=True))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return (grad - (grad * out).sum(-1, keepdim=True)).mul_(out)


class Points:
    """Where the points lie in the padded value, seen as a table of one row per pixel and group.

    A line is one row of pixels of one image; the lines of all images follow each other.

    Attributes:
        table: (rows, C / groups).
        corners: from the row of a point's upper left corner to those of its four corners.
        lines: how many there are.
        offset, mask: the arguments, (lines, points of a line, 2) and (lines, points of a line).
    """

    def __init__(
        self, value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float
    ) -> None:
        images, height, width, channels = value.shape
        padded = F.pad(value, (0, 0, BEFORE, AFTER, BEFORE, AFTER))
        rows, columns = padded.shape[1:3]
        self.size, self.scale = (height, width), scale
        self.table = padded.view(-1, channels // groups)
        self.corners = (0, groups, columns * groups, (columns + 1) * groups)
        self.lines = images * height
        self.offset = offset.view(self.lines, width * groups * POINTS, 2)
        self.mask = mask.view(self.lines, width * groups * POINTS)
        # What does not depend on the offsets, laid out so that every pass is over whole lines.
        steps = torch.arange(-1, SIDE - 1, dtype=value.dtype) * scale
        x = torch.arange(width, dtype=value.dtype)[:, None, None] + steps.repeat_interleave(SIDE)
        self.x = x.expand(width, groups, POINTS).reshape(1, -1)
        self.y = steps.repeat(SIDE * width * groups)[None]
        self.row = torch.arange(height, dtype=value.dtype).repeat(images)[:, None]
        index = torch.int32 if len(self.table) < 2**31 else torch.int64
        first = torch.arange(images, dtype=index).repeat_interleave(height)[:, None]
        self.first = first * (rows * columns * groups) + BEFORE * (columns + 1) * groups
        group = torch.arange(groups, dtype=index)[:, None]
        self.group = group.expand(width, groups, POINTS).reshape(1, -1)

    def parts(self, points: int) -> Iterator[slice]:
        """Divide the lines into parts of about so many points."""
        step = max(1, points // self.mask.shape[1])
        for start in range(0, self.lines, step):
            yield slice(start, min(start + step, self.lines))

    def locate(self, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return of each point the upper left corner's row of the table, and the way from there.

        All are (pixels * groups, 9): the row int32 or int64, the shares of a pixel to the right
        and downwards floating point.
        """
        x = torch.add(self.x, self.offset[part, :, 0], alpha=self.scale)
        y = torch.add(self.y, self.offset[part, :, 1], alpha=self.scale).add_(self.row[part])
        x.clamp_(-BEFORE, self.size[1] + AFTER - 2)
        y.clamp_(-BEFORE, self.size[0] + AFTER - 2)
        left, top = x.floor(), y.floor()
        index = torch.add(self.group, top.to(self.group.dtype), alpha=self.corners[2])
        index.add_(left.to(index.dtype), alpha=self.corners[1]).add_(self.first[part])
        # An offset that is not a number must give such a value, not a row that does not exist.
        index.clamp_(0, len(self.table) - 1 - self.corners[3])
        return tuple(t.view(-1, POINTS) for t in (index, x.sub_(left), y.sub_(top)))

    def weigh(self, part: slice, right: Tensor, down: Tensor) -> list[Tensor]:
        """Return the weights of the four corners, (pixels * groups, 9) each."""
        mask = self.mask[part].view(-1, POINTS)
        below = mask * down
        above = mask - below
        above_right, below_right = above * right, below * right
        return [above.sub_(above_right), above_right, below.sub_(below_right), below_right]

    def spread(self, index: Tensor) -> Tensor:
        """(pixels * groups, 9) upper left corners to (pixels * groups, 36) corners."""
        return torch.cat([index + corner for corner in self.corners], 1)


class ByTable(torch.autograd.Function):
    """DCNv3 on a CPU: weighted sums of rows of a table, which ``embedding_bag`` is made for.

    Keeps nothing for the backward pass but the arguments, and works through the points in parts.
    """

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float
    ) -> Tensor:
        ctx.save_for_backward(value, offset, mask)
        ctx.options = groups, scale
        points = Points(value, offset, mask, groups, scale)
        out = torch.empty_like(value)
        vectors = out.view(points.lines, value.shape[2] * groups, points.table.shape[1])
        for part in points.parts(FORWARD_POINTS):
            index, right, down = points.locate(part)
            weights = torch.cat(points.weigh(part, right, down), 1)
            sums = F.embedding_bag(
                points.spread(index), points.table, mode="sum", per_sample_weights=weights
            )
            vectors[part] = sums.view_as(vectors[part])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, offset, mask = ctx.saved_tensors
        points = Points(value, offset, mask, *ctx.options)
        table = torch.zeros_like(points.table)
        offset_grad, mask_grad = torch.empty_like(points.offset), torch.empty_like(points.mask)
        grad = grad.contiguous().view(points.lines, value.shape[2] * value.shape[3])
        for part in points.parts(BACKWARD_POINTS):
            index, right, down = points.locate(part)
            vectors = grad[part].view(-1, table.shape[1])
            _scatter(table, points.corners, index, points.weigh(part, right, down), vectors)
            dots = _multiply(points.table, points.spread(index), vectors)
            mask_part = points.mask[part].view(-1, POINTS)
            by_x, by_y, by_mask = _differentiate(dots, mask_part * points.scale, right, down)
            mask_grad[part] = by_mask.view_as(mask_grad[part])
            offset_grad[part, :, 0] = by_x.view_as(mask_grad[part])
            offset_grad[part, :, 1] = by_y.view_as(mask_grad[part])
        (images, height, width, channels), edges = value.shape, BEFORE + AFTER
        table = table.view(images, height + edges, width + edges, channels)
        inner = table[:, BEFORE:-AFTER, BEFORE:-AFTER].contiguous()
        return inner, offset_grad.view_as(offset), mask_grad.view_as(mask), None, None


def _scatter(
    table: Tensor, corners: tuple[int, ...], index: Tensor, weights: list[Tensor], vectors: Tensor
) -> None:
    """Add to the rows of ``table`` the vectors whose points touch them, weighted.

    The points are sorted by row, once for all corners; what belongs to a row is then a bag. Sums
    are made in the same order whatever the number of threads.
    """
    index = index.view(-1)
    low, high = (int(v) for v in index.aminmax())
    index = index - low
    order = index.sort(stable=True).indices
    ends = torch.zeros(high - low + 2, dtype=order.dtype)
    torch.cumsum(torch.bincount(index, minlength=high - low + 1), 0, out=ends[1:])
    kind = index.dtype
    ends, sources = ends.to(kind), order.to(kind).div_(POINTS, rounding_mode="floor")
    for corner, weight in zip(corners, weights, strict=True):
        table[low + corner : high + 1 + corner] += F.embedding_bag(
            sources,
            vectors,
            ends,
            mode="sum",
            per_sample_weights=weight.view(-1).index_select(0, order),
            include_last_offset=True,
        )


@cache
def _silence() -> None:
    """Take PyTorch's warning, given once per process, that CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.eye(1).to_sparse_csr()


def _multiply(table: Tensor, index: Tensor, vectors: Tensor) -> Tensor:
    """Scalar products of each vector (V, D) with its rows of the table, (V, 36): (4, V, 9)."""
    ends = torch.arange(0, index.numel() + 1, index.shape[1], dtype=index.dtype)
    zeros, shape = vectors.new_zeros(index.numel()), (len(vectors), len(table))
    _silence()
    products = torch.sparse_csr_tensor(ends, index.view(-1), zeros, shape, check_invariants=False)
    # In place, so that the indices are not copied.
    torch.sparse.sampled_addmm(products, vectors, table.t(), beta=0, out=products)
    return products.values().view(-1, 4, POINTS).transpose(0, 1).contiguous()


def _differentiate(
    dots: Tensor, weight: Tensor, right: Tensor, down: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivatives by x, y and mask, given what each corner would add at weight 1.

    Args:
        dots: (4, V, 9), overwritten; upper left, upper right, lower left, lower right.
        weight: (V, 9), of the point, times the scale of its offset.
        right, down: (V, 9), the point's way from its upper left corner.
    """
    upper, upper_step, lower, lower_step = dots
    upper_step.sub_(upper)
    lower_step.sub_(lower)
    upper.addcmul_(right, upper_step)
    by_y = lower.addcmul_(right, lower_step).sub_(upper)
    by_mask = torch.addcmul(upper, down, by_y)
    by_x = upper_step.lerp_(lower_step, down)
    return by_x.mul_(weight), by_y.mul_(weight), by_mask


class ByGrid(torch.autograd.Function):
    """DCNv3 by ``grid_sample``, for GPUs. Keeps only the arguments: backward samples again."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float
    ) -> Tensor:
        ctx.save_for_backward(value, offset, mask)
        ctx.options = groups, scale
        parts = ByGrid.parts(value)
        if not parts:
            return torch.empty_like(value)
        return torch.cat([_sample(value[p], offset[p], mask[p], groups, scale) for p in parts])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grads = [torch.empty_like(t) for t in ctx.saved_tensors]
        for part in ByGrid.parts(grad):
            inputs = [t[part].detach().requires_grad_() for t in ctx.saved_tensors]
            with torch.enable_grad():
                out = _sample(*inputs, *ctx.options)
            for whole, piece in zip(
                grads, torch.autograd.grad(out, inputs, grad[part]), strict=True
            ):
                whole[part] = piece
        return *grads, None, None

    @staticmethod
    def parts(value: Tensor) -> list[slice]:
        """Divide the images so that the samples of each part fit ``GRID_NUMBERS``."""
        step = max(1, GRID_NUMBERS // max(1, POINTS * value[:1].numel()))
        return [slice(start, start + step) for start in range(0, len(value), step)]


def _sample(value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float) -> Tensor:
    """DCNv3 in operations that autograd knows; shapes as in ``dcnv3``."""
    images, height, width, channels = value.shape
    options = {"dtype": value.dtype, "device": value.device}
    steps = torch.arange(-1, SIDE - 1, **options)
    points = torch.stack([steps.repeat_interleave(SIDE), steps.repeat(SIDE)], -1)
    y, x = torch.arange(height, **options), torch.arange(width, **options)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[:, :, None, None] + 0.5
    offset = offset.view(images, height, width, groups, POINTS, 2)
    size = torch.tensor([width, height], **options)
    grid = (centres + (points + offset) * scale) * (2 / size) - 1
    grid = grid.permute(0, 3, 4, 1, 2, 5).reshape(images * groups, POINTS, height * width, 2)
    table = value.view(images, height, width, groups, channels // groups)
    table = table.permute(0, 3, 4, 1, 2).reshape(images * groups, -1, height, width)
    weights = mask.view(images, height * width, groups, POINTS).permute(0, 2, 3, 1)
    samples = F.grid_sample(table, grid, "bilinear", "zeros", align_corners=False)
    out = (samples * weights.reshape(images * groups, 1, POINTS, -1)).sum(2)
    return out.view(images, channels, height, width).permute(0, 2, 3, 1).contiguous()
