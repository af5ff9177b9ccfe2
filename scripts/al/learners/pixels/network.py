"""A small perceptron over features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Standardised features, hidden layers, linear."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        widths = [features, *hidden]
        layers: list[nn.Module] = []
        for inside, outside in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(inside, outside), nn.ReLU(inplace=True)]
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def standardise(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Set mean and deviation of the features, (F,) each."""
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))

    def scaled(self, x: Tensor) -> Tensor:
        """(N, F) of any float, in deviations from the mean, float32."""
        # Beyond some deviations an image is unlike all others, and a straight line says nothing.
        return ((x.float() - self.mean) / self.deviation).clamp(-8, 8)

    def features(self, x: Tensor) -> Tensor:
        """(N, F) of any float to what the last layer sees, (N, hidden) float32."""
        return self.hidden(self.scaled(x))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) of any float to logits (N, classes)."""
        return self.head(self.features(x))
