"""``nnunet``: fingerprint, plans, and what is refused before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.tables import PoolRow
from al.learners import Start, get_learner
from tests.learners.fakes import CLASSES, FakeLayout, Toy
from tests.learners.nnunet_kit import FAST, fit, open_dataset, write_dataset

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

from al.learners.nnunet.packages import ExperimentPlanner, residual_planners, temporary_folders
from al.learners.nnunet.planning import NAME, CaseShape, Plans, describe_labels, make_plans
from al.learners.nnunet.settings import NnunetSettings
from al.learners.nnunet.store import open_store, preprocess

CT = {"modality": "CT", "foreground": [-100, 250]}
SEEN = {
    "mean": -20.5, "median": -10.0, "std": 150.0, "min": -400.0, "max": 420.0,
    "percentile_00_5": -380.0, "percentile_99_5": 390.0,
}  # fmt: skip


def intensities(plans: Plans) -> dict[str, float]:
    return plans.plans["foreground_intensity_properties_per_channel"]["0"]


def agree(found: dict[str, float], values: np.ndarray) -> None:
    """All volumes weigh the same here and samples are many: close, not equal."""
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    expected = {"mean": values.mean(), "std": values.std(), "median": median}
    expected |= {"percentile_00_5": low, "percentile_99_5": high}
    for key, value in expected.items():
        assert abs(found[key] - value) < 0.03 * values.std(), key
    assert found["min"] >= values.min()
    assert found["max"] <= values.max()


def test_fingerprint_of_intensities_asks_for_no_label(tmp_path: Path) -> None:
    toy = Toy("3d", 4)
    layout, rows = toy.layout, list(toy.rows.values())
    get_learner("nnunet").prepare(layout, rows, tmp_path, {**FAST, **CT}, CLASSES)
    plans = open_store(tmp_path).plans
    values = np.concatenate([v[(v >= -100) & (v <= 250)] for v in toy.images.values()])
    agree(intensities(plans), values)
    # Normalisation as nnU-Net does it for CT, on the grid of the file.
    assert plans.chosen.normalization_schemes == ["CTNormalization"]
    image, told = toy.images["i0"], intensities(plans)
    found, placement = preprocess(image, layout.affine(rows[0]), plans)
    expected = image.clip(told["percentile_00_5"], told["percentile_99_5"]) - told["mean"]
    np.testing.assert_allclose(found[0], expected / told["std"], atol=1e-4)
    np.testing.assert_allclose(open_store(tmp_path).image("i0")[:], found, atol=0)
    assert placement.shape == placement.full == image.shape


def test_fingerprint_of_labels_for_controls(tmp_path: Path) -> None:
    toy = Toy("3d", 3)
    layout, rows = open_dataset(write_dataset(tmp_path / "data", toy))
    settings = {**FAST, "modality": "CT", "foreground": "labels"}
    folder = tmp_path / "prepared"
    get_learner("nnunet").prepare(layout, list(rows.values()), folder, settings, CLASSES)
    values = np.concatenate([v[toy.truth[k] > 0] for k, v in toy.images.items()])
    agree(intensities(open_store(folder).plans), values)
    for foreground, told in (("labels", "'labels'.*shows no labels"), ([5000, 6000], "no voxel")):
        with pytest.raises(ConfigError, match=rf"nnunet\.foreground: {told}"):
            fit(Toy("3d", 2), tmp_path / "none", modality="CT", foreground=foreground)


def plan_with_nnunet(
    cases: list[CaseShape], dataset: dict[str, Any], name: str, memory: float
) -> dict[str, Any]:
    """What nnU-Net's own planner makes of the same fingerprint, in folders of its own."""
    files = {str(k): {"images": [f"{k}.nii.gz"], "label": f"{k}.nii.gz"} for k in range(len(cases))}
    fingerprint = {
        "spacings": [case.spacing for case in cases],
        "shapes_after_crop": [case.shape for case in cases],
        "foreground_intensity_properties_per_channel": {"0": SEEN},
        "median_relative_size_after_cropping": 1.0,
    }
    with temporary_folders() as folder:
        for kind in ("raw", "preprocessed"):
            (folder / kind / NAME).mkdir(parents=True)
        told = {**dataset, "numTraining": len(cases), "dataset": files}
        (folder / "raw" / NAME / "dataset.json").write_text(json.dumps(told))
        place = folder / "preprocessed" / NAME / "dataset_fingerprint.json"
        place.write_text(json.dumps(fingerprint))
        planner = getattr(residual_planners, name, ExperimentPlanner)(NAME, memory)
        return json.loads(json.dumps(planner.plan_experiment(), default=lambda v: v.item()))


@pytest.mark.parametrize(
    ("configuration", "planner"),
    [("3d_fullres", "ExperimentPlanner"), ("2d", "ExperimentPlanner"),
     ("3d_lowres", "ExperimentPlanner"), ("3d_fullres", "nnUNetPlannerResEncM")],
)  # fmt: skip
def test_plans_are_those_of_nnunet(configuration: str, planner: str) -> None:
    shape, memory = ((80, 220, 220), 1) if configuration == "3d_lowres" else ((40, 128, 120), 8)
    cases = [CaseShape((2.5, 0.8, 0.8), (shape[0] + k, *shape[1:])) for k in range(3)]
    section = {**CT, "configuration": configuration, "planner": planner, "gpu_memory": memory}
    settings = NnunetSettings.of(section)
    plans = make_plans(cases, SEEN, CLASSES, settings)
    expected = plan_with_nnunet(cases, describe_labels(CLASSES, settings), planner, memory)
    held = expected["configurations"][configuration]
    found = dict(plans.plans["configurations"][configuration])
    assert found.pop("data_identifier") == configuration  # the only name that differs
    held.pop("data_identifier")
    assert {k: found[k] for k in held} == held
    for key in ("transpose_forward", "transpose_backward", "image_reader_writer"):
        assert plans.plans[key] == expected[key]
    assert intensities(plans) == SEEN
    assert Plans.of_json(json.loads(json.dumps(plans.as_json()))).key == plans.key


def check(section: dict[str, Any], shape: tuple[int, ...] = (12, 30, 26)) -> None:
    row = PoolRow("i0", "", "", "", "", shape, 0)
    get_learner("nnunet").check_start(section, Start(CLASSES, [row], FakeLayout({})))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({**FAST, "patch": [8, 16, 18]}, r"nnunet\.patch: \(8, 16, 18\); allowed: .*halve"),
        ({**FAST, "patch": [8, 8, 8]}, r"nnunet\.patch: \(8, 8, 8\).*halved twice"),
        ({"configuration": "3d_lowres"}, r"nnunet\.configuration: '3d_lowres'.*3d_fullres"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_a_run(section: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(section)
    check(FAST)


@pytest.mark.parametrize(
    "changes",
    [{"planner": "nnUNetPlannerResEncM"}, {"configuration": "2d", "patch": [16, 16]}],
)
def test_other_networks_train_and_predict(changes: dict, tmp_path: Path) -> None:
    toy = Toy("3d", 3)
    stats = fit(toy, tmp_path, 2, **changes)
    assert np.isfinite(stats["loss"])
    model = get_learner("nnunet").open(tmp_path / "model", toy.layout, {**FAST, **changes})
    ((_, p, _),) = model.probabilities([toy.rows["i0"]])
    assert p.shape == (3, 12, 30, 26)
    assert p.std() > 0
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
    network = json.loads((tmp_path / "model/model.json").read_text())["plans"]["configurations"]
    (plan,) = network.values()
    assert len(plan["patch_size"]) == len(changes.get("patch", FAST["patch"]))
    assert ("Residual" in plan["architecture"]["network_class_name"]) == ("planner" in changes)


def test_identity_of_a_run() -> None:
    """The version always, the plans once the pool is known."""
    identity, layout = get_learner("nnunet").identity, FakeLayout({})
    assert set(identity(FAST, Start(CLASSES, [], layout))) == {"nnunetv2"}
    rows = [PoolRow(f"i{k}", "", "", "", "", (12, 30, 26), 0) for k in range(2)]
    found = identity(FAST, Start(CLASSES, rows, layout))
    assert set(found) == {"nnunetv2", "plans"}
    assert json.loads(json.dumps(found)) == found == identity(FAST, Start(CLASSES, rows, layout))
    other = [PoolRow("i0", "", "", "", "", (40, 90, 60), 0)] * 2
    assert identity(FAST, Start(CLASSES, other, layout)) != found
    assert identity({**FAST, "batch": 3}, Start(CLASSES, rows, layout)) != found
