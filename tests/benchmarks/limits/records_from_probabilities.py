"""Class probabilities to the numbers of a record, against a maximum and an entropy alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from al.learners import Request
from al.learners.record import record_of

from .harness import Options, Row, compared, median_seconds, stand_alone

REQUEST = Request(frozenset({"labels", "uncertainty"}), (0.9,))


def probabilities(classes: int, height: int, width: int, grain: int) -> Tensor:
    """Return (C, H, W) float32 as of a network: smooth logits, some of the pixels certain."""
    made = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, classes, height // grain, width // grain, generator=made)
    logits = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (4 * logits[0]).softmax(0)


def by_torch(p: Tensor) -> None:
    """The least that there is to compute, in float32 and without counts."""
    p.max(0)
    torch.special.entr(p).sum(0)


def rows(options: Options) -> Iterator[Row]:
    """Time one image on one thread, then on a GPU where there is one."""
    classes, height, width = (3, 64, 96) if options.quick else (19, 1024, 2048)
    p = probabilities(classes, height, width, min(32, height))
    name = f"{classes} x {height} x {width} probabilities to a record"

    def ours(p: Tensor) -> None:
        record_of("a", [(slice(0, height), p, None)], p.shape[1:], classes, REQUEST)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        other = "torch: maximum and entropy in float32"
        yield compared(name, lambda: ours(p), lambda: by_torch(p), other, None, options)
    finally:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        q = p.cuda()
        seconds = median_seconds(lambda: ours(q), options.repeats, time.perf_counter)
        note = f"{torch.cuda.get_device_name()}; by the clock"
        yield Row(f"{name}, on a GPU", 1e3 * seconds, None, "", "ms", "", None, note)


if __name__ == "__main__":
    stand_alone(rows)
