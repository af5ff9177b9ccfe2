"""The start without a model: one typical member of each kind, and what features are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from al.strategies.appearance import described
from al.strategies.selectors.diverse import NEIGHBOURS, typical


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_the_most_typical_one_of_each_kind_is_taken(sizes: list[int], seed: int) -> None:
    """Of clumps that lie far apart: found slowly, with the scale of every feature taken away."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(len(sizes)), sizes)
    table = rng.normal(0, 0.02, (len(kind), len(sizes))) + np.eye(len(sizes))[kind]
    looks = np.c_[table * [1, 9, 0.1, 2, 5][: len(sizes)], np.full(len(kind), 7.0)]
    scaled = np.array([(c - c.mean()) / c.std() if np.ptp(c) else c * 0 for c in looks.T]).T
    apart = [sorted(np.linalg.norm(scaled - row, axis=1))[: NEIGHBOURS + 1] for row in scaled]
    typicality = -np.mean(apart, axis=1)
    found = typical(looks.astype(np.float32), len(sizes), np.random.default_rng(seed))
    assert sorted(kind[found]) == list(range(len(sizes)))
    for i in found:  # of two in the middle of a line either may be taken
        assert typicality[i] >= typicality[kind == kind[i]].max() - 1e-5


def test_more_than_there_are_and_equals() -> None:
    rng = np.random.default_rng(0)
    assert typical(np.zeros((0, 3), np.float32), 4, rng) == []
    assert sorted(typical(np.ones((3, 2), np.float32), 5, rng)) == [0, 1, 2]
    drawn = {tuple(typical(np.ones((9, 2), np.float32), 1, rng)) for _ in range(60)}
    assert len(drawn) == 9


def test_a_picture_is_described_by_its_colours_steps_and_brightness() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    x = picture / 255

    def coarse(side: int) -> np.ndarray:
        return x.reshape(side, 64 // side, side, 64 // side, 3).mean((1, 3))

    def steps(y: np.ndarray) -> float:
        light = y.mean(2)
        return (abs(light[1:] - light[:-1]).mean() + abs(light[:, 1:] - light[:, :-1]).mean()) / 2

    bins = np.bincount((x.mean(2) * 8).astype(int).ravel().clip(0, 7), minlength=8) / 64**2
    parts = [coarse(2).ravel(), x.std((0, 1)), [steps(x), steps(coarse(16))], bins]
    np.testing.assert_allclose(described(picture, 2), np.concatenate(parts), atol=4e-3)
