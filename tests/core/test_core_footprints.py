"""Footprints against asking of every pixel whether its centre lies inside."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from decomp_core import footprint

SIZES = [(d, d) for d in (1, 2, 3, 4, 5, 8, 13, 20)] + [(2, 7), (8, 5), (16, 4), (4, 9)]


def covered(size, inside):
    """Ask of every pixel's centre, squared distance from the box's, 1 at half a side."""
    found = np.zeros(size, bool)
    for index in np.ndindex(size):
        axes = zip(index, size, strict=True)
        found[index] = inside(sum(Fraction(2 * i + 1 - n, n) ** 2 for i, n in axes))
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hole", [0.0, 0.25, 0.5])
def test_ellipses_and_rings_are_inscribed(size, hole):
    found = footprint("disc", size)
    assert found.dtype == bool and np.array_equal(found, covered(size, lambda r: r <= 1))
    assert found.any(axis=1).all() and found.any(axis=0).all()
    ring = covered(size, lambda r: Fraction(hole) ** 2 <= r <= 1)
    if ring.any():
        assert np.array_equal(footprint("annulus", size, hole=hole), ring)
        assert hole != 0.5 or np.array_equal(footprint("annulus", size), ring)
    assert footprint("square", size).all() and footprint("square", size).shape == size
