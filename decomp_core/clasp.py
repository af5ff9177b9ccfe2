"""Class-stratified, noisy selection of patches over a whole pool (ClaSP PE of nnActive)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from . import checks
from .boxes import (
    Occupancy,
    Stride,
    box,
    exponent_of,
    largest,
    steps,
    sums_in_order,
    to_fixed,
)
from .kernels import set_means
from .region import Region
from .search import BestFirst

K = TypeVar("K")
Found = tuple[list[Region], list[Region]]

_FLOOR = 1e-30  # a mean of 0 ranks last, yet finite, so that noise still orders equals
_BETAS = (1e-9, 1e9)
_MOST = 1e300  # of an uncertainty, so that its product with a probability is finite
_CHUNK = 1 << 15  # values whose temporaries stay in the cache


def beta_schedule(step: int, steps: int, first: float = 1.0, last: float = 100.0) -> float:
    """Return the inverse scale of the noise at a query step: a geometric series.

    Args:
        step: from 0; ``steps`` and later stay at ``last``.
        steps: how many, at least 1. A single step has ``first``.
        first, last: at the first step and at step ``steps`` - 1, above 0. The last cycle of a
            run does not query, so a run of ``steps`` cycles never uses ``last``.

    >>> [round(beta_schedule(step, 5), 2) for step in range(5)]
    [1.0, 3.16, 10.0, 31.62, 100.0]
    """
    step, steps = checks.integer("step", step, 0), checks.integer("steps", steps, 1)
    first, last = checks.real("first", first, *_BETAS), checks.real("last", last, *_BETAS)
    if step == 0:
        return first
    if step >= steps - 1:
        return last
    return first * (last / first) ** (step / (steps - 1))


def clasp_quotas(
    n: int, classes: Iterable[int], share: float, rng: np.random.Generator
) -> dict[int | None, int]:
    """Return how many patches of a query each stratum gets.

    ``n * share``, rounded down, is split evenly over the classes, what is left over goes to
    random classes, one each; the other patches belong to no class.

    Args:
        n: size of the query, at least 0.
        classes: foreground classes, each once; none: all patches belong to no class.
        share: of the patches chosen by class, 0 to 1.
        rng: draws the classes with one more.

    Returns:
        Patches per class in ascending order, then those of no class under ``None``.

    >>> clasp_quotas(20, [1, 2, 3], 0.66, np.random.default_rng(0))
    {1: 4, 2: 4, 3: 5, None: 7}
    """
    n = checks.integer("n", n, 0)
    classes = checks.class_list(classes, checks.UNKNOWN)
    share = checks.real("share", share, 0, 1)
    rng = checks.generator(rng)
    if not classes:
        return {None: n}
    total = _down(n * share)
    each, more = divmod(total, len(classes))
    lucky = set(rng.permutation(classes)[:more].tolist())
    quotas: dict[int | None, int] = {cls: each + (cls in lucky) for cls in classes}
    quotas[None] = n - total
    return quotas


def clasp_candidates(
    probabilities: np.ndarray,
    patch: Sequence[int],
    n: int,
    classes: Iterable[int],
    rng: np.random.Generator,
    *,
    taken: Iterable[Region] = (),
    stride: Stride = 1,
    beta: float | None = 1.0,
    share: float = 0.66,
    per_image: int = 20,
    uncertainty: np.ndarray | None = None,
) -> Found:
    """Choose the patches of one image that compete for a place in a query (ClaSP PE).

    A map per class, entropy times its probability, and one of the entropy alone, are averaged
    over the patch. With a the mean (at least 1e-30), the score is log a + Gumbel(0, 1 / beta), one
    draw per map and position; without noise log a, ranked by a itself, the first of equals. Classes
    in random order, then the entropy alone (its place is ours), choose the highest free patches one
    after the other: at most ``per_image * share / (classes + 1)`` per class, for the entropy
    ``per_image * (1 - share)``, rounded down, at least 1; without classes ``per_image`` by entropy.

    Args:
        probabilities: (C, *S) float, mean softmax; S of any number of axes.
        patch: pixels (voxels) along each axis of S.
        n: size of the whole query, at least 0.
        classes: foreground classes, 0 to C - 1, each once; none: no strata.
        rng: draws a seed per map, of which its noise is a function, and the order of the classes.
        taken: regions nothing may overlap.
        stride: distance of positions, one integer or one per axis.
        beta: inverse scale of the noise; ``None`` is no noise.
        share: of the candidates chosen by class, 0 to 1.
        per_image: patches per image, at least 1.
        uncertainty: S, finite; replaces the entropy (in nats), as mutual information does.

    Returns:
        Candidates in the order of choice, and a reserve for quotas that cannot be met: the next
        patches by entropy until both hold ``n``, or nothing is free (ours). No two overlap; ``cls``
        is the class, or ``None``.
    """
    probabilities = _softmax(probabilities)
    n, rng, shape = checks.integer("n", n, 0), checks.generator(rng), probabilities.shape[1:]
    patch, strides = box("patch", patch, shape), steps(stride, len(shape))
    classes = checks.class_list(classes, len(probabilities))
    beta = None if beta is None else checks.real("beta", beta, *_BETAS)
    caps = _caps(classes, checks.real("share", share, 0, 1), per_image)
    occupancy = Occupancy(shape, patch, taken, strides=strides)
    amount, seeds = _amount(probabilities, uncertainty), _seeds(caps, rng)

    def picks_of(cls: int | None) -> Iterator[Region]:
        weights = None if cls is None else probabilities[cls]
        means = _weighted_means(amount, weights, occupancy)
        free = occupancy.free.reshape(-1)
        positions = BestFirst(means.reshape(-1), free, beta, seeds[cls])
        return _picks(positions, occupancy, cls)

    return _stratified(picks_of, caps, rng.permutation(classes).astype(int).tolist(), n)


def _seeds(maps: Iterable[int | None], rng: np.random.Generator) -> dict[int | None, int]:
    """A seed per map: one map at a time in any order, and the same noise."""
    maps = list(maps)
    return dict(zip(maps, rng.integers(2**63, size=len(maps)).tolist(), strict=True))


def _stratified(
    picks_of: Callable[[int | None], Iterator[Region]],
    caps: Mapping[int | None, int],
    order: Sequence[int],
    n: int,
) -> Found:
    """Take each class's share, then that of the entropy, then the reserve."""
    candidates: list[Region] = []
    for cls in order:
        candidates += islice(picks_of(cls), caps[cls])
    rest = picks_of(None)
    candidates += islice(rest, caps[None])
    return candidates, list(islice(rest, max(0, n - len(candidates))))


def clasp_merge(
    found: Mapping[K, Found], n: int, quotas: Mapping[int | None, int]
) -> list[tuple[K, Region]]:
    """Choose the patches of a query from the candidates of all images.

    Each class in ascending order, then ``None``, takes the candidates with the highest scores up
    to its quota. What is then missing comes from the other candidates by score, then from the
    reserves by score (ours). The first of equals is that of the lowest image, then start.

    Args:
        found: per image, by a key that can be sorted, what ``clasp_candidates`` returned.
        n: at most this many, at least 0.
        quotas: as of ``clasp_quotas``.

    Returns:
        (image, patch) in the order of choice, none twice; fewer than ``n`` when all are chosen.

    Raises:
        ValueError: a value out of range, or a region without a score.
    """
    n = checks.integer("n", n, 0)
    order = checks.class_list((cls for cls in quotas if cls is not None), checks.UNKNOWN)
    quotas = {cls: checks.integer(f"quotas[{cls!r}]", q, 0) for cls, q in quotas.items()}
    candidates = _ranked(found, 0)
    chosen: dict[tuple[Any, ...], tuple[K, Region]] = {}
    for cls in (*order, None):
        of_class = (item for item in candidates if item[1].cls == cls)
        for key, region in islice(of_class, quotas.get(cls, 0)):
            chosen[key, region.start, region.size] = key, region
    for key, region in chain(candidates, _ranked(found, 1)):
        if len(chosen) >= n:
            break
        chosen.setdefault((key, region.start, region.size), (key, region))
    return list(islice(chosen.values(), n))


def _ranked(found: Mapping[K, Found], part: int) -> list[tuple[K, Region]]:
    """The regions of all images, highest score first."""
    items = [(key, region) for key in found for region in found[key][part]]
    for key, region in items:
        if region.score is None or math.isnan(region.score):
            raise ValueError(f"found[{key!r}] holds {region}; it must have a score")
    return sorted(items, key=lambda item: (-item[1].score, item[0], item[1].start))


def _caps(classes: list[int], share: float, per_image: int) -> dict[int | None, int]:
    """The most patches of one image per class and for ``None``."""
    per_image = checks.integer("per_image", per_image, 1)
    if not classes:
        return {None: per_image}
    caps: dict[int | None, int] = {}
    for cls in classes:
        caps[cls] = max(1, _down(per_image * share / (len(classes) + 1)))
    caps[None] = max(1, _down(per_image * (1 - share)))
    return caps


def _down(number: float) -> int:
    """Round down; what lies a rounding error below an integer is that integer."""
    return math.floor(number + 1e-9)


def _softmax(value: Any) -> np.ndarray:
    found = np.asarray(value)
    if found.ndim < 2 or not found.size:
        raise ValueError(
            f"probabilities has shape {found.shape}; it must be (classes, ...), no axis empty"
        )
    return checks.probabilities("probabilities", found, (None,) * found.ndim)


def _amount(probabilities: np.ndarray, uncertainty: np.ndarray | None) -> np.ndarray:
    if uncertainty is None:
        return _entropy(probabilities)
    return checks.numbers("uncertainty", uncertainty, probabilities.shape[1:], -_MOST, _MOST)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy in nats, float64 from float64, else float32."""
    precision = np.float64 if probabilities.dtype == np.float64 else np.float32
    entropy = np.zeros(probabilities.shape[1:], precision)
    length = max(1, _CHUNK // math.prod(entropy.shape[1:]))
    for first in range(0, len(entropy), length):
        part = slice(first, first + length)
        sums = entropy[part]
        for of_class in probabilities:
            values = np.maximum(of_class[part], _FLOOR, dtype=precision)
            logs = np.log(values)
            logs *= values
            sums -= logs
        np.maximum(sums, 0, out=sums)
    return entropy


def _weighted_means(values: np.ndarray, weights: np.ndarray | None, box: Occupancy) -> np.ndarray:
    """Return the mean of ``values * weights`` over the box at each position, at least 1e-30.

    Products are summed in fixed point, so that equal boxes have equal means whatever the order of
    summation. Neither they nor the sums are held as a whole: beside the result there are the sums
    of as many slices as the box has.

    Args:
        values: float, the image.
        weights: float of the same shape; ``None`` is 1.
        box: its size and strides.

    Returns:
        float64, one entry per position.
    """
    values = box.view(values)
    weights = None if weights is None else box.view(weights)

    def read(index: tuple[int, ...]) -> np.ndarray:
        return values[index] if weights is None else values[index] * weights[index]

    highest = float(np.max([largest(read(index)) for index in np.ndindex(box.shape[:-2])]))
    exponent, plane = exponent_of(highest, box.pixels), np.empty(box.shape[-2:], np.int64)

    def load(index: tuple[int, ...]) -> np.ndarray:
        to_fixed(read(index), exponent, plane)
        return plane

    means = np.empty(box.free.shape)
    scale = float(box.pixels), 2.0**-exponent, _FLOOR
    for of_position, sums in zip(means, sums_in_order(load, box), strict=True):
        set_means(sums.reshape(-1), *scale, of_position.reshape(-1))
    return means


def _picks(positions: BestFirst, occupancy: Occupancy, cls: int | None) -> Iterator[Region]:
    """Yield the highest free patches one after the other, and place them."""
    shape = occupancy.free.shape
    while (found := positions.best()) is not None:
        score, place = found
        region = occupancy.region(np.unravel_index(place, shape), cls, score)
        occupancy.place(region)
        positions.closed(occupancy.overlapping(region), shape)
        yield region
