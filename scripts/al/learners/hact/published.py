"""Graphs as HACT-Net's authors published them: read, and made graphs of this project.

``NAME.bin`` is a file of ``dgl.save_graphs`` (dgl 0.4 or later), ``NAME.h5`` one of HDF5. What they
hold was learnt from files that histocartography 0.2.1 wrote.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from al.io.errors import ConfigError, DataError

from .graph_file import Graph, RoiGraph

CNN_FEATURES = 512  # of the published graphs, before the two coordinates


@dataclass(frozen=True)
class RawGraph:
    """One graph as its file holds it.

    Attributes:
        nodes: arrays over N nodes by name, such as ``feat`` and ``centroid``.
        edges: (2, E) int64, source and destination, in the order of the file.
    """

    nodes: Mapping[str, np.ndarray]
    edges: np.ndarray


def read_bin(path: Path) -> RawGraph:
    """Read the one graph of a file that ``dgl.save_graphs`` wrote.

    Raises:
        ConfigError: dgl cannot be imported.
        DataError: no such file, cut off, several graphs, or several kinds of nodes or edges.
    """
    os.environ.setdefault("DGLBACKEND", "pytorch")  # without it, a file is written to the home
    try:
        from dgl.data.utils import load_graphs
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"dgl cannot be imported here ({error}); install the extra `dgl`, or use the "
            "environment of envs/hact_import.yaml"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of dgl 0.4 are expected
            graphs, _ = load_graphs(str(path.resolve()))
    except Exception as error:  # DGLError of C++ code, and what it makes of broken files
        told = str(error).partition("\n")[0]
        raise DataError(f"{path}: no graph of dgl: {told}") from error
    if len(graphs) != 1:
        raise DataError(f"{path}: {len(graphs)} graphs; allowed: 1")
    (graph,) = graphs
    if not graph.is_homogeneous:
        raise DataError(f"{path}: several kinds of nodes or edges; allowed: one of each")
    nodes = {name: values.numpy() for name, values in graph.ndata.items()}
    _check_whole(path, nodes)
    edges = np.stack([ends.numpy() for ends in graph.edges(order="eid")]).astype(np.int64)
    return RawGraph(nodes, edges)


def _check_whole(path: Path, nodes: Mapping[str, np.ndarray]) -> None:
    """Refuse a file that is cut off: dgl gives what is missing arbitrary values, and no error.

    Arrays stand in the file as they are in memory, whole: so they are looked for.
    """
    content = path.read_bytes()
    for name, values in nodes.items():
        if np.ascontiguousarray(values).tobytes() not in content:
            raise DataError(f"{path}: cut off: its node data {name!r} are not whole")


def read_assignment(path: Path) -> np.ndarray:
    """Read the dataset ``assignment_matrix`` of an HDF5 file.

    Raises:
        ConfigError: h5py cannot be imported.
        DataError: no such file or dataset.
    """
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(f"h5py cannot be imported here ({error}); install it") from error
    try:
        with h5py.File(path, "r") as file:
            if "assignment_matrix" not in file:
                held = ", ".join(file) or "nothing"
                raise DataError(f"{path}: holds {held}; allowed: assignment_matrix")
            return np.asarray(file["assignment_matrix"])
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: no HDF5 file that can be read: {error}") from error


def node_features(graph: RawGraph, name: str, size: tuple[int, int] | None) -> np.ndarray:
    """Return the features of a graph's nodes, (N, F) float32.

    Features of the published graphs end with the nodes' x / width and y / height. Where they were
    left out (512 features), they are made from ``centroid`` (pixels).

    Args:
        graph: of cells or of tissue.
        name: for messages.
        size: (width, height) of the image, pixels, where it is known.

    Raises:
        DataError: no features, values that are no numbers, or coordinates without a size.
    """
    features = _numbers(graph, "feat", name)
    if features.shape[1] != CNN_FEATURES or "centroid" not in graph.nodes:
        return features
    places = _numbers(graph, "centroid", name)
    if places.shape[1] != 2:
        raise DataError(f"{name}: centroid has shape {places.shape}; allowed: (N, 2)")
    if size is None:
        raise DataError(
            f"{name}: {CNN_FEATURES} features, coordinates apart: the size of the image is needed; "
            "give --images or --sizes that have it"
        )
    if places.size and ((places < 0).any() or (places > size).any()):
        raise DataError(f"{name}: nodes outside their image of {size[0]} x {size[1]} pixels")
    return np.hstack([features, (places / np.float32(size)).astype(np.float32)])


def _numbers(graph: RawGraph, key: str, name: str) -> np.ndarray:
    """Node data as (N, F) float32, finite."""
    if key not in graph.nodes:
        held = ", ".join(graph.nodes) or "nothing"
        raise DataError(f"{name}: no node data {key!r}; it holds {held}")
    values = graph.nodes[key]
    if values.ndim != 2 or values.dtype.kind != "f":
        raise DataError(f"{name}: {key}: {values.dtype} {values.shape}; allowed: (N, F) floats")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{name}: {key}: values that are no finite numbers")
    return values


def assignment_of(matrix: np.ndarray, cells: int, tissue: int, name: str) -> np.ndarray:
    """Return the superpixel of each nucleus.

    Args:
        matrix: (cells, tissue), as HACT-Net's files have it: 1 where a nucleus lies, else 0.
        cells: number of nuclei.
        tissue: number of superpixels.
        name: for messages.

    Returns:
        (cells,) int64.

    Raises:
        DataError: for anything else.
    """
    if matrix.shape != (cells, tissue):
        raise DataError(
            f"{name}: assignment has shape {matrix.shape}; allowed: ({cells}, {tissue})"
        )
    lies = matrix == 1
    if not (lies | (matrix == 0)).all():
        raise DataError(f"{name}: assignment: other values than 0 and 1")
    wrong = int((lies.sum(1) != 1).sum())
    if wrong:
        raise DataError(f"{name}: {wrong} of {cells} nuclei lie in no superpixel, or in several")
    return lies.argmax(1).astype(np.int64)


def convert(
    name: str,
    cells: RawGraph,
    tissue: RawGraph,
    matrix: np.ndarray,
    size: tuple[int, int] | None = None,
) -> RoiGraph:
    """Make the graphs of a RoI from what its files hold; see ``node_features`` about ``size``.

    Raises:
        DataError: naming the RoI, for what is no such graph.
    """
    made = RoiGraph(
        Graph(node_features(cells, f"{name}: cells", size), cells.edges),
        Graph(node_features(tissue, f"{name}: tissue", size), tissue.edges),
        assignment_of(matrix, len(cells.nodes["feat"]), len(tissue.nodes["feat"]), name),
    )
    made.check(name)
    return made
