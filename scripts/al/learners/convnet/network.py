"""A small encoder-decoder, written once for 2-D and 3-D, and its encoder as a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
UPSAMPLING = {2: "bilinear", 3: "trilinear"}
# Factor of a segmenter's logits. Adam moves a weight by at most the learning rate per step, and the
# logits that tell small classes from their surroundings are large: without it, classes under 2 %
# of the pixels were not predicted after hundreds of steps, even in the one image trained on.
GAIN = 10.0


class Unit(nn.Sequential):
    """Convolution, normalisation, ReLU.

    Batch normalisation: a group norm sees other statistics on a full image than on the crops it
    was trained on, and makes a tile's prediction depend on the tile.
    """

    def __init__(
        self, dim: int, inside: int, outside: int, stride: int | Sequence[int] = 1, kernel: int = 3
    ) -> None:
        step = stride if isinstance(stride, int) else tuple(stride)
        super().__init__(
            CONV[dim](inside, outside, kernel, step, kernel // 2, bias=False),
            NORM[dim](outside, momentum=0.05),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two units around a shortcut."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first = Unit(dim, width, width)
        self.second = Unit(dim, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, *spatial) to the same shape."""
        return x + self.second(self.first(x))


class Encoder(nn.Module):
    """Stem and stages; the width doubles and the resolution halves from stage to stage."""

    def __init__(
        self, dim: int, channels: int, width: int, depth: int, stem: Sequence[int]
    ) -> None:
        super().__init__()
        self.stride = tuple(s * 2 ** (depth - 1) for s in stem)
        self.widths = [width * 2**level for level in range(depth)]
        self.stem = Unit(dim, channels, width, stem)
        self.down = nn.ModuleList(
            Unit(dim, before, after, 2)
            for before, after in zip(self.widths[:-1], self.widths[1:], strict=True)
        )
        self.stages = nn.ModuleList(Residual(dim, w) for w in self.widths[1:])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, channels, *spatial) to one feature map per level, finest first."""
        levels = [self.stem(x)]
        for down, stage in zip(self.down, self.stages, strict=True):
            levels.append(stage(down(levels[-1])))
        return levels


class Segmenter(nn.Module):
    """Encoder and a decoder that adds the finer levels back; logits at input resolution."""

    def __init__(
        self, dim: int, channels: int, classes: int, width: int, depth: int, stem: Sequence[int]
    ) -> None:
        super().__init__()
        self.mode = UPSAMPLING[dim]
        self.stem = tuple(stem)
        self.encoder = Encoder(dim, channels, width, depth, stem)
        widths = self.encoder.widths
        self.narrow = nn.ModuleList(
            CONV[dim](coarse, fine, 1) for fine, coarse in zip(widths[:-1], widths[1:], strict=True)
        )
        self.fuse = nn.ModuleList(Unit(dim, w, w) for w in widths[:-1])
        self.head = CONV[dim](width, classes, 1)

    def features(self, x: Tensor) -> Tensor:
        """(N, channels, *spatial) to the bottleneck, (N, F, *coarse)."""
        return self.encoder(self._pad(x))[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, *spatial) to logits (N, classes, *spatial)."""
        size = x.shape[2:]
        levels = self.encoder(self._pad(x))
        y = levels[-1]
        for level in reversed(range(len(levels) - 1)):
            fine = levels[level]
            y = fine + self._resize(self.narrow[level](y), fine.shape[2:])
            y = self.fuse[level](y)
        y = GAIN * self.head(y)
        y = self._resize(y, [n * s for n, s in zip(y.shape[2:], self.stem, strict=True)])
        return y[(..., *(slice(n) for n in size))]

    def _pad(self, x: Tensor) -> Tensor:
        """Fill up to whole strides, so that every resizing is by exactly the stride."""
        pads = [(-n) % s for n, s in zip(x.shape[2:], self.encoder.stride, strict=True)]
        if not any(pads):
            return x
        return F.pad(x, [v for pad in reversed(pads) for v in (0, pad)], mode="replicate")

    def _resize(self, x: Tensor, size: Sequence[int]) -> Tensor:
        if tuple(x.shape[2:]) == tuple(size):
            return x
        return F.interpolate(x, size=tuple(size), mode=self.mode, align_corners=False)


class Classifier(nn.Module):
    """Encoder, mean over the image, linear."""

    def __init__(
        self, dim: int, channels: int, classes: int, width: int, depth: int, stem: Sequence[int]
    ) -> None:
        super().__init__()
        self.encoder = Encoder(dim, channels, width, depth, stem)
        self.head = nn.Linear(self.encoder.widths[-1], classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, F), what the linear layer sees."""
        return self.encoder(x)[-1].flatten(2).mean(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to logits (N, classes)."""
        return self.head(self.features(x))
