"""InternImage, a backbone of deformable convolutions (Wang et al., CVPR 2023, arXiv 2211.05778).

Parameters have the names and shapes of the published checkpoints. Feature maps are channels last,
(N, H, W, C), within.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dcnv3 import POINTS
from .dcnv3_operator import choose_operator

LEVELS = 4
EPS = 1e-6


def norm(channels: int, place: int) -> nn.Sequential:
    """Return a LayerNorm that the checkpoints know by this number."""
    return nn.Sequential(OrderedDict({str(place): nn.LayerNorm(channels, eps=EPS)}))


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution to (N, H, W, C)."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class DropPath(nn.Module):
    """The factors that leave a branch out for a share of the images, while training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor | None:
        """(N, ...) to (N, 1, ...), 0 or what keeps the mean; None where nothing is left out."""
        if not self.training or self.rate == 0:
            return None
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return kept.to(x.dtype) / (1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"


class DeformableConv(nn.Module):
    """DCNv3: a convolution whose nine points and weights depend on the image."""

    def __init__(self, channels: int, groups: int, offset_scale: float) -> None:
        super().__init__()
        self.groups, self.offset_scale = groups, offset_scale
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            norm(channels, 1),
            nn.GELU(),
        )
        self.offset = nn.Linear(channels, groups * POINTS * 2)
        self.mask = nn.Linear(channels, groups * POINTS)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)

    def reset(self) -> None:
        """Start as a mean over the nine pixels around: no offsets, equal weights."""
        for layer in (self.offset, self.mask):
            nn.init.zeros_(layer.weight)
        for layer in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same shape."""
        convolution, normalise, activate = self.dw_conv
        guide = activate(normalise(convolve(convolution, x)))
        logits = self.mask(guide).unflatten(-1, (self.groups, POINTS))
        mask = logits.softmax(-1, torch.float64 if logits.dtype == torch.float64 else torch.float32)
        # Mixed precision would round the offsets to a hundredth of a pixel and more.
        with torch.autocast(x.device.type, enabled=False):
            offset = self.offset(guide.to(self.offset.weight.dtype))
        operator = choose_operator(x.device)
        sampled = operator(
            self.input_proj(x), offset, mask.flatten(-2), self.groups, self.offset_scale
        )
        return self.output_proj(sampled)


class Mlp(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class Layer(nn.Module):
    """Deformable convolution and MLP, each behind a norm and beside a shortcut."""

    def __init__(
        self,
        channels: int,
        groups: int,
        hidden: int,
        drop: float,
        layer_scale: float | None,
        offset_scale: float,
    ) -> None:
        super().__init__()
        self.norm1 = norm(channels, 0)
        self.dcn = DeformableConv(channels, groups, offset_scale)
        self.norm2 = norm(channels, 0)
        self.mlp = Mlp(channels, hidden)
        self.drop_path = DropPath(drop)
        for name in ("gamma1", "gamma2"):
            gamma = None if layer_scale is None else torch.full((channels,), float(layer_scale))
            self.register_parameter(name, None if gamma is None else nn.Parameter(gamma))

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same shape."""
        x = self._add(x, self.dcn(self.norm1(x)), self.gamma1)
        return self._add(x, self.mlp(self.norm2(x)), self.gamma2)

    def _add(self, x: Tensor, branch: Tensor, gamma: Tensor | None) -> Tensor:
        factors = [f for f in (gamma, self.drop_path(x)) if f is not None]
        if not factors:
            return x + branch
        factor = factors[0] if len(factors) == 1 else factors[0] * factors[1]
        return torch.addcmul(x, factor.to(x.dtype), branch.to(x.dtype))


class Stem(nn.Module):
    """Two convolutions of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels // 2, 3, stride=2, padding=1)
        self.norm1 = norm(channels // 2, 1)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = norm(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, 3) to (N, H/4, W/4, C), rounded up."""
        x = F.gelu(self.norm1(convolve(self.conv1, x)))
        return self.norm2(convolve(self.conv2, x))


class Downsample(nn.Module):
    """A convolution of stride 2 to twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = norm(2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, H/2, W/2, 2 C), rounded up."""
        return self.norm(convolve(self.conv, x))


class Level(nn.Module):
    """Layers at one resolution, the norm of their output, and the way to the next level."""

    def __init__(self, layers: Sequence[Layer], channels: int, is_last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(layers)
        self.norm = norm(channels, 0)
        self.downsample = None if is_last else Downsample(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same shape."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class InternImage(nn.Module):
    """The backbone; InternImage-T is ``InternImage(64, (4, 4, 18, 4), (4, 8, 16, 32))``.

    Args:
        channels: of the first level, even; each level has twice those of the one before.
        depths: layers of each of the four levels.
        groups: of each level's deformable convolutions; they divide its channels.
        mlp_ratio: hidden units of the MLPs per channel.
        drop_path_rate: of the last layer, in [0, 1); rises linearly from 0 at the first one.
        layer_scale: start of the factors of the branches; None for no such factors.
        offset_scale: of the distances between a deformable convolution's points and their pixel.
        out_indices: the levels to return, ascending. Later ones are not computed.

    Attributes:
        widths: channels of each of the four levels.

    Raises:
        ValueError: where groups do not divide the channels, or not every level has its numbers.
    """

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        groups: Sequence[int],
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.2,
        layer_scale: float | None = 1.0,
        offset_scale: float = 1.0,
        out_indices: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        self.out_indices = tuple(out_indices)
        self.widths = [channels * 2**level for level in range(LEVELS)]
        for level, (width, number) in enumerate(zip(self.widths, groups, strict=True)):
            if width % number:
                raise ValueError(
                    f"groups: {number} in level {level}; allowed: divisors of its {width} channels"
                )
        self.patch_embed = Stem(channels)
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.levels = nn.ModuleList()
        for level, (width, depth) in enumerate(zip(self.widths, depths, strict=True)):
            hidden = int(width * mlp_ratio)
            layers = [
                Layer(width, groups[level], hidden, next(rates), layer_scale, offset_scale)
                for _ in range(depth)
            ]
            self.levels.append(Level(layers, width, level == LEVELS - 1))
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the levels asked for, each (N, C_i, H / 4 / 2**i, W / 4 / 2**i), rounded up.

        Raises:
            ValueError: where ``images`` are not (N, 3, H, W).
        """
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(
                f"images: {tuple(images.shape)}; allowed: (N, 3, H, W), none of them 0"
            )
        x = self.patch_embed(images.permute(0, 2, 3, 1).contiguous())
        found = []
        last = self.out_indices[-1]
        for number, level in enumerate(self.levels[: last + 1]):
            x = level(x)
            if number in self.out_indices:
                found.append(x.permute(0, 3, 1, 2))
            if number < last:
                x = level.downsample(x)
        return found


def _initialise(module: nn.Module) -> None:
    """As published; the linear layers of a deformable convolution before itself, by ``apply``."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, DeformableConv):
        module.reset()
