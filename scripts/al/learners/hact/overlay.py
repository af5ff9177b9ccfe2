"""A picture of a RoI with its nuclei, superpixels and edges drawn over it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .graph_file import RoiGraph
from .tissue import centroids

NUCLEUS, BORDER = (0, 225, 60), (255, 235, 0)
CELL_EDGE, TISSUE_EDGE, TISSUE_NODE = (0, 60, 255), (230, 40, 30), (255, 255, 255)


def draw(
    image: np.ndarray, nuclei: np.ndarray, superpixels: np.ndarray, graph: RoiGraph
) -> np.ndarray:
    """Draw what was found in a RoI.

    Args:
        image: (H, W, 3) uint8.
        nuclei: (H, W) int32, outlined in green.
        superpixels: (H, W) int32, borders in yellow.
        graph: of both; edges between nuclei blue, between superpixels red.

    Returns:
        (H, W, 3) uint8.
    """
    picture = image.copy()
    picture[_outlines(superpixels)] = BORDER
    picture[_outlines(nuclei) & (nuclei > 0)] = NUCLEUS
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    kinds = ((graph.cells, nuclei, CELL_EDGE, 1), (graph.tissue, superpixels, TISSUE_EDGE, 2))
    for found, labels, colour, width in kinds:
        if not len(found):
            continue
        places = [(x, y) for y, x in centroids(labels).round().tolist()]
        for source, target in found.edges.T.tolist():
            pen.line([places[source], places[target]], colour, width)
    for y, x in centroids(superpixels).round().tolist():
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), TISSUE_NODE, TISSUE_EDGE)
    return np.asarray(canvas)


def _outlines(labels: np.ndarray) -> np.ndarray:
    """Return where the next pixel, to any side, has another label."""
    found = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    found[1:] |= down
    found[:-1] |= down
    found[:, 1:] |= right
    found[:, :-1] |= right
    return found
