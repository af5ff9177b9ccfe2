"""Sums and means over boxes against adding pixel by pixel, in one to four axes."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from decomp_core.fixed import fixed_exponent, powers, to_fixed
from decomp_core.patches import weighted_means
from decomp_core.sliding import all_means, all_sums

MOST = {1: 40, 2: 12, 3: 8, 4: 5}
INTEGERS = [np.uint8, np.bool_, np.int8, np.uint16, np.int32, np.int64, np.uint64, ">i4"]
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
    digits = {2: 4, 4: 37}.get(np.dtype(dtype).itemsize, 300)
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


def widening(values):
    """What fills parts of an image into int64."""

    def load(part, fixed):
        np.copyto(fixed, values[part], casting="unsafe")

    return load


def sums_of(values, size, stride):
    return all_sums(values.shape, size, stride, widening(values))


def as_integers(name, values, pixels):
    """Floats in fixed point, and the exponent."""
    exponent = fixed_exponent(name, values, pixels)
    fixed = np.empty(values.shape, np.int64)
    to_fixed(values, exponent, fixed)
    return fixed, exponent


def rounded(values, pixels):
    """The integers of ``to_fixed`` as exact fractions say, and the exponent."""
    flat = [Fraction(float(v)) for v in values.ravel()]
    exponent = 61 - pixels.bit_length() - math.frexp(float(max(abs(v) for v in flat)))[1]
    unit = Fraction(2) ** exponent
    return np.array([round(v * unit) for v in flat], object).reshape(values.shape), exponent


def test_sums_of_integers_match_adding():
    rng = np.random.default_rng(0)
    for _ in range(400):
        shape, size, stride = random_box(rng)
        dtype = np.dtype(INTEGERS[int(rng.integers(len(INTEGERS)))])
        low = 0 if dtype.kind in "bu" else -120
        values = disguised(rng.integers(low, 120, shape).astype(dtype), rng)
        sums = sums_of(values, size, stride)
        boxes, positions = views(values.astype(object), size, stride)
        assert sums.dtype == np.int64 and sums.shape == positions and sums.flags.c_contiguous
        assert sums.ravel().tolist() == [sum(int(v) for v in row) for row in boxes]


def test_sums_of_large_integers_are_exact():
    values = np.array([2**61, -(2**61), 2**61, 3, -(2**62)])
    assert sums_of(values, (2,), (1,)).tolist() == [0, 0, 2**61 + 3, 3 - 2**62]
    upright = sums_of(values[:, None, None], (2, 1, 1), (3, 1, 1))
    assert upright.ravel().tolist() == [0, 3 - 2**62]


def test_floats_are_rounded_as_fractions_are_and_summed_exactly():
    rng = np.random.default_rng(1)
    for _ in range(150):
        shape, size, stride = random_box(rng)
        dtype = FLOATS[int(rng.integers(len(FLOATS)))]
        values = disguised(random_floats(shape, dtype, rng), rng)
        pixels = math.prod(size)
        expected, exponent = rounded(values, pixels)
        fixed, found = as_integers("values", values, pixels)
        assert found == exponent
        assert fixed.tolist() == expected.tolist()
        boxes, positions = views(expected, size, stride)
        totals = [sum(row) for row in boxes]
        assert sums_of(fixed, size, stride).ravel().tolist() == totals
        means = weighted_means(values, None, size, stride)
        assert means.dtype == np.float64 and means.shape == positions
        assert means.ravel().tolist() == [math.ldexp(float(t) / pixels, -exponent) for t in totals]


def test_means_of_uint8_are_those_of_the_sums():
    rng = np.random.default_rng(2)
    for _ in range(60):
        shape, size, stride = random_box(rng)
        values = disguised(rng.integers(0, 256, shape, np.uint8), rng)
        boxes, _ = views(values.astype(int), size, stride)
        means = all_means(values.shape, size, stride, widening(values), 0)
        assert means.ravel().tolist() == boxes.mean(axis=1).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_of_products_are_those_of_the_product(dtype):
    rng = np.random.default_rng(3)
    for _ in range(150):
        shape, size, stride = random_box(rng)
        values = disguised(rng.normal(size=shape).astype(dtype), rng)
        weights = disguised(rng.random(shape).astype(FLOATS[int(rng.integers(3))]), rng)
        means = weighted_means(values, weights, size, stride)
        assert (means == weighted_means(values * weights, None, size, stride)).all()
        raised = weighted_means(values, weights, size, stride, least=0.1)
        assert (raised == np.maximum(means, 0.1)).all()
        ones = np.ones(shape, values.dtype)
        plain = weighted_means(values, None, size, stride)
        assert (plain == weighted_means(values, ones, size, stride)).all()


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
        ((300, 501), (64, 33), (1, 1)),
        ((301, 500), (64, 33), (7, 2)),
        ((61, 73, 85), (16, 8, 32), (1, 1, 1)),
        ((61, 73, 85), (1, 20, 30), (1, 1, 1)),
        ((61, 73, 85), (20, 30, 1), (1, 1, 1)),
        ((61, 73, 85), (16, 16, 16), (8, 3, 5)),
        ((3, 310, 290), (3, 310, 290), (1, 1, 1)),
        ((9, 21, 33, 25), (4, 8, 8, 8), (1, 2, 1, 3)),
    ],
)
def test_large_images_match_an_integral_image(shape, size, stride):
    rng = np.random.default_rng(4)
    values = rng.integers(0, 256, shape, np.uint8)
    assert np.array_equal(sums_of(values, size, stride), integral_sums(values, size, stride))
    signed = rng.integers(-(2**40), 2**40, shape)
    assert np.array_equal(sums_of(signed, size, stride), integral_sums(signed, size, stride))
    floats, weights = rng.random(shape, np.float32), rng.random(shape, np.float32)
    fixed, exponent = as_integers("values", floats * weights, math.prod(size))
    sums = integral_sums(fixed, size, stride)
    means = weighted_means(floats, weights, size, stride)
    assert np.array_equal(means, np.ldexp(sums / math.prod(size), -exponent))


def test_equal_boxes_have_equal_means():
    rng = np.random.default_rng(5)
    tile = rng.random((4, 5, 3))
    means = weighted_means(np.tile(tile, (3, 3, 3)), None, (4, 5, 3))
    assert len(set(means[::4, ::5, ::3].ravel().tolist())) == 1


def test_little_is_held_beside_the_result():
    values = np.random.default_rng(6).integers(0, 256, (160, 64, 64), np.uint8)
    sums_of(values, (8, 8, 8), (8, 8, 8))
    tracemalloc.start()
    sums_of(values, (8, 8, 8), (8, 8, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes  # an int64 copy is 8 times as large


@pytest.mark.parametrize("exponent", [0, 1, -1, 1000, -1000, 1001, -1001, 1135, -1080])
def test_powers_scale_as_ldexp_does(exponent):
    first, second = powers(exponent)
    for value in (1.0, 1 / 3, 12345.678, 2.0**-60 / 3, 2.0**44 / 3):
        try:
            expected = math.ldexp(value, exponent)
        except OverflowError:
            expected = math.inf
        assert value * first * second == expected


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong):
    values = np.zeros((3, 4))
    values[1, 2] = wrong
    message = rf"\[1, 2\] is {wrong}; it must be finite"
    with pytest.raises(ValueError, match="values" + message):
        weighted_means(values, None, (2, 2))
    with pytest.raises(ValueError, match="map" + message):
        fixed_exponent("map", values, 4)
    with pytest.raises(ValueError, match="values" + message):
        weighted_means(values, np.ones((3, 4)), (2, 2))
