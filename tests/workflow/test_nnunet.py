"""Small real runs with nnU-Net as the learner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

from al.config.start import StartRefused
from al.generators import generate
from al.io.errors import ConfigError
from al.io.labels import UNKNOWN, read_label
from al.io.tables import read_regions
from tests.config.kit import ROOT, begin, typed

from .conftest import TINY, Run, once

pytestmark = pytest.mark.slow

STEPS = 6
CYCLE = "2x3/decomp/seed-0/cycle-002"
SMALL = {"patch": [8, 16, 16], "batch": 2, "features": 4, "iterations": 2, "checkpoint_every": 1}
SETTINGS = {
    **TINY,
    "dataset": "kits23_mini",
    "learner": "nnunet",
    "strategies": "decomp",
    "cycles": "2",
    "references": "full",
    "region": "10x10",
    "layout_options": "{grid: [6.5, 7.5]}",
    "full_steps": str(STEPS),
    "steps": json.dumps({"nnunet": {"per_region": 1, "most": STEPS + 20}}),
    "nnunet": json.dumps(SMALL),
}


def make_kidneys(folder: Path) -> None:
    """Write six volumes."""
    generate("kits23_mini", folder / "data", 0, cases=6)


@pytest.fixture(scope="module")
def kidneys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "kidneys", make_kidneys) / "data"


@pytest.fixture(scope="module")
def whole(kidneys: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed."""
    settings = {**SETTINGS, "data_root": str(kidneys)}
    targets = [f"results/tiny/{place}/metrics.json" for place in (CYCLE, "references/full/seed-0")]
    make = lambda folder: Run(folder, settings).run("--cores", "2", *targets)  # noqa: E731
    return Run(once(tmp_path_factory, "nnunet", make), settings)


def test_a_whole_run_with_nested_classes(whole: Run, kidneys: Path, tmp_path: Path) -> None:
    """Nothing of it is made again where the data are moved, what is prepared included."""
    metrics = whole.files("tiny/**/metrics.json")
    assert len(metrics) == 2
    for name, content in metrics.items():
        found = json.loads(content)
        assert found["steps"] == (STEPS if "references" in name else 12)  # one for each region
        assert set(found["per_class"]) == {"kidney and masses", "masses", "tumour"}
        assert 0 <= found["score"] <= 1
    (prepared,) = (whole.folder / "data/prepared").iterdir()
    assert len(list((prepared / "images").glob("*.b2nd"))) == 6
    assert json.loads((whole.folder / "results/tiny/learner.json").read_text())["nnunetv2"]
    targets = [f"results/{name}" for name in metrics]
    moved = str(shutil.copytree(kidneys, tmp_path / "moved"))
    assert "Nothing to be done" in whole.run("-n", *targets, data_root=moved)


def test_what_is_revealed_is_ground_truth_and_nothing_else(whole: Run, kidneys: Path) -> None:
    """Voxel by voxel, on the annotator's grid and on nnU-Net's."""
    from al.layouts import get_layout
    from al.learners.nnunet.cases import training_labels
    from al.learners.nnunet.store import open_store

    (prepared,) = (whole.folder / "data/prepared").iterdir()
    store = open_store(prepared)
    layout = get_layout("kits23", {"grid": [6.5, 7.5]}, ["background", "kidney", "tumour", "cyst"])
    folder = whole.folder / "results/tiny" / CYCLE
    regions = read_regions(folder / "history.csv")
    for path in sorted((folder / "labels").glob("*.npz")):
        row = next(r for r in layout.index(kidneys) if r.image == path.stem)
        seen, label = layout.open_label(row), read_label(path)
        revealed = np.zeros(label.shape, bool)
        for region in (r.region for r in regions if r.image == row.image):
            revealed[region.slices] = True
        np.testing.assert_array_equal(label[revealed], seen[revealed])
        assert (label[~revealed] == UNKNOWN).all()
        found = training_labels(label, store, row.image)[0]
        place = store.placement(row.image)
        inside = place.labels(revealed.astype(np.uint8)) == 1
        assert inside.any()
        np.testing.assert_array_equal(found[inside], place.labels(seen)[inside])
        assert (found[~inside] == 4).all()


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of nnU-Net's raw form, with its dataset.json."""
    root = tmp_path_factory.mktemp("brains")
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        label = np.zeros((18, 20, 16), np.uint8)
        low = rng.integers(2, 6, 3)
        label[tuple(slice(s, s + 8) for s in low)] = 1
        label[tuple(slice(s + 3, s + 7) for s in low)] = 2
        image = rng.normal(100 + 60 * label, 10).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), root / f"imagesTr/b{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), root / f"labelsTr/b{number}.nii.gz")
    told = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "outer": 1, "inner": 2},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(told))
    return root


def test_nnactives_regime_on_any_raw_dataset(brains: Path, tmp_path: Path) -> None:
    """Patches, its start, an ensemble over folds of what is annotated; mutual information."""
    settings = {
        **TINY,
        "dataset": "nnunet_raw",
        "data_root": str(brains),
        "learner": "nnunet",
        "strategies": "clasp_pe,bald",
        "patch": "4x4x4",
        "region": "4x4",
        "budget": "4x4",
        "cycles": "2",
        "steps": "2",
        "nnunet": json.dumps({**SMALL, "members": 2, "member_labels": "folds", "mirror": False}),
    }
    regime = str(ROOT / "config/experiments/nnactive.yaml")
    files = [f"results/tiny/4x4/{s}/seed-0/cycle-002/regions.csv" for s in ("clasp_pe", "bald")]
    Run(tmp_path, settings).run("--cores", "2", *files, "--configfile", regime)
    first = tmp_path / "results/tiny/4x4/initial/seed-0/cycle-001"
    assert (first / "model/member-1/weights.pt").exists()
    for file in files:
        new = read_regions(tmp_path / file)
        assert len(new) == 4
        assert {r.kind for r in new} == {"patch"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nnunet": '{"configuration": "3d_lowres"}'}, "allowed for volumes of this size: 2d, 3d_"),
        ({"nnunet": '{"patch": [9, 16, 16]}'}, r"nnunet.patch: (9, 16, 16); allowed: sizes that"),
        ({"nnunet": '{"foreground": null}'}, "for modality CT"),
        ({"nnunet": '{"iterationss": 3}'}, "did you mean 'iterations'"),
        ({"uncertainty": "entropy"}, "allowed: least_confidence"),
        ({"strategies": "coreset"}, "features"),
        ({"strategies": "clasp_pe"}, "nested class"),
    ],
)
def test_bad_input_is_refused_before_the_first_job(
    changes: dict[str, str], message: str, kidneys: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, StartRefused)) as refusal:
        begin(tmp_path, **typed({**SETTINGS, "data_root": str(kidneys), **changes}))
    assert message in str(refusal.value)
    assert not list(tmp_path.glob("results/**/*.*"))


def test_snakemake_shows_a_refusal(kidneys: Path, tmp_path: Path) -> None:
    section = {"nnunet": '{"patch": [9, 16, 16]}', "data_root": str(kidneys)}
    printed = Run(tmp_path, {**SETTINGS, **section}).run("--cores", "1", fails=True)
    assert "nnunet.patch: (9, 16, 16); allowed" in printed and "Traceback" not in printed
    assert not (tmp_path / "results/tiny/pool.csv").exists()


def test_a_run_of_an_older_plan_is_refused(whole: Run, tmp_path: Path) -> None:
    """Its first cycles were trained by another network."""
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    file = folder / "results/tiny/learner.json"
    held = json.loads(file.read_text())
    held["nnunetv2"] = "2.5.1"
    file.write_text(json.dumps(held))
    words = typed({**whole.settings, "cycles": "3"})
    with pytest.raises(StartRefused, match=r"nnunetv2: '2\.5\.1' -> '2\.8\.1'"):
        begin(folder, **words)
    file.write_text(json.dumps({**held, "nnunetv2": "2.8.1"}))
    (plans,) = folder.glob("data/prepared/*/plans.json")
    plans.write_text(json.dumps({**json.loads(plans.read_text()), "key": "of more volumes"}))
    with pytest.raises(StartRefused, match="was made anew, from other data, since"):
        begin(folder, **words)
