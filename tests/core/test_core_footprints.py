"""Footprints: their geometry, and that the searches with them are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest

from decomp_core import best_region, decomp_regions, uncertain_regions
from decomp_core.footprints import annulus, disc, footprint, polygon
from tests.core import brute

TRIANGLE = polygon([(0, 0), (6, 1), (3, 7)], (6, 7))
SHAPES = {
    "disc 1": disc(1),
    "disc 4": disc(4),
    "disc 7": disc(7),
    "ring 6 3": annulus(6, 3),
    "ring 7 5": annulus(7, 5),
    "ellipse": footprint("disc", (4, 9)),
    "oval ring": footprint("annulus", (8, 5), hole=0.6),
    "square": footprint("square", (3, 5)),
    "triangle": TRIANGLE,
}


def covered(size, inside):
    """Ask of every pixel's centre, measured from the middle of the box."""
    height, width = size
    found = np.zeros(size, bool)
    for i in range(height):
        for j in range(width):
            found[i, j] = inside(i + 0.5 - height / 2, j + 0.5 - width / 2)
    return found


@pytest.mark.parametrize("diameter", [1, 2, 3, 4, 5, 8, 13, 20])
def test_disc_is_every_centre_in_the_circle(diameter):
    expected = covered((diameter, diameter), lambda y, x: y * y + x * x <= diameter**2 / 4)
    assert np.array_equal(disc(diameter), expected)
    assert disc(diameter).dtype == bool


@pytest.mark.parametrize(("outer", "inner"), [(1, 0), (4, 3), (5, 0), (5, 3), (6, 4), (13, 12)])
def test_annulus_is_the_disc_without_the_inside_of_its_hole(outer, inner):
    expected = covered((outer, outer), lambda y, x: inner**2 / 4 <= y * y + x * x <= outer**2 / 4)
    assert np.array_equal(annulus(outer, inner), expected)
    assert np.array_equal(annulus(outer, 0), disc(outer))


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (8, 5), (6, 6), (16, 4)])
@pytest.mark.parametrize("hole", [0.0, 0.25, 0.5])
def test_ellipses_are_inscribed(size, hole):
    height, width = size

    def radius(y, x):
        return (2 * y / height) ** 2 + (2 * x / width) ** 2

    assert np.array_equal(footprint("disc", size), covered(size, lambda y, x: radius(y, x) <= 1))
    ring = covered(size, lambda y, x: hole**2 <= radius(y, x) <= 1)
    if ring.any():
        assert np.array_equal(footprint("annulus", size, hole=hole), ring)
    found = footprint("disc", size)
    assert found.any(axis=1).all() and found.any(axis=0).all()


@pytest.mark.parametrize("diameter", [40, 101, 256])
def test_areas_are_those_of_the_figures(diameter):
    area = math.pi * diameter**2 / 4
    assert disc(diameter).sum() == pytest.approx(area, rel=0.01)
    assert annulus(diameter, diameter // 2).sum() == pytest.approx(area * 0.75, rel=0.02)
    ring = footprint("annulus", (diameter, 2 * diameter), hole=0.8)
    assert ring.sum() == pytest.approx(2 * area * 0.36, rel=0.02)
    corners = np.array([(0.1, 0.2), (0.9, 0.4), (0.5, 0.95), (0.3, 0.5)]) * diameter
    y, x = corners.T
    shoelace = abs(y @ np.roll(x, -1) - x @ np.roll(y, -1)) / 2
    assert polygon(corners, (diameter, diameter)).sum() == pytest.approx(shoelace, rel=0.05)


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "triangle"])
def test_round_shapes_are_symmetric(name):
    shape = SHAPES[name]
    assert np.array_equal(shape, shape[::-1]) and np.array_equal(shape, shape[:, ::-1])
    if shape.shape[0] == shape.shape[1]:
        assert np.array_equal(shape, shape.T)


def test_kinds():
    assert footprint("square", (2, 3)).all() and footprint("square", (2, 3)).shape == (2, 3)
    assert np.array_equal(footprint("disc", [7, 7]), disc(7))
    assert np.array_equal(footprint("annulus", (8, 8)), annulus(8, 4))


def test_a_rectangle_is_a_polygon():
    whole = polygon([(0, 0), (0, 4), (3, 4), (3, 0)], (3, 4))
    assert whole.all()
    part = polygon([(1, -5), (1, 2), (2.4, 2), (2.4, -5)], (4, 4))
    assert np.array_equal(np.argwhere(part), [(1, 0), (1, 1)])


def test_corners_level_with_centres():
    diamond = polygon([(0.1, 2.5), (2.5, 4.9), (4.9, 2.5), (2.5, 0.1)], (5, 5))
    assert np.array_equal(diamond, covered((5, 5), lambda y, x: abs(y) + abs(x) < 2.4))


def test_polygons_that_share_edges_cover_each_pixel_once():
    rng = np.random.default_rng(0)
    border = np.array([(0, 0), (0, 9), (12, 9), (12, 0)])
    for _ in range(50):
        # half integers put edges through centres
        middle = rng.integers(4, 17, 2) / 2 if rng.random() < 0.5 else rng.uniform(2, 8, 2)
        total = np.zeros((12, 9), int)
        for a, b in zip(border, np.roll(border, -1, axis=0), strict=True):
            corners = rng.permutation([a, b, middle])
            total += polygon(corners, (12, 9))
        assert (total == 1).all()


def test_polygon_has_the_pixels_left_of_no_edge():
    """A convex polygon is where all edges have the centre on one side."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        corners = np.stack([8 + 7 * np.sin(angles), 8 + 7 * np.cos(angles)], axis=1)
        expected = np.zeros((16, 16), bool)
        for i, j in np.ndindex(16, 16):
            away = corners - (i + 0.5, j + 0.5)
            after = np.roll(away, -1, axis=0)
            turns = away[:, 0] * after[:, 1] - away[:, 1] * after[:, 0]
            expected[i, j] = (turns < 0).all() or (turns > 0).all()
        if expected.any():
            assert np.array_equal(polygon(corners, (16, 16)), expected)


def test_a_star_leaves_out_what_is_enclosed_twice():
    turns = 2 * np.pi * np.array([0, 2, 4, 1, 3]) / 5
    star = polygon(np.stack([10 - 9 * np.cos(turns), 10 + 9 * np.sin(turns)], axis=1), (20, 20))
    assert not star[10, 10] and star[3, 10] and not star[0, 0]


@pytest.mark.parametrize("name", SHAPES)
def test_searches_are_exact(name):
    shape = SHAPES[name]
    rng = np.random.default_rng(2)
    for _ in range(4):
        image = tuple(int(n + rng.integers(0, 14)) for n in shape.shape)
        labels = rng.integers(0, 3, image).astype(np.uint8)
        taken = brute.random_taken(rng, image)
        expected = brute.best((labels == 1).astype(int), shape, brute.free_pixels(image, taken))
        found = best_region(labels, 1, shape, taken)
        if found is None:
            assert expected is None or expected[0] == 0
        else:
            assert (found.score, *found.start) == expected
        check_sequence(
            decomp_regions(labels, np.ones(3), 4, shape, rng, taken), labels, shape, taken
        )
        values = rng.integers(0, 256, image).astype(np.uint8)
        used = list(taken)
        for region in uncertain_regions(values, 4, shape, taken):
            expected = brute.best(values.astype(int), shape, brute.free_pixels(image, used))
            assert (region.score, *region.start) == (expected[0] / shape.sum(), *expected[1:])
            used.append(region)


def check_sequence(chosen, labels, shape, taken):
    """Each region is the best of its class among those that were free."""
    used = list(taken)
    for region in chosen:
        free = brute.free_pixels(labels.shape, used)
        if region.cls is None:
            assert brute.free_positions(free, shape)[region.start]
        else:
            best = brute.best((labels == region.cls).astype(int), shape, free)
            assert (region.score, *region.start) == best
        used.append(region)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: disc(0), "diameter is 0.*at least 1"),
        (lambda: disc(2.5), "diameter is 2.5.*integer"),
        (lambda: annulus(4, 4), "inner is 4.*at most 3"),
        (lambda: annulus(0, 0), "outer is 0.*at least 1"),
        (lambda: polygon([(0, 0), (1, 1)], (3, 3)), "vertices has 2 corners.*at least 3"),
        (lambda: polygon([(0, 0, 0)] * 3, (3, 3)), r"vertices has shape \(3, 3\)"),
        (lambda: polygon([(0, 0), (1, np.nan), (1, 1)], (3, 3)), r"vertices\[1, 1\] is nan"),
        (lambda: polygon([(5, 5), (5, 6), (6, 6)], (3, 3)), r"centre of no pixel.*\(3, 3\)"),
        (lambda: polygon([(0, 0), (0, 1), (1, 1)], 3), "size is 3.*2 integers"),
        (lambda: footprint("star", (3, 3)), "kind is 'star'.*square, disc, annulus"),
        (lambda: footprint("disc", (0, 3)), r"size\[0\] is 0"),
        (lambda: footprint("disc", (3, 3), hole=0.2), r"options holds \['hole'\].*disc: none"),
        (lambda: footprint("annulus", (3, 3), ring=0.2), r"options holds \['ring'\].*hole"),
        (lambda: footprint("annulus", (3, 3), hole=1), "hole is 1"),
        (lambda: footprint("annulus", (2, 2), hole=0.9), r"hole is 0.9.*no pixel.*\(2, 2\)"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
