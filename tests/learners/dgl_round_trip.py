"""Write graphs with dgl, import them, and compare all: ``python dgl_round_trip.py FOLDER``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ["DGLBACKEND"] = "pytorch"

import dgl  # noqa: E402
import h5py  # noqa: E402
import torch  # noqa: E402

from al.cli import import_graphs  # noqa: E402
from al.io.errors import DataError  # noqa: E402
from al.learners.hact.graph_file import Graphs  # noqa: E402
from al.learners.hact.published import read_assignment, read_bin  # noqa: E402

KINDS = {"cells": ".bin", "tissue": ".bin", "assignments": ".h5"}
SHAPES = [(120, 30), (30, 120), (1, 1), (8, 8), (0, 4)]


def graph_of(
    nodes: int, rng: np.random.Generator, index: torch.dtype = torch.int64
) -> dgl.DGLGraph:
    """Return a graph with 514 features, places, loops and double edges."""
    ends = rng.integers(0, max(nodes, 1), (2, 4 * nodes))
    source, target = (torch.as_tensor(e, dtype=index) for e in ends)
    graph = dgl.graph((source, target), num_nodes=nodes, idtype=index)
    graph.ndata["feat"] = torch.as_tensor(rng.normal(size=(nodes, 514)).astype(np.float32))
    graph.ndata["centroid"] = torch.as_tensor(rng.random((nodes, 2)).astype(np.float32))
    return graph


def refused(read: Callable[[Path], object], path: Path, told: str) -> None:
    """Check that reading a file is refused, with these words."""
    try:
        read(path)
    except DataError as error:
        assert told in str(error) and str(path) in str(error), error
    else:
        raise AssertionError(f"{path}: read")


def check_import(folder: Path) -> None:
    """Write, import, compare."""
    rng = np.random.default_rng(3)
    folders = {kind: folder / kind / "train" for kind in KINDS}
    for place in folders.values():
        place.mkdir(parents=True)
    written = {}
    for number, (cells, tissue) in enumerate(SHAPES):
        name = f"BRACS_{number}_DCIS_1"
        index = torch.int32 if number == 1 else torch.int64
        graphs = {"cells": graph_of(cells, rng, index), "tissue": graph_of(tissue, rng)}
        for kind, graph in graphs.items():
            path = folders[kind] / f"{name}.bin"
            dgl.save_graphs(str(path), [graph], {"label": torch.tensor([5])})
        assignment = rng.integers(0, tissue, cells)
        assignment[1:] = assignment[0] if cells == tissue else assignment[1:]
        matrix = np.eye(tissue)[assignment]
        with h5py.File(folders["assignments"] / f"{name}.h5", "w") as file:
            file.create_dataset("assignment_matrix", data=matrix, compression="gzip")
        written[name] = (graphs, assignment)
    words = [w for kind in KINDS for w in (f"--{kind}", str(folder / kind))]
    assert import_graphs.main([*words, "--out", str(folder / "out"), "--shards", "2"]) == 0
    found = Graphs.of(folder / "out")
    assert sorted(found.place) == sorted(written)
    for name, (graphs, assignment) in written.items():
        roi = found.load(name)
        for kind, made in (("cells", roi.cells), ("tissue", roi.tissue)):
            edges = torch.stack(graphs[kind].edges(order="eid")).numpy()
            assert np.array_equal(made.edges, edges), (name, kind)
            assert np.array_equal(made.features, graphs[kind].ndata["feat"].numpy()), (name, kind)
        assert np.array_equal(roi.assignment, assignment), name


def check_refusals(folder: Path) -> None:
    """Files that hold something else, or not all."""
    rng = np.random.default_rng(4)
    path, matrix = folder / "x.bin", folder / "x.h5"
    dgl.save_graphs(str(path), [graph_of(5, rng), graph_of(5, rng)])
    refused(read_bin, path, "2 graphs")
    two = dgl.heterograph({("a", "to", "b"): ([0], [0]), ("b", "to", "a"): ([0], [0])})
    dgl.save_graphs(str(path), [two])
    refused(read_bin, path, "several kinds")
    dgl.save_graphs(str(path), [graph_of(40, rng)])
    whole = path.read_bytes()
    for kept in (0, 20, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:kept])
        refused(read_bin, path, "no graph of dgl")
    matrix.write_bytes(b"no file of HDF5")
    refused(read_assignment, matrix, "no HDF5 file")
    with h5py.File(matrix, "w") as file:
        file["other"] = np.ones(3)
    refused(read_assignment, matrix, "holds other")


if __name__ == "__main__":
    check_import(Path(sys.argv[1]))
    check_refusals(Path(sys.argv[1]))
    print("exact")
