"""HACT-Net against reference vectors and node-by-node loops, and what it must do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from al.learners.hact.graph_file import Graph, RoiGraph
from al.learners.hact.network import HACT, GraphBatch, aggregate, collate
from tests.learners.brute_hact import loop_hact

REFERENCE = Path(__file__).parents[3] / "shared" / "data" / "reference"
TINY: dict[str, Any] = {"width": 6, "layers": 3, "hidden": 5}


def reference(name: str) -> Path:
    """Return the path of a reference file; skip where it is absent."""
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def lively(seed: int = 0, **changes: Any) -> HACT:
    """Return a tiny network of 4 and 3 features whose norms are not those of a new one."""
    torch.manual_seed(seed)
    network = HACT(4, 3, 2, **{**TINY, **changes})
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            for values in (layer.weight.data, layer.running_var):
                values.uniform_(0.5, 2)
            for values in (layer.bias.data, layer.running_mean):
                values.normal_()
    return network


def graph(n: int, edges: int, features: int, rng: np.random.Generator) -> Graph:
    pairs = rng.integers(0, max(n, 1), size=(2, edges if n else 0))
    return Graph(rng.normal(size=(n, features)).astype(np.float32), pairs)


def roi(seed: int, cells: int = 9, tissue: int = 4, edges: int = 20) -> RoiGraph:
    """Return a random RoI; edges may repeat and be loops, nodes be without."""
    rng = np.random.default_rng(seed)
    return RoiGraph(
        graph(cells, edges, 4, rng),
        graph(tissue, edges // 2, 3, rng),
        rng.integers(0, tissue, size=cells),
    )


def roi_strategy() -> st.SearchStrategy[RoiGraph]:
    """RoIs down to no cell, one superpixel and no edge."""
    return st.builds(
        roi, st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 6), st.integers(0, 40)
    )


def numpy_state(network: HACT) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in network.state_dict().items()}


def doubled(graphs: list[RoiGraph]) -> tuple[GraphBatch, GraphBatch, Tensor]:
    cells, tissue, assignment = collate(graphs)
    one, other = (replace(b, features=b.features.double()) for b in (cells, tissue))
    return one, other, assignment


def test_reference_vectors() -> None:
    with np.load(reference("hact_small.npz")) as file:
        arrays = {name: file[name] for name in file.files}
    state = {k[6:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("param:")}
    graphs = []
    for number in range(len(arrays["logits"])):
        cells, tissue = (
            Graph(
                arrays[f"g{number}.{kind}.feat"],
                np.stack([arrays[f"g{number}.{kind}.{end}"] for end in ("src", "dst")]),
            )
            for kind in ("cell", "tissue")
        )
        graphs.append(RoiGraph(cells, tissue, arrays[f"g{number}.assignment"]))
    network = HACT(10, 10, 7, width=16, layers=3, hidden=16).eval()
    network.load_state_dict(state, strict=True)
    found = network(*collate(graphs)).detach().numpy()
    assert np.abs(found - arrays["logits"]).max() < 1e-5
    for logits, one in zip(arrays["logits"], graphs, strict=True):
        assert np.abs(loop_hact(numpy_state(network), one) - logits).max() < 1e-5


def test_published_names_and_shapes() -> None:
    lines = reference("hact_paper_state_dict.txt").read_text().splitlines()
    published = {}
    for name, shape in (line.split("\t") for line in lines):
        published[name] = torch.zeros([int(n) for n in shape.split("x") if n])
    network = HACT(514, 514, 7)
    network.load_state_dict(published, strict=True)
    own = network.state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in published.items()}


@settings(max_examples=15, deadline=None)
@given(st.lists(roi_strategy(), min_size=1, max_size=3), st.sampled_from(["mean", "sum"]))
def test_same_as_loops(graphs: list[RoiGraph], readout: str) -> None:
    """And a batch gives what its RoIs give one by one."""
    network = lively(average_degree=2.5, readout=readout).double().eval()
    with torch.no_grad():
        found = network(*doubled(graphs))
        alone = torch.cat([network(*doubled([one])) for one in graphs])
    torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-9)
    state = numpy_state(network)
    expected = np.stack([loop_hact(state, one, 2.5, readout) for one in graphs])
    # The loops subtract squares: their variances of equal messages are rounding.
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-7)
    embedded = network.embed(*doubled(graphs))
    assert embedded.shape == (len(graphs), TINY["hidden"])
    assert torch.equal(network.head(embedded), network(*doubled(graphs)))


def gradients(network: HACT) -> dict[str, Tensor]:
    """Return all gradients; AssertionError where one is wanted and missing or not finite."""
    found = {n: p.grad for n, p in network.named_parameters() if p.requires_grad}
    wrong = [n for n, grad in found.items() if grad is None or not grad.isfinite().all()]
    assert not wrong, wrong
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "shapes", [[(0, 1, 0)], [(1, 1, 3)], [(5, 3, 0)], [(0, 1, 0), (7, 3, 9), (0, 2, 2)]]
)
def test_hardly_a_graph(shapes: list[tuple[int, int, int]], training: bool) -> None:
    network = lively().train(training)
    logits = network(*collate([roi(3, *shape) for shape in shapes]))
    assert logits.shape == (len(shapes), 2) and logits.isfinite().all()
    logits.sum().backward()
    gradients(network)
    assert all(values.isfinite().all() for values in network.state_dict().values())


def test_equal_messages() -> None:
    """A spread of 0, ties and large numbers leave gradients finite."""
    for size in (0.0, 1.0, 1e4):
        cells = Graph(np.full((6, 4), size, np.float32), roi(0, 6).cells.edges)
        network = lively()
        network(*collate([replace(roi(0, 6), cells=cells)])).sum().backward()
        gradients(network)


def test_one_row_leaves_the_running_statistics() -> None:
    network = lively().train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network(*collate([roi(0, 1, 1, 0)]))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_aggregate_by_loops() -> None:
    """Output and gradients, with ties (shared evenly), repeated edges, loops and a hub."""
    rng = np.random.default_rng(0)
    edges = np.concatenate([rng.integers(0, 12, (2, 30)), np.zeros((2, 40), np.int64)], axis=1)
    edges[0, 30:] = rng.integers(0, 12, 40)
    edges = torch.from_numpy(edges)
    degree = torch.bincount(edges[1], minlength=14)
    weights = torch.from_numpy(rng.normal(size=(14, 12)))
    values = [torch.from_numpy(rng.integers(-2, 3, (14, 3)).astype(float)) for _ in range(2)]
    results = []
    for way in (aggregate, loops):
        given = [v.clone().requires_grad_() for v in values]
        found = way(*given, edges, degree)
        (found * weights).sum().backward()
        results.append([found.detach(), *(v.grad for v in given)])
    torch.testing.assert_close(*results)
    assert not results[0][0][degree == 0].any()


def loops(sent: Tensor, own: Tensor, edges: Tensor, degree: Tensor) -> Tensor:
    rows = []
    for node in range(len(own)):
        m = (sent[edges[0, edges[1] == node]] + own[node]).relu()
        if not len(m):
            rows.append(torch.zeros(4 * own.shape[1], dtype=own.dtype))
            continue
        spread = (m.var(0, unbiased=False) + 1e-5).sqrt()
        rows.append(torch.cat([m.mean(0), m.amax(0), m.amin(0), spread]))
    return torch.stack(rows)


@pytest.mark.gpu
def test_gpu() -> None:
    """CUDA's LSTM and aggregation give what the CPU's give, also without cells."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    for graphs in ([roi(0), roi(1, 0, 1, 0), roi(2, 30, 5, 90)], [roi(1, 0, 1, 0)]):
        network, batch = lively().eval(), collate(graphs)
        expected = network(*batch).detach()
        network.cuda()
        found = network(*(part.to("cuda") for part in batch))
        torch.testing.assert_close(found.detach().cpu(), expected, rtol=1e-3, atol=1e-3)
        found.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
