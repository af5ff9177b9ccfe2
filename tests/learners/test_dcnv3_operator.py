"""The compiled DCNv3 operator is used where its numbers are right, and only there."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from al.learners.mmseg import dcnv3_operator
from al.learners.mmseg.dcnv3 import dcnv3
from al.learners.mmseg.dcnv3_operator import choose_operator
from tests.learners.brute_dcnv3 import grid_dcnv3

CPU = torch.device("cpu")
KERNEL = (3, 3, 1, 1, 1, 1, 1, 1)


@pytest.fixture(autouse=True)
def compiled_on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the CPU stand for a CUDA device, without a module and without a variable."""
    monkeypatch.setattr(dcnv3_operator, "COMPILED_ON", {"cpu"})
    monkeypatch.setitem(sys.modules, "DCNv3", None)
    monkeypatch.delenv("DECOMP_DCNV3", raising=False)
    dcnv3_operator._tested.cache_clear()
    yield
    dcnv3_operator._tested.cache_clear()


class Fake:
    """A module like the compiled one; ``changes`` are applied to its output and gradients."""

    def __init__(self, newer: bool = False, **changes: Any) -> None:
        self.newer, self.changes, self.calls = newer, changes, 0

    def dcnv3_forward(self, value: Tensor, offset: Tensor, mask: Tensor, *rest: Any) -> Tensor:
        self.calls += 1
        *_, groups, scale, step = self._read(value, rest)
        assert len(value) % min(len(value), step) == 0
        return self._change("output", grid_dcnv3(value, offset, mask, groups, scale))

    def dcnv3_backward(
        self, value: Tensor, offset: Tensor, mask: Tensor, *rest: Any
    ) -> list[Tensor]:
        *_, groups, scale, grad, _ = self._read(value, rest)
        inputs = [t.detach().requires_grad_() for t in (value, offset, mask)]
        with torch.enable_grad():
            out = grid_dcnv3(*inputs, groups, scale)
        grads = torch.autograd.grad(out, inputs, grad)
        names = ("value", "offset", "mask")
        return [self._change(name, g) for name, g in zip(names, grads, strict=True)]

    def _read(self, value: Tensor, rest: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.newer:
            *rest, remove_center = rest
            if remove_center is not False:
                raise TypeError("incompatible function arguments")
        kernel, (groups, channels, *rest) = tuple(rest[:8]), rest[8:]
        if len(rest) not in (2, 3) or not isinstance(rest[-1], int):
            raise TypeError("incompatible function arguments")
        assert kernel == KERNEL and groups * channels == value.shape[-1]
        assert value.is_contiguous() and value.dtype == torch.float32
        return groups, *rest

    def _change(self, name: str, tensor: Tensor) -> Tensor:
        return self.changes[name](tensor) if name in self.changes else tensor


def install(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    monkeypatch.setitem(sys.modules, "DCNv3", module)


def failing(*_: Any) -> Tensor:
    raise RuntimeError("no kernel image is available for execution on the device")


@pytest.mark.parametrize("newer", [False, True])
def test_right_one_is_used(monkeypatch: pytest.MonkeyPatch, newer: bool) -> None:
    fake = Fake(newer)
    install(monkeypatch, fake)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        operator = choose_operator(CPU)
    assert operator is not dcnv3 and choose_operator(CPU) is operator
    tested = fake.calls
    random = torch.Generator().manual_seed(3)
    sizes = (64, 72, 36)
    inputs = [torch.randn(3, 4, 6, n, generator=random).requires_grad_() for n in sizes]
    found = operator(*inputs, 4, 0.7)
    assert fake.calls == tested + 1
    expected = dcnv3(*inputs, 4, 0.7)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        rtol=1e-3,
        atol=1e-3,
    )
    half = [inputs[0].bfloat16(), *inputs[1:]]
    assert operator(*half, 4, 0.7).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Fake(output=lambda t: t * float("nan")), "output nan"),
        (Fake(output=lambda t: t[:1]), r"it raised ValueError: output \(1, 5, 7, 32\)"),
        (Fake(offset=lambda t: t.flip(-1)), "of offset [0-9]"),
        (Fake(mask=lambda t: 1.01 * t), "of mask 0.01"),
        (Fake(mask=failing), "it raised RuntimeError: no kernel image"),
        (SimpleNamespace(dcnv3_forward=lambda: None), "it raised TypeError"),
    ],
)
def test_wrong_one_is_not(monkeypatch: pytest.MonkeyPatch, module: Any, message: str) -> None:
    install(monkeypatch, module)
    with pytest.warns(UserWarning, match=message) as caught:
        assert choose_operator(CPU) is dcnv3
    text = str(caught[0].message)
    assert "compared with those of plain PyTorch" in text and "DECOMP_DCNV3=plain" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_operator(CPU) is dcnv3


def test_broken_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name, line in (("a", "raise ImportError('undefined symbol: x')"), ("b", "import nowhere_")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "DCNv3.py").write_text(line)
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "DCNv3")
            patch.syspath_prepend(str(folder))
            dcnv3_operator._tested.cache_clear()
            with pytest.warns(UserWarning, match="undefined symbol|nowhere_"):
                assert choose_operator(CPU) is dcnv3


def test_absent_or_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "DCNv3")
            assert choose_operator(CPU) is dcnv3
        fake = Fake()
        install(monkeypatch, fake)
        monkeypatch.setenv("DECOMP_DCNV3", "plain")
        assert choose_operator(CPU) is dcnv3
        monkeypatch.delenv("DECOMP_DCNV3")
        monkeypatch.setattr(dcnv3_operator, "COMPILED_ON", {"cuda"})
        assert choose_operator(CPU) is dcnv3
        assert fake.calls == 0


def test_wrong_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECOMP_DCNV3", "fast")
    with pytest.raises(ValueError, match="DECOMP_DCNV3: 'fast'; allowed: auto, plain"):
        choose_operator(CPU)


def test_in_any_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is first asked for wherever a network is first run, and leaves the random numbers be."""
    install(monkeypatch, Fake())
    state = torch.get_rng_state()
    for context in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu")):
        dcnv3_operator._tested.cache_clear()
        with context:
            assert choose_operator(CPU) is not dcnv3
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.gpu
def test_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether installed or not, what is chosen on a GPU is right."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    monkeypatch.undo()
    device = torch.device("cuda", torch.cuda.current_device())
    assert dcnv3_operator._problem(choose_operator(device), device) is None
