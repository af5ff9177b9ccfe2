"""``nnunet``: only what is revealed teaches, and every patch holds some of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.learners import get_learner
from decomp_core import Region
from tests.learners.fakes import Toy, prepared
from tests.learners.nnunet_kit import FAST, NESTED, corners, fit, reveal

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

import torch

from al.learners.nnunet import training
from al.learners.nnunet.cases import Batches, Cases, HiddenPadding, locate
from al.learners.nnunet.packages import ComposeTransforms, RemoveLabelTransform
from al.learners.nnunet.planning import PLAIN, CaseShape, Plans, make_plans
from al.learners.nnunet.settings import NnunetSettings
from al.learners.sampling import Stream

CONFIGURATIONS = {
    "3d": FAST,
    "2d": {**FAST, "configuration": "2d", "patch": [16, 16]},
    "nested": {**FAST, **NESTED},
}


def test_volumes_without_anything_revealed_are_left_out(tmp_path: Path) -> None:
    """And change nothing, whether their labels are listed or not."""
    toy = Toy("3d")
    window = {name: [Region((2, 3, 4), (1, 9, 9))] for name in ("i1", "i4")}
    labels = reveal(toy, tmp_path / "y", window)
    assert fit(toy, tmp_path / "a", labels=labels)["volumes"] == 2
    fit(toy, tmp_path / "b", labels=[r for r in labels if r.image in window])
    weights = [(tmp_path / n / "model/weights.pt").read_bytes() for n in ("a", "b")]
    assert weights[0] == weights[1]
    with pytest.raises(DataError, match="nothing to learn"):
        fit(toy, tmp_path / "c", labels=reveal(toy, tmp_path / "z", {}))


def batches_of(section: dict[str, Any], folder: Path, value: int | None) -> tuple[Batches, int]:
    """Batches of windows at borders and corners, and the number of ``ignore``."""
    toy, settings = Toy("3d"), NnunetSettings.of(section)
    labels = reveal(toy, folder / "y", corners(toy), value)
    job = prepared(get_learner("nnunet"), toy.job(folder, labels, 1, settings=section))
    store = training.store_of(job, settings)
    trainer = training.make_trainer(store.plans, settings, 1, torch.device("cpu"))
    trainer.initialize()
    loader = trainer.loader(Cases(job, store))
    return Batches(loader, store.plans, seed=0), store.plans.labels.ignore_label


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_patch_is_taught_by_what_is_revealed_alone(name: str, tmp_path: Path) -> None:
    """Windows of class 2 alone: no patch is without it, and none learns another class.

    Padding around a volume, and corners that turning brings into a patch, are no background here.
    """
    batches, ignore = batches_of(CONFIGURATIONS[name], tmp_path, 2)
    for number in range(8):
        target = batches[number]["target"]
        finest = target[0] if isinstance(target, list) else target
        if name == "nested":
            known = ~finest[:, -1].bool()
            right = finest[:, :-1].bool().all(1)
        else:
            known, right = finest[:, 0] != ignore, finest[:, 0] == 2
        assert known.flatten(1).any(1).all()
        assert right[known].all()


def test_batches_do_not_depend_on_who_makes_them(tmp_path: Path) -> None:
    batches, _ = batches_of(FAST, tmp_path, None)
    alone = list(Stream(batches, range(3, 9), 0))
    shared = list(Stream(batches, range(3, 9), 2))
    assert len(alone) == len(shared) == 6
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one["data"], other["data"])
        assert all(map(torch.equal, one["target"], other["target"]))
    assert not torch.equal(alone[0]["data"], alone[1]["data"])
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert torch.equal(batches[3]["data"], alone[0]["data"])
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()
    # No step is chosen by the clock, which would make the last bits a matter of the machine's load.
    for transforms in (batches.loader.transforms.whole, batches.loader.transforms.partly):
        inner = [getattr(step, "transform", step) for step in transforms.transforms]
        assert [step.benchmark for step in inner if hasattr(step, "benchmark")] == [False]


def test_patches_without_anything_revealed_are_refused(tmp_path: Path) -> None:
    batches, ignore = batches_of(FAST, tmp_path, None)
    for case in batches.loader._data.cases.values():
        case.seg[...] = np.full(case.seg.shape, ignore, np.int16)
    with pytest.raises(DataError, match=r"nothing revealed.*nnunet\.patch"):
        batches[0]


def test_padding_is_ignored_where_a_patch_is_revealed_in_part() -> None:
    padding = HiddenPadding(ComposeTransforms([RemoveLabelTransform(-1, 0)]), 3)
    image = torch.zeros(1, 2, 2, 2)
    for seen, expected in (
        ([-1, -1, 3, 3, 1, 1, 0, 2], [3, 3, 3, 3, 1, 1, 0, 2]),
        ([-1, -1, 2, 2, 1, 1, 0, 2], [0, 0, 2, 2, 1, 1, 0, 2]),
    ):
        segmentation = torch.tensor(seen, dtype=torch.int16).reshape(1, 2, 2, 2)
        found = padding(image, segmentation)
        assert found["segmentation"].flatten().tolist() == expected
        assert torch.equal(found["image"], image)


def plans_of(settings: NnunetSettings) -> Plans:
    return make_plans([CaseShape((1, 1, 1), (12, 30, 26))] * 3, PLAIN, ["a", "b", "c"], settings)


@pytest.mark.parametrize(
    ("nested", "present"), [({}, (0, 1, 2)), ({}, ()), (NESTED, (0, 1, 2)), (NESTED, (0,))]
)
def test_places_are_those_that_nnunet_finds(nested: dict, present: tuple[int, ...]) -> None:
    plans = plans_of(NnunetSettings.of({**FAST, **nested}))
    rng, ignore = np.random.default_rng(len(present)), plans.labels.ignore_label
    seg = rng.choice([*present, ignore], (1, 9, 12, 11)).astype(np.int16)
    labels = plans.labels
    wanted = list(labels.foreground_regions if labels.has_regions else labels.foreground_labels)
    wanted.append([-1, *labels.all_labels])
    expected = plans.chosen.preprocessor_class._sample_foreground_locations(seg, wanted)
    found = locate(seg, plans, seed=0)
    assert list(found) == list(expected)
    for key, places in expected.items():
        assert sorted(map(tuple, found[key])) == sorted(map(tuple, places))
        assert len(found[key]) > 0 or not {*np.atleast_1d(key)} & {*present}


def test_of_many_places_some_are_drawn() -> None:
    plans = plans_of(NnunetSettings.of(FAST))
    seg = np.ones((1, 40, 30, 30), np.int16)
    seg[:, :, :, 20:] = 2
    found = locate(seg, plans, seed=0)
    assert len(found[1]) == len(found[-1, 0, 1, 2]) == 10_000
    for cls in (1, 2):
        assert (seg[tuple(found[cls].T)] == cls).all()
        assert len(np.unique(found[cls], axis=0)) == len(found[cls])
    np.testing.assert_array_equal(found[1], locate(seg, plans, seed=0)[1])


def test_what_lies_between_the_voxels_of_a_coarse_grid_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """12 slices of 1 mm become 6: each holds the centre of every other slice."""
    for rows, lost in (([0, 2, 5], True), ([1, 3, 5], False)):
        toy = Toy("3d", 2)
        for truth in toy.truth.values():
            truth[[row for row in range(12) if row not in rows]] = UNKNOWN
        stats = fit(toy, tmp_path / str(lost), 1, spacing=[2.0, 1.0, 1.0])
        told = "lies between the voxels of nnU-Net's grid" in capsys.readouterr().out
        assert told == (stats["revealed_kept"] < 0.9) == lost
