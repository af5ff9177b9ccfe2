"""Networks with what is needed to use them again, on disk and on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from al.io.tables import PoolRow

from ..base import ImageSource, Model
from ..models import RoiModel
from .images import load_image, scale
from .network import Classifier, Segmenter
from .settings import ConvnetSettings

ROIS_AT_A_TIME = 256


def memory_format(task: str) -> torch.memory_format:
    """Return the layout of tensors that convolutions are fastest with."""
    return torch.contiguous_format if task == "3d" else torch.channels_last


def build(description: Mapping[str, Any]) -> nn.Module:
    """Return the network of ``ConvnetTraining.description``, with random weights."""
    task = description["task"]
    kind = Classifier if task == "roi" else Segmenter
    dim, channels = (3, 1) if task == "3d" else (2, 3)
    channels += dim if description["position"] else 0
    sizes = (description["width"], description["depth"], description["stem"])
    outputs = len(description.get("nested") or description["classes"])
    return kind(dim, channels, outputs, *sizes)


class Loaded(Model):
    """One network, or the members of an ensemble, on a device."""

    def __init__(
        self,
        nets: Sequence[nn.Module],
        about: Mapping[str, Any],
        layout: ImageSource,
        settings: ConvnetSettings,
        device: torch.device,
    ) -> None:
        """Take networks in evaluation mode, and the description that they were built of."""
        self.nets, self.about, self.device = nets, about, device
        self.layout, self.settings = layout, settings
        self.members, self.classes = len(nets), len(about["classes"])
        self.nested = tuple(map(tuple, about.get("nested") or ()))
        self.order = tuple(about.get("nested_order") or ())
        self.encoder = nets[0].encoder  # its shape is that of all

    def run(self, method: str, batch: Tensor, member: int = 0) -> Tensor:
        """Call ``forward`` or ``features`` on (N, channels, *spatial); float32 on the device."""
        batch = batch.to(self.device, memory_format=memory_format(self.about["task"]))
        # Not in bfloat16, also on a GPU: what selection counts are small differences.
        with torch.inference_mode():
            return getattr(self.nets[member], method)(batch)


class RoiConvnet(Loaded, RoiModel):
    """Classifies RoIs, those of one size at once."""

    def roi_outputs(
        self, rows: Sequence[PoolRow], method: str, members: Sequence[int] = (0,)
    ) -> np.ndarray:
        """Run ``forward`` or ``features`` of members on RoIs; see ``RoiModel``."""
        width = self.classes if method == "forward" else self.encoder.widths[-1]
        found = np.empty((len(members), len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), ROIS_AT_A_TIME):
            part = rows[start : start + ROIS_AT_A_TIME]
            size = self.about["input_size"]
            images = [load_image(self.layout, row, "roi", size=size) for row in part]
            groups: dict[tuple[int, ...], list[int]] = {}
            for index, image in enumerate(images):
                groups.setdefault(image.shape, []).append(index)
            for indices in groups.values():
                batch = torch.from_numpy(np.stack([scale(images[i]) for i in indices]))
                places = np.add(indices, start)
                for number, member in enumerate(members):
                    found[number, places] = self.run(method, batch, member).cpu().numpy()
        return found
