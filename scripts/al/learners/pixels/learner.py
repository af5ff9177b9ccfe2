"""``pixels`` behind the interface that every learner has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from al.io.errors import DataError
from al.io.files import read_json
from al.io.tables import PoolRow

from ..base import ImageSource, Start
from ..learner import Preparing
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from . import store
from .model import Loaded, MapPixels, RoiPixels
from .network import Perceptron
from .settings import PixelsSettings
from .training import PixelsTraining

# Of a description, what a model is built of
DESCRIBED: dict[str, Any] = {"task": str, "classes": list, "features": int, "hidden": list}
DESCRIBED |= {"made": dict, "prepared": str}


class Pixels(Preparing):
    """A perceptron over features of pixels, voxels or RoIs."""

    settings = PixelsSettings
    training = PixelsTraining

    def task_of(self, member: Path) -> str:
        """Return the task of a network."""
        return read_json(member / DESCRIPTION)["task"]

    def prepare(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Compute the features of a dataset; see ``store.prepare``."""
        store.prepare(layout, rows, folder, PixelsSettings.of(section))

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Refuse other weights than those that features were made with. Raises DataError."""
        made = None if start.prepared is None else store.open_store(start.prepared)
        weights = PixelsSettings.of(section).decides().get("sha256")
        if made is not None and made.settings.get("sha256") != weights:
            raise DataError(
                f"pixels.weights: not those that {start.prepared} was made with. Put them back, or "
                "give the others another name"
            )

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return a hash of the encoder's weights, where there are some."""
        decides = PixelsSettings.of(section).decides()
        return {"weights": decides["sha256"]} if "sha256" in decides else {}

    def load(
        self,
        members: Sequence[Path],
        layout: ImageSource,
        settings: PixelsSettings,
        device: torch.device,
    ) -> Loaded:
        """Load the networks of one description."""
        about = read_json(members[0] / DESCRIPTION, **DESCRIBED)
        nets = []
        for member in members:
            net = Perceptron(about["features"], about["hidden"], len(about["classes"]))
            net.load_state_dict(load_tensors(member / WEIGHTS))
            nets.append(net.to(device).eval())
        kind = RoiPixels if about["task"] == "roi" else MapPixels
        return kind(nets, about, layout, settings.as_made(about["made"]), device)
