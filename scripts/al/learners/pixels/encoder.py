"""Patch features of a frozen vision transformer, brought to pixels."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al.io.errors import ConfigError

from ..torchvision_cpu import import_torchvision
from ..training import load_tensors
from .settings import PixelsSettings

SLICES = 8  # of a volume at a time


@lru_cache(maxsize=1)
def open_encoder(name: str, weights: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network of timm with the weights of a file; mean and deviation of its input.

    Raises:
        ConfigError: timm is missing or knows no such network, or the weights are not its own.
    """
    try:
        import_torchvision()  # for timm
        import timm
    except ImportError as error:
        raise ConfigError(f"pixels.encoder: {error}; install it: pip install timm") from error
    try:
        net = timm.create_model(name, num_classes=0, dynamic_img_size=True)
        held: dict[str, Any] = read_weights(Path(weights))
        own = net.state_dict().keys()
        net.load_state_dict({key: value for key, value in held.items() if key in own})
    except (RuntimeError, TypeError) as error:  # of timm, and of torch for other weights
        told = " ".join(str(error).split())[:300]
        raise ConfigError(f"pixels.encoder: {name!r} with {weights}: {told}") from error
    if not hasattr(net, "forward_intermediates"):
        raise ConfigError(f"pixels.encoder: {name!r}; allowed: a vision transformer of timm")
    about = net.pretrained_cfg
    mean, deviation = (torch.tensor(about[key])[:, None, None] for key in ("mean", "std"))
    return net.eval(), mean, deviation


def read_weights(path: Path) -> dict[str, Any]:
    """Return tensors by name. Raises DataError for a file that does not hold them."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return load_tensors(path)


def encoded(image: np.ndarray, shape: tuple[int, ...], settings: PixelsSettings) -> np.ndarray:
    """Return patch features on a grid, each slice of a volume by itself, (*shape, F) float32.

    Args:
        image: (H, W, 3) uint8, or (D, H, W) float32, whose slices are shown as grey pictures
            between the volume's 1st and 99th percentile.
        shape: of the grid.
        settings: whose encoder it is.

    Raises:
        ConfigError: see ``open_encoder``.
    """
    net, mean, deviation = open_encoder(settings.encoder or "", settings.weights or "")
    if image.dtype == np.uint8:
        pictures = torch.from_numpy(image / np.float32(255)).movedim(-1, 0)[None]
    else:
        low, high = np.percentile(image, (1, 99))
        grey = ((image - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)
        pictures = torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1)
    parts = [
        _patches(net, (part - mean) / deviation, shape[-2:]) for part in pictures.split(SLICES)
    ]
    found = torch.cat(parts)  # (slices, F, h, w)
    if len(shape) == 2:
        return found[0].movedim(0, -1).numpy()
    depth = np.minimum(np.arange(shape[0]) * -(-len(found) // shape[0]), len(found) - 1)
    return found[depth].movedim(1, -1).numpy()


def _patches(net: Any, pictures: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the last layer's patches of (N, 3, H, W), on a grid: (N, F, *shape) float32."""
    sides, patch = pictures.shape[2:], net.patch_embed.patch_size
    (below, right) = (-n % p for n, p in zip(sides, patch, strict=True))
    pictures = F.pad(pictures, (0, right, 0, below), mode="replicate")
    with torch.inference_mode():
        (found,) = net.forward_intermediates(pictures, indices=1, intermediates_only=True)
    whole = F.interpolate(found, size=pictures.shape[2:], mode="bilinear", align_corners=False)
    inside = whole[..., : sides[0], : sides[1]]
    return F.adaptive_avg_pool2d(inside, shape)
