"""``convnet`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from al.io.files import read_json

from ..base import ImageSource
from ..learner import Learner
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .inference import MapConvnet
from .model import Loaded, RoiConvnet, build, memory_format
from .settings import ConvnetSettings
from .training import ConvnetTraining


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
        about = read_json(members[0] / DESCRIPTION)
        nets = []
        for member in members:
            net = build(about)
            net.load_state_dict(load_tensors(member / WEIGHTS))
            nets.append(net.to(device, memory_format=memory_format(about["task"])).eval())
        kind = RoiConvnet if about["task"] == "roi" else MapConvnet
        return kind(nets, about, layout, settings, device)
