"""``mmseg``: the contract, on mmsegmentation itself, and what is its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

import torch

from al.io.errors import ConfigError, DataError
from al.io.labels import UNKNOWN, read_label, write_label
from al.learners import Start, get_learner
from al.learners.mmseg.settings import MmsegSettings
from al.learners.mmseg.training import MmsegTraining
from decomp_core import Region
from tests.learners.contract import LearnerContract, files_of, nested_regions
from tests.learners.fakes import CLASSES, FakeLayout, Toy
from tests.learners.test_convnet import act_after, fail

ROOT = Path(__file__).resolve().parents[2]
TINY = str(Path(__file__).parent / "configs/unet_tiny.py")
SMALL = {"config": TINY}


class TestContract(LearnerContract):
    learner = "mmseg"
    settings = {"2d": SMALL}
    steps = {"2d": 60}


def test_images_predicted_in_windows(toy: Toy, tmp_path: Path) -> None:
    """Maps and features cover the image, and are others than of the whole at once."""
    fit(toy, tmp_path, 8)
    learner, row = get_learner("mmseg"), toy.rows["i0"]
    slide = {**SMALL, "inference": "slide", "window": [32, 32], "stride": [16, 24]}
    regions = nested_regions(toy.truth["i0"].shape)
    found = []
    for section in (SMALL, slide):
        ((_, p, _),) = learner.probabilities(tmp_path / "model", toy.layout, [row], section)
        np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
        features = learner.embed(tmp_path / "model", toy.layout, row, regions, section)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
        found.append((p, features))
    for whole, windows in zip(*found, strict=True):
        assert whole.shape == windows.shape
        assert 1e-6 < np.abs(whole - windows).max() < 1


@pytest.fixture
def toy() -> Toy:
    return Toy("2d")


def fit(toy: Toy, folder: Path, steps: int = 3, **changes: Any) -> Any:
    """Train on what the toy reveals; jobs' fields and settings by name."""
    fields = {k: changes.pop(k) for k in ("held_out", "score", "previous", "seed") if k in changes}
    labels = changes.pop("labels", None) or toy.labels(folder / "y")
    job = toy.job(folder, labels, steps, settings={**SMALL, **changes}, **fields)
    return get_learner("mmseg").fit(job)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_cut_off_ends_as_an_undisturbed_one(
    workers: int, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where other processes read the images."""
    fit(toy, tmp_path / "a", 8)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        act_after(patch, MmsegTraining, 5, fail)
        fit(toy, tmp_path / "b", 8, checkpoint_every=2, workers=workers)
    stats = fit(toy, tmp_path / "b", 8, checkpoint_every=2, workers=2 - workers)
    assert (stats["resumed_from"], stats["steps"]) == (4, 8)
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


def test_only_revealed_pixels_teach(tmp_path: Path) -> None:
    """The image's truth under what is hidden may be anything: the same model, byte for byte."""

    def hidden(label: np.ndarray) -> np.ndarray:
        mask = np.ones(label.shape, bool)
        mask[4:20, 4:44] = False
        return mask

    models = []
    for name in ("a", "b"):
        toy = Toy("2d")
        if name == "b":
            rng = np.random.default_rng(3)
            for key, truth in toy.truth.items():
                noise = rng.integers(0, 3, truth.shape).astype(np.uint8)
                toy.truth[key] = np.where(hidden(truth), noise, truth)
        fit(toy, tmp_path / name, labels=toy.labels(tmp_path / name / "y", hidden))
        models.append(files_of(tmp_path / name / "model"))
    assert models[0] == models[1]


def test_options_and_steering_are_part_of_a_training(toy: Toy, tmp_path: Path) -> None:
    def key(held_out: Any = None, **section: Any) -> str:
        settings = {**SMALL, **section}
        job = toy.job(tmp_path, [], 3, settings=settings, held_out=held_out or {})
        read = MmsegSettings.of(settings)
        return get_learner("mmseg").trainings(job, read, torch.device("cpu"))(job).key

    slide = {"inference": "slide", "window": [32, 32], "size_divisor": 8}
    assert key(**slide) == key() != key(options={"optim_wrapper.optimizer.weight_decay": 0.5})
    held = {"i0": [Region((0, 0), (9, 9))]}
    assert key(held_out=held) == key()
    clean = {"validation": "clean"}
    assert key(held, **clean) != key({"i1": held["i0"]}, **clean)
    assert key(held, **clean, **slide) != key(held, **clean)


def test_workers_and_parts_of_a_batch_see_the_same_samples(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path / "a", 4)
    fit(toy, tmp_path / "b", 4, workers=2)
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")
    stats = fit(toy, tmp_path / "c", 4, accumulate=2)
    assert stats["pixels_seen"] == 4 * 4 * 32 * 32
    assert stats["loss"] < 3


def test_stops_when_the_score_stays(toy: Toy, tmp_path: Path) -> None:
    """The scored images decide when to stop, not which weights are kept."""
    values = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    shapes = []

    def score(segment: Any) -> float:
        shapes.append(segment(toy.rows["i0"]).shape)
        return next(values)

    steering = {"validation": "paper", "validate_every": 2, "patience": 3}
    stats = fit(toy, tmp_path / "a", 20, score=score, **steering)
    assert stats["steps"] == 10
    assert stats["validation"]["by"] == "paper"
    assert stats["validation"]["scores"] == [[2, 0.1], [4, 0.5], [6, 0.4], [8, 0.5], [10, 0.3]]
    assert shapes[0] == toy.truth["i0"].shape
    # As long a training that nothing stops has the same weights: the last ones were kept.
    fit(toy, tmp_path / "b", 10, score=lambda s: 0.0, **{**steering, "patience": 99})
    model = [
        get_learner("mmseg").load(tmp_path / n / "model", SMALL).network.state_dict()
        for n in ("a", "b")
    ]
    same = [torch.equal(v, model[1][k]) for k, v in model[0].items()]
    assert not all(same), "the schedule of 20 steps is another one than that of 10"


def test_clean_validation_keeps_the_best_weights_and_learns_from_the_rest(
    toy: Toy, tmp_path: Path
) -> None:
    held = {name: [Region((0, 0), (48, 32))] for name in toy.rows}
    steering = {"validation": "clean", "validate_every": 5, "patience": 2, "held_out": held}
    labels = toy.labels(tmp_path / "y")
    held_out = steering.pop("held_out")
    stats = fit(toy, tmp_path / "a", 60, labels=labels, held_out=held_out, **steering)
    scores = [score for _, score in stats["validation"]["scores"]]
    assert len(scores) >= 2
    assert 0 <= min(scores) <= max(scores) <= 1
    # The model scores on what was held out what the best validation said.
    learner = get_learner("mmseg")
    matrix = np.zeros((3, 3), np.int64)
    for row in toy.rows.values():
        found = learner.segment(tmp_path / "a/model", toy.layout, row, SMALL)[:, :32]
        np.add.at(matrix, (toy.truth[row.key][:, :32], found), 1)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    expected = np.mean([matrix[i, i] / union[i] for i in range(3) if union[i]])
    assert abs(expected - max(scores)) < 1e-6
    # What is held out does not teach: other labels there, the same samples.
    for row in labels:
        label = read_label(row.path).copy()
        label[:, :32] = 2
        write_label(row.path, label)
    none = {**steering, "validate_every": 99}
    other = [toy.labels(tmp_path / "z"), labels]
    models = []
    for number, rows in enumerate(other):
        fit(toy, tmp_path / str(number), 3, labels=rows, held_out=held_out, **none)
        models.append((tmp_path / str(number) / "model/weights.pt").read_bytes())
    assert models[0] == models[1]


def test_killed_in_a_validation_it_is_made_up_for(toy: Toy, tmp_path: Path) -> None:
    """Nothing before it is lost, and the last step is validated in any case."""
    steering = {"validation": "paper", "validate_every": 4, "checkpoint_every": 99}
    asked: list[int] = []

    def score(segment: Any) -> float:
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return len(asked) / 10

    with pytest.raises(KeyboardInterrupt):
        fit(toy, tmp_path, 10, score=score, **steering)
    stats = fit(toy, tmp_path, 10, score=score, **steering)
    assert stats["resumed_from"] == 8
    assert stats["validation"]["scores"] == [[4, 0.1], [8, 0.3], [10, 0.4]]
    assert fit(toy, tmp_path, 10, score=score, **steering) == stats
    assert len(asked) == 4


def test_void_is_nothing_to_validate_on(toy: Toy, tmp_path: Path) -> None:
    for truth in toy.truth.values():
        truth[:, :32] = UNKNOWN
    held = {name: [Region((0, 0), (48, 32))] for name in toy.rows}
    with pytest.raises(DataError, match="no labelled pixel"):
        fit(toy, tmp_path, 4, validation="clean", held_out=held)


def test_validation_needs_something_to_validate_on(toy: Toy, tmp_path: Path) -> None:
    for validation in ("clean", "paper"):
        with pytest.raises(ConfigError, match=f"mmseg.validation: '{validation}'"):
            fit(toy, tmp_path, validation=validation)


def test_starts_from_the_cycle_before(toy: Toy, tmp_path: Path) -> None:
    first = fit(toy, tmp_path / "a", 60)
    previous = tmp_path / "a/model"
    warm = {"start": "previous", "options": {"optim_wrapper.optimizer.lr": 1e-6}}
    assert fit(toy, tmp_path / "b", 1, previous=previous, **warm)["loss"] < first["loss"] + 0.3
    assert fit(toy, tmp_path / "c", 1, **warm)["loss"] > 1
    warm["options"] = {"model.decode_head.channels": 12}
    with pytest.raises(ConfigError, match="a/model has decode_head"):
        fit(toy, tmp_path / "d", 1, previous=previous, **warm)


def test_pretrained_weights_of_the_whole_network_and_of_the_backbone(
    toy: Toy, tmp_path: Path
) -> None:
    fit(toy, tmp_path / "a", 3)
    weights = torch.load(tmp_path / "a/model/weights.pt", weights_only=True)
    torch.save({"state_dict": weights}, tmp_path / "whole.pth")
    backbone = {k.removeprefix("backbone."): v for k, v in weights.items() if "backbone" in k}
    torch.save({"model": {**backbone, "head.weight": torch.zeros(2)}}, tmp_path / "backbone.pth")
    frozen = {"options": {"optim_wrapper.optimizer.lr": 1e-12}}
    for name in ("whole", "backbone"):
        file = str(tmp_path / f"{name}.pth")
        fit(toy, tmp_path / name, 1, pretrained=file, **frozen)
        found = torch.load(tmp_path / name / "model/weights.pt", weights_only=True)
        assert torch.allclose(
            found["backbone.encoder.0.0.convs.0.conv.weight"],
            weights["backbone.encoder.0.0.convs.0.conv.weight"],
        )
        same = torch.allclose(
            found["decode_head.conv_seg.weight"], weights["decode_head.conv_seg.weight"]
        )
        assert same == (name == "whole")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"encoder.0.0.convs.0.conv.weight": torch.zeros(3)}, "another architecture: it lacks"),
        ({"step": 3}, "holds no weights"),
        (b"no checkpoint", "no checkpoint of tensors alone"),
        (None, "is no file"),
    ],
)
def test_wrong_pretrained_weights_are_refused(
    content: Any, message: str, toy: Toy, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(ConfigError, match=message) as caught:
        fit(toy, tmp_path, pretrained=str(file))
    assert str(file) in str(caught.value)
    with pytest.raises(ConfigError, match=message):
        section = {**SMALL, "pretrained": str(file)}
        get_learner("mmseg").check_start(section, Start(CLASSES, [], FakeLayout({})))


def test_no_checkpoint_is_executed(toy: Toy, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ConfigError, match="no checkpoint of tensors alone"):
        fit(toy, tmp_path, pretrained=str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()


def test_cuda_is_refused_where_there_is_none(toy: Toy, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match="mmseg.device: 'cuda', but no CUDA device"):
        fit(toy, tmp_path, device="cuda")
    check = get_learner("mmseg").check_start
    with pytest.raises(ConfigError, match=r"mmseg\.device"):
        check({**SMALL, "device": "cuda"}, Start(CLASSES, [], FakeLayout({}), here=True))
    check({**SMALL, "device": "cuda"}, Start(CLASSES, [], FakeLayout({}), here=False))


def test_label_outside_the_classes_is_refused(toy: Toy, tmp_path: Path) -> None:
    toy.truth["i2"][0, 0] = 3
    with pytest.raises(DataError, match=r"i2\.png: label 3; allowed: 0 to 2, 255"):
        fit(toy, tmp_path)


def test_a_loss_that_is_no_number_is_told(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        fit(toy, tmp_path, 40, learning_rate=1e30)


def test_sizes_that_a_network_cannot_halve_are_filled_up(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path)
    for key in toy.images:
        toy.images[key] = toy.images[key][:45, :59]
    settings, row = {**SMALL, "size_divisor": 4}, toy.rows["i0"]
    learner, model = get_learner("mmseg"), tmp_path / "model"
    assert learner.segment(model, toy.layout, row, settings).shape == (45, 59)
    regions = [Region((0, 0), (45, 59)), Region((44, 58), (1, 1))]
    assert np.isfinite(learner.embed(model, toy.layout, row, regions, settings)).all()


@pytest.mark.gpu
def test_trains_and_predicts_on_cuda(toy: Toy, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    stats = fit(toy, tmp_path, 60)
    assert stats["device"] == "cuda"
    row, learner = toy.rows["i0"], get_learner("mmseg")
    found = learner.segment(tmp_path / "model", toy.layout, row, SMALL)
    assert (found == toy.truth["i0"]).mean() > 0.9
