"""Choosing regions of all images of a pool at once: the most uncertain, and those not crowded."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from . import checks
from .boxes import Occupancy, exponent_for, set_sums
from .draw import draw_one
from .kernels import squared_distances
from .region import Region
from .search import ranked

K = TypeVar("K")
Image = tuple[K, np.ndarray, Sequence[int], Iterable[Region]]
Images = Callable[[], Iterable[Image[K]]]
Annotatable = Callable[[K], "np.ndarray | None"]

_WEIGHTS = (0.0, 1e100)
_SIGMAS = (1e-6, 1e6)


def pool_uncertain(
    images: Images[K], n: int, annotatable: Annotatable[K] = lambda key: None
) -> list[tuple[K, Region]]:
    """Choose the boxes with the highest mean uncertainty among all images, without overlap.

    Each time the most uncertain free box of the whole pool (ours). A choice in one image leaves the
    boxes of another as they are, so each image has a greedy sequence of its own, whose values never
    rise; merging the sequences by value is the greedy over all. An image is left as soon as its
    next box is not among the ``n`` best so far.

    Args:
        images: returns an iterable of (key, uncertainty, size, taken); one image is held at a time.
            Keys are hashable, sortable and all different; the order of the images does not matter.
            ``uncertainty``: uint8 (sums are exact) or finite float (summed in fixed point), any
            number of axes. ``size``: of the box in pixels (voxels), one integer per axis; 1 along
            the slice axis for windows of slices. ``taken``: regions nothing may overlap, boxes of
            any size.
        n: how many, at least 0.
        annotatable: of a key, bool of the image's shape or ``None``, see ``boxes.Occupancy``.

    Returns:
        (key, region) in the order of choice: highest mean first, then by key, then the first in
        row-major order; ``score`` is the mean uncertainty in the units given. Fewer than ``n``
        when nothing is free.

    Raises:
        ValueError: two equal keys, a wrong dtype or shape, or a value out of range.

    >>> a, b = np.uint8([4, 1]), np.uint8([3, 4])
    >>> pool_uncertain(lambda: [("b", b, (1,), ()), ("a", a, (1,), ())], 1)
    [('a', Region(start=(0,), size=(1,), cls=None, score=4.0))]
    """
    return spatially_diverse(images, n, 0.0, annotatable=annotatable)


def spatially_diverse(
    images: Images[K],
    n: int,
    weight: float,
    sigma: float = 1.0,
    annotatable: Annotatable[K] = lambda key: None,
) -> list[tuple[K, Region]]:
    """Choose uncertain boxes of all images that do not crowd in one place.

    Each time the free box with the highest u - weight * sum of exp(-d^2 / (2 sigma^2)): u is its
    mean uncertainty scaled to 0 to 1 by the lowest and highest mean of all free boxes of the pool
    (0 where they all agree), the sum runs over the boxes chosen before in the same image, and d is
    the distance of centres with each axis in units of the box's side (terms are rounded to
    multiples of 2^-40). Penalties stay within an image and only grow, so that gains never rise
    within one; the merge of ``pool_uncertain`` is the greedy over all images here too.

    Ours: of Cai, Xu, Zhang, Foo, "Exploring Spatial Diversity for Region-based Active Learning",
    only the abstract was available; it joins uncertainty and local spatial diversity in one
    optimisation without saying how.

    Args:
        images: as in ``pool_uncertain``; called twice, as the first pass finds the lowest and the
            highest mean. With weight 0 it is called once.
        n: how many, at least 0.
        weight: of the penalty, at least 0, and times the range of the means at most 1e100; 0 gives
            exactly ``pool_uncertain``.
        sigma: width of the penalty in box sides, 1e-6 to 1e6.
        annotatable: as in ``pool_uncertain``.

    Returns:
        (key, region) in the order of choice, ties by key, then the first in row-major order;
        ``score`` is the mean uncertainty in the units given. Fewer than ``n`` when nothing is
        free.

    Raises:
        ValueError: two equal keys, a wrong dtype or shape, or a value out of range.
    """
    if not callable(images):
        raise ValueError(
            f"images is {type(images).__name__}; it must return the images when called"
        )
    n = checks.integer("n", n, 0)
    weight, sigma = _strength(weight, sigma)
    if n == 0:
        return []
    if weight:
        weight, _ = _strength(weight * _spread(images, annotatable), sigma)
    best: list[tuple[float, K, int, Region]] = []
    for key, values, occupancy in _each(images, annotatable):
        for number, (gain, region) in enumerate(ranked(values, occupancy, weight, sigma)):
            entry = (-gain, key, number, region)  # never equal in the first three
            if len(best) == n and entry > best[-1]:
                break
            insort(best, entry)
            del best[n:]
        del values, occupancy  # before the next is made
    return [(key, region) for _, key, _, region in best]


def _strength(weight: float, sigma: float) -> tuple[float, float]:
    return checks.real("weight", weight, *_WEIGHTS), checks.real("sigma", sigma, *_SIGMAS)


def _each(
    images: Images[K], annotatable: Annotatable[K]
) -> Iterator[tuple[K, np.ndarray, Occupancy]]:
    """Key, uncertainty and free boxes of each image, one after the other."""
    keys: set[K] = set()
    for image in images():
        if not isinstance(image, tuple) or len(image) != 4:
            raise ValueError(
                f"images holds a {type(image).__name__}; it must hold tuples of key, uncertainty, "
                "size and taken"
            )
        key, uncertainty, size, taken = image
        if key in keys:
            raise ValueError(f"images holds the key {key!r} twice; keys must be different")
        keys.add(key)
        values = checks.image("uncertainty", uncertainty, floats=True)
        size = checks.sizes("size", size, (values.ndim,), values.shape)
        yield key, values, Occupancy(values.shape, size, taken, annotatable=annotatable(key))
        del image, uncertainty, values


def _spread(images: Images[K], annotatable: Annotatable[K]) -> float:
    """Highest less lowest mean over all free boxes; 1 where they all agree or there are none."""
    low, high = np.inf, -np.inf
    for _, values, occupancy in _each(images, annotatable):
        exponent = exponent_for("uncertainty", values, occupancy.pixels)
        sums = np.empty(occupancy.free.shape, np.int64)
        set_sums(values, exponent, occupancy, sums)
        if occupancy.free.any():
            free = sums[occupancy.free]
            lowest, highest = (int(total) / occupancy.pixels for total in (free.min(), free.max()))
            low = min(low, math.ldexp(lowest, -exponent))
            high = max(high, math.ldexp(highest, -exponent))
        del values, occupancy
    return float(high - low) if high > low else 1.0


def spatially_diverse_features(
    regions: Sequence[Region],
    group: np.ndarray,
    features: np.ndarray,
    n: int,
    weight: float,
    sigma: float,
    rng: np.random.Generator,
) -> list[int]:
    """Choose candidates that differ in features and do not crowd in an image (ours).

    The first is drawn uniformly. After it each time the candidate with the highest
    f - weight * sum of exp(-d^2 / (2 sigma^2)): f is the Euclidean distance of its feature to the
    nearest chosen one, divided by the largest such distance after the first choice (1 where that
    is 0); the sum runs over the chosen candidates of the same image, d as in
    ``spatially_diverse``. A candidate that overlaps a chosen one of its image is left out.

    Args:
        regions: R candidates of as many axes; those of one image have one size.
        group: (R,) integers, the image of each.
        features: (R, F) finite float32 or float64, not copied if contiguous.
        n: how many, at least 0.
        weight: of the penalty, 0 to 1e100; 0 is k-centre greedy without overlap.
        sigma: width of the penalty in region sides, 1e-6 to 1e6.
        rng: draws the first, then one of equals.

    Returns:
        Indices into ``regions`` in the order of choice; fewer than ``n`` when no candidate is left.

    Raises:
        ValueError: a wrong dtype or shape, a value out of range, or unequal sizes in one image.
    """
    starts, sides, group = _candidates(regions, group)
    features = checks.features("features", features, len(regions))
    n = checks.integer("n", n, 0)
    weight, sigma = _strength(weight, sigma)
    rng = checks.generator(rng)
    nearest, penalty = np.full(len(regions), np.inf), np.zeros(len(regions))
    left = np.ones(len(regions), bool)
    chosen: list[int] = []
    scale = 1.0
    while len(chosen) < n and left.any():
        if chosen:
            gains = np.where(left, np.sqrt(nearest) / scale - weight * penalty, -np.inf)
            pick = draw_one(np.flatnonzero(gains == gains.max()), rng)
        else:
            pick = int(rng.integers(len(regions)))
        np.minimum(nearest, squared_distances(features, features[pick]), out=nearest)
        if not chosen:
            scale = math.sqrt(nearest.max()) or 1.0
        chosen.append(pick)
        same = np.flatnonzero(group == group[pick])
        away = starts[same] - starts[pick]
        left[same[(abs(away) < sides[same]).all(axis=1)]] = False
        penalty[same] += np.exp(-0.5 * ((away / sides[same] / sigma) ** 2).sum(axis=1))
    return chosen


def _candidates(regions: Sequence[Region], group: Any) -> tuple[np.ndarray, ...]:
    """Starts and sides, (R, axes) int64, and images of the candidates, if sizes agree in each."""
    group = checks.array("group", group, "iu", (len(regions),))
    sizes: dict[int, tuple[int, ...]] = {}
    for index, (region, image) in enumerate(zip(regions, group.tolist(), strict=True)):
        if not isinstance(region, Region) or len(region.size) != len(regions[0].size):
            raise ValueError(
                f"regions[{index}] is {region!r}; it must be a Region with the axes of the others"
            )
        size = sizes.setdefault(image, region.size)
        if region.size != size:
            raise ValueError(
                f"regions[{index}] has size {region.size}; it must be {size}, as the first of "
                f"group {image}"
            )
    shape = len(regions), -1 if regions else 0
    starts, sides = ([getattr(r, name) for r in regions] for name in ("start", "size"))
    return np.reshape(starts, shape).astype(np.int64), np.reshape(sides, shape), group
