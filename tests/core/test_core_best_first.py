"""Bounds and lazily drawn noise against drawing and ranking everything."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, gumbel_r, kstest, pearsonr

from decomp_core.search import Falling, GumbelNoise, Noisy

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


def falling(values):
    positions = Falling(values.shape, 0.0)
    positions.values[...] = values
    positions.keep(np.ones(values.shape, bool))
    return positions


@pytest.mark.parametrize("noisy", [False, True])
def test_positions_come_as_from_a_full_ranking(noisy):
    rng = np.random.default_rng(0)
    for seed in range(40):
        values, free = random_positions(rng)
        beta = float(10.0 ** rng.integers(-9, 4))
        positions = falling(values)
        positions.keep(free)
        best = Noisy(positions, beta, seed) if noisy else positions
        scores = np.log(values) if noisy else values.copy()
        if noisy:
            scores += all_noise(values.size, beta, seed).reshape(values.shape)
        scores[~free] = -np.inf
        for _ in range(40):
            found, place = best.best(), np.unravel_index(scores.argmax(), values.shape)
            if scores[place] == -np.inf:
                assert found is None
                break
            assert found[1] == place and found[0] == pytest.approx(scores[place], rel=1e-12)
            reach = rng.integers(1, 5, values.ndim)
            part = tuple(
                slice(max(0, int(p) - int(r)), min(n, int(p) + int(r)))
                for p, r, n in zip(place, reach, values.shape, strict=True)
            )
            free[part] &= rng.random(free[part].shape) < 0.1  # most of it is out
            free[place] = False
            positions.keep(free, part)
            scores[~free] = -np.inf
            if not noisy:  # the rest falls
                positions.values[part] /= 2
                scores[part] /= 2


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
        best = Noisy(falling(values), beta, 3)
        best._lower(best._means.look())
        noise = GumbelNoise(40, beta, 3)
        for block in range(40):
            scores = np.log(values[block * BLOCK : (block + 1) * BLOCK]) + noise.of_block(block)
            assert scores.max() <= best._bounds[block]
