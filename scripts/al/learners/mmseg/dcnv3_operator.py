"""Which DCNv3 a device uses: the authors' compiled operator, if it gives the right numbers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .dcnv3 import POINTS, SIDE, dcnv3

Operator = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]

VARIABLE = "DECOMP_DCNV3"
CHOICES = ("auto", "plain")
MODULE = "DCNv3"
COMPILED_ON = {"cuda"}
# Of the largest number compared; float32 sums in another order differ by some 1e-6.
TOLERANCE = 1e-3
RESULTS = ("output", "gradient of value", "of offset", "of mask")


def choose_operator(device: torch.device) -> Operator:
    """Return the operator for tensors on a device, called as ``dcnv3`` is.

    Plain PyTorch, or on a CUDA device the module ``DCNv3`` of OpenGVLab's ``ops_dcnv3``, where that
    is installed and agrees with plain PyTorch on a small example, output and gradients: one built
    for another GPU prints an error and returns nonsense. Where it does not agree, a warning says
    so, once per device. The variable ``DECOMP_DCNV3=plain`` in the environment chooses plain
    PyTorch everywhere.

    Raises:
        ValueError: where the variable has another value than ``auto`` or ``plain``.
    """
    choice = os.environ.get(VARIABLE) or "auto"
    if choice not in CHOICES:
        raise ValueError(f"{VARIABLE}: {choice!r}; allowed: {', '.join(CHOICES)}")
    if choice == "plain" or device.type not in COMPILED_ON:
        return dcnv3
    return _tested(device)


@cache
def _tested(device: torch.device) -> Operator:
    try:
        module = import_module(MODULE)
        operator = _fitting(module, device)
        problem = _problem(operator, device)
    except ModuleNotFoundError as error:
        if error.name == MODULE:
            return dcnv3
        problem = f"its import failed: {error}"
    except Exception as error:  # whatever a wrongly built library does, training must be right
        problem = f"it raised {type(error).__name__}: {error}"
    if problem is None:
        return operator
    warnings.warn(
        f"the compiled DCNv3 operator is not used on {device}: its output and its gradients were "
        f"compared with those of plain PyTorch on a small example; {problem}. Training is "
        f"right, but slower. Build ops_dcnv3 for this GPU and this PyTorch, or set "
        f"{VARIABLE}=plain to silence this.",
        stacklevel=3,
    )
    return dcnv3


def _fitting(module: ModuleType, device: torch.device) -> Operator:
    """Wrap the module; its newer builds want one more argument, remove_center."""
    older = _wrap(module, ())
    try:
        older(*_example(device), 2, 1.0)
    except TypeError:
        return _wrap(module, (False,))
    return older


def _wrap(module: ModuleType, more: tuple[bool, ...]) -> Operator:
    def operator(
        value: Tensor, offset: Tensor, mask: Tensor, groups: int, scale: float = 1.0
    ) -> Tensor:
        # The operator knows no bfloat16, and float16 coordinates would be wrong.
        tensors = [t.float().contiguous() for t in (value, offset, mask)]
        return Compiled.apply(module, more, *tensors, groups, float(scale)).to(value.dtype)

    return operator


class Compiled(torch.autograd.Function):
    """The compiled forward and backward functions as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any,
        module: ModuleType,
        more: tuple[bool, ...],
        value: Tensor,
        offset: Tensor,
        mask: Tensor,
        groups: int,
        scale: float,
    ) -> Tensor:
        kernel, stride, padding, dilation = (SIDE, SIDE), (1, 1), (1, 1), (1, 1)
        channels = value.shape[-1] // groups
        ctx.module, ctx.more = module, more
        ctx.options = (*kernel, *stride, *padding, *dilation, groups, channels, scale)
        ctx.save_for_backward(value, offset, mask)
        with torch.cuda.device_of(value):
            # All images at once: the last number must divide how many there are.
            return module.dcnv3_forward(value, offset, mask, *ctx.options, len(value), *more)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, offset, mask = ctx.saved_tensors
        with torch.cuda.device_of(value):
            grads = ctx.module.dcnv3_backward(
                value, offset, mask, *ctx.options, grad.contiguous(), len(value), *ctx.more
            )
        return None, None, *grads, None, None


def _example(device: torch.device) -> list[Tensor]:
    """Value, offset and mask of two images and two groups, the same on every device.

    The points fall between pixels, inside and outside of the image: on a pixel, the gradient of
    the offset depends on rounding.
    """
    random = torch.Generator().manual_seed(0)
    images, height, width, groups, channels = 2, 5, 7, 2, 32
    sites = (images, height, width)
    value = torch.randn(*sites, channels, generator=random)
    whole = torch.randint(-4, 4, (*sites, groups * POINTS * 2), generator=random)
    offset = whole + 0.1 + 0.8 * torch.rand(whole.shape, generator=random)
    mask = torch.randn(*sites, groups, POINTS, generator=random).softmax(-1).flatten(-2)
    return [t.to(device) for t in (value, offset, mask)]


def _problem(operator: Operator, device: torch.device) -> str | None:
    """Return what is wrong with an operator's numbers, or None."""
    found, expected = _numbers(operator, device), _numbers(dcnv3, torch.device("cpu"))
    differences = [
        float((theirs - ours).abs().max() / ours.abs().max())
        for ours, theirs in zip(expected, found, strict=True)
    ]
    # Not "more than": a difference that is not a number must count.
    if all(difference <= TOLERANCE for difference in differences):
        return None
    told = zip(RESULTS, differences, strict=True)
    return "they differ, relative to the largest number: " + ", ".join(
        f"{n} {d:.3g}" for n, d in told
    )


def _numbers(operator: Operator, device: torch.device) -> list[Tensor]:
    """Run an operator on the example; return its output and gradients on the CPU."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        inputs = [t.requires_grad_() for t in _example(device)]
        out = operator(*inputs, 2, 1.0)
        if out.shape != inputs[0].shape:
            raise ValueError(f"output {tuple(out.shape)}; allowed: {tuple(inputs[0].shape)}")
        weights = torch.linspace(-1, 1, out.numel()).view_as(out).to(out.device)
        grads = torch.autograd.grad(out, inputs, weights)
    return [t.detach().cpu() for t in (out, *grads)]
