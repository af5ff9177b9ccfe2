"""Boxes of one image in the order of gain, against a walk over a dictionary of all positions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from decomp_core import pool_uncertain
from decomp_core.boxes import Occupancy
from decomp_core.search import ranked
from tests.core import brute

KINDS = ["uint8", "float16", "float32", "float64", ">f4"]


def totals(values, size):
    """The sum over the box at every position, an exact integer, and what 1 is in its units."""
    exponent = 0
    if values.dtype != np.uint8:
        highest = float(max(abs(values).max(), 0))
        exponent = 61 - math.prod(size).bit_length() - math.frexp(highest)[1]
    whole = np.array(
        [round(Fraction(float(v)) * Fraction(2) ** exponent) for v in values.flat], object
    ).reshape(values.shape)
    starts = np.ndindex(*(n - k + 1 for n, k in zip(values.shape, size, strict=True)))
    found = {
        start: whole[tuple(slice(a, a + k) for a, k in zip(start, size, strict=True))].sum()
        for start in starts
    }
    return found, exponent


def shares(start, size, other, other_size):
    sides = zip(start, size, other, other_size, strict=True)
    return all(a < b + m and b < a + k for a, k, b, m in sides)


def repels(start, pick, size, sigma):
    """The penalty of one pick in units of 2^-40: along the last axis but one first, last last."""
    near = [
        float(np.exp(-0.5 * np.array([(a - b) / k / sigma]) ** 2)[0])
        for a, b, k in zip(start, pick, size, strict=True)
    ]
    return round(Fraction(math.prod(near[-2::-1]) * near[-1]) * 2**40)


def plain_ranking(values, size, taken, weight, sigma):
    """Gain, start and mean of each box in turn, every position looked at each time."""
    sums, exponent = totals(values, size)
    pixels = math.prod(size)
    left = {
        start: total
        for start, total in sums.items()
        if not any(shares(start, size, r.start, r.size) for r in taken)
    }
    loss = dict.fromkeys(left, 0)
    half = exponent // 2
    units = math.ldexp(1.0, -half), math.ldexp(1.0, half - exponent)
    while left:
        gains = left
        if weight:
            gains = {
                s: float(t) / pixels * units[0] * units[1] - weight * (loss[s] / 2**40)
                for s, t in left.items()
            }
        start = max(gains, key=gains.get)  # the first of equals; in row-major order
        mean = math.ldexp(int(left[start]) / pixels, -exponent)
        yield gains[start] if weight else mean, start, mean
        left = {s: t for s, t in left.items() if not shares(s, size, start, size)}
        if weight:
            for s in left:
                loss[s] += repels(s, start, size, sigma)


def random_values(rng, kind):
    """Of one to four axes; few values for ties, many, or normal ones; any layout in memory."""
    ndim = int(rng.integers(1, 5))
    shape = tuple(int(n) for n in rng.integers(1, {1: 60, 2: 14, 3: 8, 4: 5}[ndim], ndim))
    if kind == "uint8" or rng.random() < 0.5:
        values = rng.integers(0, int(rng.choice([1, 3, 256])), shape).astype(kind)
    else:
        values = rng.normal(size=shape).astype(kind)
    return brute.disguised(values, rng)


def rank(values, size, taken=(), **options):
    """Gain, start and mean of the boxes one after the other."""
    for gain, region in ranked(values, Occupancy(values.shape, size, taken), **options):
        assert region.size == size and region.cls is None
        yield gain, region.start, region.score


@pytest.mark.parametrize("weight", [0, 0.7, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_ranking(kind, weight):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(10):
        values = random_values(rng, kind)
        size = tuple(brute.random_side(rng, n) for n in values.shape)
        taken = brute.random_taken(rng, values.shape)
        sigma = float(rng.choice([0.3, 1, 4]))
        expected = list(islice(plain_ranking(values, size, taken, weight, sigma), 40))
        found = rank(values, size, taken, weight=weight, sigma=sigma)
        assert list(islice(found, 40)) == expected
        # an image of the pool is ranked like this
        pool = pool_uncertain(lambda v=values, s=size, t=taken: [("a", v, s, t)], 40)
        assert weight or [(r.start, r.score) for _, r in pool] == [e[1:] for e in expected]


def test_sums_that_need_64_bits():
    values = np.full((4097, 2056), 255, np.uint8)
    values[0] = 254
    assert list(islice(rank(values, (4096, 2056)), 2)) == [(255.0, (1, 0), 255.0)]


@pytest.mark.parametrize(("exponent", "weight"), [(-900, 0), (900, 0), (-900, 0.125)])
def test_extreme_units_keep_the_order(exponent, weight):
    values = np.random.default_rng(7).random((6, 7))
    plain = rank(values, (2, 3), weight=weight)
    scaled = rank(np.ldexp(values, exponent), (2, 3), weight=math.ldexp(weight, exponent))
    for (gain, start, _), (other, same, _) in zip(plain, scaled, strict=True):
        assert same == start and math.ldexp(other, -exponent) == gain


def test_sums_that_differ_by_less_than_float64_can_say_are_no_tie():
    values = np.array([[1.0, 0.0], [1.0, 2.0**-56]])
    assert [start for _, start, _ in rank(values, (1, 2))] == [(1, 0), (0, 0)]


@pytest.mark.parametrize("sigma", [0.7, 1, 1.6])
def test_equal_penalties_tie_whatever_the_order_of_the_picks(sigma):
    total = np.zeros((10, 10), np.int64)  # in units of 2^-40, so that sums are exact
    free = np.ones((10, 10), bool)
    rows, cols = np.mgrid[:10, :10]
    for gain, start, _ in rank(np.zeros((11, 11)), (2, 2), weight=1.0, sigma=sigma):
        lowest = np.where(free, total, np.iinfo(np.int64).max)
        assert start == np.unravel_index(lowest.argmin(), lowest.shape)
        assert gain == -lowest.min() / 2**40
        down, across = rows - start[0], cols - start[1]
        free &= (abs(down) > 1) | (abs(across) > 1)
        penalty = np.exp(-(down**2 + across**2) / (8 * sigma**2))
        total += np.rint(penalty * 2**40).astype(np.int64)
    assert not free.any()
