"""Maps as differences of neighbours, which deflate packs better than the values.

A map of uncertainties is smooth but rarely constant. The difference along every axis, modulo 256,
leaves small numbers around 0 (the Lorenzo predictor: Ibarria et al., "Out-of-core compression and
decompression of large n-dimensional scalar fields", 2003), and adding up restores every value.
"""

from __future__ import annotations

import math

import numpy as np

from decomp_core.compiling import compiled


def differences(values: np.ndarray) -> np.ndarray:
    """Return the differences of neighbours along each axis in turn, modulo 256.

    Args:
        values: uint8, one axis or more.

    Returns:
        C-contiguous uint8 of the same shape, a copy.
    """
    out = np.array(values, np.uint8, order="C")
    for axis in range(out.ndim):
        moved = np.moveaxis(out, axis, 0)
        moved[1:] = moved[1:] - moved[:-1]
    return out


def add_up(values: np.ndarray) -> None:
    """Undo ``differences`` in place.

    Args:
        values: C-contiguous, writable uint8, one axis or more.
    """
    for axis, length in enumerate(values.shape):
        before, after = math.prod(values.shape[:axis]), math.prod(values.shape[axis + 1 :])
        _running_sums(values.reshape(before, length, after))


@compiled
def _running_sums(values: np.ndarray) -> None:
    """Running sums along the middle of three axes, modulo 256."""
    before, length, after = values.shape
    for i in range(before):
        if after == 1:
            total = np.uint8(0)
            for k in range(length):
                total = np.uint8(total + values[i, k, 0])
                values[i, k, 0] = total
        else:
            for k in range(1, length):
                upper, row = values[i, k - 1], values[i, k]
                for x in range(after):
                    row[x] = np.uint8(row[x] + upper[x])
