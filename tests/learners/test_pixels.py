"""``pixels``: the contract, and what is its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.color import rgb2lab

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN, read_label
from al.learners import get_learner
from al.learners.pixels.filters import features_of
from al.learners.pixels.settings import PixelsSettings
from al.learners.pixels.store import store_of
from al.learners.pixels.training import Samples
from al.learners.torchvision_cpu import import_torchvision
from tests.learners.contract import LearnerContract, files_of
from tests.learners.fakes import Toy, prepared

SMALL = {
    "2d": {"scales": 2, "hidden": [16], "batch": 256, "learning_rate": 0.01},
    "3d": {"scales": 2, "hidden": [16], "batch": 256, "learning_rate": 0.01, "reduce": [1, 2, 1]},
    "roi": {"scales": 1, "batch": 16, "learning_rate": 0.03, "noise": 0.3, "weight_decay": 3.0},
}


class TestContract(LearnerContract):
    learner = "pixels"
    settings = SMALL
    steps = {"2d": 60, "3d": 60, "roi": 300}
    ensemble = {"members": 2}


def slow_features(image: np.ndarray, scales: int) -> np.ndarray:
    """Smoothed lightness, its gradient's size and the sum of its Hessian's eigenvalues."""
    light = rgb2lab(image / 255)[..., 0] * 0.02
    found = []
    for scale in range(scales):
        smooth = ndimage.gaussian_filter(light, 2**scale, mode="nearest")
        found.append(smooth)
        found.append(np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / 8)
        rows, columns = np.gradient(smooth)
        found.append(np.gradient(rows, axis=0) + np.gradient(columns, axis=1))
    return np.stack(found, -1)


def test_features_against_a_slow_version() -> None:
    """Every feature of the slow version is a feature, or the sum of two, up to a factor."""
    image = Toy("2d", 1).images["i0"]
    found = features_of(image, PixelsSettings.of({"scales": 2}, "2d")).astype(float)
    slow = slow_features(image, 2)[4:-4, 4:-4].reshape(-1, 6)
    flat = found[4:-4, 4:-4].reshape(-1, found.shape[-1])
    sums = [flat[:, i] + flat[:, i + 1] for i in range(flat.shape[1] - 1)]
    each = np.concatenate([flat, np.stack(sums, -1)], -1)
    across = np.abs(np.corrcoef(slow.T, each.T)[:6, 6:])
    assert across.max(1).min() > 0.99


@pytest.mark.parametrize("task", ["2d", "3d"])
@pytest.mark.parametrize("reduce", [1, 3])
def test_samples_are_the_revealed_pixels(task: str, reduce: int, tmp_path: Path) -> None:
    toy, settings = Toy(task, 2), {"scales": 1, "position": True, "reduce": reduce}
    labels = toy.labels(tmp_path / "y", lambda y: np.random.default_rng(3).random(y.shape) < 0.99)
    job = prepared(get_learner("pixels"), toy.job(tmp_path, labels, 1, settings=settings))
    chosen = PixelsSettings.of(settings, task)
    samples = Samples(job, chosen, store_of(job, chosen))
    wanted, classes = [], []
    for row in labels:
        label = read_label(row.path)
        features = features_of(toy.images[row.image], chosen)
        for place in np.argwhere(label != UNKNOWN):
            wanted.append(features[tuple(place // reduce)])
            classes.append(label[tuple(place)])
    np.testing.assert_array_equal(samples.x, wanted)
    np.testing.assert_array_equal(samples.y, classes)


def test_of_many_pixels_some_are_drawn(tmp_path: Path) -> None:
    toy, settings = Toy("2d", 2), {"scales": 1, "most_pixels": 100}
    labels = toy.labels(tmp_path / "y")
    job = prepared(get_learner("pixels"), toy.job(tmp_path, labels, 1, settings=settings))
    chosen = PixelsSettings.of(settings, "2d")
    first, again, other = (
        Samples(replace(job, seed=seed), chosen, store_of(job, chosen)) for seed in (1, 1, 2)
    )
    assert len(first.y) == 200
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.x != other.x).any()


def test_what_is_prepared_is_kept_and_other_features_are_told(tmp_path: Path) -> None:
    """A killed preparation goes on; other features are refused; images without any are read."""
    learner, toy = get_learner("pixels"), Toy("2d", 3)
    job = prepared(learner, toy.job(tmp_path, toy.labels(tmp_path / "y"), 3, settings=SMALL["2d"]))
    plans = json.loads((job.prepared / "plans.json").read_text())
    files = sorted((job.prepared / plans["features"]).iterdir())
    assert len(files) == 3
    kept = files[0].stat().st_mtime_ns
    content = files[1].read_bytes()
    files[1].unlink()
    (job.prepared / "plans.json").unlink()
    prepared(learner, replace(job, prepared=None))
    assert files[0].stat().st_mtime_ns == kept
    assert files[1].read_bytes() == content
    assert json.loads((job.prepared / "plans.json").read_text()) == plans
    with pytest.raises(ConfigError, match="other settings something else is prepared"):
        learner.fit(replace(job, settings={**SMALL["2d"], "position": True}))
    with pytest.raises(ConfigError, match="not those of the cycle before"):
        learner.fit(replace(job, before={"plans": "others"}))
    learner.fit(job)
    row = toy.rows["i1"]
    model = learner.open(job.out, toy.layout, SMALL["2d"])
    held, first = model.segment(row), model.segment(toy.rows["i0"])
    files[1].unlink()
    computed = learner.open(job.out, toy.layout, SMALL["2d"]).segment(row)
    np.testing.assert_array_equal(held, computed)
    files[1].write_bytes(content[:-7])
    with pytest.raises(DataError, match="i1.npy"):
        learner.open(job.out, toy.layout, SMALL["2d"]).segment(row)
    # Whatever it is opened with, a model reads the features that it was trained on.
    other = learner.open(job.out, toy.layout, {**SMALL["2d"], "scales": 1, "reduce": 3})
    np.testing.assert_array_equal(other.segment(toy.rows["i0"]), first)


def test_images_may_be_added(tmp_path: Path) -> None:
    """What was prepared before they came is kept, theirs is made, and nothing tells the models."""
    learner, toy = get_learner("pixels"), Toy("2d", 3)
    job = toy.job(tmp_path / "a", toy.labels(tmp_path / "y"), 3, settings=SMALL["2d"])
    fewer = replace(job, rows={key: toy.rows[key] for key in ("i0", "i1")}, labels=[])
    late = replace(job, prepared=prepared(learner, fewer).prepared)
    early = prepared(learner, replace(job, work=tmp_path / "b/work", out=tmp_path / "b/model"))
    for each in (late, early):
        learner.fit(each)
    assert files_of(late.out) == files_of(early.out)


def test_thin_images_have_features() -> None:
    for shape in ((1, 20, 20), (20, 1, 20), (1, 1, 1)):
        found = features_of(np.ones(shape, np.float32), PixelsSettings.of({}, "3d"))
        assert found.shape[:-1] == shape and np.isfinite(found).all()
    large = np.random.default_rng(0).integers(0, 256, (50, 41, 3), np.uint8)
    whole = PixelsSettings.of({"reduce": 8}, "2d")
    found = features_of(large, whole)
    assert found.shape[:-1] == (7, 6)
    light = rgb2lab(large[8:16, 8:16] / 255)[..., 0].mean() * 0.02
    assert abs(found[1, 1, 0] - light) < 2e-3


def test_a_frozen_encoder(tmp_path: Path) -> None:
    """Its patch features, of a whole number of patches, are those of the network itself."""
    import_torchvision()
    import timm

    name, path = "vit_tiny_patch16_224", tmp_path / "w.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model(name, num_classes=0, dynamic_img_size=True).eval()
    torch.save(net.state_dict(), path)
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    section = {"encoder": name, "weights": str(path), "scales": 1}
    found = features_of(image, PixelsSettings.of(section, "2d"))[..., -192:].astype(float)
    found = found.reshape(3, 16, 4, 16, 192).mean((1, 3))
    x = torch.from_numpy((image / 255 - 0.5) / 0.5).float().movedim(-1, 0)[None]
    with torch.inference_mode():
        wanted = net.forward_features(x)[0, 1:].reshape(3, 4, 192).numpy()
    # Each patch is spread over its pixels, together with its neighbours, and averaged again.
    assert np.corrcoef(found[1, 1:3].ravel(), wanted[1, 1:3].ravel())[0, 1] > 0.9
    with pytest.raises(ConfigError, match="vit_unknown"):
        features_of(image, PixelsSettings.of({**section, "encoder": "vit_unknown"}, "2d"))
    with pytest.raises(ConfigError, match="encoder.*vit_small"):
        other = {**section, "encoder": "vit_small_patch16_224"}
        features_of(image, PixelsSettings.of(other, "2d"))
    with pytest.raises(ConfigError, match="weights.*nowhere"):
        PixelsSettings.of({**section, "weights": "nowhere.pt"}, "2d").decides()
    with pytest.raises(ConfigError, match="encoder"):
        PixelsSettings.of({**section, "encoder": "hf-hub:somebody/else"}, "2d")
