"""``convnet``: the contract, and what is its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN, read_label, write_label
from al.io.tables import LabelRow, PoolRow
from al.learners import FitJob, get_learner
from al.learners.convnet.images import with_position
from al.learners.convnet.settings import ConvnetSettings
from tests.learners.contract import LearnerContract, files_of
from tests.learners.fakes import FakeLayout, Toy

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "2d": {"width": 8, "depth": 3, "crop": [32, 32], "batch": 4, "learning_rate": 0.01},
    "3d": {"width": 4, "depth": 2, "stem": 1, "crop": [8, 16, 16], "learning_rate": 0.01},
    "roi": {"width": 8, "depth": 2, "batch": 8, "learning_rate": 0.01},
}


class TestContract(LearnerContract):
    learner = "convnet"
    settings = SMALL
    steps = {"2d": 60, "3d": 60, "roi": 60}
    ensemble = {"members": 2}


@pytest.mark.parametrize("task", ["2d", "3d"])
def test_only_revealed_pixels_teach(task: str, tmp_path: Path) -> None:
    """The image's truth under what is hidden may be anything: the same model, byte for byte."""
    models = []
    for name in ("a", "b"):
        toy = Toy(task)
        if name == "b":
            rng = np.random.default_rng(3)
            for key, truth in toy.truth.items():
                noise = rng.integers(0, 3, truth.shape).astype(np.uint8)
                toy.truth[key] = np.where(_hidden(truth), noise, truth)
        labels = toy.labels(tmp_path / name / "y", _hidden)
        get_learner("convnet").fit(toy.job(tmp_path / name, labels, 3, settings=SMALL[task]))
        models.append(files_of(tmp_path / name / "model"))
    assert models[0] == models[1]


def _hidden(label: np.ndarray) -> np.ndarray:
    hidden = np.ones(label.shape, bool)
    hidden[..., 4:20, 4:20] = False
    return hidden


def test_revealed_pixels_do_teach(tmp_path: Path) -> None:
    """The counterpart: one revealed class changed, another model."""
    toy, models = Toy("2d"), []
    for name in ("a", "b"):
        labels = toy.labels(tmp_path / name / "y", _hidden)
        if name == "b":
            label = read_label(labels[0].path).copy()
            label[label != UNKNOWN] = 2
            write_label(labels[0].path, label)
        get_learner("convnet").fit(toy.job(tmp_path / name, labels, 3, settings=SMALL["2d"]))
        models.append((tmp_path / name / "model/weights.pt").read_bytes())
    assert models[0] != models[1]


CHILD = """
import sys
from pathlib import Path
from al.io.tables import LabelRow, PoolRow
from al.learners import FitJob, get_learner
from tests.learners.fakes import Toy
from tests.learners.test_convnet import SMALL
task, folder, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
toy = Toy(task, 12)
settings = {**SMALL[task], "checkpoint_every": 5}
job = toy.job(folder, toy.labels(folder / "y"), steps, settings=settings)
print(get_learner("convnet").fit(job)["resumed_from"])
"""


def _child(task: str, folder: Path, steps: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, task, str(folder), str(steps)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _wait_for_checkpoint(folder: Path, child: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not list(folder.glob("work/key-*/checkpoint.pt")):
        assert child.poll() is None, "the training ended before its first checkpoint"
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("task", "stop"), [("2d", signal.SIGKILL), ("roi", signal.SIGTERM), ("2d", signal.SIGINT)]
)
def test_killed_training_ends_as_an_undisturbed_one(
    task: str, stop: signal.Signals, tmp_path: Path
) -> None:
    child = _child(task, tmp_path / "a", 100)
    _wait_for_checkpoint(tmp_path / "a", child)
    child.send_signal(stop)
    child.communicate(timeout=30)
    assert child.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 143)
    assert not (tmp_path / "a/model").exists()
    output, _ = _child(task, tmp_path / "a", 100).communicate(timeout=60)
    resumed = int(output.split()[-1])
    assert 0 < resumed < 100
    assert f"resumed at step {resumed}" in output
    toy = Toy(task, 12)
    job = toy.job(tmp_path / "b", toy.labels(tmp_path / "y"), 100, settings=SMALL[task])
    assert get_learner("convnet").fit(job)["resumed_from"] == 0
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


@pytest.mark.parametrize("change", ["labels", "seed", "settings", "steps"])
def test_nothing_stale_is_resumed(change: str, tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("2d")
    labels = toy.labels(tmp_path / "y")
    learner.fit(toy.job(tmp_path, labels, 3, settings=SMALL["2d"]))
    values = {"settings": SMALL["2d"], "steps": 3}
    if change == "labels":
        label = read_label(labels[0].path).copy()
        label[0, 0] = UNKNOWN
        write_label(labels[0].path, label)
    elif change == "seed":
        values["seed"] = 8
    elif change == "settings":
        values["settings"] = {**SMALL["2d"], "noise": 0.5}
    else:
        values["steps"] = 4
    assert learner.fit(toy.job(tmp_path, labels, **values))["resumed_from"] == 0
    assert len(list((tmp_path / "work").glob("key-*"))) == 1


def test_settings_of_the_machine_are_no_science(tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("2d")
    labels = toy.labels(tmp_path / "y")
    first = learner.fit(toy.job(tmp_path, labels, 3, settings=SMALL["2d"]))
    other = {**SMALL["2d"], "checkpoint_every": 1, "tile": [64, 64]}
    assert learner.fit(toy.job(tmp_path, labels, 3, settings=other)) == first


@pytest.mark.parametrize("task", ["2d", "3d"])
def test_tiles_give_what_the_whole_image_gives(task: str, tmp_path: Path) -> None:
    """Where the overlap exceeds what a pixel sees, the labels of the middle are the same."""
    learner, toy = get_learner("convnet"), Toy(task)
    shallow = {**SMALL[task], "depth": 1, "stem": 2}
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 20, settings=shallow)
    learner.fit(job)
    row = toy.rows["i0"]
    tile = [24, 30] if task == "2d" else [16, 16, 17]
    whole = learner.segment(job.out, toy.layout, row, shallow)
    tiled = learner.segment(job.out, toy.layout, row, {**shallow, "tile": tile, "overlap": 0.6})
    assert len(np.unique(whole)) > 1
    assert (whole == tiled).mean() > 0.99


def test_starts_from_the_cycle_before(tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("2d")
    labels, warm = toy.labels(tmp_path / "y"), {**SMALL["2d"], "start": "previous"}
    first = learner.fit(toy.job(tmp_path / "a", labels, 60, settings=SMALL["2d"]))
    previous = tmp_path / "a/model"
    job = toy.job(tmp_path / "b", labels, 1, settings=warm, previous=previous)
    assert learner.fit(job)["loss"] < 2 * first["loss"] + 0.2
    job = toy.job(tmp_path / "c", labels, 1, settings=warm)
    assert learner.fit(job)["loss"] > 0.7
    wider = {**warm, "width": 12}
    with pytest.raises(ConfigError, match="width 8, not 12"):
        learner.fit(toy.job(tmp_path / "d", labels, 1, settings=wider, previous=previous))


def test_rois_of_different_sizes_need_an_input_size(tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("roi", 12)
    for key in list(toy.images)[::2]:
        toy.images[key] = np.pad(toy.images[key], ((0, 9), (0, 4), (0, 0)))
    labels = toy.labels(tmp_path)
    with pytest.raises(ConfigError, match="input_size"):
        learner.fit(toy.job(tmp_path / "a", labels, 2, settings=SMALL["roi"]))
    sized = {**SMALL["roi"], "input_size": [16, 16]}
    learner.fit(toy.job(tmp_path / "b", labels, 2, settings=sized))
    rows = list(toy.rows.values())
    found = learner.classify(tmp_path / "b/model", toy.layout, rows, SMALL["roi"])
    assert found.shape == (12, 3)


def test_label_outside_the_classes_is_refused(tmp_path: Path) -> None:
    toy = Toy("2d")
    toy.truth["i2"][0, 0] = 3
    with pytest.raises(DataError, match=r"i2\.png: label 3; allowed: 0 to 2, 255"):
        get_learner("convnet").fit(toy.job(tmp_path, toy.labels(tmp_path / "y"), 2))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"width": 0}, r"convnet\.width: 0"),
        ({"width": True}, r"convnet\.width"),
        ({"crop": [96]}, r"convnet\.crop.*2 whole numbers"),
        ({"device": "gpu"}, r"convnet\.device.*auto, cpu, cuda"),
        ({"ema": 1.0}, r"convnet\.ema"),
        ({"learning_rate": "fast"}, r"convnet\.learning_rate"),
        ({"flips": [2]}, r"convnet\.flips.*0 to 1"),
        ({"clip": [5, 5]}, r"convnet\.clip.*low below high"),
        ({"stem": 0}, r"convnet\.stem"),
        ({"wdth": 3}, r"convnet\.wdth.*'width'"),
    ],
)
def test_settings_are_checked(section: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ConvnetSettings.of(section, "2d")


def test_settings_survive_json() -> None:
    settings = ConvnetSettings.of(json.loads('{"crop": [64, 64], "stem": [1, 2]}'), "2d")
    assert settings.crop == (64, 64)
    assert settings.stem == (1, 2)


def test_cuda_is_refused_where_there_is_none() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    from al.learners.running import choose_device

    with pytest.raises(ConfigError, match="no CUDA device"):
        choose_device("cuda", "convnet")


def test_position_of_a_crop_is_cut_from_that_of_the_image() -> None:
    image = np.random.default_rng(0).random((3, 20, 30), np.float32)
    whole = with_position(image, (0, 0), (20, 30))
    crop = with_position(image[:, 4:12, 7:19], (4, 7), (20, 30))
    np.testing.assert_allclose(crop, whole[:, 4:12, 7:19], atol=1e-6)
    np.testing.assert_allclose(whole[3, [0, -1], 0], [-0.95, 0.95], atol=1e-6)


def test_tiles_know_their_position(tmp_path: Path) -> None:
    learner, toy = get_learner("convnet"), Toy("2d")
    placed = {**SMALL["2d"], "depth": 1, "position": True}
    job = toy.job(tmp_path, toy.labels(tmp_path / "y"), 20, settings=placed)
    learner.fit(job)
    row, tiles = toy.rows["i1"], {"tile": [24, 30], "overlap": 0.6}
    whole = learner.segment(job.out, toy.layout, row, placed)
    tiled = learner.segment(job.out, toy.layout, row, {**placed, **tiles})
    assert (whole == tiled).mean() > 0.99


def test_rare_and_small_classes_are_learnt_too(tmp_path: Path) -> None:
    """Seven classes under 1 % each beside two large ones."""
    image, truth = _rare_scene()
    row = PoolRow("i", "", "train", "", "", truth.shape)
    write_label(tmp_path / "i.png", truth)
    layout, settings = FakeLayout({"i": image}), {"crop": [96, 96], "batch": 2, "augment": False}
    job = FitJob(
        layout=layout,
        rows={"i": row},
        labels=[LabelRow("i", "", str(tmp_path / "i.png"), None)],
        out=tmp_path / "model",
        work=tmp_path / "work",
        seed=0,
        steps=120,
        settings=settings,
        classes=[f"c{n}" for n in range(9)],
        task="2d",
    )
    learner = get_learner("convnet")
    learner.fit(job)
    found = learner.segment(tmp_path / "model", layout, row, settings)
    same = [((found == c) & (truth == c)).sum() for c in range(9)]
    union = [((found == c) | (truth == c)).sum() for c in range(9)]
    scores = np.divide(same, union)
    assert scores[:2].min() > 0.85
    assert scores[2:].mean() > 0.5, scores.round(2)


def _rare_scene() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.zeros((96, 96), np.uint8)
    truth[48:] = 1
    for cls in range(2, 9):
        y, x = 10 * cls, 12 * (cls - 2) + 4
        truth[y : y + 10, x : x + 8] = cls
    grey = np.linspace(60, 200, 9)[truth][..., None] + rng.normal(0, 12, (96, 96, 3))
    return grey.clip(0, 255).astype(np.uint8), truth
