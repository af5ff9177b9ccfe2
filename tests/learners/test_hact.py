"""Learner ``hact``: the contract of all learners, and what is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from al.io.errors import DataError
from al.io.tables import LabelRow, PoolRow
from al.learners import Model, get_learner
from tests.learners.contract import LearnerContract, files_of
from tests.learners.fakes import Toy, prepared
from tests.learners.test_convnet import act_after, fail

pytest.importorskip("torch")
pytest.importorskip("skimage", reason="the extra `hact` is not installed")

import torch

from al.learners.hact import batches, building, model, training
from al.learners.hact.graph_file import Graph, Graphs, RoiGraph, write_shard

SMALL: dict[str, Any] = {
    "width": 8,
    "layers": 2,
    "hidden": 8,
    "batch": 8,
    "learning_rate": 0.01,
    "graph_shards": 3,
}


def graph(nuclei: int, superpixels: int, seed: int = 0, level: float = 0.0) -> RoiGraph:
    """Chains of nuclei and of superpixels; features around a level, the last one constant."""
    rng = np.random.default_rng(seed)
    assignment = rng.integers(0, superpixels, nuclei)
    return RoiGraph(_chain(nuclei, 4, rng, level), _chain(superpixels, 3, rng, level), assignment)


def _chain(count: int, width: int, rng: np.random.Generator, level: float) -> Graph:
    features = rng.normal(level, 0.5, (count, width)).astype(np.float32)
    features[:, -1] = 5
    a = np.arange(max(0, count - 1))
    return Graph(features, np.concatenate([[a, a + 1], [a + 1, a]], axis=1))


def graph_of(image: np.ndarray, nuclei: int | None = None, superpixels: int = 4) -> RoiGraph:
    """Graphs whose features follow the brightness of an image."""
    seed = int(image.sum(dtype=np.int64) % 1000)
    count = 5 + seed % 7 if nuclei is None else nuclei
    return graph(count, superpixels, seed, float(image.mean()) / 25 - 5)


def with_graphs(
    monkeypatch: pytest.MonkeyPatch, toy: Toy, make: Callable[..., RoiGraph] = graph_of
) -> Toy:
    """Let graphs be made by ``make`` of an image; counts them in ``toy.built``."""
    toy.built = []

    def build_part(layout: Any, rows: Sequence[PoolRow], path: Path, *others: Any) -> None:
        graphs = {row.key: make(layout.open_image(row)) for row in rows}
        toy.built += graphs
        write_shard(path, graphs)

    monkeypatch.setattr(building, "build_part", build_part)
    return toy


def fit(toy: Toy, folder: Path, steps: int = 2, **changes: Any) -> dict[str, Any]:
    """Train on what the toy reveals; fields of the job by name."""
    labels = changes.pop("labels", None) or toy.labels(folder / "y")
    settings = {**SMALL, **changes.pop("settings", {})}
    learner = get_learner("hact")
    job = toy.job(folder, labels, steps, settings=settings, **changes)
    return learner.fit(prepared(learner, job))


def opened(toy: Toy, folder: Path, **changes: Any) -> Model:
    """Return a model that ``fit`` made."""
    return get_learner("hact").open(folder, toy.layout, {**SMALL, **changes})


class TestContract(LearnerContract):
    learner = "hact"
    settings: ClassVar[dict[str, dict[str, Any]]] = {"roi": SMALL}
    steps: ClassVar[dict[str, int]] = {"roi": 60}
    ensemble: ClassVar[dict[str, Any]] = {"members": 2}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A pool whose graphs are made at once, and tell the class by their features."""
    return with_graphs(monkeypatch, Toy("roi", 24))


def splits(toy: Toy) -> tuple[list[LabelRow], list[LabelRow]]:
    """Two thirds of the RoIs teach, the others choose."""
    rows = toy.labels(Path())
    return rows[:16], rows[16:]


def saved(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model/weights.pt", weights_only=True)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_weights_follow_the_validation_rois(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validated at every epoch and at the end; what is kept is what scored best there."""
    taught, chosen = splits(toy)
    weights: dict[int, dict[str, torch.Tensor]] = {}
    advance = training.HactTraining.advance

    def noted(self: training.HactTraining) -> None:
        advance(self)
        weights[self.step] = {k: v.clone() for k, v in self.net.state_dict().items()}

    monkeypatch.setattr(training.HactTraining, "advance", noted)
    stats = fit(toy, tmp_path / "a", 11, labels=taught, validation=chosen)
    assert (stats["rois"], stats["pixels_seen"], len(stats["plans"])) == (16, 11 * 8, 64)
    found = stats["validation"]
    assert found["rois"] == 8
    assert [step for step, _, _ in found["scores"]] == [2, 4, 6, 8, 10, 11]
    best = max(found["scores"], key=lambda s: (s[1], -s[2]))[0]
    assert found["chosen_step"] == best
    assert equal(saved(tmp_path / "a"), weights[best])
    # Of other classes the validation RoIs choose other weights, and the same training is run.
    before = dict(weights)
    wrong = [LabelRow(r.image, r.roi, "", (r.label + 1) % 3) for r in chosen]
    other = fit(toy, tmp_path / "b", 11, labels=taught, validation=wrong)["validation"]
    assert all(equal(before[step], weights[step]) for step in weights)
    assert other["chosen_step"] != best
    assert equal(saved(tmp_path / "b"), weights[other["chosen_step"]])
    fit(toy, tmp_path / "c", 11, labels=taught, validation=chosen, settings={"validation": "none"})
    assert equal(saved(tmp_path / "c"), weights[11])
    assert not equal(weights[11], weights[other["chosen_step"]])


def test_equal_scores_are_told_apart_by_the_loss(toy: Toy, tmp_path: Path) -> None:
    taught, chosen = splits(toy)
    scores = fit(toy, tmp_path, 60, labels=taught, validation=chosen)["validation"]
    full = [(step, loss) for step, score, loss in scores["scores"] if score == 1.0]
    assert len(full) > 1
    assert scores["chosen_step"] == min(full, key=lambda s: s[1])[0]


def test_validation_labels_are_part_of_the_training(toy: Toy, tmp_path: Path) -> None:
    """In any order; none may teach or be tested."""
    taught, chosen = splits(toy)
    first = fit(toy, tmp_path, 4, labels=taught, validation=chosen)
    assert fit(toy, tmp_path, 4, labels=taught, validation=chosen[::-1]) == first
    assert fit(toy, tmp_path, 4, labels=taught, validation=chosen[1:])["resumed_from"] == 0
    with pytest.raises(DataError, match=r"slide0/r0 is a training RoI too"):
        fit(toy, tmp_path, labels=taught, validation=taught[:1])
    key = batches.key_of(chosen[0])
    toy.rows[key] = toy.rows[key].with_split("test")
    with pytest.raises(DataError, match=rf"{key} is a test RoI"):
        fit(toy, tmp_path, labels=taught, validation=chosen)


def test_a_training_cut_off_ends_as_an_undisturbed_one(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was validated before."""
    taught, chosen = splits(toy)
    more = {"labels": taught, "validation": chosen, "settings": {"checkpoint_every": 4}}
    whole = fit(toy, tmp_path / "a", 11, **{**more, "settings": {}})
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        act_after(patch, training.HactTraining, 7, fail)
        fit(toy, tmp_path / "b", 11, **more)
    stats = fit(toy, tmp_path / "b", 11, **more)
    assert (stats["resumed_from"], stats["steps"]) == (4, 11)
    assert stats["validation"] == whole["validation"]
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


def test_rois_of_hardly_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One superpixel without edges, and no nucleus in any."""
    toy = with_graphs(monkeypatch, Toy("roi", 5), lambda image: graph_of(image, 0, 1))
    stats = fit(toy, tmp_path, 9, settings={"batch": 1})
    assert np.isfinite(stats["loss"])
    rows = list(toy.rows.values())
    found = opened(toy, tmp_path / "model").classify(rows)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_predictions_do_not_depend_on_what_is_predicted_together(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(toy, tmp_path, 6)
    rows = list(toy.rows.values())
    sizes = []
    collate = model.collate

    def noted(graphs: Any) -> Any:
        sizes.append(sum(len(g.cells) + len(g.tissue) for g in graphs))
        return collate(graphs)

    monkeypatch.setattr(model, "collate", noted)
    whole = opened(toy, tmp_path / "model").classify(rows)
    assert len(sizes) == 1
    few = opened(toy, tmp_path / "model", max_nodes=30).classify(rows)
    assert max(sizes[1:]) <= 30 < sizes[0]
    alone = opened(toy, tmp_path / "model", max_nodes=1).classify(rows)
    np.testing.assert_allclose(few, whole, atol=1e-5)
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    assert np.ptp(whole, axis=0).max() > 1e-3
    assert opened(toy, tmp_path / "model").classify([]).shape == (0, 3)


def test_residuals_and_features_are_of_the_first_member(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path, 6, settings={"members": 2})
    rows = list(toy.rows.values())
    first = tmp_path / "model/member-0"
    model, alone = opened(toy, tmp_path / "model"), opened(toy, first)
    p = alone.classify(rows)
    residuals = model.residuals_rois(rows)
    np.testing.assert_allclose(residuals, p - np.eye(3)[p.argmax(1)], atol=1e-6)
    features = model.embed_rois(rows, unit=False)
    weights = torch.load(first / "weights.pt", weights_only=True)
    head = {k.rpartition(".")[2]: v for k, v in weights.items() if ".mlp.1." in k}
    logits = torch.from_numpy(features) @ head["weight"].T + head["bias"]
    np.testing.assert_allclose(logits.softmax(1), p, atol=1e-5)


def test_graphs_beyond_the_memory_are_read_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, load = [], Graphs.load

    def counted(self: Graphs, key: str) -> Any:
        loads.append(key)
        return load(self, key)

    monkeypatch.setattr(Graphs, "load", counted)
    fit(toy, tmp_path / "a", 9)
    assert sorted(loads) == sorted(toy.rows)
    loads.clear()
    fit(toy, tmp_path / "b", 9, settings={"cache_gb": 0})
    assert len(loads) == 9 * 8
    assert files_of(tmp_path / "a/model") == files_of(tmp_path / "b/model")


@pytest.mark.parametrize("standardise", [True, False])
def test_standardisation_is_saved_with_the_model(
    standardise: bool, toy: Toy, tmp_path: Path
) -> None:
    fit(toy, tmp_path, 2, settings={"standardise": standardise})
    held = [graph_of(image) for image in toy.images.values()]
    nodes = np.concatenate([g.tissue.features for g in held]).astype(np.float64)
    mean, deviation = (saved(tmp_path)[f"tissue_{kind}"] for kind in ("mean", "deviation"))
    if standardise:
        np.testing.assert_allclose(mean, nodes.mean(0), rtol=1e-5)
        np.testing.assert_allclose(deviation[:2], nodes.std(0)[:2], rtol=1e-4)
        assert deviation[2] == 1  # a constant
    else:
        assert not mean.any()
        assert (deviation == 1).all()


def test_starts_from_the_cycle_before(toy: Toy, tmp_path: Path) -> None:
    fit(toy, tmp_path / "a", 4)
    still = {"learning_rate": 1e-12, "weight_decay": 0, "start": "previous"}
    fit(toy, tmp_path / "b", 1, settings=still, previous=tmp_path / "a/model", seed=9)
    before, after = (saved(tmp_path / n) for n in ("a", "b"))
    learnt = [k for k in before if k.endswith("weight") and "batchnorm" not in k]
    assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in learnt)


def test_numbers_of_a_batch_follow_from_the_step() -> None:
    """An epoch shows each RoI once, in another order than the next."""
    epoch = [batches.batch_numbers(10, 4, 3, step) for step in range(6)]
    assert [len(b) for b in epoch] == [4, 4, 2] * 2
    first, second = np.concatenate(epoch[:3]), np.concatenate(epoch[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)
    assert [batches.seen_rois(10, 4, n) for n in range(8)] == [0, 4, 8, 10, 14, 18, 20, 24]
