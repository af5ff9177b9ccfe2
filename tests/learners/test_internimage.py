"""InternImage against reference vectors, and what a backbone must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from al.learners.mmseg import internimage as module
from al.learners.mmseg.dcnv3 import dcnv3
from al.learners.mmseg.internimage import DropPath, InternImage
from tests.learners.brute_dcnv3 import grid_dcnv3

REFERENCE = Path(__file__).parents[3] / "shared" / "data" / "reference"
TINY: dict[str, Any] = {"channels": 16, "depths": (1, 1, 2, 1), "groups": (1, 2, 4, 8)}
T: dict[str, Any] = {"channels": 64, "depths": (4, 4, 18, 4), "groups": (4, 8, 16, 32)}


def reference(name: str) -> Path:
    """Return the path of a reference file; skip where it is absent."""
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def lively(seed: int = 0, **changes: Any) -> InternImage:
    """Return a tiny network whose points have moved, unlike those of a new one."""
    torch.manual_seed(seed)
    network = InternImage(**{**TINY, **changes})
    for name, parameter in network.named_parameters():
        if ".offset." in name or ".mask." in name:
            nn.init.normal_(parameter, std=0.3)
    return network


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9))


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative to the largest number."""
    assert found.shape == expected.shape
    return float((found.double() - expected).detach().abs().max() / expected.detach().abs().max())


def test_reference_vectors() -> None:
    with np.load(reference("internimage_small.npz")) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    state = {k.removeprefix("param:"): v for k, v in arrays.items() if k.startswith("param:")}
    network = InternImage(**TINY).eval()
    network.load_state_dict(state, strict=True)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            stages = network(arrays["input"])
        assert len(stages) == 4
        for level, stage in enumerate(stages):
            assert distance(stage.detach(), arrays[f"stage{level}"]) < 1e-5


def test_published_names_and_shapes() -> None:
    lines = reference("internimage_t_state_dict.txt").read_text().splitlines()
    shapes = {}
    for name, shape in (line.split("\t") for line in lines):
        shapes[name] = torch.zeros([int(n) for n in shape.split("x")])
    network = InternImage(**T)
    network.load_state_dict(shapes, strict=True)
    assert sum(p.numel() for p in network.parameters()) == sum(s.numel() for s in shapes.values())


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_same_with_grid_sample(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """Output and all gradients, with the independent operator in its place."""
    found = []
    network = lively(offset_scale=scale, drop_path_rate=0.0).double()
    x = images(2, 3, 40, 56).double()
    for operator in (dcnv3, grid_dcnv3):
        monkeypatch.setattr(module, "choose_operator", lambda _, chosen=operator: chosen)
        network.zero_grad()
        stages = network(x)
        sum(stage.square().mean() for stage in stages).backward()
        found.append([*stages, *(p.grad for p in network.parameters())])
    assert all(distance(ours, theirs) < 1e-8 for ours, theirs in zip(*found, strict=True))


@pytest.mark.parametrize("size", [(61, 95), (5, 70), (1, 1)])
def test_any_size(size: tuple[int, int]) -> None:
    stages = lively().eval()(images(2, 3, *size))
    for level, stage in enumerate(stages):
        stride = 4 * 2**level
        expected = (2, 16 * 2**level, *(-(-n // stride) for n in size))
        assert stage.shape == expected and stage.isfinite().all()


def test_chosen_levels() -> None:
    network = lively().eval()
    every = network(images(1, 3, 32, 32))
    network.out_indices = (0, 2)
    for found, level in zip(network(images(1, 3, 32, 32)), (0, 2), strict=True):
        assert torch.equal(found, every[level])
    assert network.widths == [16, 32, 64, 128]


def test_drop_path() -> None:
    """Rates rise from layer to layer; what is left out is drawn, and keeps the mean."""
    network, x = lively(drop_path_rate=0.4), images(2, 3, 32, 32)
    rates = [m.rate for m in network.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    outputs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        outputs.append(network(x)[-1].detach())
    assert not torch.equal(*outputs)
    network.eval()
    state = torch.get_rng_state()
    assert torch.equal(network(x)[-1], network(x)[-1])
    assert torch.equal(torch.get_rng_state(), state)
    factors = DropPath(0.25)(torch.ones(4000, 2, 3))
    assert factors.shape == (4000, 1, 1)
    assert factors.unique().tolist() == pytest.approx([0, 4 / 3])
    assert abs(float(factors.mean()) - 1) < 0.03


def test_start() -> None:
    """The same seed gives the same network; convolutions start without offsets."""
    networks = []
    for _ in range(2):
        torch.manual_seed(4)
        networks.append(InternImage(**TINY))
    state = networks[0].state_dict()
    assert all(torch.equal(v, state[k]) for k, v in networks[1].state_dict().items())
    for name, parameter in networks[0].named_parameters():
        if ".offset." in name or ".mask." in name or "proj.bias" in name:
            assert not parameter.any(), name
        if "gamma" in name:
            assert (parameter == 1).all(), name
        if "mlp.fc1.weight" in name:
            assert 0.015 < float(parameter.detach().std()) < 0.025, name
        if "_proj.weight" in name:
            bound = (3 / parameter.shape[0]) ** 0.5
            assert 0.9 * bound < float(parameter.detach().abs().max()) <= bound, name


def test_layer_scale() -> None:
    start = InternImage(**TINY, layer_scale=0.5).state_dict()
    assert (start["levels.2.blocks.1.gamma2"] == 0.5).all()
    scaled, plain = lively(layer_scale=1.0).eval(), lively(layer_scale=None).eval()
    assert not any("gamma" in name for name in plain.state_dict())
    for ours, theirs in zip(scaled(images(1, 3, 32, 32)), plain(images(1, 3, 32, 32)), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_bfloat16() -> None:
    network, x = lively().eval(), images(2, 3, 64, 96)
    exact = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        stages = network(x)
    for found, expected in zip(stages, exact, strict=True):
        size = float(expected.detach().square().mean().sqrt())
        error = float((found.float() - expected).detach().square().mean().sqrt())
        assert error < 0.03 * size
    sum(stage.float().square().mean() for stage in stages).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images: \(1, 1, 32, 32\); allowed: \(N, 3, H, W\)"):
        InternImage(**TINY)(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="groups: 3 in level 2; allowed: divisors of its 64"):
        InternImage(**{**TINY, "groups": (1, 2, 3, 8)})


@pytest.mark.gpu
def test_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    network, x = lively().eval(), images(2, 3, 61, 95)
    expected = network(x)
    network.cuda()
    for ours, theirs in zip(network(x.cuda()), expected, strict=True):
        assert distance(ours.detach().cpu(), theirs.detach()) < 1e-2  # TF32 convolutions
    with torch.autocast("cuda", torch.bfloat16):
        stages = network(x.cuda())
    sum(stage.float().square().mean() for stage in stages).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert distance(stages[-1].detach().float().cpu(), expected[-1].detach()) < 0.1
