"""Footprints: their geometry, and that the searches with them are exact."""

from __future__ import annotations

import numpy as np
import pytest

from decomp_core.footprints import disc, footprint

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
