"""A trained network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from al.io.errors import DataError
from al.io.files import read_json
from al.io.tables import PoolRow

from ..base import ImageSource
from ..models import RoiModel
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .batches import by_nodes
from .graph_file import RoiGraph
from .network import HACT, GraphBatch, collate
from .preparing import PLANS, Store, open_store
from .settings import HactSettings

NETWORK = ("width", "layers", "hidden", "average_degree", "dropout", "readout")
Batch = tuple[GraphBatch, GraphBatch, Tensor]


class Network(nn.Module):
    """HACT-Net behind a shift and a scale of the node features, which are saved with it."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        """Build the network of a ``Description.network``, with random weights and no shift."""
        super().__init__()
        dims = description["dims"]
        settings = {key: description[key] for key in NETWORK}
        self.net = HACT(dims["cells"], dims["tissue"], description["classes"], **settings)
        for kind, dim in dims.items():
            self.register_buffer(f"{kind}_mean", torch.zeros(dim))
            self.register_buffer(f"{kind}_deviation", torch.ones(dim))

    def standardise(self, moments: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Take mean and deviation of the node features from ``plans.json``."""
        for kind, held in moments.items():
            for name, values in held.items():
                if values:  # none where there is not one node
                    getattr(self, f"{kind}_{name}").copy_(torch.tensor(values))

    def forward(self, cells: GraphBatch, tissue: GraphBatch, assignment: Tensor) -> Tensor:
        """Return logits, (B, C) float32."""
        return self.net(self._scaled(cells, "cells"), self._scaled(tissue, "tissue"), assignment)

    def features(self, cells: GraphBatch, tissue: GraphBatch, assignment: Tensor) -> Tensor:
        """Return what the last linear layer sees, (B, hidden) float32."""
        cells, tissue = self._scaled(cells, "cells"), self._scaled(tissue, "tissue")
        return self.net.embed(cells, tissue, assignment)

    def _scaled(self, batch: GraphBatch, kind: str) -> GraphBatch:
        mean, deviation = getattr(self, f"{kind}_mean"), getattr(self, f"{kind}_deviation")
        return GraphBatch((batch.features - mean) / deviation, batch.edges, batch.sizes)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move what ``collate`` made."""
    cells, tissue, assignment = batch
    return cells.to(device), tissue.to(device), assignment.to(device)


def run_rois(
    calls: Sequence[Callable[..., Tensor]],
    rows: Sequence[PoolRow],
    load: Callable[[PoolRow], RoiGraph],
    width: int,
    most: int,
    device: torch.device,
) -> np.ndarray:
    """Call networks on RoIs, as many at a time as have ``most`` nodes together.

    Returns:
        (calls, M, width) float32.
    """
    found = np.empty((len(calls), len(rows), width), np.float32)
    with torch.inference_mode():
        for part, graphs in by_nodes(rows, load, most):
            batch = to_device(collate(graphs), device)
            for number, call in enumerate(calls):
                found[number, part] = call(*batch).float().cpu().numpy()
    return found


@dataclass
class Loaded(RoiModel):
    """A model ready to predict: one network, or the members of an ensemble."""

    nets: list[Network]
    device: torch.device
    description: Mapping[str, Any]  # of ``HactTraining.description``
    layout: ImageSource
    settings: HactSettings
    store: Store | None = None

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.nets)

    def roi_outputs(
        self, rows: Sequence[PoolRow], method: str, members: Sequence[int] = (0,)
    ) -> np.ndarray:
        """Call ``forward`` or ``features`` of members on RoIs.

        Returns:
            (members, M, C) logits or (members, M, hidden), float32.

        Raises:
            DataError: where graphs are missing, or were made from other files.
        """
        about = self.description["network"]
        width = about["classes"] if method == "forward" else about["hidden"]
        calls = [getattr(self.nets[member], method) for member in members]
        most = self.settings.max_nodes
        if not rows:
            return np.zeros((len(calls), 0, width), np.float32)
        if self.store is None:
            folder = Path(self.description["prepared"])
            self.store = open_prepared(folder, self.description["plans"])
        return run_rois(calls, rows, self.store.load, width, most, self.device)


def open_prepared(folder: Path, key: str) -> Store:
    """Open the graphs that a model was trained on.

    Raises:
        DataError: where they are gone, or were made anew from other data.
    """
    store = open_store(folder)
    if store is None:
        raise DataError(
            f"{folder / PLANS}: the graphs that the model was trained on are not there. Work in "
            "the folder that the run was started in, or bring theirs along, or make them again: "
            "start the target prepare_learner"
        )
    if store.key != key:
        raise DataError(
            f"{folder}: its graphs are not those that the model was trained on: it was made anew "
            "since. Start a new run (run=...); results would mix"
        )
    return store


def load(
    members: Sequence[Path], layout: ImageSource, settings: HactSettings, device: torch.device
) -> Loaded:
    """Load the networks of a model."""
    description = read_json(members[0] / DESCRIPTION)
    nets = []
    for member in members:
        net = Network(description["network"])
        net.load_state_dict(load_tensors(member / WEIGHTS))
        nets.append(net.to(device).eval())
    return Loaded(nets, device, description, layout, settings)
