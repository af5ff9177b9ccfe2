"""A network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from al.io.files import read_json
from al.io.tables import PoolRow

from ..base import ImageSource
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .images import load_image, scale
from .network import Classifier, Encoder, Segmenter
from .settings import ConvnetSettings

ROIS_AT_A_TIME = 256


def memory_format(task: str) -> torch.memory_format:
    """Return the layout of tensors that convolutions are fastest with."""
    return torch.contiguous_format if task == "3d" else torch.channels_last


def describe(settings: ConvnetSettings, task: str, classes: Sequence[str]) -> dict[str, Any]:
    """Return what ``build`` needs."""
    nested = {}
    if settings.nested is not None:
        nested = {"nested": settings.nested, "nested_order": settings.nested_order}
    return {
        "task": task,
        "classes": list(classes),
        "width": settings.width,
        "depth": settings.depth,
        "stem": settings.stem,
        "position": settings.position,
        "clip": settings.clip,
        "input_size": settings.input_size,
        **nested,
    }


def build(description: Mapping[str, Any]) -> nn.Module:
    """Return the network of a description, with random weights."""
    task = description["task"]
    kind = Classifier if task == "roi" else Segmenter
    dim, channels = (3, 1) if task == "3d" else (2, 3)
    channels += dim if description["position"] else 0
    sizes = (description["width"], description["depth"], description["stem"])
    outputs = len(description.get("nested") or description["classes"])
    return kind(dim, channels, outputs, *sizes)


@dataclass
class Loaded:
    """A model ready to predict: one network, or the members of an ensemble.

    ``nested`` (of which ``order`` is the order of decoding) are the classes behind each sigmoid
    output; ``None``: the outputs are one softmax over the classes.
    """

    nets: list[nn.Module]
    device: torch.device
    task: str
    classes: int
    position: bool
    clip: tuple[float, float] | None
    input_size: tuple[int, int] | None
    nested: tuple[tuple[int, ...], ...] | None
    order: tuple[int, ...]
    settings: ConvnetSettings

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.nets)

    @property
    def outputs(self) -> int:
        """Number of outputs of a network: classes, or nested sets of them."""
        return self.classes if self.nested is None else len(self.nested)

    @property
    def encoder(self) -> Encoder:
        """Encoder of the first member; its shape is that of all."""
        return self.nets[0].encoder

    def run(self, method: str, batch: Tensor, member: int = 0) -> Tensor:
        """Call ``forward`` or ``features`` on (N, channels, *spatial); float32 on the device."""
        batch = batch.to(self.device, memory_format=memory_format(self.task))
        # Not in bfloat16, also on a GPU: what selection counts are small differences.
        with torch.inference_mode():
            return getattr(self.nets[member], method)(batch)

    def activate(self, logits: Tensor, axis: int) -> Tensor:
        """Turn logits into probabilities: softmax over ``axis``, or (nested classes) sigmoids."""
        return logits.softmax(axis) if self.nested is None else logits.sigmoid()

    def roi_outputs(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        method: str,
        members: Sequence[int] = (0,),
    ) -> np.ndarray:
        """Run ``forward`` or ``features`` of members on RoIs: (members, M, C) or (.., M, F)."""
        width = self.outputs if method == "forward" else self.encoder.widths[-1]
        found = np.empty((len(members), len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), ROIS_AT_A_TIME):
            part = rows[start : start + ROIS_AT_A_TIME]
            images = [load_image(layout, row, "roi", size=self.input_size) for row in part]
            groups: dict[tuple[int, ...], list[int]] = {}
            for index, image in enumerate(images):
                groups.setdefault(image.shape, []).append(index)
            for indices in groups.values():
                batch = torch.from_numpy(np.stack([scale(images[i]) for i in indices]))
                places = np.add(indices, start)
                for number, member in enumerate(members):
                    found[number, places] = self.run(method, batch, member).cpu().numpy()
        return found


def load(members: Sequence[Path], settings: ConvnetSettings, device: torch.device) -> Loaded:
    """Load the networks of a model."""
    found = read_json(members[0] / DESCRIPTION)
    nets = []
    for member in members:
        net = build(found)
        net.load_state_dict(load_tensors(member / WEIGHTS))
        nets.append(net.to(device, memory_format=memory_format(found["task"])).eval())
    clip, size = (tuple(v) if v else None for v in (found["clip"], found["input_size"]))
    nested = found.get("nested")
    return Loaded(
        nets=nets,
        device=device,
        task=found["task"],
        classes=len(found["classes"]),
        position=found["position"],
        clip=clip,
        input_size=size,
        nested=tuple(map(tuple, nested)) if nested else None,
        order=tuple(found.get("nested_order") or ()),
        settings=settings,
    )
