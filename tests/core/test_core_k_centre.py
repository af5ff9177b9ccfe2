"""The lazy k-centre search against computing every distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from decomp_core import choose
from decomp_core.k_centre import Farthest


def features(kind, rng, size):
    if kind == "noise":
        return rng.normal(size=(size, 12))
    if kind == "clusters":
        return 9 * rng.normal(size=(6, 12))[rng.integers(6, size=size)] + rng.normal(
            size=(size, 12)
        )
    return rng.integers(0, 3, (size, 3)).astype(np.float64)  # ties and duplicates


@pytest.mark.parametrize("kind", ["noise", "clusters", "ties"])
@pytest.mark.parametrize("with_centres", [False, True])
def test_every_choice_is_the_first_of_the_farthest(kind, with_centres):
    rng = np.random.default_rng(0)
    for size in (1, 2, 37, 300):
        x = features(kind, rng, size)
        fixed = features(kind, rng, 5) if with_centres else np.empty((0, x.shape[1]))
        group, cap = rng.integers(0, 9, size), int(rng.integers(1, 60))
        given = {"centres": fixed} if with_centres else {}
        chosen = choose(
            x, np.zeros(size), group, size, cap, np.random.default_rng(1), "coreset", **given
        )
        taken = [] if with_centres else chosen[:1]
        for index in chosen[len(taken) :]:
            apart = cdist(x, np.concatenate([fixed, x[taken]]), "sqeuclidean").min(axis=1)
            used = np.bincount(group[taken], minlength=9)
            apart[(used >= cap)[group]] = 0
            apart[taken] = 0
            if apart.max() < 1e-12:
                break
            assert index == np.flatnonzero(apart >= apart.max() * (1 - 1e-12))[0]
            taken.append(index)


def test_float32_is_not_widened_as_a_whole_and_candidates_can_close():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 8)).astype(np.float32)
    open_ = np.ones(50, bool)
    far = Farthest(x, np.empty((0, 8)), open_, 50)
    far.add(0)
    open_[0] = False
    order = np.argsort(-cdist(x, x[:1]).ravel())
    assert far.next() == order[0]
    open_[order[:3]] = False
    assert far.next() == order[3]
    open_[:] = False
    assert far.next() is None
