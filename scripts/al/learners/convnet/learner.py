"""``convnet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from al.io.files import read_json

from ..base import ImageSource
from ..learner import Learner
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .inference import MapConvnet
from .model import Loaded, RoiConvnet, build, memory_format
from .settings import ConvnetSettings
from .training import ConvnetTraining

# Of a description, what a model is built of and opens images by
DESCRIBED: dict[str, Any] = {"task": str, "classes": list, "width": int, "depth": int, "stem": list}
DESCRIBED |= {"position": bool, "clip": (list, type(None)), "input_size": (list, type(None))}


class Convnet(Learner):
    """A small encoder-decoder for images and volumes, and its encoder for RoIs."""

    settings = ConvnetSettings
    training = ConvnetTraining

    def task_of(self, member: Path) -> str:
        """Return the task of a network."""
        return read_json(member / DESCRIPTION)["task"]

    def load(
        self,
        members: Sequence[Path],
        layout: ImageSource,
        settings: ConvnetSettings,
        device: torch.device,
    ) -> Loaded:
        """Load the networks of one description."""
        about = read_json(members[0] / DESCRIPTION, **DESCRIBED)
        if len(about["stem"]) != (3 if about["task"] == "3d" else 2):
            raise ValueError(f"stem: {about['stem']}")
        nets = []
        for member in members:
            net = build(about)
            net.load_state_dict(load_tensors(member / WEIGHTS))
            nets.append(net.to(device, memory_format=memory_format(about["task"])).eval())
        kind = RoiConvnet if about["task"] == "roi" else MapConvnet
        return kind(nets, about, layout, settings, device)
