"""Surface Dice against brute force, worked examples and the numbers of the published package."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from al.scoring.surface import CORNERS, areas_of_codes, bounding_box, surface_dice, surface_elements

ANISOTROPIC = (3.0, 0.7, 1.3)
Point = tuple[float, float, float]

# The polygons that cut off one to four connected corners of a cell, as triangles between middles of
# edges; every other code is a turn or mirror image of these, a union of two, or a complement.
SHAPES: list[tuple[list[tuple[int, int, int]], list[tuple[Point, Point, Point]]]] = [
    ([(0, 0, 0)], [((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))]),
    (
        [(0, 0, 0), (0, 0, 1)],
        [((0.5, 0, 0), (0, 0.5, 0), (0.5, 0, 1)), ((0, 0.5, 0), (0.5, 0, 1), (0, 0.5, 1))],
    ),
    (
        [(0, 0, 0), (1, 0, 0), (0, 1, 0)],
        [
            ((0, 0, 0.5), (1, 0, 0.5), (0, 1, 0.5)),
            ((1, 0, 0.5), (0, 1, 0.5), (1, 0.5, 0)),
            ((0, 1, 0.5), (1, 0.5, 0), (0.5, 1, 0)),
        ],
    ),
    (
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)],
        [((0, 0, 0.5), (1, 0, 0.5), (0, 1, 0.5)), ((1, 1, 0.5), (1, 0, 0.5), (0, 1, 0.5))],
    ),
    (
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
        [
            ((1, 0.5, 0), (0.5, 1, 0), (0, 1, 0.5)),
            ((1, 0.5, 0), (0, 1, 0.5), (0, 0.5, 1)),
            ((1, 0.5, 0), (0, 0.5, 1), (0.5, 0, 1)),
            ((1, 0.5, 0), (0.5, 0, 1), (1, 0, 0.5)),
        ],
    ),
    (
        [(0, 1, 0), (0, 0, 0), (1, 0, 0), (1, 0, 1)],
        [
            ((0.5, 0, 1), (1, 0.5, 0), (0, 1, 0.5)),
            ((0.5, 0, 1), (1, 0.5, 1), (1, 0.5, 0)),
            ((1, 0.5, 0), (0.5, 1, 0), (0, 1, 0.5)),
            ((0, 1, 0.5), (0, 0, 0.5), (0.5, 0, 1)),
        ],
    ),
]


@cache
def slow_areas(spacing: Point) -> dict[frozenset, float]:
    """Area by the set of filled corners: triangles, turned and mirrored in all 48 ways."""

    def moved(point: Any, axes: Any, flips: Any) -> tuple:
        return tuple(1 - point[a] if f else point[a] for a, f in zip(axes, flips, strict=True))

    found: dict[frozenset, float] = {frozenset(): 0.0}
    for corners, triangles in SHAPES:
        for axes, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
            area = 0.0
            for triangle in triangles:
                a, b, c = (np.multiply(moved(p, axes, flips), spacing) for p in triangle)
                area += float(np.linalg.norm(np.cross(b - a, c - a))) / 2
            key = frozenset(moved(corner, axes, flips) for corner in corners)
            assert found.setdefault(key, area) == pytest.approx(area), corners
    for _ in range(2):  # up to four parts that no edge joins
        for one, other in product(list(found), repeat=2):
            touching = any(np.abs(np.subtract(a, b)).sum() <= 1 for a in one for b in other)
            if not touching and len(one | other) <= 4:
                found.setdefault(one | other, found[one] + found[other])
    return found | {frozenset(CORNERS) - key: area for key, area in found.items() if len(key) < 4}


def slow_surface_dice(a: np.ndarray, b: np.ndarray, spacing: Point, tolerance: float) -> float:
    """Every element of one surface against every element of the other, cell by cell."""
    areas = slow_areas(spacing)
    surfaces: list[list[tuple[np.ndarray, float]]] = []
    for mask in (a, b):
        padded, elements = np.pad(mask, 1), []
        for cell in np.ndindex(*(n + 1 for n in mask.shape)):
            filled = frozenset(c for c in CORNERS if padded[tuple(np.add(cell, c))])
            if 0 < len(filled) < 8:
                elements.append((np.array(cell), areas[filled]))
        surfaces.append(elements)
    within = total = 0.0
    for own, other in (surfaces, surfaces[::-1]):
        for cell, area in own:
            steps = [np.linalg.norm((cell - place) * spacing) for place, _ in other]
            within += area * (min(steps) <= tolerance)
            total += area
    return within / total


masks = arrays(bool, (3, 4, 3))
spacings = st.tuples(*[st.sampled_from([0.5, 0.78, 1.0, 2.5])] * 3)
tolerances = st.sampled_from([0.0, 0.4, 0.78, 1.0, 1.2, 2.6, 6.0])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), ANISOTROPIC])
def test_areas_of_all_codes_are_those_of_their_triangles(spacing: Point) -> None:
    slow = slow_areas(spacing)
    assert len(slow) == 256
    keys = [frozenset(c for k, c in enumerate(CORNERS) if code >> k & 1) for code in range(256)]
    np.testing.assert_allclose(areas_of_codes(spacing), [slow[key] for key in keys])


@pytest.mark.parametrize("seed", range(12))
def test_brute_force_finds_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 6, 3)
    a, b = rng.random((2, *shape)) < rng.uniform(0.1, 0.9)
    a.flat[0] = b.flat[-1] = True
    spacing = tuple(rng.uniform(0.4, 3, 3))
    tolerance = float(rng.uniform(0, 3))
    expected = slow_surface_dice(a, b, spacing, tolerance)
    assert surface_dice(a, b, spacing, tolerance) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("seed", "shape", "spacing", "tolerance", "expected"),
    [
        (0, (5, 6, 7), ANISOTROPIC, 0.7, 0.24038461538461542),
        (1, (6, 4, 5), (0.5, 0.78, 0.78), 1.033, 0.7031250000000001),
        (2, (7, 7, 3), (1.0, 1.0, 1.0), 0.0, 0.17187499999999997),
        (3, (4, 9, 6), (2.5, 1.0, 0.6), 1.2, 0.5208333333333334),
    ],
)
def test_noise_has_the_numbers_of_the_published_package(
    seed: int, shape: tuple[int, ...], spacing: Point, tolerance: float, expected: float
) -> None:
    """Expected: what surface-distance 0.1 (PyPI) returned for these masks."""
    rng = np.random.default_rng(seed)
    a, b = rng.random(shape) < 0.03, rng.random(shape) < 0.03
    assert surface_dice(a, b, spacing, tolerance) == pytest.approx(expected, abs=1e-12)


def test_a_voxel_by_hand() -> None:
    """Eight corner triangles of sqrt(3)/8 mm2; the neighbour shares four of its eight cells."""
    a, b = np.zeros((2, 1, 1, 3), bool)
    a[0, 0, 0] = b[0, 0, 1] = True
    points, areas = surface_elements(a, (1, 1, 1))
    assert len(points) == 8 and areas == pytest.approx(np.full(8, np.sqrt(3) / 8))
    assert surface_dice(a, b, (1, 1, 1), 0) == pytest.approx(0.5)
    assert surface_dice(a, b, (1, 1, 1), 0.99) == pytest.approx(0.5)
    assert surface_dice(a, b, (1, 1, 1), 1) == 1
    # Rounding decides no tie: three voxels of 0.1 mm are 0.30000000000000004 mm.
    a, b = np.zeros((2, 1, 1, 5), bool)
    a[0, 0, 0] = b[0, 0, 3] = True
    assert surface_dice(a, b, (1, 1, 0.1), 0.3) == 1


def test_empty_masks() -> None:
    empty, some = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert surface_dice(empty, empty, ANISOTROPIC, 1) == 1
    assert surface_dice(some, empty, ANISOTROPIC, 1e9) == 0
    assert surface_dice(empty, some, ANISOTROPIC, 1e9) == 0


@settings(max_examples=40, deadline=None)
@given(masks, masks, spacings, tolerances)
def test_the_masks_may_change_places(
    a: np.ndarray, b: np.ndarray, spacing: Point, tolerance: float
) -> None:
    value = surface_dice(a, b, spacing, tolerance)
    assert 0 <= value <= 1
    assert surface_dice(b, a, spacing, tolerance) == pytest.approx(value, abs=1e-12)
    assert surface_dice(a, a, spacing, tolerance) == 1


@settings(max_examples=40, deadline=None)
@given(masks, masks, spacings)
def test_a_larger_tolerance_never_lowers_it(a: np.ndarray, b: np.ndarray, spacing: Point) -> None:
    values = [surface_dice(a, b, spacing, t) for t in (0, 0.5, 0.78, 1.0, 2.0, 5.0, 50.0)]
    assert all(x <= y + 1e-12 for x, y in zip(values, values[1:], strict=False))
    assert values[-1] == float(a.any() == b.any())


@settings(max_examples=40, deadline=None)
@given(masks, masks, spacings, tolerances)
def test_background_around_changes_nothing(
    a: np.ndarray, b: np.ndarray, spacing: Point, tolerance: float
) -> None:
    """Cropped or not: the same masks in a larger volume, and turned with their spacing."""
    value = surface_dice(a, b, spacing, tolerance)
    wide = [np.pad(mask, [(2, 5), (1, 0), (0, 7)]) for mask in (a, b)]
    assert surface_dice(*wide, spacing, tolerance) == pytest.approx(value, abs=1e-12)
    turned = [mask.transpose(2, 0, 1)[::-1] for mask in (a, b)]
    order = (spacing[2], spacing[0], spacing[1])
    assert surface_dice(*turned, order, tolerance) == pytest.approx(value, abs=1e-12)


def test_the_box_around_a_mask() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2:4, 5] = True
    assert bounding_box(mask) == ([1, 2, 5], [2, 4, 6])


@pytest.mark.parametrize(
    ("first", "second", "spacing", "tolerance", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2)), (1, 1), 1, "two bool volumes"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2)), (1, 1, 1), 1, "mask: float64"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), (1, 1, 1), 1, "one shape"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1), 1, "spacing"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1, 0), 1, "above 0"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1, 1), -1, "tolerance -1"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1, 1), np.nan, "tolerance nan"),
    ],
)
def test_wrong_arguments_are_refused(
    first: Any, second: Any, spacing: Any, tolerance: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        surface_dice(first, second, spacing, tolerance)
