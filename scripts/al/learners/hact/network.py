"""HACT-Net, a classifier of a RoI's cells and tissue (Pati et al. 2022, Hierarchical graph
representations in digital pathology, Medical Image Analysis).

Its layers aggregate as PNA does (Corso et al. 2020, arXiv 2004.05718). Parameters have the names
and shapes of the published checkpoints. On a CPU with one thread, the same seed gives the same
bits. On CUDA, ``index_add_`` sums in any order, unless ``torch.use_deterministic_algorithms``
is on.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .graph_file import Graph, RoiGraph

AGGREGATORS = 4  # mean, max, min and standard deviation
VARIANCE_EPS = 1e-5
SCALERS = 3  # as is, more for many messages, less for many messages


@dataclass(frozen=True)
class GraphBatch:
    """Graphs side by side, as one graph without edges between them.

    Attributes:
        features: (N, F) float32, the nodes of one graph after those of another.
        edges: (2, E) int64, source and destination, rows of ``features``.
        sizes: (B,) int64, nodes of each graph; they sum to N.
    """

    features: Tensor
    edges: Tensor
    sizes: Tensor

    def to(self, device: torch.device | str) -> GraphBatch:
        """Return the same graphs on a device."""
        return GraphBatch(self.features.to(device), self.edges.to(device), self.sizes.to(device))

    def graph_of(self) -> Tensor:
        """Return (N,) int64, the graph that each node belongs to."""
        graphs = torch.arange(len(self.sizes), device=self.sizes.device)
        return graphs.repeat_interleave(self.sizes, output_size=len(self.features))


def collate(graphs: Sequence[RoiGraph]) -> tuple[GraphBatch, GraphBatch, Tensor]:
    """Put RoIs into a batch.

    Returns:
        The cells, the tissue, and (N_cells,) int64: each cell's superpixel, a row of the tissue.

    Raises:
        ValueError: where there is no RoI, or their features have several widths.
    """
    starts = np.cumsum([0, *(len(graph.tissue) for graph in graphs)])
    moved = [graph.assignment + start for graph, start in zip(graphs, starts[:-1], strict=True)]
    return (
        _side_by_side([graph.cells for graph in graphs]),
        _side_by_side([graph.tissue for graph in graphs]),
        torch.from_numpy(np.concatenate(moved).astype(np.int64)),
    )


def _side_by_side(graphs: Sequence[Graph]) -> GraphBatch:
    sizes = [len(graph) for graph in graphs]
    starts = np.cumsum([0, *sizes])
    moved = [graph.edges + start for graph, start in zip(graphs, starts[:-1], strict=True)]
    return GraphBatch(
        torch.from_numpy(np.concatenate([graph.features for graph in graphs]).astype(np.float32)),
        torch.from_numpy(np.concatenate(moved, axis=1).astype(np.int64)),
        torch.tensor(sizes),
    )


def aggregate(sent: Tensor, own: Tensor, edges: Tensor, degree: Tensor) -> Tensor:
    """Return mean, max, min and standard deviation of each node's ReLU(sent[source] + own).

    (N, W) and (N, W) to (N, 4 W), 0 for nodes without messages. The deviation is made from the
    differences to the mean: in E[m^2] - E[m]^2 the squares would cancel in float32.
    """
    source, target = edges
    messages = (sent.index_select(0, source) + own.index_select(0, target)).relu()
    place = target[:, None].expand_as(messages)
    count = degree.clamp(min=1).to(sent.dtype)[:, None]
    mean = torch.zeros_like(own).index_add(0, target, messages) / count
    high, low = (
        torch.zeros_like(own).scatter_reduce(0, place, messages, kind, include_self=False)
        for kind in ("amax", "amin")
    )
    spread = (messages - mean.index_select(0, target)).square()
    variance = torch.zeros_like(own).index_add(0, target, spread) / count
    deviation = torch.where(degree[:, None] > 0, (variance + VARIANCE_EPS).sqrt(), 0)
    return torch.cat([mean, high, low, deviation], 1)


def nest(path: str, layer: nn.Module) -> nn.Sequential:
    """Return a module that the checkpoints know by this dotted path."""
    name, _, rest = path.partition(".")
    return nn.Sequential(OrderedDict({name: nest(rest, layer) if rest else layer}))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes the running statistics where a batch has none."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, W) to the same shape, N from 0."""
        if len(x) > 1:
            return super().forward(x)
        normalised = (x - self.running_mean) * (self.running_var + self.eps).rsqrt()
        return normalised * self.weight + self.bias


class Tower(nn.Module):
    """Messages, their aggregation, and the update of the nodes."""

    def __init__(self, inputs: int, width: int, average_degree: float, dropout: float) -> None:
        super().__init__()
        self.usual = math.log(average_degree + 1)
        # The checkpoints hold these two, but nothing is computed with them.
        self.fc = nn.Linear(inputs, width, bias=False).requires_grad_(False)
        self.attn_fc = nn.Linear(2 * width, 1, bias=False).requires_grad_(False)
        self.batchnorm_h = BatchNorm(width)
        self.pretrans = nest("0.mlp.fc", nn.Linear(2 * inputs, width))
        mixed = inputs + SCALERS * AGGREGATORS * width
        self.posttrans = nest("0.mlp.fc", nn.Linear(mixed, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, edges: Tensor, degree: Tensor, shrink: Tensor) -> Tensor:
        """(N, inputs) to (N, width); ``degree``: (N,) messages, ``shrink``: (N, 1), factor."""
        before, after = self.pretrans[0].mlp.fc, self.posttrans[0].mlp.fc
        inputs, width = x.shape[1], before.out_features
        # A linear layer of [source, destination] is a sum of two: products per node, not edge.
        # The update's part for the nodes themselves joins them.
        blocks = (*before.weight.split(inputs, 1), after.weight[:, :inputs])
        sent, own, kept = F.linear(x, torch.cat(blocks)).split(width, 1)
        found = aggregate(sent, own + before.bias, edges, degree)
        # A node's scalers are numbers: they may follow the product as well.
        mixing = after.weight[:, inputs:].unflatten(1, (SCALERS, -1)).transpose(0, 1)
        parts = F.linear(found, mixing.flatten(0, 1)).unflatten(1, (SCALERS, width))
        mixed = (parts * self._scalers(degree, x.dtype)).sum(1) + kept + after.bias
        return self.dropout(self.batchnorm_h(mixed.relu() * shrink))

    def _scalers(self, degree: Tensor, dtype: torch.dtype) -> Tensor:
        """Return (N, 3, 1); what no message came to is 0, whatever its scalers."""
        much = degree.clamp(min=1).to(dtype).log1p() / self.usual
        return torch.stack([torch.ones_like(much), much, 1 / much], 1)[:, :, None]


class PnaLayer(nn.Module):
    """A layer of principal neighbourhood aggregation, beside a shortcut where widths agree."""

    def __init__(self, inputs: int, width: int, average_degree: float, dropout: float) -> None:
        super().__init__()
        self.towers = nn.ModuleList([Tower(inputs, width, average_degree, dropout)])
        self.mixing_network = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU())

    def forward(self, x: Tensor, edges: Tensor, degree: Tensor, shrink: Tensor) -> Tensor:
        """(N, inputs) to (N, width)."""
        found = self.mixing_network(self.towers[0](x, edges, degree, shrink))
        return x + found if x.shape == found.shape else found


class GraphNetwork(nn.Module):
    """PNA layers, and per node an attention over their outputs, guided by an LSTM."""

    def __init__(
        self, inputs: int, width: int, layers: int, average_degree: float, dropout: float
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = nn.ModuleList(
            PnaLayer(inputs if number == 0 else width, width, average_degree, dropout)
            for number in range(layers)
        )
        self.lstm = nn.LSTM(width, layers * width // 2, bidirectional=True)
        self.att = nn.Linear(2 * self.lstm.hidden_size, 1)

    def forward(self, graphs: GraphBatch) -> Tensor:
        """Return (N, width)."""
        x = graphs.features
        degree = torch.bincount(graphs.edges[1], minlength=len(x))
        shrink = graphs.sizes.to(x.dtype).rsqrt().index_select(0, graphs.graph_of())[:, None]
        outputs = []
        for layer in self.layers:
            x = layer(x, graphs.edges, degree, shrink)
            outputs.append(x)
        return self._attend(torch.stack(outputs))

    def _attend(self, outputs: Tensor) -> Tensor:
        """(layers, N, width) to (N, width)."""
        layers, n, width = outputs.shape
        if not n:  # cuDNN takes no empty sequences; gradients are 0, not missing
            return outputs.sum(0) + self._attend(outputs.new_zeros(layers, 1, width))[:0]
        scores = self.att(self.lstm(outputs)[0])
        return (outputs * scores.softmax(0)).sum(0)


class HACT(nn.Module):
    """HACT-Net; the published one is ``HACT(514, 514, 7)``.

    Args:
        cell_dim: features of a cell.
        tissue_dim: features of a superpixel.
        n_classes: classes of a RoI.
        width: features of a node within.
        layers: PNA layers of each of the two graphs.
        hidden: units before the last linear layer.
        average_degree: messages of a node for which the scalers are 1, above 0.
        dropout: in [0, 1).
        readout: over the superpixels of a RoI, "mean" as published or "sum" as in the paper.
    """

    def __init__(
        self,
        cell_dim: int,
        tissue_dim: int,
        n_classes: int,
        width: int = 128,
        layers: int = 4,
        hidden: int = 128,
        average_degree: float = 4,
        dropout: float = 0.2,
        readout: str = "mean",
    ) -> None:
        super().__init__()
        self.readout = readout
        self.cell_graph_gnn = GraphNetwork(cell_dim, width, layers, average_degree, dropout)
        self.superpx_gnn = GraphNetwork(width + tissue_dim, width, layers, average_degree, dropout)
        first, last = (nest("fc", nn.Linear(*s)) for s in ((width, hidden), (hidden, n_classes)))
        self.pred_layer = nn.Sequential(OrderedDict({"mlp": nn.ModuleList([first, last])}))

    @property
    def head(self) -> nn.Linear:
        """The last linear layer, from ``embed`` to the logits."""
        return self.pred_layer.mlp[1].fc

    def forward(self, cells: GraphBatch, tissue: GraphBatch, assignment: Tensor) -> Tensor:
        """Return the logits, (B, n_classes); arguments as of ``embed``."""
        return self.head(self.embed(cells, tissue, assignment))

    def embed(self, cells: GraphBatch, tissue: GraphBatch, assignment: Tensor) -> Tensor:
        """Return what the last linear layer sees, (B, hidden).

        Args:
            cells: graphs of nuclei, some or all of which may be empty.
            tissue: graphs of superpixels, at least one in each.
            assignment: (N_cells,) int64, the row of each cell's superpixel in the tissue batch.
        """
        found = self.cell_graph_gnn(cells)
        pooled = found.new_zeros(len(tissue.features), found.shape[1])
        pooled = pooled.index_add(0, assignment, found)
        features = torch.cat([pooled, tissue.features], 1)
        found = self.superpx_gnn(GraphBatch(features, tissue.edges, tissue.sizes))
        read = found.new_zeros(len(tissue.sizes), found.shape[1])
        read = read.index_add(0, tissue.graph_of(), found)
        if self.readout == "mean":
            read = read / tissue.sizes[:, None]
        return self.pred_layer.mlp[0](read).relu()
