"""Condenses float32 probabilities in one pass over them, strip by strip, on one core.

A strip is so short that what is known of its positions stays in the cache nearest to the core, and
every loop over it is one that the compiler turns into vector instructions. Two numbers per position
come out, its label and its quantised uncertainty, and the counts over all of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from decomp_core.compiling import compiled

STRIP = 4096  # positions; half of it would halve the speed of reading from memory
LANES = 4  # counters of each bin: neighbours of one label do not wait for each other
FIXED = 1 << 30  # the mean is summed in units of 1 / FIXED: the order of the sum cannot matter
MEASURES = ("entropy", "mutual_information", "least_confidence", "margin", "nested", "none")
ENTROPY, INFORMATION, LEAST, MARGIN, NESTED, NONE = range(6)
HIGHEST = np.uint32(0x3F802000)  # bits of 1 + 2**-10; those of a negative number or NaN are larger
ROOT = np.int32(0x3F3504F3)  # bits of sqrt(1/2), the lower end of the mantissas
BITS = np.int32(23)
ONE, HALF = np.float32(1), np.float32(0.5)
ROUND = 1.5 * 2.0**52  # adding and taking it away rounds a float64, half to even
# log2(1 + t) / t for sqrt(1/2) - 1 <= t < sqrt(2) - 1, fitted to the smallest largest error.
C0, C1, C2, C3, C4, C5, C6, C7 = (
    np.float32(c)
    for c in (
        1.4426947832107544,
        -0.7213571667671204,
        0.48093944787979126,
        -0.36008721590042114,
        0.28670746088027954,
        -0.2500690519809723,
        0.23689036071300507,
        -0.1457444429397583,
    )
)
LOG_ERROR = 1.0e-7  # no log2 of a mantissa is farther off, in float32 (tested for all of them)


class Flat(NamedTuple):
    """Probabilities (K, N) whose positions are neighbours in memory.

    Attributes:
        values: float32, contiguous, from the first probability to the last.
        rows: K.
        stride: distance of one class from the next.
        size: N.
    """

    values: np.ndarray
    rows: int
    stride: int
    size: int


class How(NamedTuple):
    """What is read from probabilities.

    Attributes:
        measure: of ``MEASURES``; ``nested``: see ``condense_nested``; ``none``: of one class.
        order: (K,) int64, the label that each of nested outputs writes; else empty.
        classes: number of classes counted, C.
        thresholds: T confidences.
    """

    measure: str
    order: np.ndarray
    classes: int
    thresholds: tuple[float, ...]


class Strips(NamedTuple):
    """What the strips of some positions hold.

    Attributes:
        counts: (1 + T, C) int64, valid positions predicted as each class, then those with a
            confidence above each threshold.
        total: sum of the uncertainty over the valid positions.
        skipped: (S, 2) int64, first position and the one after the last of strips with a number
            below 0 (also -0), above 1 + 2**-10 or not a number. Nothing of them is written or
            counted.
    """

    counts: np.ndarray
    total: float
    skipped: np.ndarray


def error_bound(classes: int) -> tuple[float, float]:
    """Return a, b: 255 * entropy / log C of float32 sums is off by at most a + b * entropy in bits.

    With r = 2**-24, the rounding of float32: a logarithm is off by LOG_ERROR and r of itself, its
    product with p by r of itself, and each of C sums by r of what is summed by then, at most the
    entropy plus what probabilities above 1 (to 1 + 2**-10) take off it, under 0.0015 each. The p
    add up to at most C (1 + 2**-10), whether or not they are normalised.
    """
    unit = 255 / math.log2(classes)
    r = 2.0**-24 * (classes + 4)  # 2 and C times; the rest covers products of errors
    return unit * (1.001 * classes * LOG_ERROR + r * 0.003 * classes) + 1e-9, unit * r


def condense_strips(
    p: Flat,
    how: How,
    spread: np.ndarray | None,
    valid: np.ndarray | None,
    labels: np.ndarray,
    uncertainty: np.ndarray,
) -> Strips:
    """Condense probabilities that are from 0 to 1, with a rounding error.

    Labels, confidences and counts are exact, the first of equal probabilities wins, a confidence is
    above a threshold as float32. A quantised uncertainty is that of float64 arithmetic, rounded
    half to even: float32 sums that are too close to a boundary to tell are done again. The total is
    that of float32 sums.

    Args:
        p: probabilities, K times N.
        how: what is read from them; every label that it can give is below ``how.classes``.
        spread: (N,) float32, entropy of the members in nats, for ``mutual_information``.
        valid: (N,) bool, positions that count; ``None``: all.
        labels: (N,) uint8; changed in place.
        uncertainty: (N,) uint8; changed in place.
    """
    rows, size, classes, thresholds = p.rows, p.size, how.classes, how.thresholds
    taus = np.asarray(thresholds, np.float64).astype(np.float32)
    ranks = np.argsort(taus, kind="stable")
    bins = np.zeros((LANES, classes * (len(taus) + 1) + 1), np.int64)
    odd = np.zeros(-(-size // STRIP), np.bool_)
    kind = MEASURES.index(how.measure)
    a, b = error_bound(rows) if kind in (ENTROPY, INFORMATION) else (0.0, 0.0)
    total = _run(
        p.values,
        p.values.view(np.uint32),
        (rows, p.stride, size, kind),
        (a, b),
        how.order,
        taus[ranks],
        np.empty(0, np.float32) if spread is None else spread,
        np.empty(0, np.bool_) if valid is None else valid,
        labels,
        uncertainty,
        bins,
        odd,
    )
    held = bins.sum(0)[:-1].reshape(classes, len(taus) + 1)
    above = held[:, ::-1].cumsum(1)[:, ::-1].T  # row k: above the k lowest thresholds
    counts = np.empty((len(taus) + 1, classes), np.int64)
    counts[0] = above[0]
    counts[1 + ranks] = above[1:]
    starts = np.flatnonzero(odd) * STRIP
    skipped = np.stack([starts, np.minimum(starts + STRIP, size)], 1)
    return Strips(counts, total / FIXED, skipped)


@compiled
def _run(flat, bits, sizes, bound, order, taus, spread, valid, labels, uncertainty, bins, odd):  # type: ignore[no-untyped-def]
    """Condense all strips; see ``condense_strips``. Returns the sum in units of 1 / FIXED."""
    rows, stride, size, kind = sizes
    total = np.int64(0)
    best, second = np.empty(STRIP, np.float32), np.empty(STRIP, np.float32)
    which, level = np.empty(STRIP, np.int32), np.empty(STRIP, np.float64)
    for strip in range(odd.size):
        start = strip * STRIP
        n = min(STRIP, size - start)
        conf, label = best[:n], which[:n]
        highest = _scan(flat, bits, rows, stride, start, kind, order, conf, second[:n], label)
        if highest > HIGHEST:
            odd[strip] = True
            continue
        held = level[:n]
        part = slice(start, start + n)
        member = spread[part] if spread.size else spread
        _levels(kind, rows, conf, second[:n], member, held)
        found = uncertainty[part]
        _quantise(held, found)
        if kind <= INFORMATION:
            _correct(flat, rows, stride, start, bound, second[:n], member, held, found)
        out = labels[part]
        for x in range(n):
            out[x] = np.uint8(label[x])
        total += _count(conf, label, held, taus, valid[part] if valid.size else valid, bins)
    return total


@compiled
def _scan(flat, bits, rows, stride, start, kind, order, best, second, which):  # type: ignore[no-untyped-def]
    """Read a strip, one class after the other; return the highest bits."""
    n = best.size
    highest = np.uint32(0)
    best[:] = ONE if kind == NESTED else -ONE
    second[:] = -ONE if kind == MARGIN else np.float32(0)
    which[:] = 0
    for k in range(rows):
        at = k * stride + start
        row, own = flat[at : at + n], bits[at : at + n]
        highest = max(highest, _highest(own))
        if kind <= INFORMATION:
            _with_entropy(row, own.view(np.int32), np.int32(k), best, second, which)
        elif kind == MARGIN:
            _with_second(row, np.int32(k), best, second, which)
        elif kind == NESTED:
            _with_region(row, np.int32(order[k]), best, second, which)
        else:
            _with_best(row, np.int32(k), best, which)
    return highest


@compiled
def _highest(bits):  # type: ignore[no-untyped-def]
    value = np.uint32(0)
    for x in range(bits.size):
        value = max(value, bits[x])
    return value


@compiled
def log2_of(bits):  # type: ignore[no-untyped-def]
    """Return the float32 log2 of a positive normal float32 of these int32 bits.

    Of 0 and numbers below 2**-126 it is some number near -127, of no account after times p.
    """
    exponent = (bits - ROOT) >> BITS
    t = np.int32(bits - (exponent << BITS)).view(np.float32) - ONE
    value = ((((((C7 * t + C6) * t + C5) * t + C4) * t + C3) * t + C2) * t + C1) * t + C0
    return np.float32(exponent) + t * value


@compiled
def _with_entropy(row, bits, k, best, entropy, which):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        p = row[x]
        held = best[x]
        more = p > held
        best[x] = p if more else held
        which[x] = k if more else which[x]
        entropy[x] -= p * log2_of(bits[x])


@compiled
def _with_best(row, k, best, which):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        p = row[x]
        held = best[x]
        more = p > held
        best[x] = p if more else held
        which[x] = k if more else which[x]


@compiled
def _with_second(row, k, best, second, which):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        p = row[x]
        held, other = best[x], second[x]
        more = p > held
        lower = held if more else p
        best[x] = p if more else held
        second[x] = lower if lower > other else other
        which[x] = k if more else which[x]


@compiled
def _with_region(row, label, certain, least, which):  # type: ignore[no-untyped-def]
    """One nested output: see ``decode_nested``; ``least`` is the largest min(p, 1 - p)."""
    for x in range(row.size):
        p = row[x]
        q = ONE - p
        chosen = p > HALF
        high, low = (p if p > q else q), (q if p > q else p)
        held = certain[x]
        kept = high if high < held else held
        certain[x] = high if chosen else kept
        least[x] = low if low > least[x] else least[x]
        which[x] = label if chosen else which[x]


@compiled
def _levels(kind, rows, best, second, member, out):  # type: ignore[no-untyped-def]
    """Write the uncertainty of a strip in 255ths, float64, from what ``_scan`` found."""
    if kind == ENTROPY:
        unit = 255 / math.log2(rows)
        for x in range(out.size):
            out[x] = unit * second[x]
    elif kind == INFORMATION:
        unit, nats = 255 / math.log2(rows), 255 / math.log(rows)
        for x in range(out.size):
            out[x] = unit * second[x] - nats * member[x]
    elif kind == LEAST:
        whole = 1 - 1 / rows
        for x in range(out.size):
            out[x] = 255 * ((1 - np.float64(best[x])) / whole)
    elif kind == MARGIN:
        for x in range(out.size):
            out[x] = 255 * (1 - (np.float64(best[x]) - np.float64(second[x])))
    elif kind == NESTED:
        for x in range(out.size):
            out[x] = 510 * np.float64(second[x])
    else:
        out[:] = 0
    for x in range(out.size):
        value = out[x]
        value = value if value > 0 else 0.0
        out[x] = value if value < 255 else 255.0


@compiled
def _quantise(level, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = np.uint8(np.int32((level[x] + ROUND) - ROUND))


@compiled
def _correct(flat, rows, stride, start, bound, entropy, member, level, out):  # type: ignore[no-untyped-def]
    """Do the positions again in float64 that lie too close to where the rounding changes."""
    a, b = bound
    n = out.size
    close = np.zeros(-(-n // 8) * 8, np.uint8)
    for x in range(n):
        off = abs(level[x] - ((level[x] + ROUND) - ROUND))
        close[x] = np.uint8(off > 0.5 - a - b * np.float64(entropy[x]))
    eights = close.view(np.uint64)
    for eight in range(eights.size):
        if eights[eight]:  # rarely
            for x in range(8 * eight, min(8 * eight + 8, n)):
                if close[x]:
                    value = _exact(flat, rows, stride, start + x)
                    if member.size:
                        value -= np.float64(member[x])
                    exact = 255 * min(max(value / math.log(rows), 0.0), 1.0)
                    out[x] = np.uint8(np.int32((exact + ROUND) - ROUND))


@compiled
def _exact(flat, rows, stride, at):  # type: ignore[no-untyped-def]
    """Return the entropy of a position in nats."""
    value = 0.0
    for k in range(rows):
        p = np.float64(flat[k * stride + at])
        if p > 0:
            value -= p * math.log(p)
    return value


@compiled
def _count(best, which, level, taus, valid, bins):  # type: ignore[no-untyped-def]
    """Count a strip by label and thresholds passed; return its sum in units of 1 / FIXED."""
    n, steps = best.size, taus.size + 1
    bin_of = np.empty(n, np.int32)
    for x in range(n):
        bin_of[x] = which[x] * np.int32(steps)
    for t in range(taus.size):
        tau = taus[t]
        for x in range(n):
            bin_of[x] += np.int32(best[x] > tau)
    total = np.int64(0)
    if valid.size:
        none = np.int32(bins.shape[1] - 1)
        for x in range(n):
            bin_of[x] = bin_of[x] if valid[x] else none
            total += np.int64(np.int32(level[x] * (FIXED / 255))) * np.int64(valid[x])
    else:
        for x in range(n):
            total += np.int64(np.int32(level[x] * (FIXED / 255)))
    whole = n - n % LANES
    for x in range(0, whole, LANES):
        for lane in range(LANES):
            bins[lane, bin_of[x + lane]] += 1
    for x in range(whole, n):
        bins[0, bin_of[x]] += 1
    return total
