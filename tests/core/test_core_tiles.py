"""The search by tiles on maps of many tiles, against sums at every position."""

from __future__ import annotations

import numpy as np
import pytest

from decomp_core import Region, best_region, decomp_regions
from tests.core import brute


def sums_everywhere(mask, shape):
    """Sum under the window at every position, by an integral image."""
    total = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    (h, w), (rows, columns) = shape, (n - k + 1 for n, k in zip(mask.shape, shape, strict=True))
    return (
        total[h : h + rows, w : w + columns]
        - total[:rows, w : w + columns]
        - total[h : h + rows, :columns]
        + total[:rows, :columns]
    )


def large_map(rng):
    """A map of up to 15 x 15 tiles: blocks, noise, stripes; few or many classes, some void."""
    height, width = rng.integers(1, 240, 2)
    n_classes = int(rng.choice([1, 2, 7, 64, 65, 130, 255]))
    block = int(rng.choice([1, 3, 16, 50]))
    coarse = rng.integers(0, n_classes, (height // block + 1, width // block + 1))
    labels = np.kron(coarse, np.ones((block, block), int))[:height, :width].astype(np.uint8)
    if rng.random() < 0.3:
        labels[rng.random(labels.shape) < 0.1] = rng.integers(n_classes)
    if rng.random() < 0.3:
        labels[:, :: int(rng.integers(1, 9))] = 255
    return labels, n_classes


def free_sums(labels, cls, shape, taken):
    """Pixels of a class in the window at every position, 0 where it is not free."""
    used = sums_everywhere(~brute.free_pixels(labels.shape, taken), shape)
    return np.where(used, 0, sums_everywhere(labels == cls, shape))


def best_left(labels, cls, shape, taken):
    """The best window of a class as ``best_region`` should find it."""
    sums = free_sums(labels, cls, shape, taken)
    y, x = np.unravel_index(sums.argmax(), sums.shape)
    return Region((y, x), shape, cls, int(sums[y, x])) if sums[y, x] else None


@pytest.mark.parametrize("seed", range(2))
def test_best_region_on_maps_of_many_tiles(seed):
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(60):
        labels, n_classes = large_map(rng)
        shape = tuple(brute.random_side(rng, n) for n in labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        present = np.unique(labels)
        cls = int(rng.choice(present)) if rng.random() < 0.8 else int(rng.integers(n_classes))
        if cls == 255:
            continue
        expected = best_left(labels, cls, shape, taken)
        assert best_region(labels, cls, shape, taken) == expected
        found += expected is not None
    assert found > 30


def test_every_choice_of_decomp_is_the_best_left_on_maps_of_many_tiles():
    rng = np.random.default_rng(4)
    again = 0
    for _ in range(25):
        labels, n_classes = large_map(rng)
        shape = tuple(max(1, n // int(rng.integers(3, 20))) for n in labels.shape)
        taken = brute.random_taken(rng, labels.shape)
        chosen = decomp_regions(labels, rng.random(n_classes) ** 4, 25, shape, rng, taken)
        drawn = [r.cls for r in chosen]
        again += len(drawn) - len(set(drawn))
        for region in chosen:
            if region.cls is not None:
                sums = free_sums(labels, region.cls, shape, taken)
                assert region.score == sums.max() == sums[region.start] and region.size == shape
            taken = [*taken, region]
    assert again > 100  # a class drawn again finds what its own and other windows left


def test_windows_of_more_pixels_than_16_bits_count():
    rng = np.random.default_rng(2)
    labels = (rng.random((300, 330)) < 0.9).astype(np.uint8)
    for shape in ((255, 257), (256, 256), (257, 256), (300, 330), (300, 1), (1, 330)):
        assert best_region(labels, 1, shape) == best_left(labels, 1, shape, [])
        assert best_region(np.ones_like(labels), 1, shape).score == shape[0] * shape[1]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_a_volume_in_any_memory_order(axis, order):
    rng = np.random.default_rng(axis)
    planes = [large_map(rng)[0] for _ in range(60)]
    planes = [p[:60, :70] % 5 for p in planes if p.shape[0] >= 60 and p.shape[1] >= 70]
    assert len(planes) > 17
    volume = np.asarray(np.stack(planes, axis=axis), order=order)
    chosen = decomp_regions(volume, np.ones(5), 12, (33, 20), rng, axis=axis)
    assert len(chosen) == 12
    taken = {}
    for region in chosen:
        number = region.start[axis]
        before = taken.setdefault(number, [])
        start = tuple(v for i, v in enumerate(region.start) if i != axis)
        sums = free_sums(planes[number], region.cls, (33, 20), before)
        assert region.score == sums.max() == sums[start]
        before.append(Region(start, (33, 20)))
