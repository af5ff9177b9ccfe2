"""Class-stratified, noisy selection of patches over a whole pool (ClaSP PE of nnActive)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from . import checks
from .boxes import Occupancy, exponent_of, largest, sums_in_order, to_fixed
from .region import Region
from .search import Falling, Noisy

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
        first: at the first step, above 0.
        last: at step ``steps`` - 1, above 0. The last cycle of a run does not query, so a run of
            ``steps`` cycles never uses it.

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
    stride: int | Sequence[int] = 1,
    beta: float | None = 1.0,
    share: float = 0.66,
    per_image: int = 20,
    uncertainty: np.ndarray | None = None,
    annotatable: np.ndarray | None = None,
) -> Found:
    """Choose the patches of one image that compete for a place in a query (ClaSP PE).

    A map per class, entropy times its probability, and one of the entropy alone, are averaged
    over the patch. With a the mean (at least 1e-30), the score is log a + Gumbel(0, 1 / beta), one
    draw per map and position; without noise log a, ranked by a itself, equals drawn uniformly. In
    random order each map chooses its highest free patches: at most ``per_image * share / (classes +
    1)`` for a class, for the entropy alone ``per_image * (1 - share)``, rounded down, at least 1;
    without classes ``per_image`` by entropy.

    Args:
        probabilities: (C, *S) float, mean softmax; S of any number of axes.
        patch: pixels (voxels) along each axis of S.
        n: size of the whole query, at least 0.
        classes: foreground classes, 0 to C - 1, each once; none: no strata.
        rng: draws a seed per map, of which its noise (without noise, the draw of equals) is a
            function, then the order of the maps.
        taken: regions nothing may overlap.
        stride: distance of positions, one integer or one per axis.
        beta: inverse scale of the noise; ``None`` is no noise.
        share: of the candidates chosen by class, 0 to 1.
        per_image: patches per image, at least 1.
        uncertainty: S, finite; replaces the entropy (in nats), as mutual information does.
        annotatable: bool of S, see ``boxes.Occupancy``.

    Returns:
        Candidates in the order of choice, ``cls`` the class or ``None``, and a reserve for quotas
        that cannot be met: the next by entropy until both hold ``n`` (ours). No two overlap.
    """
    probabilities = _softmax(probabilities)
    n, rng, shape = checks.integer("n", n, 0), checks.generator(rng), probabilities.shape[1:]
    patch, strides = checks.sizes("patch", patch, (len(shape),), shape), _steps(stride, len(shape))
    occupancy = Occupancy(shape, patch, taken, strides=strides, annotatable=annotatable)
    classes = checks.class_list(classes, len(probabilities))
    beta = None if beta is None else checks.real("beta", beta, *_BETAS)
    caps = _caps(classes, checks.real("share", share, 0, 1), per_image)
    amount = _amount(probabilities, uncertainty)
    seeds = dict(zip(caps, rng.integers(2**63, size=len(caps)).tolist(), strict=True))

    def picks(cls: int | None) -> Iterator[Region]:
        weights = None if cls is None else probabilities[cls]
        return _picks(amount, weights, occupancy, cls, beta, seeds[cls])

    candidates: list[Region] = []
    maps = list(caps)
    for place in rng.permutation(len(maps)).tolist():
        candidates += islice(picks(maps[place]), caps[maps[place]])
    return candidates, list(islice(picks(None), max(0, n - len(candidates))))


def _picks(
    amount: np.ndarray,
    weights: np.ndarray | None,
    occupancy: Occupancy,
    cls: int | None,
    beta: float | None,
    seed: int,
) -> Iterator[Region]:
    """Yield the best free patches of a map one after the other, and place them."""
    means = Falling(occupancy.free.shape, 0.0, np.random.default_rng(seed))
    _set_means(amount, weights, occupancy, means.values)
    means.keep(occupancy.free)
    best = means if beta is None else Noisy(means, beta, seed)
    while (found := best.best()) is not None:
        score, place = found
        region = occupancy.region(place, cls, math.log(score) if beta is None else score)
        means.keep(occupancy.free, occupancy.place(region))
        yield region


def _steps(stride: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    stride = stride if isinstance(stride, Sequence | np.ndarray) else (stride,) * ndim
    return checks.sizes("stride", stride, (ndim,))


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
    of_class = max(1, _down(per_image * share / (len(classes) + 1)))
    return dict.fromkeys(classes, of_class) | {None: max(1, _down(per_image * (1 - share)))}


def _down(number: float) -> int:
    """Round down; what lies a rounding error below an integer is that integer."""
    return math.floor(number + 1e-9)


def _softmax(value: Any) -> np.ndarray:
    found = checks.plain(value)
    if found.ndim < 2 or not found.size:
        raise ValueError(
            f"probabilities has shape {found.shape}; it must be (classes, ...), no axis empty"
        )
    return checks.probabilities("probabilities", found, (None,) * found.ndim)


def _amount(probabilities: np.ndarray, uncertainty: np.ndarray | None) -> np.ndarray:
    """The uncertainty, or the entropy in nats: float64 from float64, else float32."""
    if uncertainty is not None:
        return checks.numbers("uncertainty", uncertainty, probabilities.shape[1:], -_MOST, _MOST)
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


def _set_means(
    values: np.ndarray, weights: np.ndarray | None, box: Occupancy, means: np.ndarray
) -> None:
    """Set the mean of ``values * weights`` over the box at each position, at least 1e-30.

    Products are summed in fixed point, so that equal boxes have equal means whatever the order of
    summation; neither they nor the sums are held as a whole. ``weights``: ``None`` is 1.
    """
    values = box.planes(values)
    weights = None if weights is None else box.planes(weights)

    def read(index: tuple[int, ...]) -> np.ndarray:
        return values[index] if weights is None else values[index] * weights[index]

    outer = np.ndindex(values.shape[:-2])
    exponent = exponent_of(float(np.max([largest(read(index)) for index in outer])), box.pixels)
    found = sums_in_order(lambda index: to_fixed(read(index), exponent), box)
    for of_position, sums in zip(box.planes(means), found, strict=True):
        np.divide(sums, box.pixels * 2.0**exponent, out=of_position)
        np.maximum(of_position, _FLOOR, out=of_position)
