"""Floats as integers whose sums are exact."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from .box_kernels import round_scaled

_CHUNK = 1 << 15  # values; what a step reads and writes stays in the cache


def fixed_exponent(name: str, values: np.ndarray, pixels: int) -> int:
    """Return the exponent e with which sums of floats over ``pixels`` are exact; 2^e make 1.

    Floats are rounded to multiples of 2^-e, e so large that no sum leaves int64: equal windows
    then have equal sums, whatever the order of summation.

    Raises:
        ValueError: a value that is not finite; ``name`` is the argument's.
    """
    highest = largest(values)
    if not math.isfinite(highest):
        refuse_infinite(name, values)
    return exponent_of(highest, pixels)


def refuse_infinite(name: str, values: np.ndarray) -> NoReturn:
    """Raise ValueError that names the first value that is not finite."""
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    raise ValueError(f"{name}{list(place)} is {values[place]}; it must be finite")


def largest(values: np.ndarray) -> float:
    """Return the largest absolute value, NaN where a value is NaN."""
    return float(max(values.max(), -values.min()))


def exponent_of(highest: float, pixels: int) -> int:
    """Return the exponent for values of at most ``highest``, finite, either side of 0."""
    return 61 - int(pixels).bit_length() - math.frexp(highest)[1]


def to_fixed(values: np.ndarray, exponent: int, fixed: np.ndarray) -> None:
    """Set ``fixed``, contiguous int64 of the same shape, to finite floats in units of 2^-e."""
    kind = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
    flat = np.array(values, kind, order="C", copy=None).reshape(-1)
    round_scaled(flat, *powers(exponent), fixed.reshape(-1))


def powers(exponent: int) -> tuple[float, float]:
    """Return two powers of 2 whose product is 2^e; that alone can leave the range of float64.

    A float64 times one, then the other, is rounded once at most, as by ``ldexp``.
    """
    half = 0 if abs(exponent) <= 1000 else exponent // 2
    return math.ldexp(1.0, exponent - half), math.ldexp(1.0, half)


def chunks(shape: Sequence[int]) -> Iterator[Any]:
    """Cut the first axis so that a part's values stay in the cache, one index at least.

    Yields slices, for no axes an ellipsis.
    """
    if not shape:
        yield ...
        return
    length = max(1, _CHUNK // math.prod(shape[1:]))
    for first in range(0, shape[0], length):
        yield slice(first, min(first + length, shape[0]))
