"""A trained network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from al.io.errors import DataError
from al.io.files import read_json
from al.io.tables import PoolRow
from al.io.threads import in_order

from ..base import ImageSource
from ..models import RoiModel
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .graph_file import RoiGraph
from .network import HACT, GraphBatch, collate
from .preparing import PLANS, Store
from .settings import HactSettings

NETWORK = ("width", "layers", "hidden", "average_degree", "dropout", "readout")
TOGETHER = 256  # RoIs that are predicted at a time, at most
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
    found: list[list[np.ndarray]] = [[] for _ in calls]
    with torch.inference_mode():
        for graphs in _by_nodes(in_order(load, rows, 2), most):
            batch = to_device(collate(graphs), device)
            for call, values in zip(calls, found, strict=True):
                values.append(call(*batch).float().cpu().numpy())
    empty = np.zeros((0, width), np.float32)
    return np.stack([np.concatenate([empty, *values]) for values in found])


def _by_nodes(graphs: Iterable[RoiGraph], most: int) -> Iterator[list[RoiGraph]]:
    """Yield RoIs in order, as many as have ``most`` nodes together; one that has more is alone."""
    held: list[RoiGraph] = []
    nodes = 0
    for graph in graphs:
        size = len(graph.cells) + len(graph.tissue)
        if held and (nodes + size > most or len(held) == TOGETHER):
            yield held
            held, nodes = [], 0
        held.append(graph)
        nodes += size
    if held:
        yield held


@dataclass
class Loaded(RoiModel):
    """A model ready to predict: one network, or the members of an ensemble."""

    nets: list[Network]
    device: torch.device
    description: Mapping[str, Any]  # of ``HactTraining.description``
    layout: ImageSource
    settings: HactSettings

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
        load = self.store.load
        return run_rois(calls, rows, load, width, self.settings.max_nodes, self.device)

    @cached_property
    def store(self) -> Store:
        """The graphs that the model was trained on. Raises DataError where there are others."""
        folder = Path(self.description["prepared"])
        store = Store.of(folder)
        if store is None:
            raise DataError(
                f"{folder / PLANS}: the graphs that the model was trained on are not there. Work "
                "in the folder that the run was started in, or bring theirs along, or make them "
                "again: start the target prepare_learner"
            )
        store.check_key(self.description["plans"], "the model")
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
