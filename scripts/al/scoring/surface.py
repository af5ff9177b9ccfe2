"""Surface Dice: which share of two surfaces lies within a tolerance of the other.

The definition is that of Nikolov et al. (2018, arXiv:1809.04430; J Med Internet Res 2021) and of
their package ``surface-distance``, which the KiTS challenges score with. The package itself had its
last release in 2022 and fails on numpy 2; its figures are kept as cases of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, product

import numpy as np

Corner = tuple[int, int, int]

# The corners of a cell of 2 x 2 x 2 voxels; a cell's code has bit k for corner k.
CORNERS: tuple[Corner, ...] = tuple(product((0, 1), repeat=3))  # type: ignore[assignment]
FULL = 255
# In voxels: distances that equal the tolerance count, whatever the rounding of i x spacing.
ROUNDING = 1e-9


def surface_dice(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float], tolerance: float
) -> float:
    """Return the share of both surfaces that lies within a tolerance of the other one.

    Surface elements lie at the cells of 2 x 2 x 2 voxels that a mask fills in part, hence at the
    corners of voxels; outside the array everything is background. The area of an element is that of
    the marching-cubes surface in its cell. The distance of an element is the one from the centre of
    its cell to the nearest cell centre of the other surface, so that distances are those of the
    grid. This gives the package's numbers; tools that take boundary voxels for the surface, each
    weighing 1, give lower ones (by up to 0.1 for shifted ellipsoids with voxels of 1 mm and a
    tolerance of 1 mm, by up to 0.2 with slices of 3 mm).

    Args:
        first: (D, H, W) bool.
        second: (D, H, W) bool; which of the two is the truth makes no difference.
        spacing: size of a voxel in mm, in array axes.
        tolerance: mm; a distance of exactly so much is within.

    Returns:
        0 to 1; 1 if both masks are empty, 0 if one of them is.

    Raises:
        ValueError: masks that are not bool volumes of one shape, a spacing that is not three
            numbers above 0, or a negative tolerance.
    """
    from scipy.spatial import cKDTree

    _check(first, second, spacing, tolerance)
    if not first.any() or not second.any():
        return float(first.any() == second.any())
    surfaces = [surface_elements(mask, spacing) for mask in (first, second)]
    trees = [cKDTree(points) for points, _ in surfaces]
    bound = tolerance + ROUNDING * min(spacing)
    within = total = 0.0
    for (points, areas), tree in zip(surfaces, reversed(trees), strict=True):
        # The search is cut off at the tolerance: memory and time go with the surface alone.
        near = np.isfinite(tree.query(points, distance_upper_bound=bound)[0])
        within += float(areas[near].sum())
        total += float(areas.sum())
    return within / total


def surface_elements(mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the surface of a mask is, and how much of it.

    Args:
        mask: (D, H, W) bool, not empty.
        spacing: size of a voxel in mm, in array axes.

    Returns:
        Cell centres, (N, 3) float64 in mm from the outer corner of the first voxel, and the areas
        of their elements, (N,) float64 in mm2.
    """
    low, high = bounding_box(mask)
    padded = np.pad(mask[tuple(map(slice, low, high))], 1)
    codes = np.zeros([n - 1 for n in padded.shape], np.uint8)
    for bit, corner in enumerate(CORNERS):
        part = padded[tuple(slice(c, c + n) for c, n in zip(corner, codes.shape, strict=True))]
        codes |= part.view(np.uint8) << np.uint8(bit)
    cells = np.nonzero((codes != 0) & (codes != FULL))
    points = np.stack([(c + o) * s for c, o, s in zip(cells, low, spacing, strict=True)], axis=1)
    return points, areas_of_codes(tuple(spacing))[codes[cells]]


def bounding_box(mask: np.ndarray) -> tuple[list[int], list[int]]:
    """Return, per axis, the first index of a mask that is not empty and the one behind its last."""
    filled = [
        np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        for axis in range(mask.ndim)
    ]
    return [int(f[0]) for f in filled], [int(f[-1]) + 1 for f in filled]


@cache
def areas_of_codes(spacing: tuple[float, float, float]) -> np.ndarray:
    """Return (256,) float64: area in mm2 of the marching-cubes surface in a cell, by its code.

    The surface goes through the middles of edges. Corners that are joined by edges are cut off
    together; where five or more of a cell are filled, the others are.
    """
    areas = np.zeros(256)
    for code in range(256):
        filled = [corner for bit, corner in enumerate(CORNERS) if code >> bit & 1]
        if len(filled) > 4:
            filled = [corner for corner in CORNERS if corner not in filled]
        areas[code] = sum(_area(part, spacing) for part in _parts(filled))
    areas.flags.writeable = False
    return areas


def _area(part: list[Corner], spacing: Sequence[float]) -> float:
    """Area of the polygon that cuts a connected part of one to four corners off its cell.

    It is summed over plane pieces, each by its area seen along the three axes, in faces of a cell.
    """
    edges = list(_edges(part))
    degrees = [sum(corner in edge for edge in edges) for corner in part]
    axes = [_axis(*edge) for edge in edges]
    oblique = np.ones(3)
    across = [float(axis not in axes) for axis in range(3)]  # 1 for axes without an edge
    if len(part) == 1:
        pieces = [oblique / 8]
    elif len(part) == 2:
        pieces = [np.array(across) / 2]
    elif len(part) == 3:
        pieces = [np.array(across) / 2, oblique * 3 / 8]
    elif len(edges) == 4:  # a face
        pieces = [np.array(across)]
    elif 3 in degrees:  # a corner and its three neighbours
        pieces = [oblique * 3 / 4]
    else:  # a chain along all three axes
        inner = [corner for corner, degree in zip(part, degrees, strict=True) if degree == 2]
        middle = _axis(*inner)
        ends = [axis for axis in range(3) if axis != middle]
        pieces = [oblique / 8, oblique * 3 / 8]
        pieces += [np.array([float(a in (middle, end)) for a in range(3)]) / 4 for end in ends]
    faces = np.prod(spacing) / np.asarray(spacing, float)
    return float(sum(np.linalg.norm(piece * faces) for piece in pieces))


def _edges(corners: Sequence[Corner]) -> Iterator[tuple[Corner, Corner]]:
    for a, b in combinations(corners, 2):
        if sum(x != y for x, y in zip(a, b, strict=True)) == 1:
            yield a, b


def _axis(a: Corner, b: Corner) -> int:
    return next(axis for axis in range(3) if a[axis] != b[axis])


def _parts(corners: Sequence[Corner]) -> list[list[Corner]]:
    """Split corners into parts that edges of the cell connect."""
    parts = [[corner] for corner in corners]
    for a, b in _edges(corners):
        one, other = (next(part for part in parts if corner in part) for corner in (a, b))
        if one is not other:
            one += other
            parts.remove(other)
    return parts


def _check(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float], tolerance: float
) -> None:
    for mask in (first, second):
        if mask.dtype != bool or mask.ndim != 3 or mask.shape != first.shape:
            raise ValueError(
                f"mask: {mask.dtype} of shape {mask.shape}; allowed: two bool volumes of one shape"
            )
    if len(spacing) != 3 or not all(0 < s < np.inf for s in spacing):
        raise ValueError(f"spacing {tuple(spacing)}; allowed: three numbers above 0, in mm")
    if not tolerance >= 0:
        raise ValueError(f"tolerance {tolerance}; allowed: 0 mm or more")
