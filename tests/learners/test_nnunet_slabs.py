"""A volume condensed slab by slab is the volume condensed as a whole, whatever the slabs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from al.learners import Request
from al.learners.condense import (
    Condensed,
    condense,
    condense_nested,
    condense_slabs,
    entropy_of,
)

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

TAUS = (0.0, 0.4, 0.5, 0.9)
ORDER = (1, 3, 2)
Slabs = list[tuple[slice, torch.Tensor, torch.Tensor | None]]


@st.composite
def volumes(draw: st.DrawFn) -> tuple[np.random.Generator, tuple[int, ...], list[slice], bool]:
    """A generator, a shape, its slabs, and whether some of it is taken."""
    shape = tuple(draw(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 6))))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, shape[0] - 1)), max_size=4)) - {shape[0]})
    ends = [0, *cuts, shape[0]]
    slabs = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return rng, shape, slabs, draw(st.booleans())


def same(found: Condensed, expected: Condensed) -> None:
    assert found.count == expected.count
    for key in ("predicted", "confident", "labels", "uncertainty"):
        assert torch.equal(getattr(found, key), getattr(expected, key)), key
        assert getattr(found, key).dtype == getattr(expected, key).dtype
    assert abs(found.mean_uncertainty - expected.mean_uncertainty) < 1e-9


def valid_of(rng: np.random.Generator, shape: tuple[int, ...], taken: bool) -> torch.Tensor | None:
    return torch.from_numpy(rng.random(shape) < 0.5) if taken else None


@settings(max_examples=60, deadline=None)
@given(volumes(), st.sampled_from(["entropy", "least_confidence", "margin", "mutual_information"]))
def test_exclusive_classes(volume, measure: str) -> None:
    rng, shape, parts, taken = volume
    members = [
        torch.from_numpy(np.moveaxis(rng.dirichlet([0.5] * 4, shape), -1, 0).astype(np.float32))
        for _ in range(2)
    ]
    p = torch.stack(members).mean(0)
    spread = None
    if measure == "mutual_information":
        spread = torch.stack([entropy_of(m) for m in members]).mean(0)
    valid = valid_of(rng, shape, taken)
    slabs: Slabs = [(s, p[:, s], None if spread is None else spread[s]) for s in parts]
    request = Request(frozenset(), TAUS, measure)
    found = condense_slabs(slabs, torch.Size(shape), 4, (), valid, request)
    same(found, condense(p, valid, TAUS, measure, spread))


@settings(max_examples=60, deadline=None)
@given(volumes())
def test_nested_classes(volume) -> None:
    rng, shape, parts, taken = volume
    p = torch.from_numpy(rng.random((3, *shape)).astype(np.float32))
    valid = valid_of(rng, shape, taken)
    slabs: Slabs = [(s, p[:, s], None) for s in parts]
    request = Request(frozenset(), TAUS, "least_confidence")
    found = condense_slabs(slabs, torch.Size(shape), 4, ORDER, valid, request)
    same(found, condense_nested(p, ORDER, 4, valid, TAUS))
