"""Features, residuals and probabilities of regions against slow loops, and against autograd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from al.learners import get_learner
from al.learners.convnet.images import load_image, scale
from al.learners.convnet.inference import MapConvnet
from al.learners.regions import unit_length
from decomp_core import Region
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL

# Small receptive fields: a tile's middle then holds what the whole image has there.
SHALLOW = {
    "2d": {**SMALL["2d"], "depth": 1, "stem": 2},
    "3d": {**SMALL["3d"], "depth": 1, "stem": [1, 2, 2]},
}
TILE = {"2d": [24, 30], "3d": [16, 16, 17]}


@dataclass
class Model:
    """A trained model of a toy, and its first image."""

    toy: Toy
    path: Path
    settings: dict[str, Any]

    @classmethod
    def fit(cls, task: str, folder: Path, settings: dict[str, Any]) -> Model:
        toy = Toy(task)
        job = toy.job(folder, toy.labels(folder / "y"), 4, settings=settings)
        get_learner("convnet").fit(job)
        return cls(toy, job.out, settings)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.toy.truth["i0"].shape

    def embed(self, regions: list[Region], pooling: str = "mean", **changes: Any) -> np.ndarray:
        return self.opened(**changes).embed(self.toy.rows["i0"], regions, pooling)

    def opened(self, **changes: Any) -> MapConvnet:
        settings = {**self.settings, **changes}
        return get_learner("convnet").open(self.path, self.toy.layout, settings)

    def loaded(self) -> tuple[MapConvnet, torch.Tensor]:
        loaded = self.opened()
        return loaded, torch.from_numpy(loaded.open_image(self.toy.rows["i0"]))[None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """One model per task, and one with ``SHALLOW`` settings."""
    found = {}
    for task in ("2d", "3d"):
        found[task] = Model.fit(task, tmp_path_factory.mktemp(task), SMALL[task])
        folder = tmp_path_factory.mktemp("shallow")
        found[f"shallow {task}"] = Model.fit(task, folder, SHALLOW[task])
    return found


def _regions(shape: tuple[int, ...], rng: np.random.Generator) -> list[Region]:
    """Boxes of any size, slice windows, corners, single pixels, the whole image."""
    found = [
        Region((0,) * len(shape), shape),
        Region(tuple(n - 1 for n in shape), (1,) * len(shape)),
    ]
    for number in range(8):
        size = [int(rng.integers(1, n // 2 + 2)) for n in shape]
        if len(shape) == 3 and number % 2:
            size[0] = 1
        start = [int(rng.integers(0, n - s + 1)) for n, s in zip(shape, size, strict=True)]
        if number == 4:
            start = [n - s for n, s in zip(shape, size, strict=True)]
        found.append(Region(tuple(start), tuple(size)))
    return found


def _slow_pool(
    cells: np.ndarray, region: Region, stride: tuple[int, ...], pooling: str
) -> np.ndarray:
    """Pool pixel by pixel: every pixel of the region has the features of its cell."""
    pixels = [
        cells[(slice(None), *(p // s for p, s in zip(place, stride, strict=True)))]
        for place in np.ndindex(*region.size)
        for place in [np.add(place, region.start)]
    ]
    return np.mean(pixels, 0) if pooling == "mean" else np.max(pixels, 0)


@pytest.mark.parametrize("task", ["2d", "3d"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooling_agrees_with_a_loop_over_pixels(
    task: str, pooling: str, models: dict[str, Model]
) -> None:
    model = models[task]
    regions = _regions(model.shape, np.random.default_rng(5))
    loaded, image = model.loaded()
    cells, stride = loaded.run("features", image)[0].numpy(), loaded.encoder.stride
    slow = np.stack([_slow_pool(cells, r, stride, pooling) for r in regions])
    expected = unit_length(slow) if pooling == "mean" else slow
    np.testing.assert_allclose(model.embed(regions, pooling), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["2d", "3d"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_tiles_pool_as_the_whole_image(task: str, pooling: str, models: dict[str, Model]) -> None:
    """Also for regions larger than a tile, which no single tile holds."""
    model = models[f"shallow {task}"]
    regions = [Region((0,) * len(model.shape), model.shape)]
    for start in np.ndindex(*(2,) * len(model.shape)):
        size = tuple(n // 2 + 3 for n in model.shape)
        begin = tuple(s * (n - w) for s, n, w in zip(start, model.shape, size, strict=True))
        regions.append(Region(begin, size))
    tiled = model.embed(regions, pooling, tile=TILE[task], overlap=0.6)
    np.testing.assert_allclose(tiled, model.embed(regions, pooling), rtol=1e-4, atol=1e-5)


def test_a_small_region_is_read_from_one_tile(models: dict[str, Model]) -> None:
    model = models["2d"]
    region, settings = Region((40, 34), (8, 10)), {"tile": [32, 32], "overlap": 0.5}
    loaded, image = model.loaded()
    # Tiles start at 0, 16 (rows) and 0, 16, 32 (columns): the second of each is the nearest.
    cells = loaded.run("features", image[..., 16:48, 16:48])[0].numpy()
    inside = Region((24, 18), (8, 10))
    slow = _slow_pool(cells, inside, loaded.encoder.stride, "max")
    np.testing.assert_allclose(model.embed([region], "max", **settings)[0], slow, rtol=1e-5)


@pytest.mark.parametrize("task", ["2d", "3d"])
def test_residuals_agree_with_a_loop(task: str, models: dict[str, Model]) -> None:
    model = models[task]
    opened, row = model.opened(tile=TILE[task]), model.toy.rows["i0"]
    regions = _regions(model.shape, np.random.default_rng(6))
    found = opened.residuals(row, regions)
    ((_, p, _),) = opened.probabilities([row])
    slow = np.zeros((len(regions), 3))
    for number, region in enumerate(regions):
        for pixel in np.moveaxis(p, 0, -1)[region.slices].reshape(-1, 3):
            onehot = [0.0, 0.0, 0.0]
            onehot[list(pixel).index(max(pixel))] = 1.0
            slow[number] += (pixel - onehot) / np.prod(region.size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, atol=2e-6)
    assert np.abs(slow).max() > 0.005


def test_badge_is_the_gradient_of_a_roi(tmp_path: Path) -> None:
    """The classifier's weight gets (p - onehot) outer feature from cross-entropy with argmax p."""
    learner, toy = get_learner("convnet"), Toy("roi", 9)
    settings = {**SMALL["roi"], "members": 2}
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 4, settings=settings)
    learner.fit(job)
    rows = list(toy.rows.values())
    model = learner.open(job.out, toy.layout, settings)
    features = model.embed_rois(rows, unit=False)
    residuals = model.residuals_rois(rows)
    net = model.nets[0]
    for number, row in enumerate(rows):
        image = torch.from_numpy(scale(load_image(toy.layout, row, "roi")))[None]
        logits = net(image)
        loss = torch.nn.functional.cross_entropy(logits, logits.argmax(1))
        (gradient,) = torch.autograd.grad(loss, net.head.weight)
        expected = np.outer(residuals[number], features[number])
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-3, atol=1e-6)
        assert np.abs(expected).max() > 1e-3


def test_regions_that_leave_the_image_are_refused(models: dict[str, Model]) -> None:
    opened, row = models["2d"].opened(), models["2d"].toy.rows["i0"]
    for region in (Region((40, 0), (9, 4)), Region((0, 60), (4, 5)), Region((0, 0, 0), (1, 2, 2))):
        with pytest.raises(ValueError, match="regions: .*inside an image of \\(48, 64\\)"):
            opened.embed(row, [Region((0, 0), (2, 2)), region])
        with pytest.raises(ValueError, match="regions"):
            opened.residuals(row, [region])
