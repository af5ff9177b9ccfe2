"""From the image of a RoI to its graphs, and from the rows of a part to a shard of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from al.io.tables import PoolRow

from ..base import ImageSource
from .graph_file import Graph, RoiGraph, write_shard
from .node_features import Cnn, handcrafted
from .nuclei import find_nuclei
from .settings import GraphSettings
from .tissue import centroids, find_superpixels, neighbours

load_network = lru_cache(maxsize=1)(Cnn)  # once in each process


def build_graph(image: np.ndarray, settings: GraphSettings, device: str = "cpu") -> RoiGraph:
    """Build the graphs of a RoI.

    Edges of the cell graph lead from each nucleus to its nearest (as in the published graphs of
    HACT-Net), so that messages along them come from what counts a nucleus among its neighbours; the
    tissue graph has both directions of each border. Features end in the node's position: x and y of
    the centroid, in shares of the image's width and height.

    Args:
        image: (H, W, 3) uint8.
        settings: of the graphs; with ``weights`` a network describes nodes.
        device: of the network.

    Returns:
        Graphs of F + 2 features.

    Raises:
        ConfigError: for weights that are none.
    """
    superpixels = find_superpixels(image, settings)
    nuclei = find_nuclei(image, settings)
    cells, tissue = centroids(nuclei), centroids(superpixels)
    if settings.weights:
        described = load_network(settings, device).describe(image, cells, superpixels)
    else:
        described = handcrafted(image, nuclei), handcrafted(image, superpixels)
    y, x = np.floor(cells + 0.5).astype(np.int64).T
    edges = nearest_edges(cells, settings.neighbours, settings.max_distance)
    return RoiGraph(
        Graph(_placed(described[0], cells, image), edges),
        Graph(_placed(described[1], tissue, image), both_ways(neighbours(superpixels) - 1)),
        superpixels[y, x].astype(np.int64) - 1,
    )


def _placed(features: np.ndarray, places: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Append x and y, 0 to 1."""
    position = ((places + 0.5) / image.shape[:2])[:, ::-1]
    return np.hstack([features, position]).astype(np.float32)


def nearest_edges(places: np.ndarray, k: int, longest: float) -> np.ndarray:
    """Return edges from each point to its ``k`` nearest ones not further than ``longest``.

    Args:
        places: (N, 2) float64.
        k: edges that leave a point at most.
        longest: distance.

    Returns:
        (2, E) int64, source and destination, sorted by source and distance.
    """
    n = len(places)
    if n < 2:
        return np.zeros((2, 0), np.int64)
    k = min(k, n - 1)
    # Itself is the first, but for others at the same place.
    far, other = cKDTree(places).query(places, k + 1)
    own = np.arange(n)[:, None]
    itself = other == own
    itself[~itself.any(1), -1] = True
    far, other = far[~itself].reshape(n, k), other[~itself].reshape(n, k)
    kept = far <= longest
    return np.stack([np.broadcast_to(own, other.shape)[kept], other[kept]]).astype(np.int64)


def both_ways(borders: np.ndarray) -> np.ndarray:
    """Return (2, 2 P) int64 edges, sorted by source, of (P, 2) pairs."""
    edges = np.concatenate([borders, borders[:, ::-1]]).T
    return edges[:, np.lexsort(edges[::-1])]


def build_part(
    layout: ImageSource,
    rows: Sequence[PoolRow],
    path: Path,
    settings: GraphSettings,
    device: str = "cpu",
    workers: int = 1,
) -> None:
    """Build the graphs of some RoIs and write them as a shard, whatever ``workers`` the same.

    Args:
        layout: opens the images.
        rows: the RoIs.
        path: of the shard.
        settings: of the graphs.
        device: of the network.
        workers: processes; each needs about six times the bytes of its image.

    Raises:
        ConfigError: for weights that are none.
        DataError: naming the file that cannot be read.
    """
    build = partial(_build, layout, settings, device)
    graphs = _in_processes(build, rows, workers) if workers > 1 else map(build, rows)
    write_shard(path, {row.key: graph for row, graph in zip(rows, graphs, strict=True)})


def _build(layout: ImageSource, settings: GraphSettings, device: str, row: PoolRow) -> RoiGraph:
    return build_graph(layout.open_image(row), settings, device)


def _in_processes(
    build: partial[RoiGraph], rows: Sequence[PoolRow], workers: int
) -> Iterator[RoiGraph]:
    # A fork would inherit torch's threads in whatever state they are.
    with ProcessPoolExecutor(min(workers, len(rows)), get_context("spawn")) as pool:
        try:
            yield from pool.map(build, rows)
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker that built graphs was ended, most likely for memory: try fewer workers"
            ) from error
