"""A segmentor on disk and on a device."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from al.io.errors import ConfigError
from al.io.files import read_json
from al.io.tables import PoolRow
from al.io.threads import in_order
from decomp_core import Region

from ..base import ImageSource
from ..models import MapModel, Part
from ..regions import Cells, pool_regions
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from . import packages  # noqa: F401 - registers what is built here
from .configs import set_inference
from .settings import MmsegSettings

WRAPPERS = ("state_dict", "model", "state_dict_ema")


def build(model: Mapping[str, Any], name: str) -> nn.Module:
    """Return a segmentor with the weights that its layers initialise themselves with.

    Raises:
        ConfigError: for what mmsegmentation cannot build.
    """
    try:
        network = MODELS.build(ConfigDict(untag(tag(model))))
        network.init_weights()
    except Exception as error:  # a registry passes on whatever a constructor raises
        raise ConfigError(f"mmseg.config: {name}: {type(error).__name__}: {error}") from error
    if not hasattr(network, "inference") or not hasattr(network, "backbone"):
        raise ConfigError(f"mmseg.config: {name}: {model.get('type')}; allowed: EncoderDecoder")
    return network


def tag(value: Any) -> Any:
    """Return JSON's form of a configuration, in which tuples stay apart from lists."""
    if isinstance(value, tuple):
        return {"tuple": [tag(v) for v in value]}
    if isinstance(value, list):
        return [tag(v) for v in value]
    return {k: tag(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def untag(value: Any) -> Any:
    """Undo ``tag``."""
    if isinstance(value, list):
        return [untag(v) for v in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"tuple"}:
        return tuple(untag(v) for v in value["tuple"])
    return {k: untag(v) for k, v in value.items()}


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load weights into a module that has exactly these.

    Raises:
        ConfigError: naming what differs.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        told = textwrap.shorten(str(error).partition("\n")[2], 300)
        raise ConfigError(f"{source} is of another architecture: {told}") from error


def load_pretrained(network: nn.Module, path: str | Path) -> str:
    """Load weights of the backbone, or of the whole network, and say what was loaded.

    Of a whole network, layers whose shape depends on the number of classes are left as they are
    where that number differs.

    Raises:
        ConfigError: for a file that is no weights, or of another architecture.
    """
    weights = _read_weights(path)
    source = f"mmseg.pretrained: {path}"
    if any(k.startswith("decode_head.") for k in weights):
        own = network.state_dict()
        heads = [
            k
            for k in own
            if k in weights
            and weights[k].shape != own[k].shape
            and weights[k].shape[1:] == own[k].shape[1:]
            and not k.startswith("backbone.")
        ]
        merged = {**weights, **{k: own[k] for k in heads}}
        if not hasattr(network, "auxiliary_head") or network.auxiliary_head is None:
            merged = {k: v for k, v in merged.items() if not k.startswith("auxiliary_head.")}
        load_strictly(network, merged, source)
        return f"whole network from {path}" + (f", but not {', '.join(heads)}" if heads else "")
    prefixed = any(k.startswith("backbone.") for k in weights)
    weights = {k.removeprefix("backbone."): v for k, v in weights.items()}
    own = network.backbone.state_dict()
    # What is left over is the classifier that the backbone was pretrained with.
    rest = [k for k in weights if k not in own]
    load_strictly(network.backbone, {k: v for k, v in weights.items() if k in own}, source)
    left = f", {len(rest)} other tensors left" if rest and not prefixed else ""
    return f"backbone from {path}{left}"


def _read_weights(path: str | Path) -> dict[str, Tensor]:
    try:
        # By others: also in the form that torch had before 1.6.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for what is no safe checkpoint
        raise ConfigError(
            f"mmseg.pretrained: {path}: no checkpoint of tensors alone "
            f"({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    for name in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
            break
    weights = {
        str(k).removeprefix("module."): v for k, v in dict(found).items() if torch.is_tensor(v)
    }
    if not weights:
        raise ConfigError(f"mmseg.pretrained: {path} holds no weights")
    return weights


@dataclass
class Segmentor(MapModel):
    """A segmentor ready to predict.

    In float32 also on a GPU: bfloat16 has 8 bits, and what selection counts are small differences.
    """

    network: nn.Module
    device: torch.device
    layout: ImageSource
    settings: MmsegSettings

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.network.out_channels

    def outputs(
        self, rows: Sequence[PoolRow], full: bool = False
    ) -> Iterator[tuple[PoolRow, Iterator[Part]]]:
        """Each image is one part; the next images are read meanwhile, by threads."""
        for row, image in zip(rows, in_order(self.layout.open_image, rows, 2), strict=True):
            yield row, iter([(slice(0, image.shape[0]), [self.softmax(image)])])

    def softmax(self, image: np.ndarray) -> Tensor:
        """Return the softmax for (H, W, 3) uint8 RGB, (C, H, W) float32 on the device."""
        with torch.inference_mode():
            inputs = self._inputs(image)
            size = inputs.shape[2:]
            meta = {"ori_shape": size, "img_shape": size, "pad_shape": size}
            logits = self.network.inference(inputs, [{**meta, "padding_size": [0] * 4}])
            height, width = image.shape[:2]
            return logits[0, :, :height, :width].float().softmax(0)

    def embed(self, row: PoolRow, regions: Sequence[Region], pooling: str = "mean") -> np.ndarray:
        """Return the bottleneck pooled over regions; see ``Model``.

        The bottleneck is the output of the backbone of the lowest resolution; where the network
        predicts in windows, that of the window nearest to a region.
        """
        image = self.layout.open_image(row)
        axes = [self._windows(n, axis) for axis, n in enumerate(image.shape[:2])]
        return pool_regions(
            regions, axes, (1, 1), lambda part: self._bottleneck(image[part]), pooling
        )

    def _bottleneck(self, image: np.ndarray) -> Cells:
        with torch.inference_mode():
            inputs = self._inputs(image)
            found = self.network.backbone(inputs)
        maps = [found] if torch.is_tensor(found) else [m for m in found if torch.is_tensor(m)]
        coarse = min(reversed(maps), key=lambda m: m.shape[2] * m.shape[3])
        # As the network itself does when it enlarges the map to the image.
        step = [n / m for n, m in zip(inputs.shape[2:], coarse.shape[2:], strict=True)]
        return coarse[0].float().cpu().numpy(), step

    def _windows(self, length: int, axis: int) -> list[slice]:
        """The places of mmsegmentation's sliding window along an axis."""
        test = self.network.test_cfg
        if test.get("mode", "whole") != "slide":
            return [slice(0, length)]
        size, step = test["crop_size"][axis], test["stride"][axis]
        stops = [
            min(start + size, length) for start in range(0, max(length - size, 0) + step, step)
        ]
        return [slice(max(stop - size, 0), stop) for stop in dict.fromkeys(stops)]

    def _inputs(self, image: np.ndarray) -> Tensor:
        sample = SegDataSample()
        data = {"inputs": [to_tensor(image)], "data_samples": [sample]}
        return self.network.data_preprocessor(data, False)["inputs"]


def to_tensor(image: np.ndarray) -> Tensor:
    """Return (H, W, 3) RGB as mmsegmentation reads images, (3, H, W) BGR."""
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))


def load(
    members: Sequence[Path], layout: ImageSource, settings: MmsegSettings, device: torch.device
) -> Segmentor:
    """Load a finished model for prediction, as the settings say how."""
    (folder,) = members
    model = untag(read_json(folder / DESCRIPTION))
    model.pop("classes")
    crop = model.get("data_preprocessor", {}).get("size") or (512, 512)
    set_inference(model, settings, tuple(crop))
    network = build(model, str(folder))
    load_strictly(network, load_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
    return Segmentor(network.to(device).eval(), device, layout, settings)
