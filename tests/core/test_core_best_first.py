"""Bounds and lazily drawn noise against drawing and ranking everything."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.stats import chisquare, gumbel_r, kstest, pearsonr

from decomp_core import Region, clasp_candidates
from decomp_core.boxes import Occupancy
from decomp_core.clasp import _weighted_means
from decomp_core.search import BestFirst, GumbelNoise

LEAST = 1e-4
BLOCK = 256


def all_noise(size, beta, seed):
    """The noise of every position, block after block."""
    n_blocks = -(-size // BLOCK)
    noise = GumbelNoise(n_blocks, beta, seed)
    return np.concatenate([noise.of_block(b) for b in range(n_blocks)])[:size]


@pytest.mark.parametrize("beta", [0.5, 1.0, 30.0])
def test_noise_is_gumbel_and_independent(beta):
    found = all_noise(400 * BLOCK, beta, 7) * beta
    assert kstest(found, gumbel_r.cdf).pvalue > LEAST
    rows = found.reshape(-1, BLOCK)
    assert kstest(rows.max(axis=1) - np.log(BLOCK), gumbel_r.cdf).pvalue > LEAST
    assert chisquare(np.bincount(rows.argmax(axis=1) // 32, minlength=8)).pvalue > LEAST
    for lag in (1, 2, BLOCK):
        assert pearsonr(found[:-lag], found[lag:]).pvalue > LEAST
    for column in (0, 100, 255):
        assert kstest(rows[:, column], gumbel_r.cdf).pvalue > LEAST


def random_positions(rng):
    ndim = int(rng.integers(1, 5))
    shape = tuple(int(n) for n in rng.integers(1, [2000, 60, 16, 8][ndim - 1], ndim))
    kind = int(rng.integers(3))
    if kind == 0:
        values = rng.random(shape)
    elif kind == 1:
        values = rng.integers(1, 4, shape) / 3.0
    else:
        values = np.full(shape, 1e-30)
        values[tuple(slice(n // 3, n) for n in shape)] = 1.0
    free = rng.random(shape) < rng.choice([0.0, 0.05, 0.7, 1.0], p=[0.1, 0.3, 0.3, 0.3])
    return np.maximum(values, 1e-30), free


@pytest.mark.parametrize("noisy", [False, True])
def test_positions_come_as_from_a_full_ranking(noisy):
    rng = np.random.default_rng(0)
    for seed in range(40):
        values, free = random_positions(rng)
        beta = float(10.0 ** rng.integers(-9, 4)) if noisy else None
        positions = BestFirst(values.ravel(), free.ravel(), beta, seed)
        scores = np.log(values)
        if beta is not None:
            scores += all_noise(values.size, beta, seed).reshape(values.shape)
        keys = np.where(free, scores if noisy else values, -np.inf)
        for _ in range(40):
            found = positions.best()
            place = int(keys.argmax())
            if keys.flat[place] == -np.inf:
                assert found is None
                break
            score, where = found
            assert where == place and score == pytest.approx(scores.flat[place], rel=1e-12)
            start = np.unravel_index(place, values.shape)
            reach = rng.integers(1, 5, values.ndim)
            part = tuple(
                slice(max(0, int(p) - int(r)), min(n, int(p) + int(r)))
                for p, r, n in zip(start, reach, values.shape, strict=True)
            )
            free[part], keys[part] = False, -np.inf
            positions.closed(part, values.shape)


@pytest.mark.parametrize("beta", [1e-9, 1e-3, 1.0, 1e9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_no_score_is_above_its_bound_however_logarithms_are_rounded(beta, sign, monkeypatch):
    log, error = np.log, sign * 4 * np.finfo(float).eps

    def rounded_log(x, out=None):
        """Of 256 numbers, as a block has, off to one side, of more to the other."""
        return np.multiply(log(x, out), 1 + (error if x.size == BLOCK else -error), out)

    monkeypatch.setattr(np, "log", rounded_log)
    rng = np.random.default_rng(1)
    for values in (rng.random(40 * BLOCK), np.full(40 * BLOCK, 1e-30), np.full(40 * BLOCK, 7.0)):
        positions = BestFirst(values, np.ones(values.size, bool), beta, 3)
        noise = GumbelNoise(40, beta, 3)
        bounds = positions._bounds.copy()
        for block in range(40):
            scores = np.log(values[block * BLOCK : (block + 1) * BLOCK]) + noise.of_block(block)
            assert scores.max() <= bounds[block]


def slow_candidates(softmax, patch, classes, taken, beta, per_class, per_all, seeds, order):
    """Every map with its noise, the highest free position again and again."""
    entropy = -(softmax * np.log(softmax)).sum(axis=0)
    occupancy = Occupancy(entropy.shape, patch, taken)
    shape = occupancy.free.shape
    chosen = []
    for cls in [*order, None]:
        amount = entropy if cls is None else entropy * softmax[cls]
        scores = np.log(np.maximum(_weighted_means(amount, None, occupancy), 1e-30))
        if beta is not None:
            scores += all_noise(scores.size, beta, seeds[cls]).reshape(shape)
        for _ in range(per_all if cls is None else per_class):
            scores[~occupancy.free] = -np.inf
            place = np.unravel_index(scores.argmax(), shape)
            if scores[place] == -np.inf:
                break
            chosen.append(occupancy.region(place, cls, float(scores[place])))
            occupancy.place(chosen[-1])
    return chosen


@pytest.mark.parametrize("beta", [None, 0.3, 1.0, 40.0])
def test_candidates_match_a_search_of_full_maps(beta):
    for seed, shape in enumerate([(3000,), (50, 60), (14, 15, 16), (5, 6, 5, 7)]):
        rng = np.random.default_rng(seed)
        softmax = rng.dirichlet(np.ones(3) / 2, shape) + 1e-6
        softmax = np.moveaxis(softmax / softmax.sum(axis=-1, keepdims=True), -1, 0)
        patch = tuple(max(2, n // 5) for n in shape)
        taken = [Region((0,) * len(shape), patch)]
        rng = np.random.default_rng(9)
        found, _ = clasp_candidates(
            softmax, patch, 0, [1, 2], rng, taken=taken, beta=beta, per_image=18
        )
        again = np.random.default_rng(9)  # the seeds first, then the order
        seeds = dict(zip([1, 2, None], again.integers(2**63, size=3).tolist(), strict=True))
        order = again.permutation([1, 2]).tolist()
        slow = slow_candidates(softmax, patch, [1, 2], taken, beta, 3, 6, seeds, order)
        assert [(r.start, r.cls) for r in found] == [(r.start, r.cls) for r in slow]
        assert [r.score for r in found] == pytest.approx([r.score for r in slow], rel=1e-9)


def test_memory_is_one_map_beside_the_entropy():
    rng = np.random.default_rng(3)
    softmax = rng.random((4, 96, 64, 64), np.float32) / 4
    entropy, means = softmax[0].nbytes, 8 * 89 * 57 * 57
    arguments = (softmax, (8, 8, 8), 20, [1, 2, 3])
    clasp_candidates(*arguments, rng)
    tracemalloc.start()
    clasp_candidates(*arguments, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * (entropy + means)


def test_layout_and_precision_do_not_matter():
    rng = np.random.default_rng(4)
    softmax = np.moveaxis(rng.dirichlet(np.ones(3), (14, 15, 13)), -1, 0)
    for dtype in (np.float16, np.float32, np.float64):
        plain = np.ascontiguousarray(softmax.astype(dtype))
        fixed = plain.copy()
        fixed.flags.writeable = False
        found = [
            clasp_candidates(values, (4, 3, 5), 12, [0, 2], np.random.default_rng(1))
            for values in (plain, np.asfortranarray(plain), fixed, plain[:, ::-1][:, ::-1])
        ]
        assert found[0] == found[1] == found[2] == found[3]
