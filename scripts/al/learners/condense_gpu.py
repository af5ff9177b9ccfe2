"""Condenses float32 probabilities on a GPU: one kernel that reads each of them once.

A program of the grid holds ``BLOCK`` positions in registers, reads one class after the other and
writes two bytes per position, its counts and its sum. These partial results are integers and are
added afterwards, so that no order of programs can change a number. Triton comes with the CUDA
builds of torch; without it ``by_triton`` declines.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .condense_torch import Part, Rule

if TYPE_CHECKING:
    import triton
    import triton.language as tl
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:
        triton = tl = None

BLOCK = 512  # positions of a program
WARPS = 4
MOST_BINS = 1024  # of the histogram of a program; more classes times thresholds are left to torch
_REFUSED: list[Exception] = []  # why Triton did not run in this process
FIXED = 1 << 30  # the mean is summed in units of 1 / FIXED
ENTROPY, INFORMATION, LEAST, MARGIN, NESTED, NONE = range(6)
KINDS = {
    "entropy": ENTROPY,
    "mutual_information": INFORMATION,
    "least_confidence": LEAST,
    "margin": MARGIN,
}


def _jit(function: Callable[..., Any]) -> Any:
    return function if triton is None else triton.jit(function)


@_jit
def _log2(v):
    """log2, as on the host: see ``condense_cpu.log2_of``. Of 0 it is finite."""
    bits = v.to(tl.int32, bitcast=True)
    exponent = (bits - 0x3F3504F3) >> 23
    t = (bits - (exponent << 23)).to(tl.float32, bitcast=True) - 1
    value = -0.1457444429397583 * t + 0.23689036071300507
    value = value * t - 0.2500690519809723
    value = value * t + 0.28670746088027954
    value = value * t - 0.36008721590042114
    value = value * t + 0.48093944787979126
    value = value * t - 0.7213571667671204
    value = value * t + 1.4426947832107544
    return value * t + exponent.to(tl.float32)


@_jit
def _read(row, stride, inside, order, ROWS: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """Read the classes: confidence, what the uncertainty is made of, label, what is strange."""
    best = tl.full([BLOCK], 1.0 if KIND == 4 else -1.0, tl.float32)
    second = tl.full([BLOCK], -1.0 if KIND == 3 else 0.0, tl.float32)
    label = tl.zeros([BLOCK], tl.int32)
    strange = tl.zeros([BLOCK], tl.int32)
    ahead = tl.load(row, mask=inside, other=0.0)
    for k in range(ROWS):
        v = ahead
        row += stride  # the next class is on its way while this one is looked at
        ahead = tl.load(row, mask=inside & (k + 1 < ROWS), other=0.0)
        strange |= tl.where((v >= 0) & (v <= 1.0009765625), 0, 1)
        if KIND == 4:  # nested: see decode_nested; `second` is the largest min(p, 1 - p)
            high = tl.maximum(v, 1 - v)
            second = tl.maximum(second, tl.minimum(v, 1 - v))
            chosen = v > 0.5
            best = tl.where(chosen, high, tl.minimum(best, high))
            label = tl.where(chosen, tl.load(order + k), label)
        else:
            more = v > best
            if KIND == 3:
                second = tl.maximum(second, tl.where(more, best, v))
            if KIND <= 1:
                second -= v * _log2(v)
            best = tl.where(more, v, best)
            label = tl.where(more, k, label)
    return best, second, label, strange


@_jit
def _value(best, second, spread, at, inside, unit, nats, KIND: tl.constexpr):
    """The uncertainty from 0 to 1."""
    if KIND == 0:
        value = second * unit
    elif KIND == 1:
        value = second * unit - tl.load(spread + at, mask=inside, other=0.0) * nats
    elif KIND == 2:
        value = (1 - best) * unit
    elif KIND == 3:
        value = 1 - (best - second)
    elif KIND == 4:
        value = 2 * second
    else:
        value = second * 0
    return tl.minimum(tl.maximum(value, 0.0), 1.0)


@_jit
def _condense_kernel(
    p,
    spread,
    valid,
    order,
    taus,
    labels,
    uncertainty,
    counts,
    sums,
    size,
    stride,
    unit,
    nats,
    ROWS: tl.constexpr,
    KIND: tl.constexpr,
    MASKED: tl.constexpr,
    TAUS: tl.constexpr,
    NO_BIN: tl.constexpr,
    BINS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Condense ``BLOCK`` positions.

    ``counts`` (programs, BINS) int32 by label * (TAUS + 1) + thresholds passed, the positions that
    do not count in ``NO_BIN``; ``sums`` (programs, 2) int64: sum in units of 2**-30, and the number
    of positions with a number that is no probability.
    """
    program = tl.program_id(0)
    at = program * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    best, second, label, strange = _read(p + at, stride, inside, order, ROWS, KIND, BLOCK)
    value = _value(best, second, spread, at, inside, unit, nats, KIND)
    # Adding 1.5 * 2**23 leaves the integer, rounded half to even, in the last bits.
    level = (value * 255 + 12582912.0).to(tl.int32, bitcast=True) & 255
    tl.store(labels + at, label.to(tl.uint8), mask=inside)
    tl.store(uncertainty + at, level.to(tl.uint8), mask=inside)
    counted = inside
    if MASKED:
        counted = inside & (tl.load(valid + at, mask=inside, other=0) != 0)
    passed = label * (TAUS + 1)
    for t in range(TAUS):
        passed += (best > tl.load(taus + t)).to(tl.int32)
    found = tl.histogram(tl.where(counted, passed, NO_BIN), BINS)
    tl.store(counts + program * BINS + tl.arange(0, BINS), found)
    fixed = tl.where(counted, (value * 1073741824.0).to(tl.int32), 0).to(tl.int64)
    tl.store(sums + program * 2, tl.sum(fixed, 0))
    tl.store(sums + program * 2 + 1, tl.sum(tl.where(inside, strange, 0), 0).to(tl.int64))


def bins_of(rule: Rule) -> tuple[int, int]:
    """Return the number of bins in use, and a power of 2 with room for one more."""
    used = rule.classes * (len(rule.thresholds) + 1)
    return used, max(128, 1 << used.bit_length())


def by_triton(p: Tensor, spread: Tensor | None, valid: Tensor | None, rule: Rule) -> Part | None:
    """Condense probabilities as ``by_torch`` does, in one kernel.

    Labels and counts are the same. The uncertainty is a float32, rounded half to even: at a
    boundary it can differ by one level from ``by_torch`` and from the host.

    Returns:
        What the positions hold; ``None`` where Triton is not installed or does not run (then with a
        warning), there are too many classes and thresholds for a histogram, or some number is below
        0, above 1 + 2**-10 or not a number.
    """
    if triton is None or _REFUSED or bins_of(rule)[1] > MOST_BINS:
        return None
    try:
        return _by_kernel(p, spread, valid, rule)
    except Exception as error:  # Triton needs a C compiler on the node, and a driver of its time
        _REFUSED.append(error)
        warnings.warn(f"Triton does not run here, torch condenses: {error}", stacklevel=2)
        return None


def _by_kernel(p: Tensor, spread: Tensor | None, valid: Tensor | None, rule: Rule) -> Part | None:
    used, bins = bins_of(rule)
    p = p.detach() if p.stride(1) == 1 else p.detach().contiguous()
    rows, size = p.shape
    kind = NESTED if rule.order else NONE if rows == 1 else KINDS[rule.measure]
    taus = tuple(sorted(rule.thresholds))
    programs = triton.cdiv(size, BLOCK)
    # Apart: a record may keep only one.
    labels = torch.empty(size, dtype=torch.uint8, device=p.device)
    uncertainty = torch.empty_like(labels)
    counts = torch.empty(programs, bins, dtype=torch.int32, device=p.device)
    sums = torch.empty(programs, 2, dtype=torch.int64, device=p.device)
    with _on(p):
        _condense_kernel[(programs,)](
            p,
            p if spread is None else spread.detach().contiguous(),
            p if valid is None else valid.to(torch.uint8).contiguous(),
            _held(rule.order or (0,), torch.int32, p.device),
            _held(taus or (0.0,), torch.float32, p.device),
            labels,
            uncertainty,
            counts,
            sums,
            size,
            p.stride(0),
            *_units(kind, rows),
            ROWS=rows,
            KIND=kind,
            MASKED=valid is not None,
            TAUS=len(rule.thresholds),
            NO_BIN=used,
            BINS=bins,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
    # Everything that the host waits for comes over at once.
    *found, total, strange = torch.cat([counts.sum(0), sums.sum(0)]).tolist()
    if strange:
        return None
    held = torch.tensor(found[:used]).reshape(rule.classes, -1)
    above = held.flip(1).cumsum(1).flip(1).T  # row k: above the k lowest thresholds
    rows_of = [0, *(1 + taus.index(tau) for tau in rule.thresholds)]
    return Part(labels, uncertainty, above[rows_of], total / FIXED)


@lru_cache(maxsize=64)
def _held(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Keep a few numbers on the device: a copy from the host costs as much as the kernel."""
    return torch.tensor(values, dtype=dtype, device=device)


def _on(p: Tensor) -> torch.cuda.device:
    """The device of ``p`` for a launch; Triton's interpreter runs on the host, where it is none."""
    return torch.cuda.device(p.device if p.device.type == "cuda" else -1)


def _units(kind: int, rows: int) -> tuple[float, float]:
    """Return what entropies in bits and in nats, or one less the confidence, are multiplied by."""
    if kind in (ENTROPY, INFORMATION):
        return 1 / math.log2(rows), 1 / math.log(rows)
    return (1 / (1 - 1 / rows) if rows > 1 else 0.0), 0.0
