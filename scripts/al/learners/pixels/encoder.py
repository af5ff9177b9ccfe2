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
from al.io.files import reading

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
        raise ConfigError(
            f"pixels.encoder: {error}; install it with: make venv EXTRAS=encoder"
        ) from error
    try:
        net = timm.create_model(name, num_classes=0, dynamic_img_size=True)
        own, held = net.state_dict().keys(), read_weights(Path(weights))
        net.load_state_dict({key: value for key, value in held.items() if key in own})
        if not hasattr(net, "forward_intermediates") or not hasattr(net, "patch_embed"):
            raise TypeError("not a vision transformer")
    except (RuntimeError, TypeError) as error:  # of timm, and of torch for other weights
        told = " ".join(str(error).split())[:300]
        raise ConfigError(f"pixels.encoder: {name!r} with {weights}: {told}") from error
    about = net.pretrained_cfg
    mean, deviation = (torch.tensor(about[key])[:, None, None] for key in ("mean", "std"))
    return net.eval(), mean, deviation


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return tensors by name. Raises DataError for a file that does not hold them."""
    with reading(path, "the encoder's weights"):
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            return load(path.read_bytes())
        return dict(load_tensors(path))


def encoded(image: np.ndarray, colour: bool, settings: PixelsSettings) -> np.ndarray:
    """Return patch features brought to pixels, each slice of a volume by itself.

    Args:
        image: (H, W, 3) float32 from 0 to 255, or (D, H, W) float32, whose slices are shown as grey
            pictures between the volume's 1st and 99th percentile.
        colour: which of the two.
        settings: whose encoder it is.

    Returns:
        (H, W, F) or (D, H, W, F) float32.

    Raises:
        ConfigError: see ``open_encoder``.
    """
    net, mean, deviation = open_encoder(settings.encoder or "", settings.weights or "")
    if colour:
        pictures = torch.from_numpy(image / np.float32(255)).movedim(-1, 0)[None]
    else:
        low, high = np.percentile(image, (1, 99))
        grey = ((image - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)
        pictures = torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1)
    parts = [_patches(net, (part - mean) / deviation) for part in pictures.split(SLICES)]
    found = torch.cat(parts).movedim(1, -1).numpy()
    return found[0] if colour else found


def _patches(net: Any, pictures: Tensor) -> Tensor:
    """Return the last layer's patches of (N, 3, H, W), interpolated: (N, F, H, W) float32."""
    sides, patch = pictures.shape[2:], net.patch_embed.patch_size
    (below, right) = (-n % p for n, p in zip(sides, patch, strict=True))
    pictures = F.pad(pictures, (0, right, 0, below), mode="replicate")
    with torch.inference_mode():
        (found,) = net.forward_intermediates(pictures, indices=1, intermediates_only=True)
    whole = F.interpolate(found, size=pictures.shape[2:], mode="bilinear", align_corners=False)
    return whole[..., : sides[0], : sides[1]]
