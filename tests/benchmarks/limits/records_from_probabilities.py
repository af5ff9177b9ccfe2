"""Class probabilities to the numbers of a record, against torch, one operation after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from al.learners import Request
from al.learners.condense import Condensed, condense, condense_slabs

from .harness import Options, Row, Skip, both_clocks, compared, stand_alone

TORCH = "torch, one operation after the other"
TAUS = (0.9,)
Numbers = tuple[Tensor, Tensor, Tensor, Tensor, float]


def probabilities(classes: int, height: int, width: int, grain: int) -> Tensor:
    """Return (C, H, W) float32 as of a network: smooth logits, some of the pixels certain."""
    made = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, classes, height // grain, width // grain, generator=made)
    logits = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (4 * logits[0]).softmax(0)


def by_torch(p: Tensor) -> Numbers:
    """Return labels, levels of entropy, counts, confident counts and mean of (C, *spatial)."""
    confidence, label = p.max(0)
    value = (torch.special.entr(p).sum(0) / math.log(len(p))).clamp(0, 1)
    levels = (value * 255).round().to(torch.uint8)
    counts = torch.bincount(label.reshape(-1), minlength=len(p))
    above = torch.bincount(label[confidence > TAUS[0]], minlength=len(p))
    return label.to(torch.uint8), levels, counts, above, float(value.double().mean())


def check(p: Tensor, found: Condensed, other: Numbers) -> int:
    """Assert equal results of (C, H, W); return at how many pixels torch rounded another way.

    Our levels must be those of float64 everywhere; float32 is off by one now and then.
    """
    label, levels, counts, above, mean = other
    assert torch.equal(found.labels, label)
    assert torch.equal(found.predicted, counts)
    assert torch.equal(found.confident[0], above)
    assert abs(found.mean_uncertainty - mean) < 1e-5
    for row in range(0, p.shape[1], 64):
        part = slice(row, row + 64)
        value = torch.special.entr(p[:, part].double()).sum(0) / math.log(len(p))
        exact = (value.clamp(0, 1) * 255).round().to(torch.uint8)
        assert torch.equal(found.uncertainty[part], exact)
    off = (found.uncertainty.to(torch.int16) - levels).abs()
    assert off.max() <= 1
    return int(off.sum())


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def image_rows(options: Options) -> Iterator[Row]:
    """One image in the memory of the host."""
    classes, height, width = (3, 64, 96) if options.quick else (19, 1024, 2048)
    for name, grain in (("smooth", 32), ("noise", 1)):
        p = probabilities(classes, height, width, grain)
        differ = check(p, condense(p, None, TAUS), by_torch(p))
        alone = both_clocks(lambda p=p: p.max(0), options.repeats).cpu
        yield compared(
            f"{classes} x {height} x {width} probabilities to a record, {name}",
            lambda p=p: condense(p, None, TAUS),
            lambda p=p: by_torch(p),
            TORCH,
            4,
            options,
            note=f"torch's maximum alone {1e3 * alone:.3g} ms; its levels of entropy are those of "
            f"float64 but for {differ} pixels, ours everywhere",
        )


def slabs_of(slab: Tensor, depth: int) -> Iterator[tuple[slice, Tensor, None]]:
    for start in range(0, depth, slab.shape[1]):
        stop = min(start + slab.shape[1], depth)
        yield slice(start, stop), slab[:, : stop - start], None


def slabs_by_torch(slab: Tensor, depth: int) -> Numbers:
    """Return the numbers of a volume, slab by slab."""
    shape = (depth, *slab.shape[2:])
    labels, levels = torch.empty(2, *shape, dtype=torch.uint8)
    counts, above = torch.zeros(2, len(slab), dtype=torch.int64)
    total = 0.0
    for rows_, p, _ in slabs_of(slab, depth):
        labels[rows_], levels[rows_], part, confident, mean = by_torch(p)
        counts += part
        above += confident
        total += mean * (rows_.stop - rows_.start)
    return labels, levels, counts, above, total / depth


def volume_row(options: Options) -> Row:
    """A volume that comes in slabs; the same slab again and again."""
    depth, thick, side = (7, 3, 16) if options.quick else (600, 16, 512)
    slab = probabilities(4, thick * side, side, 8).reshape(4, thick, side, side)
    shape, request = torch.Size((depth, side, side)), Request(frozenset(), TAUS, "entropy")
    found = condense_slabs(slabs_of(slab, depth), shape, 4, (), None, request)
    other = slabs_by_torch(slab, depth)
    for ours, theirs in zip((found.labels, found.predicted, found.confident[0]),
                            (other[0], other[2], other[3]), strict=True):  # fmt: skip
        assert torch.equal(ours, theirs)
    assert (found.uncertainty.to(torch.int16) - other[1]).abs().max() <= 1
    few = Options(min(3, options.repeats), options.quick)
    return compared(
        f"4 x {depth} x {side} x {side} probabilities to a record, in slabs of {thick}",
        lambda: condense_slabs(slabs_of(slab, depth), shape, 4, (), None, request),
        lambda: slabs_by_torch(slab, depth),
        TORCH,
        None,
        few,
    )


def device_row(options: Options) -> Row:
    """One image on a CUDA device, against a copy of it there; by the clock."""
    classes, height, width = (3, 64, 96) if options.quick else (19, 1024, 2048)
    p = probabilities(classes, height, width, 32)
    host, found = condense(p, None, TAUS), condense(p.cuda(), None, TAUS)
    assert torch.equal(found.labels.cpu(), host.labels)
    assert torch.equal(found.predicted.cpu(), host.predicted)
    assert torch.equal(found.confident.cpu(), host.confident)
    off = np.abs(found.uncertainty.cpu().numpy().astype(int) - host.uncertainty.numpy())
    assert off.max() <= 1
    p = p.cuda()

    def copy() -> None:
        p.clone()
        torch.cuda.synchronize()

    def ours() -> None:
        condense(p, None, TAUS)
        torch.cuda.synchronize()

    ours_wall = 1e3 * both_clocks(ours, options.repeats).wall
    copy_wall = 1e3 * both_clocks(copy, options.repeats).wall
    return Row(
        f"{classes} x {height} x {width} probabilities to a record, on a GPU",
        ours_wall, copy_wall, "a device copy of the tensor", "ms", "under 2 times a device copy",
        ours_wall < 2 * copy_wall, f"{torch.cuda.get_device_name()}; levels off by at most one "
        f"at {int((off > 0).sum())} pixels from those on the host; by the clock, calls and "
        "waiting included",
    )  # fmt: skip


def rows(options: Options) -> Iterator[Row]:
    """Time an image and a volume on one thread, then an image on a GPU where there is one."""
    with one_thread():
        yield from image_rows(options)
        yield volume_row(options)
    if not torch.cuda.is_available():
        raise Skip("no GPU here: the fused kernel against a device copy was not timed")
    yield device_row(options)


if __name__ == "__main__":
    stand_alone(rows)
