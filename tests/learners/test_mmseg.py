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
from al.learners.mmseg.data import Samples
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
    row = toy.rows["i0"]
    slide = {**SMALL, "inference": "slide", "window": [32, 32], "stride": [16, 24]}
    regions = nested_regions(toy.truth["i0"].shape)
    found = []
    for section in (SMALL, slide):
        model = get_learner("mmseg").open(tmp_path / "model", toy.layout, section)
        ((_, p, _),) = model.probabilities([row])
        np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
        features = model.embed(row, regions)
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


def test_a_training_cut_off_ends_as_an_undisturbed_one(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether other processes read the images or not."""
    fit(toy, tmp_path / "a", 8)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        act_after(patch, MmsegTraining, 5, fail)
        fit(toy, tmp_path / "b", 8, checkpoint_every=2, workers=2)
    stats = fit(toy, tmp_path / "b", 8, checkpoint_every=2)
    assert (stats["resumed_from"], stats["steps"]) == (4, 8)
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


def test_options_and_steering_are_part_of_a_training(toy: Toy, tmp_path: Path) -> None:
    def key(held_out: Any = None, **section: Any) -> str:
        settings = {**SMALL, **section}
        job = toy.job(tmp_path, [], 3, settings=settings, held_out=held_out or {})
        read = MmsegSettings.of(settings)
        return MmsegTraining(job, read, torch.device("cpu")).key

    slide = {"inference": "slide", "window": [32, 32], "size_divisor": 8}
    assert key(**slide) == key() != key(options={"optim_wrapper.optimizer.weight_decay": 0.5})
    held = {"i0": [Region((0, 0), (9, 9))]}
    assert key(held_out=held) == key()
    clean = {"validation": "clean"}
    assert key(held, **clean) != key({"i1": held["i0"]}, **clean)
    assert key(held, **clean, **slide) != key(held, **clean)


def test_a_batch_in_parts_sees_the_same_samples(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    read = Samples.__getitem__

    def noted(self: Samples, number: int) -> Any:
        seen[-1].append(number)
        return read(self, number)

    monkeypatch.setattr(Samples, "__getitem__", noted)
    for parts in (1, 2):
        seen.append([])
        stats = fit(toy, tmp_path / str(parts), 3, accumulate=parts)
        assert stats["pixels_seen"] == 3 * 4 * 32 * 32
    assert seen == [[*range(12)]] * 2


def test_stops_when_the_score_stays(toy: Toy, tmp_path: Path) -> None:
    """The scored images decide when to stop, not which weights are kept: the last ones are."""
    values = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    states: list[dict[str, torch.Tensor]] = []

    def score(segment: Any) -> float:
        assert segment(toy.rows["i0"]).shape == toy.truth["i0"].shape
        network = segment.__self__.network
        states.append({k: v.clone() for k, v in network.state_dict().items()})
        return next(values)

    steering = {"validation": "paper", "validate_every": 2, "patience": 3}
    stats = fit(toy, tmp_path, 20, score=score, **steering)
    assert stats["steps"] == 10
    assert stats["validation"]["by"] == "paper"
    assert stats["validation"]["scores"] == [[2, 0.1], [4, 0.5], [6, 0.4], [8, 0.5], [10, 0.3]]
    kept = torch.load(tmp_path / "model/weights.pt", weights_only=True)
    assert all(torch.equal(value, states[-1][key]) for key, value in kept.items())
    assert not all(torch.equal(value, states[1][key]) for key, value in kept.items())


def test_clean_validation_keeps_the_best_weights_and_learns_from_the_rest(
    toy: Toy, tmp_path: Path
) -> None:
    held = {name: [Region((0, 0), (48, 32))] for name in toy.rows}
    steering = {"validation": "clean", "validate_every": 5, "patience": 2, "held_out": held}
    labels = toy.labels(tmp_path / "y")
    stats = fit(toy, tmp_path / "a", 40, labels=labels, **steering)
    scores = [score for _, score in stats["validation"]["scores"]]
    assert len(scores) >= 2
    assert 0 <= min(scores) <= max(scores) <= 1
    # The model scores on what was held out what the best validation said.
    model = get_learner("mmseg").open(tmp_path / "a/model", toy.layout, SMALL)
    matrix = np.zeros((3, 3), np.int64)
    for row in toy.rows.values():
        found = model.segment(row)[:, :32]
        np.add.at(matrix, (toy.truth[row.key][:, :32], found), 1)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    expected = np.mean([matrix[i, i] / union[i] for i in range(3) if union[i]])
    assert abs(expected - max(scores)) < 1e-6
    # What is held out does not teach: other labels there, the same samples.
    for row in labels:
        label = read_label(row.path).copy()
        label[:, :32] = 2
        write_label(row.path, label)
    models = []
    for name, rows in (("z", toy.labels(tmp_path / "z")), ("y", labels)):
        fit(toy, tmp_path / name, 3, labels=rows, **{**steering, "validate_every": 99})
        models.append((tmp_path / name / "model/weights.pt").read_bytes())
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


def test_validation_needs_something_to_validate_on(toy: Toy, tmp_path: Path) -> None:
    for validation in ("clean", "paper"):
        with pytest.raises(ConfigError, match=f"mmseg.validation: '{validation}'"):
            fit(toy, tmp_path, validation=validation)
    for truth in toy.truth.values():
        truth[:, :32] = UNKNOWN
    held = {name: [Region((0, 0), (48, 32))] for name in toy.rows}
    with pytest.raises(DataError, match="no labelled pixel"):
        fit(toy, tmp_path, 4, validation="clean", held_out=held)


def test_starts_from_the_cycle_before(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path / "a")
    warm: dict[str, Any] = {"start": "previous", "options": {"optim_wrapper.optimizer.lr": 1e-12}}
    fit(toy, tmp_path / "b", 1, previous=tmp_path / "a/model", **warm)
    fit(toy, tmp_path / "c", 1, **warm)
    before, after, fresh = (
        torch.load(tmp_path / name / "model/weights.pt", weights_only=True)[
            "decode_head.conv_seg.weight"
        ]
        for name in "abc"
    )
    assert torch.allclose(before, after, atol=1e-6)
    assert not torch.allclose(before, fresh, atol=1e-6)
    warm["options"] = {"model.decode_head.channels": 12}
    with pytest.raises(ConfigError, match="a/model has decode_head"):
        fit(toy, tmp_path / "d", 1, previous=tmp_path / "a/model", **warm)


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


def test_wrong_pretrained_weights_are_refused(toy: Toy, tmp_path: Path) -> None:
    """Told with the file, in a training as before a run; nothing of it is executed."""

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    for name, content, message in (
        (
            "a.pth",
            {"encoder.0.0.convs.0.conv.weight": torch.zeros(3)},
            "another architecture: Miss",
        ),
        ("b.pth", {"step": 3}, "holds no weights"),
        ("c.pth", {"state_dict": Trap()}, "no checkpoint of tensors alone"),
        ("d.pth", None, "is no file"),
    ):
        file = tmp_path / name
        if content is not None:
            torch.save(content, file)
        with pytest.raises(ConfigError, match=f"{name}.*{message}"):
            fit(toy, tmp_path, pretrained=str(file))
        with pytest.raises(ConfigError, match=f"{name}.*{message}"):
            section = {**SMALL, "pretrained": str(file)}
            get_learner("mmseg").check_start(section, Start(CLASSES, [], FakeLayout({})))
    assert not (tmp_path / "sprung").exists()


def test_a_loss_that_is_no_number_is_told(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        fit(toy, tmp_path, 10, learning_rate=1e9)


def test_sizes_that_a_network_cannot_halve_are_filled_up(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path)
    for key in toy.images:
        toy.images[key] = toy.images[key][:45, :59]
    settings, row = {**SMALL, "size_divisor": 4}, toy.rows["i0"]
    model = get_learner("mmseg").open(tmp_path / "model", toy.layout, settings)
    assert model.segment(row).shape == (45, 59)
    regions = [Region((0, 0), (45, 59)), Region((44, 58), (1, 1))]
    assert np.isfinite(model.embed(row, regions)).all()


@pytest.mark.gpu
def test_trains_and_predicts_on_cuda(toy: Toy, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    stats = fit(toy, tmp_path, 60)
    assert stats["device"] == "cuda"
    model = get_learner("mmseg").open(tmp_path / "model", toy.layout, SMALL)
    assert (model.segment(toy.rows["i0"]) == toy.truth["i0"]).mean() > 0.9
