"""The deformable convolution against a loop over pixels and against ``grid_sample``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from al.learners.mmseg import dcnv3 as module
from al.learners.mmseg.dcnv3 import dcnv3
from tests.learners.brute_dcnv3 import grid_dcnv3, loop_dcnv3

Arguments = tuple[Tensor, Tensor, Tensor, int, float]


def arguments(
    seed: int,
    sites: tuple[int, int, int] = (2, 5, 7),
    groups: int = 2,
    each: int = 3,
    scale: float = 1.0,
    spread: float = 1.5,
    dtype: torch.dtype = torch.float64,
) -> Arguments:
    """Return random arguments whose points keep 0.05 of a pixel away from the pixels' centres."""
    rng = np.random.default_rng(seed)
    shape = (*sites, groups, 9, 2)
    whole = np.floor(rng.normal(scale=spread, size=shape)) + rng.uniform(0.05, 0.95, shape)
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(9, 2)
    offset = (whole / scale - steps).reshape(*sites, -1)
    value = rng.normal(size=(*sites, groups * each))
    mask = rng.normal(size=(*sites, groups * 9))
    return *(torch.tensor(a, dtype=dtype) for a in (value, offset, mask)), groups, scale


def gradients(operator: Callable[..., Tensor], given: Arguments) -> list[Tensor]:
    """Return the output and the gradients of a random weighting of it."""
    inputs = [t.clone().requires_grad_() for t in given[:3]]
    out = operator(*inputs, *given[3:])
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    return [out.detach(), *torch.autograd.grad(out, inputs, weights.to(out))]


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        size = max(1.0, float(theirs.abs().max()))
        assert ours.shape == theirs.shape
        assert float((ours.double() - theirs.double()).abs().max()) <= tolerance * size


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sites=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5)),
    groups=st.integers(1, 3),
    each=st.sampled_from([1, 2, 5, 16]),
    scale=st.sampled_from([1.0, 0.5, 2.0]),
    spread=st.sampled_from([0.0, 1.0, 5.0, 1e4]),
)
def test_same_as_slow_ones(
    seed: int, sites: tuple, groups: int, each: int, scale: float, spread: float
) -> None:
    given_ = arguments(seed, sites, groups, each, scale, spread)
    expected = gradients(grid_dcnv3, given_)
    found = gradients(dcnv3, given_)
    assert_close(found, expected, 1e-9)
    slow = loop_dcnv3(*(t.numpy() for t in given_[:3]), groups, scale)
    assert_close(found[:1], [torch.from_numpy(slow)], 1e-9)


def test_on_pixels() -> None:
    """Without offsets it is a sum over the neighbours; the derivatives are those to the right."""
    value, offset, mask, groups, scale = arguments(0)
    given_ = value, torch.zeros_like(offset), mask, groups, scale
    found = dcnv3(*given_)
    slow = loop_dcnv3(*(t.numpy() for t in given_[:3]), groups)
    assert_close([found], [torch.from_numpy(slow)], 1e-9)


def test_float32_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = arguments(4, (3, 9, 11), 4, 16)
    given_ = tuple(t.float() for t in exact[:3]), exact[3:]
    flat = (*given_[0], *given_[1])
    whole = gradients(dcnv3, flat)
    assert_close(whole, gradients(grid_dcnv3, exact), 1e-5)
    monkeypatch.setattr(module, "GRID_NUMBERS", 1000)
    assert_close(gradients(dcnv3, flat), whole, 1e-5)


def test_bfloat16() -> None:
    """Values are rounded, coordinates are not: a wide image would lose its last columns' places."""
    value, offset, mask, groups, scale = arguments(6, (1, 3, 700), 1, 4)
    rounded = value.bfloat16(), offset.float(), mask.float(), groups, scale
    found = gradients(dcnv3, rounded)
    expected = gradients(dcnv3, (rounded[0].double(), offset, mask, groups, scale))
    assert [t.dtype for t in found] == [
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
        torch.float32,
    ]
    assert_close(found, expected, 1e-2)


def test_wrong_shapes() -> None:
    for value, offset, told in (
        ((2, 5, 7, 5), (2, 5, 7, 36), "divisible"),
        ((2, 5, 7, 6), (2, 5, 7, 18), r"offset: \(2, 5, 7, 18\); allowed: \(2, 5, 7, 36\)"),
    ):
        with pytest.raises(ValueError, match=told):
            dcnv3(torch.zeros(value), torch.zeros(offset), torch.zeros(2, 5, 7, 18), 2)


@pytest.mark.gpu
def test_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    given_ = arguments(10, (3, 9, 11), 4, 16, dtype=torch.float32)
    there = (*(t.cuda() for t in given_[:3]), *given_[3:])
    found = [t.cpu() for t in gradients(dcnv3, there)]
    assert_close(found, gradients(dcnv3, given_), 1e-4)
