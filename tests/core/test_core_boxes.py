"""Sums and means over boxes against adding pixel by pixel, in one to four axes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from decomp_core import Region
from decomp_core.boxes import (
    Occupancy,
    exponent_for,
    integers_of,
    parts_of,
    sums_in_order,
    to_fixed,
)
from tests.core import brute

MOST = {1: 40, 2: 12, 3: 8, 4: 5}
FLOATS = [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8"]


def random_box(rng):
    """A shape, a box that fits and strides, in one to four axes."""
    ndim = int(rng.integers(1, 5))
    shape = tuple(int(n) for n in rng.integers(1, MOST[ndim] + 1, ndim))
    size = tuple(int(rng.integers(1, n + 1)) for n in shape)
    return shape, size, tuple(int(s) for s in rng.integers(1, 4, ndim))


def disguised(values, rng):
    """The same values in another layout: Fortran order, reversed, every second, read-only."""
    kind = int(rng.integers(5))
    if kind == 1:
        values = np.asfortranarray(values)
    elif kind == 2:
        values = np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    elif kind == 3:
        values = np.repeat(values, 2, axis=0)[::2]
    if rng.random() < 0.3:
        values = values.view()
        values.flags.writeable = False
    return values


def views(values, size, stride):
    """All boxes, one after the other, and the positions along each axis."""
    boxes = sliding_window_view(values, size)[tuple(slice(None, None, s) for s in stride)]
    positions = boxes.shape[: values.ndim]
    return boxes.reshape(math.prod(positions), -1), positions


def random_floats(shape, dtype, rng):
    """Signed floats: of one size, or from the smallest to the largest that the dtype has."""
    values = rng.normal(size=shape)
    digits = {2: 4, 4: 37}.get(np.dtype(dtype).itemsize, 200)
    kind = int(rng.integers(4))
    if kind == 1:
        values = values * 10.0 ** rng.integers(-digits, digits)
    elif kind == 2:
        values = values * 10.0 ** rng.integers(-digits, digits, shape)
    elif kind == 3:
        values = values * (rng.random(shape) < 0.2)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    return np.where(np.isfinite(values), values, 0).astype(dtype)


def sums_of(values, box, exponent=0):
    """Sums at every position, along the axes of the image."""
    found = [s.copy() for s in sums_in_order(integers_of(box.view(values), exponent), box)]
    return np.array(found).reshape(box.free.shape[-values.ndim :])


def rounded(values, pixels):
    """The integers of ``to_fixed`` as exact fractions say, and the exponent."""
    flat = [Fraction(float(v)) for v in values.ravel()]
    exponent = 61 - pixels.bit_length() - math.frexp(float(max(abs(v) for v in flat)))[1]
    unit = Fraction(2) ** exponent
    return np.array([round(v * unit) for v in flat], object).reshape(values.shape), exponent


def test_sums_of_integers_match_adding():
    rng = np.random.default_rng(0)
    for _ in range(100):
        shape, size, stride = random_box(rng)
        values = disguised(rng.integers(0, 256, shape).astype(np.uint8), rng)
        boxes, positions = views(values.astype(object), size, stride)
        sums = sums_of(values, Occupancy(shape, size, strides=stride))
        assert sums.shape == positions
        assert sums.ravel().tolist() == [sum(row) for row in boxes]


def test_floats_are_rounded_as_fractions_are_and_summed_exactly():
    rng = np.random.default_rng(1)
    for _ in range(80):
        shape, size, stride = random_box(rng)
        dtype = FLOATS[int(rng.integers(len(FLOATS)))]
        values = disguised(random_floats(shape, dtype, rng), rng)
        pixels = math.prod(size)
        expected, exponent = rounded(values, pixels)
        assert exponent_for("values", values, pixels) == exponent
        fixed = np.empty(shape, np.int64)
        to_fixed(values, exponent, fixed)
        assert fixed.tolist() == expected.tolist()
        boxes, _ = views(expected, size, stride)
        sums = sums_of(values, Occupancy(shape, size, strides=stride), exponent)
        assert sums.ravel().tolist() == [sum(row) for row in boxes]


def test_sums_under_footprints():
    rng = np.random.default_rng(2)
    for _ in range(60):
        values = rng.integers(0, 99, rng.integers(1, 14, 2)).astype(np.uint8)
        footprint = brute.random_footprint(rng, values.shape)
        box = Occupancy(values.shape, footprint.shape, parts=parts_of(footprint))
        assert box.pixels == footprint.sum()
        expected = brute.window_sums(values.astype(int), footprint)
        assert np.array_equal(sums_of(values, box), expected)


def integral_sums(values, size, stride):
    """Sums over boxes from an integral image with a border of zeros."""
    table = np.pad(values.astype(np.int64), [(1, 0)] * values.ndim)
    for axis in range(values.ndim):
        table = table.cumsum(axis=axis)
    for axis, k in enumerate(size):
        rows = np.moveaxis(table, axis, 0)
        table = np.moveaxis(rows[k:] - rows[:-k], 0, axis)
    return table[tuple(slice(None, None, s) for s in stride)]


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [
        ((70_000,), (129,), (1,)),
        ((301, 500), (64, 33), (7, 2)),
        ((61, 73, 85), (16, 8, 32), (1, 1, 1)),
        ((61, 73, 85), (20, 30, 1), (8, 3, 5)),
        ((9, 21, 33, 25), (4, 8, 8, 8), (1, 2, 1, 3)),
    ],
)
def test_large_images_match_an_integral_image(shape, size, stride):
    values = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    found = sums_of(values, Occupancy(shape, size, strides=stride))
    assert np.array_equal(found, integral_sums(values, size, stride))


def test_positions_are_free_where_no_pixel_is_shared():
    rng = np.random.default_rng(5)
    for _ in range(150):
        shape, size, stride = random_box(rng)
        taken = brute.random_taken(rng, shape)
        if rng.random() < 0.2:
            taken.append(Region(tuple(10**20 for _ in shape), size))
        occupancy = Occupancy(shape, size, taken[:1], strides=stride)
        for region in taken[1:]:
            occupancy.place(region)
        boxes, positions = views(brute.free_pixels(shape, taken), size, stride)
        assert np.array_equal(occupancy.free.reshape(positions).ravel(), boxes.all(axis=1))


def test_slices_come_first_and_regions_go_back():
    rng = np.random.default_rng(6)
    for axis in range(3):
        shape, size = (5, 6, 7), [2, 3, 2]
        size[axis] = 1
        occupancy = Occupancy(shape, size, axis=axis)
        assert occupancy.view(np.empty(shape)).shape == occupancy.shape
        assert occupancy.shape[0] == shape[axis] and occupancy.size[0] == 1
        position = tuple(int(rng.integers(n)) for n in occupancy.free.shape)
        region = occupancy.region(position, 1, 0.5)
        assert region.size == tuple(size) and region.start[axis] == position[0]
        occupancy.place(region)
        assert not occupancy.free[position]
        apart = [
            abs(p - q) < k
            for p, q, k in zip(
                np.indices(occupancy.free.shape), position, occupancy.size, strict=True
            )
        ]
        assert np.array_equal(~occupancy.free, np.logical_and.reduce(apart))
