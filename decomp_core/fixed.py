"""Floats as integers whose sums are exact."""

from __future__ import annotations

import math

import numpy as np


def fixed_point(name: str, values: np.ndarray, pixels: int) -> tuple[np.ndarray, int]:
    """Return integers whose sums over ``pixels`` are exact, and the exponent e: 2^e make 1.

    Floats are rounded to multiples of 2^-e, e so large that no sum leaves int64: equal windows
    then have equal sums, whatever the order of summation. uint8 comes back as it is, with e = 0.

    Raises:
        ValueError: a value that is not finite; ``name`` is the argument's.
    """
    if values.dtype == np.uint8:
        return values, 0
    highest = float(max(values.max(), -values.min()))
    if not np.isfinite(highest):
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"{name}{list(place)} is {values[place]}; it must be finite")
    exponent = 61 - int(pixels).bit_length() - math.frexp(highest)[1]
    return np.rint(np.ldexp(values.astype(np.float64), exponent)).astype(np.int64), exponent
