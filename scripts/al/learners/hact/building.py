"""From the image of a RoI to its graphs, and from the rows of a part to a shard of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from al.io.errors import DataError
from al.io.tables import PoolRow

from ..base import ImageSource
from .graph_file import Graph, RoiGraph, write_shard
from .node_features import NAMES, Cnn, handcrafted, patch_places
from .nuclei import find_nuclei
from .settings import GRAPH_FORMAT, GraphSettings
from .tissue import centroids, find_superpixels, neighbours

PACKAGES = ("numpy", "scipy", "scikit-image", "pillow")
CNN_PACKAGES = ("torch", "torchvision")
AHEAD = 2  # RoIs per worker that are begun before the first one is taken
COORDINATES = ("x", "y")


@dataclass(frozen=True)
class Nodes:
    """What is known of a RoI before a network has seen it; small, unlike its label maps.

    Attributes:
        shape: height and width of the image, pixels.
        cells: (N, 2) float64, centroids of nuclei, row and column.
        tissue: (M, 2) float64, those of superpixels.
        borders: (P, 2) int64, superpixels that touch, from 0, each pair once.
        assignment: (N,) int64, superpixel of each nucleus.
        patches, owner: of ``patch_places``.
    """

    shape: tuple[int, int]
    cells: np.ndarray
    tissue: np.ndarray
    borders: np.ndarray
    assignment: np.ndarray
    patches: np.ndarray
    owner: np.ndarray


def build_graph(image: np.ndarray, settings: GraphSettings, cnn: Cnn | None = None) -> RoiGraph:
    """Build the graphs of a RoI.

    Edges of the cell graph lead from each nucleus to its nearest (as in the published graphs of
    HACT-Net), so that messages along them come from what counts a nucleus among its neighbours; the
    tissue graph has both directions of each border. Features end in the node's position: x and y of
    the centroid, in shares of the image's width and height.

    Args:
        image: (H, W, 3) uint8.
        settings: of the graphs.
        cnn: describes nodes; ``None``: handcrafted features do.

    Returns:
        Graphs of F + 2 features.

    Raises:
        DataError: for another kind of image.
    """
    nodes, nuclei, superpixels = _segment(image, settings)
    if cnn is not None:
        return _look(image, nodes, cnn, settings)
    cells, tissue = handcrafted(image, nuclei), handcrafted(image, superpixels)
    return _assemble(nodes, cells, tissue, settings)


def _look(image: np.ndarray, nodes: Nodes, cnn: Cnn, settings: GraphSettings) -> RoiGraph:
    """Do what needs the network."""
    cells, tissue = cnn.describe(image, nodes.cells, nodes.patches, nodes.owner)
    return _assemble(nodes, cells, tissue, settings)


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


def _segment(image: np.ndarray, settings: GraphSettings) -> tuple[Nodes, np.ndarray, np.ndarray]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise DataError(f"image of {image.dtype} {image.shape}; allowed: uint8 (H, W, 3)")
    superpixels = find_superpixels(image, settings)
    nuclei = find_nuclei(image, settings)
    cells = centroids(nuclei)
    y, x = np.floor(cells + 0.5).astype(np.int64).T
    patches, owner = patch_places(superpixels, settings.tissue_patch)
    nodes = Nodes(
        shape=image.shape[:2],
        cells=cells,
        tissue=centroids(superpixels),
        borders=neighbours(superpixels) - 1,
        assignment=superpixels[y, x].astype(np.int64) - 1,
        patches=patches,
        owner=owner,
    )
    return nodes, nuclei, superpixels


def _assemble(
    nodes: Nodes, cells: np.ndarray, tissue: np.ndarray, settings: GraphSettings
) -> RoiGraph:
    edges = nearest_edges(nodes.cells, settings.neighbours, settings.max_distance)
    return RoiGraph(
        Graph(_placed(cells, nodes.cells, nodes.shape), edges),
        Graph(_placed(tissue, nodes.tissue, nodes.shape), both_ways(nodes.borders)),
        nodes.assignment,
    )


def _placed(features: np.ndarray, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Append x and y, 0 to 1."""
    position = ((places + 0.5) / shape)[:, ::-1]
    return np.hstack([features, position]).astype(np.float32)


def build_part(
    layout: ImageSource,
    rows: Sequence[PoolRow],
    path: str | Path,
    settings: GraphSettings,
    device: str = "cpu",
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> None:
    """Build the graphs of some RoIs and write them as a shard, whatever ``workers`` the same.

    Args:
        layout: opens the images.
        rows: the RoIs.
        path: of the shard.
        settings: of the graphs; ``weights`` says by what nodes are described.
        device: of the network, which runs in this process.
        workers: processes that read images and find nuclei and superpixels (and the handcrafted
            features); each needs about six times the bytes of its image.
        say: told of RoIs without nuclei.

    Raises:
        ConfigError: for weights that are none.
        DataError: naming the file that cannot be read.
    """
    cnn = Cnn(settings.weights, device, settings) if settings.weights else None
    graphs: dict[str, RoiGraph] = {}
    for row, made in zip(rows, _all_made(layout, rows, settings, workers), strict=True):
        if isinstance(made, Nodes):
            made = _look(_open(layout, row), made, cnn, settings)
        graphs[row.key] = made
    empty = [key for key, graph in graphs.items() if not len(graph.cells)]
    if empty:
        say(f"{len(empty)} of {len(graphs)} RoIs have no nucleus: {', '.join(empty)}")
    write_shard(path, graphs, _facts(graphs, settings, cnn, empty))


def _facts(
    graphs: dict[str, RoiGraph], settings: GraphSettings, cnn: Cnn | None, empty: list[str]
) -> dict[str, Any]:
    names = [*(cnn.names if cnn else NAMES), *COORDINATES]
    packages = PACKAGES + (CNN_PACKAGES if cnn else ())
    return {
        "settings": settings.of_graphs(),
        "format": GRAPH_FORMAT,
        "features": "handcrafted" if cnn is None else cnn.architecture,
        "weights_sha256": cnn.digest if cnn else None,
        "names": names,
        "packages": {name: version(name) for name in packages},
        "counts": {key: [len(graph.cells), len(graph.tissue)] for key, graph in graphs.items()},
        "no_nuclei": empty,
    }


def _open(layout: ImageSource, row: PoolRow) -> np.ndarray:
    try:
        return layout.open_image(row)
    except OSError as error:
        raise DataError(f"{row.path}: unreadable image ({error})") from error


def _make(layout: ImageSource, row: PoolRow, settings: GraphSettings) -> RoiGraph | Nodes:
    """Do what needs no network."""
    image = _open(layout, row)
    try:
        if settings.weights:
            return _segment(image, settings)[0]
        return build_graph(image, settings)
    except DataError as error:
        raise DataError(f"{row.path}: {error}") from None


def _all_made(
    layout: ImageSource, rows: Sequence[PoolRow], settings: GraphSettings, workers: int
) -> Iterator[RoiGraph | Nodes]:
    """Yield what ``_make`` returns, in the order of the rows."""
    if workers < 2 or len(rows) < 2:
        yield from (_make(layout, row, settings) for row in rows)
        return
    # A fork would inherit torch's threads in whatever state they are.
    pool = ProcessPoolExecutor(min(workers, len(rows)), get_context("spawn"))
    try:
        begun: list[Future[RoiGraph | Nodes]] = []
        for row in rows:
            begun.append(pool.submit(_make, layout, row, settings))
            if len(begun) >= AHEAD * workers:
                yield begun.pop(0).result()
        while begun:
            yield begun.pop(0).result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker that built graphs was ended, most likely for memory: try fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
