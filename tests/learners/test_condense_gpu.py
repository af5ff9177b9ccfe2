"""The GPU's kernel: interpreted on the host, built for GPUs that are not there, and on one.

Triton's interpreter is chosen before Triton is imported, so what needs it runs this file as a
program.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from al.learners import condense_gpu as module
from al.learners.condense import condense, condense_nested, condense_slabs, digest
from al.learners.condense_gpu import bins_of, by_triton
from al.learners.condense_torch import Part, Rule

MEASURES = ("entropy", "least_confidence", "margin", "mutual_information", "nested")
SHAPES = ((1, 50), (2, 7), (4, 1030), (19, 513), (40, 520))
TAUS = (0.7, 0.1, 0.7, 0.95)
SCRIPTS = Path(module.__file__).parents[2]
triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


Case = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, Rule]


def case(measure: str, shape: tuple[int, int], taken: bool, device: str = "cpu") -> Case:
    """Make probabilities, entropies of members, valid positions and the rule."""
    made = torch.Generator().manual_seed(sum(shape) + taken)
    p = (3 * torch.randn(shape, generator=made)).softmax(0)
    p[:, ::9] = 1 / shape[0]
    order, spread = (), None
    if measure == "nested":
        p = torch.rand(shape, generator=made)
        p[:, ::5] = 0.5
        order = tuple((torch.randperm(shape[0], generator=made) + 1).tolist())
    if measure == "mutual_information":
        spread = (torch.rand(shape[1], generator=made) / 5).to(device)
    valid = (torch.rand(shape[1], generator=made) < 0.5).to(device) if taken else None
    rule = Rule(shape[0] + bool(order), TAUS[: 1 + shape[0] % 4], measure, order)
    return p.to(device), spread, valid, rule


def compare(found: Part | None, expected: Part) -> None:
    """The same labels and counts, levels that differ by one at most, and seldom, and a mean."""
    assert found is not None
    assert torch.equal(found.labels.cpu(), expected.labels)
    assert torch.equal(found.counts.cpu(), expected.counts)
    off = (found.uncertainty.cpu().int() - expected.uncertainty.int()).abs()
    assert off.max() <= 1
    assert off.sum() <= 0.01 * len(off) + 1
    assert abs(found.total - expected.total) < 1e-6 * len(off)


def check_all(device: str) -> None:
    """The kernel against the host, whatever is asked for."""
    for measure in MEASURES:
        for shape in SHAPES:
            for taken in (False, True):
                p, spread, valid, rule = case(measure, shape, taken, device)
                host = [None if v is None else v.cpu() for v in (p, spread, valid)]
                compare(by_triton(p, spread, valid, rule), digest(*host, rule))


def check_views(device: str) -> None:
    """A part of a larger tensor, and one whose positions are not neighbours in memory."""
    p, _, _, rule = case("margin", (4, 1030), False)
    whole = p.to(device)
    compare(by_triton(whole[:, 17:900], None, None, rule), digest(p[:, 17:900], None, None, rule))
    turned = whole.T.contiguous().T
    compare(by_triton(turned, None, None, rule), digest(p, None, None, rule))


def check_declined(device: str) -> None:
    """What is no probability, and more bins than a histogram has, are left to torch."""
    rule = Rule(3, (0.5,), "entropy")
    for value in (float("nan"), -1e-9, float("inf"), 1.01):
        p = torch.full((3, 700), 1 / 3)
        p[1, 600] = value
        assert by_triton(p.to(device), None, None, rule) is None
    many = Rule(256, tuple(i / 8 for i in range(4)), "entropy")
    assert by_triton(torch.full((2, 9), 0.5, device=device), None, None, many) is None


@triton
def test_interpreted_on_the_host() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    paths = [str(SCRIPTS), str(SCRIPTS.parent), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(p for p in paths if p)
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]


@triton
@pytest.mark.skipif(bool(os.environ.get("TRITON_INTERPRET")), reason="Triton interprets here")
@pytest.mark.parametrize("capability", [75, 80, 90])
@pytest.mark.parametrize("kind", range(6))
def test_is_built_for_devices_that_are_not_there(
    kind: int, capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to machine code, and without a local array, which would be memory outside the chip."""
    from triton import compile as build
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = module._condense_kernel
    types = dict.fromkeys(("p", "spread", "taus"), "*fp32")
    types |= dict.fromkeys(("valid", "labels", "uncertainty"), "*u8")
    types |= {"order": "*i32", "counts": "*i32", "sums": "*i64", "size": "i32", "stride": "i32"}
    types |= {"unit": "fp32", "nats": "fp32"}
    held, bins = bins_of(Rule(19, (0.5, 0.9)))
    fixed = {"ROWS": 19, "KIND": kind, "MASKED": True, "TAUS": 2, "NO_BIN": held, "BINS": bins}
    fixed["BLOCK"] = module.BLOCK
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    target = GPUTarget("cuda", capability, 32)
    made = build(ASTSource(kernel, signature, fixed), target, {"num_warps": module.WARPS})
    assert made.asm["cubin"]
    assert ".local" not in made.asm["ptx"]


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "triton", None)
    p, spread, valid, rule = case("entropy", (4, 50), True)
    assert by_triton(p, spread, valid, rule) is None


def test_a_triton_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a C compiler on the node: told once, and torch does it from then on."""

    def launch(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(module, "triton", object())
    monkeypatch.setattr(module, "_by_kernel", launch)
    monkeypatch.setattr(module, "_REFUSED", [])
    arguments = case("entropy", (4, 50), True)
    with pytest.warns(UserWarning, match="C compiler"):
        assert by_triton(*arguments) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert by_triton(*arguments) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_device() -> None:
    if module.triton is not None:
        check_all("cuda")
        check_views("cuda")
        check_declined("cuda")
    p = torch.rand(4, 6, 30, 50).softmax(0)
    valid, rule = torch.rand(6, 30, 50) < 0.5, Rule(4, TAUS, "entropy")
    pairs = [
        (condense(p.cuda(), valid.cuda(), TAUS), condense(p, valid, TAUS)),
        (condense_nested(p.cuda(), (1, 2, 3, 4), 5, valid.cuda(), TAUS),
         condense_nested(p, (1, 2, 3, 4), 5, valid, TAUS)),
    ]  # fmt: skip
    from al.learners import Request

    slabs = [(slice(a, a + 2), p[:, a : a + 2].cuda(), None) for a in (0, 2, 4)]
    request = Request(frozenset(), rule.thresholds, rule.measure)
    pairs.append((condense_slabs(slabs, p.shape[1:], 4, (), valid, request), pairs[0][1]))
    for found, expected in pairs:
        assert torch.equal(found.labels.cpu(), expected.labels)
        assert torch.equal(found.predicted.cpu(), expected.predicted)
        assert torch.equal(found.confident.cpu(), expected.confident)
        off = found.uncertainty.cpu().int() - expected.uncertainty.int()
        assert off.abs().max() <= 1
        assert abs(found.mean_uncertainty - expected.mean_uncertainty) < 1e-6


if __name__ == "__main__":
    check_all("cpu")
    check_views("cpu")
    check_declined("cpu")
