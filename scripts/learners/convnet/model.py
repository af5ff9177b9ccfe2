"""A network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glue.errors import ConfigError
from glue.files import atomic_path, read_json, write_json

from .network import Classifier, Segmenter
from .settings import ConvnetSettings

WEIGHTS, DESCRIPTION = "weights.pt", "model.json"


def choose_device(wish: str) -> torch.device:
    """Return the device to compute on. Raises ConfigError where ``cuda`` is asked and absent."""
    if wish == "cuda" and not torch.cuda.is_available():
        raise ConfigError("convnet.device: 'cuda', but no CUDA device is available; allowed: auto")
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wish)


def memory_format(task: str) -> torch.memory_format:
    """Return the layout of tensors that convolutions are fastest with."""
    return torch.contiguous_format if task == "3d" else torch.channels_last


def describe(settings: ConvnetSettings, task: str, classes: list[str]) -> dict[str, Any]:
    """Return what ``build`` needs."""
    return {
        "task": task,
        "classes": list(classes),
        "width": settings.width,
        "depth": settings.depth,
        "stem": settings.stem,
        "position": settings.position,
        "clip": settings.clip,
        "input_size": settings.input_size,
    }


def build(description: Mapping[str, Any]) -> nn.Module:
    """Return the network of a description, with random weights."""
    task = description["task"]
    kind = Classifier if task == "roi" else Segmenter
    dim, channels = (3, 1) if task == "3d" else (2, 3)
    channels += dim if description["position"] else 0
    sizes = (description["width"], description["depth"], description["stem"])
    return kind(dim, channels, len(description["classes"]), *sizes)


def save_tensors(path: Path, value: Any) -> None:
    """Save tensors by rename, byte for byte the same for the same values."""
    # torch.save names the archive's folder after the path it is given, but not of an open file.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(value, file)


def load_tensors(path: Path) -> Any:
    """Load tensors to the CPU; nothing in the file is executed."""
    return torch.load(path, map_location="cpu", weights_only=True)


def save_model(folder: Path, description: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
    """Write a model into an existing folder."""
    write_json(folder / DESCRIPTION, dict(description))
    save_tensors(folder / WEIGHTS, weights)


def load_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a model that has this description.

    Raises:
        ConfigError: when the model was built otherwise, naming what differs.
    """
    found = read_json(folder / DESCRIPTION)
    for key in ("task", "classes", "width", "depth", "stem", "position"):
        ours = description[key]
        ours = list(ours) if isinstance(ours, tuple) else ours
        if found[key] != ours:
            raise ConfigError(f"convnet.start: {folder} has {key} {found[key]!r}, not {ours!r}")
    return load_tensors(folder / WEIGHTS)


@dataclass
class Loaded:
    """A model ready to predict."""

    net: nn.Module
    device: torch.device
    task: str
    classes: int
    position: bool
    clip: tuple[float, float] | None
    input_size: tuple[int, int] | None
    settings: ConvnetSettings

    def run(self, method: str, batch: Tensor) -> Tensor:
        """Call ``forward`` or ``features`` on (N, channels, *spatial); float32 on the device."""
        batch = batch.to(self.device, memory_format=memory_format(self.task))
        bf16 = self.device.type == "cuda"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, bf16):
            return getattr(self.net, method)(batch).float()


def load(folder: Path, section: Mapping[str, Any]) -> Loaded:
    """Load a finished model for prediction, with the settings of the machine in ``section``."""
    found = read_json(folder / DESCRIPTION)
    settings = ConvnetSettings.of(section, found["task"])
    torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    net = build(found)
    net.load_state_dict(load_tensors(folder / WEIGHTS))
    net.to(device, memory_format=memory_format(found["task"])).eval()
    clip, size = (tuple(v) if v else None for v in (found["clip"], found["input_size"]))
    classes, position = len(found["classes"]), found["position"]
    return Loaded(net, device, found["task"], classes, position, clip, size, settings)
