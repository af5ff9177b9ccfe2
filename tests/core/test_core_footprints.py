"""Footprints: their geometry, and that the searches with them are exact."""

from __future__ import annotations

import numpy as np
import pytest

from decomp_core import best_region, decomp_regions, uncertain_regions
from decomp_core.footprints import disc, footprint
from tests.core import brute

SHAPES = {
    "disc 1": disc(1),
    "disc 4": disc(4),
    "disc 7": disc(7),
    "ring 6": footprint("annulus", (6, 6)),
    "ellipse": footprint("disc", (4, 9)),
    "oval ring": footprint("annulus", (8, 5), hole=0.6),
    "square": footprint("square", (3, 5)),
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


@pytest.mark.parametrize("name", SHAPES)
def test_round_shapes_are_symmetric(name):
    shape = SHAPES[name]
    assert np.array_equal(shape, shape[::-1]) and np.array_equal(shape, shape[:, ::-1])
    if shape.shape[0] == shape.shape[1]:
        assert np.array_equal(shape, shape.T)


def test_kinds():
    assert footprint("square", (2, 3)).all() and footprint("square", (2, 3)).shape == (2, 3)
    assert np.array_equal(footprint("disc", [7, 7]), disc(7))
    assert np.array_equal(footprint("annulus", (8, 8)), footprint("annulus", (8, 8), hole=0.5))


@pytest.mark.parametrize("name", SHAPES)
def test_searches_are_exact(name):
    shape = SHAPES[name]
    rng = np.random.default_rng(2)
    for _ in range(2):
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
