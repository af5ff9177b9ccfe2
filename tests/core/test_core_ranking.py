"""Boxes of one image in the order of gain, against a walk over a dictionary of all positions."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from decomp_core import Region, ranked_regions, ranking
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
    layout = rng.integers(4)
    if layout == 1:
        values = np.asfortranarray(values)
    elif layout == 2:
        values = np.repeat(values, 2, axis=-1)[..., ::-2]
    elif layout == 3:
        values.flags.writeable = False
    return values


@pytest.fixture(params=[1, 16, 1024])
def tiling(request, monkeypatch):
    """Tiles of few positions, so that small images have many of them."""
    monkeypatch.setattr(ranking, "_TILE", request.param)


@pytest.mark.usefixtures("tiling")
@pytest.mark.parametrize("weight", [0, 0.7, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_ranking(kind, weight):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(8):
        values = random_values(rng, kind)
        size = tuple(brute.random_side(rng, n) for n in values.shape)
        taken = brute.random_taken(rng, values.shape)
        sigma = float(rng.choice([0.3, 1, 4]))
        expected = islice(plain_ranking(values, size, taken, weight, sigma), 40)
        ranked = islice(ranked_regions(values, size, taken, weight=weight, sigma=sigma), 40)
        found = [(gain, region.start, region.score) for gain, region in ranked]
        assert found == list(expected)


@pytest.mark.usefixtures("tiling")
@pytest.mark.parametrize("kind", KINDS)
def test_the_lowest_and_the_highest_mean(kind):
    rng = np.random.default_rng(9)
    for _ in range(12):
        values = random_values(rng, kind)
        size = tuple(brute.random_side(rng, n) for n in values.shape)
        taken = brute.random_taken(rng, values.shape)
        means = [mean for _, _, mean in plain_free(values, size, taken)]
        expected = (min(means), max(means)) if means else (np.inf, -np.inf)
        assert ranking.extreme_means(values, size, taken) == expected
    whole = Region((0,) * values.ndim, values.shape)
    assert ranking.extreme_means(values, size, [whole]) == (np.inf, -np.inf)


def plain_free(values, size, taken):
    sums, exponent = totals(values, size)
    for start, total in sums.items():
        if not any(shares(start, size, r.start, r.size) for r in taken):
            yield total, start, math.ldexp(int(total) / math.prod(size), -exponent)


def test_regions_that_reach_out_of_the_image_or_repeat():
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    far = [Region((2, 3), (10**30, 9)), Region((10**30, 0), (1, 1))] * 3
    starts = [r.start for _, r in ranked_regions(values, (1, 2), far)]
    assert starts == [(2, 1), (1, 2), (1, 0), (0, 2), (0, 0)]


def test_the_next_box_is_computed_when_it_is_asked_for():
    values = np.random.default_rng(11).random((40, 50))
    whole = list(ranked_regions(values, (4, 5), weight=0.2))
    ranked = ranked_regions(values, (4, 5), weight=0.2)
    assert [next(ranked) for _ in range(5)] == whole[:5]
    assert list(ranked) == whole[5:]


def test_sums_that_need_64_bits():
    values = np.full((4097, 2056), 255, np.uint8)
    values[0] = 254
    ((gain, region),) = islice(ranked_regions(values, (4096, 2056)), 2)
    assert region.start == (1, 0) and gain == 255.0


@pytest.mark.parametrize("size", [(1, 24, 24), (12, 12, 12)])
@pytest.mark.parametrize("weight", [0, 0.5])
def test_memory_is_a_flag_per_voxel_and_the_box(size, weight):
    values = np.random.default_rng(12).integers(0, 256, (90, 200, 220), np.uint8)

    def choose():
        return list(islice(ranked_regions(values, size, weight=weight), 8))

    choose()  # compiles
    tracemalloc.start()
    try:
        assert len(choose()) == 8
        slices = (size[0] + 3) * 8 * values[0].size
        assert tracemalloc.get_traced_memory()[1] < 1.2 * values.size + slices
    finally:
        tracemalloc.stop()
