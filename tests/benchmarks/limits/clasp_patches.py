"""ClaSP PE on one volume, from class probabilities to patches, against nnActive's way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from decomp_core import Region, clasp_candidates

from .harness import Options, Row, median_seconds, stand_alone, traced_bytes

NNACTIVE = "nnActive's way, convolution, sort and a record per position"
CLASSES = [1, 2, 3]
PER_CLASS = 20
AIM_SECONDS = 0.4
SAME = (44, 40, 48)  # volume on which both are held to the same patches, of 6^3


def softmax_volume(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Return (4, *shape) float32: blurred balls in a background, with noise in every voxel."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    logits = np.empty((len(CLASSES) + 1, *shape), np.float32)
    for of_class in logits:
        rng.standard_normal(out=of_class, dtype=np.float32)
        of_class *= 0.5
        for axis, centre in zip(axes, rng.uniform(-0.4, 0.4, len(shape)), strict=True):
            of_class -= 8 * np.square(axis - np.float32(centre))
    logits[0] += 1
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits


def ours(
    softmax: np.ndarray, side: int, stride: int, beta: float | None, rng: np.random.Generator
) -> list[Region]:
    """Choose 20 patches per class and 20 by the entropy alone."""
    found, _ = clasp_candidates(
        softmax,
        (side,) * (softmax.ndim - 1),
        0,
        CLASSES,
        rng,
        stride=stride,
        beta=beta,
        share=0.8,
        per_image=100,  # 80 by class over four maps, and 20
    )
    return found


def ours_once(softmax: np.ndarray, side: int, stride: int) -> list[Region]:
    """Choose with noise, always the same."""
    return ours(softmax, side, stride, 1.0, np.random.default_rng(0))


def _averages(values: Any, side: int, stride: int) -> np.ndarray:
    """Mean over the patch: by Fourier transform at stride 1, else a strided convolution."""
    import torch
    from scipy.signal import convolve

    shape = (side,) * values.ndim
    if stride == 1:
        return convolve(values.numpy(), np.full(shape, 1 / side**values.ndim), mode="valid")
    kernel = torch.full((1, 1, *shape), 1 / side**values.ndim)
    return torch.nn.functional.conv3d(values[None, None], kernel, stride=stride)[0, 0].numpy()


def _records(scores: np.ndarray, side: int, stride: int) -> list[dict[str, Any]]:
    """Every position with its score, the best first."""
    order = np.argsort(scores, axis=None)[::-1]
    size, ranked = [side] * scores.ndim, scores.ravel()[order].tolist()
    records = []
    for index, score in zip(order, ranked, strict=True):
        start = tuple(int(i) * stride for i in np.unravel_index(index, scores.shape))
        records.append({"start": start, "size": size, "score": score})
    return records


def _overlap(a: dict[str, Any], b: dict[str, Any]) -> bool:
    axes = zip(a["start"], a["size"], b["start"], b["size"], strict=True)
    return all(p < q + m and q < p + n for p, n, q, m in axes)


def alternative(
    softmax: np.ndarray,
    side: int,
    stride: int,
    beta: float | None,
    order: Sequence[int],
    rng: np.random.Generator,
) -> list[tuple[tuple[int, ...], int | None]]:
    """Choose as nnActive's code does: rank every position of every map, then go down each list.

    The rejected are taken off the front of the list one by one.

    Returns:
        Start and class of the patches, in the order of choice.
    """
    import torch

    probabilities = torch.from_numpy(softmax)
    entropy = -(probabilities * torch.log(probabilities)).nan_to_num().sum(dim=0)
    ranked: dict[int | None, list[dict[str, Any]]] = {}
    for cls in [*order, None]:
        values = entropy if cls is None else entropy * probabilities[cls]
        scores = _averages(values, side, stride)
        if beta is not None:
            scores = np.log(np.maximum(scores, 1e-30)) + rng.gumbel(0, 1 / beta, scores.shape)
        ranked[cls] = _records(scores, side, stride)
    chosen: list[dict[str, Any]] = []
    for cls, records in ranked.items():
        count = 0
        while records and count < PER_CLASS:
            record = records.pop(0)
            if not any(_overlap(record, other) for other in chosen):
                chosen.append({**record, "cls": cls})
                count += 1
    return [(record["start"], record["cls"]) for record in chosen]


def same_patches(shape: Sequence[int], side: int, stride: int) -> bool:
    """Whether both choose the same patches where no noise is drawn."""
    softmax = softmax_volume(shape, seed=1)
    found = ours(softmax, side, stride, None, np.random.default_rng(0))
    order = list(dict.fromkeys(r.cls for r in found if r.cls is not None))
    other = alternative(softmax, side, stride, None, order, np.random.default_rng(0))
    return [(r.start, r.cls) for r in found] == other


def rows(options: Options) -> Iterator[Row]:
    """Compare every position of 32^3 patches, then every eighth of 64^3 along each axis."""
    import torch

    torch.set_num_threads(1)
    shape = [40, 44, 42] if options.quick else [177, 217, 217]
    softmax = softmax_volume(shape)
    for side, stride in ((32, 1), (64, 8)):
        side = side // 8 if options.quick else side
        assert same_patches(SAME, 6, stride), f"other patches at stride {stride}"
        found = median_seconds(partial(ours_once, softmax, side, stride), options.repeats)
        peak = traced_bytes(partial(ours_once, softmax, side, stride)) / 2**20
        start = time.process_time()
        alternative(softmax, side, stride, 1.0, CLASSES, np.random.default_rng(0))
        other, first = time.process_time() - start, stride == 1
        yield Row(
            f"ClaSP PE, stride {stride}, {side}^3 on {'x'.join(map(str, shape))}, 4 classes",
            found,
            other,
            NNACTIVE,
            "s",
            f"under {AIM_SECONDS:g} s" if first else "",
            found < AIM_SECONDS if first else None,
            note="memory beyond the probabilities; alternative run once; the same patches asserted "
            f"without noise, 6^3 on {'x'.join(map(str, SAME))}",
            peak_mb=peak,
        )


if __name__ == "__main__":
    stand_alone(rows)
