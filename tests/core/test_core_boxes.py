"""Sums and means over boxes against adding pixel by pixel, in one to four axes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from decomp_core import Region
from decomp_core.boxes import Occupancy, exponent_for, parts_of, set_sums, to_fixed
from tests.core import brute

MOST = {1: 40, 2: 12, 3: 8, 4: 5}
FLOATS = [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8"]


def random_box(rng):
    """A shape, a box that fits and strides, in one to four axes."""
    ndim = int(rng.integers(1, 5))
    shape = tuple(int(n) for n in rng.integers(1, MOST[ndim] + 1, ndim))
    size = tuple(int(rng.integers(1, n + 1)) for n in shape)
    return shape, size, tuple(int(s) for s in rng.integers(1, 4, ndim))


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
    """Sums at every position."""
    sums = np.empty(box.free.shape, np.int64)
    set_sums(values, exponent, box, sums)
    return sums


def rounded(values, pixels):
    """The integers of ``to_fixed`` as exact fractions say, and the exponent."""
    flat = [Fraction(float(v)) for v in values.ravel()]
    exponent = 61 - pixels.bit_length() - math.frexp(float(max(abs(v) for v in flat)))[1]
    unit = Fraction(2) ** exponent
    return np.array([round(v * unit) for v in flat], object).reshape(values.shape), exponent


def test_sums_of_integers_match_adding():
    rng = np.random.default_rng(0)
    for _ in range(60):
        shape, size, stride = random_box(rng)
        values = brute.disguised(rng.integers(0, 256, shape).astype(np.uint8), rng)
        boxes, positions = views(values.astype(object), size, stride)
        # which axis planes are taken along decides nothing
        box = Occupancy(shape, size, strides=stride, axis=int(rng.integers(len(shape))))
        sums = sums_of(values, box)
        assert sums.shape == positions
        assert sums.ravel().tolist() == [sum(row) for row in boxes]


def test_floats_are_rounded_as_fractions_are_and_summed_exactly():
    rng = np.random.default_rng(1)
    for _ in range(50):
        shape, size, stride = random_box(rng)
        dtype = FLOATS[int(rng.integers(len(FLOATS)))]
        values = brute.disguised(random_floats(shape, dtype, rng), rng)
        pixels = math.prod(size)
        expected, exponent = rounded(values, pixels)
        assert exponent_for("values", values, pixels) == exponent
        assert to_fixed(values, exponent).tolist() == expected.tolist()
        boxes, _ = views(expected, size, stride)
        sums = sums_of(values, Occupancy(shape, size, strides=stride), exponent)
        assert sums.ravel().tolist() == [sum(row) for row in boxes]


def test_sums_under_footprints():
    rng = np.random.default_rng(2)
    for _ in range(40):
        values = rng.integers(0, 99, rng.integers(1, 14, 2)).astype(np.uint8)
        footprint = brute.random_footprint(rng, values.shape)
        box = Occupancy(values.shape, footprint.shape, parts=parts_of(footprint))
        assert box.pixels == footprint.sum()
        expected = brute.window_sums(values.astype(int), footprint)
        assert np.array_equal(sums_of(values, box), expected)


def test_positions_are_free_where_no_pixel_is_shared_and_one_can_be_annotated():
    rng = np.random.default_rng(5)
    for _ in range(80):
        shape, size, stride = random_box(rng)
        taken = brute.random_taken(rng, shape)
        if rng.random() < 0.2:
            taken.append(Region(tuple(10**20 for _ in shape), size))
        mask = brute.random_annotatable(rng, shape)
        occupancy = Occupancy(shape, size, taken[:1], strides=stride, annotatable=mask)
        for region in taken[1:]:
            occupancy.place(region)
        boxes, positions = views(brute.free_pixels(shape, taken), size, stride)
        expected = boxes.all(axis=1)
        if mask is not None:
            expected &= views(mask, size, stride)[0].any(axis=1)
        assert np.array_equal(occupancy.free, expected.reshape(positions))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_footprints_in_the_slices_of_a_volume(axis):
    rng = np.random.default_rng(6)
    for _ in range(10):
        shape = tuple(int(n) for n in rng.integers(3, 8, 3))
        footprint = brute.random_footprint(rng, shape[:axis] + shape[axis + 1 :])
        whole = np.expand_dims(footprint, axis)
        parts = [
            ((*o[:axis], 0, *o[axis:]), (*k[:axis], 1, *k[axis:])) for o, k in parts_of(footprint)
        ]
        taken = brute.random_taken(rng, shape)
        mask = rng.random(shape) < 0.1
        given = {"parts": parts, "axis": axis, "annotatable": mask}
        box = Occupancy(shape, whole.shape, taken, **given)
        values = rng.integers(0, 99, shape).astype(np.uint8)
        expected = [
            brute.window_sums(v.astype(int), footprint) for v in np.moveaxis(values, axis, 0)
        ]
        assert np.array_equal(sums_of(values, box), np.stack(expected, axis))
        free = np.moveaxis(brute.free_pixels(shape, taken), axis, 0)
        planes = zip(free, np.moveaxis(mask, axis, 0), strict=True)
        expected = [brute.free_positions(plane, footprint, held) for plane, held in planes]
        assert np.array_equal(box.free, np.stack(expected, axis))
