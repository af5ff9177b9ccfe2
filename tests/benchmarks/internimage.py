"""Time and memory of InternImage-T, against the same network on ``grid_sample``.

    OMP_NUM_THREADS=1 python tests/benchmarks/internimage.py [--device cuda]

A process of its own per variant and round; the rounds alternate, so that what else the machine
does falls on all variants. ``as usual`` keeps the samples for the backward pass.
Offsets are drawn anew, a pixel or two large: those of a new network are 0, which is easier on the
caches.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from al.learners.mmseg import internimage
from al.learners.mmseg.internimage import InternImage
from tests.benchmarks.machine import cpu_name
from tests.learners.brute_dcnv3 import grid_dcnv3

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "as usual": {"dcnv3": grid_dcnv3},
}
PASSES = ("forward", "step")


class Timed(torch.autograd.Function):
    """An operator that adds the seconds of its forward and backward pass to a list."""

    @staticmethod
    def forward(ctx: Any, operator: Callable, seconds: list[float], *given: Any) -> Tensor:
        inputs = [t.detach().requires_grad_() for t in given[:3]]
        start = now(inputs[0].device)
        with torch.set_grad_enabled(any(ctx.needs_input_grad)):
            out = operator(*inputs, *given[3:])
        seconds.append(now(out.device) - start)
        ctx.state = inputs, out, seconds
        return out.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, out, seconds = ctx.state
        start = now(grad.device)
        grads = torch.autograd.grad(out, inputs, grad)
        seconds.append(now(grad.device) - start)
        return None, None, *grads, None, None


def now(device: torch.device) -> float:
    """Return the clock's seconds, when the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def build(device: torch.device) -> InternImage:
    """Return InternImage-T whose points have moved."""
    torch.manual_seed(0)
    network = InternImage(64, (4, 4, 18, 4), (4, 8, 16, 32))
    for name, parameter in network.named_parameters():
        if name.endswith(("offset.weight", "mask.weight")):
            nn.init.normal_(parameter, std=2 / parameter.shape[1] ** 0.5)
    return network.to(device)


def run_once(network: InternImage, images: Tensor, what: str) -> float:
    """Run a forward pass without gradients, or a training step; return a number of its output."""
    network.train(what == "step")
    for block in network.modules():
        if isinstance(block, internimage.DropPath):
            block.eval()  # the variants are to do the same
    with torch.set_grad_enabled(what == "step"):
        loss = sum(stage.abs().mean() for stage in network(images))
    if what == "step":
        network.zero_grad()
        loss.backward()
    return float(loss.detach())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the variant of this process: seconds, CPU seconds, share of the operator, MiB."""
    torch.set_num_threads(1)
    device = torch.device(options.device)
    network, found = build(device), {}
    images = torch.randn(options.batch, 3, options.height, options.width).to(device)
    for what in PASSES:
        result = run_once(network, images, what)
        elapsed, used = [], []
        for _ in range(options.repeats):
            start, processor = now(device), time.process_time()
            run_once(network, images, what)
            elapsed.append(now(device) - start)
            used.append(time.process_time() - processor)
        found[what] = {"seconds": elapsed, "cpu": used, "result": result, "mib": peak(device)}
        chosen, seconds = internimage.dcnv3, []
        timed = partial(Timed.apply, chosen, seconds)
        with mock.patch.object(internimage, "dcnv3", timed):
            start = now(device)
            run_once(network, images, what)
            found[what]["share"] = sum(seconds) / (now(device) - start)
    return found


def peak(device: torch.device) -> float:
    """Return the most memory that was held, in MiB: the device's, or this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def call(variant: str) -> dict[str, Any]:
    """Measure a variant in a fresh process, called with the same arguments as this one."""
    command = [sys.executable, __file__, *sys.argv[1:], "--variant", variant]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(rounds: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the lines of the table; AssertionError where the variants' results differ."""
    lines = [
        "| pass | variant | median s | CPU s | of it DCNv3 | peak MiB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for what in PASSES:
        results = [found[what]["result"] for many in rounds.values() for found in many]
        assert max(results) - min(results) < 1e-3 * max(results), results
        for variant, many in rounds.items():
            found = [one[what] for one in many]
            seconds, cpu = (
                statistics.median(s for one in found for s in one[k]) for k in ("seconds", "cpu")
            )
            share = statistics.median(one["share"] for one in found)
            lines.append(
                f"| {what} | {variant} | {seconds:.2f} | {cpu:.2f} | {100 * share:.0f} % | "
                f"{max(one['mib'] for one in found):.0f} |"
            )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {
        "height": 512, "width": 1024, "batch": 1, "repeats": 3, "rounds": 2,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        for name, value in VARIANTS[options.variant].items():
            setattr(internimage, name, value)
        print(json.dumps(measure(options)))
        return
    before = os.getloadavg()[0]
    rounds: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
    for _ in range(options.rounds):
        for variant, found in rounds.items():
            found.append(call(variant))
    place = torch.cuda.get_device_name() if "cuda" in options.device else f"{cpu_name()}, 1 thread"
    print(
        f"InternImage-T, {options.batch} x 3 x {options.height} x {options.width}, float32; "
        f"{place}; PyTorch {torch.__version__}; load {before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after\n"
    )
    print("\n".join(table(rounds)))


if __name__ == "__main__":
    main()
