"""``dataset=nnunet_raw`` through the workflow: classes from dataset.json, bad data refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from al.generators import generate
from al.io.tables import read_regions
from tests.workflow.conftest import Run

LABELS = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": 2}
TINY = {
    "dataset": "nnunet_raw",
    "run": "tiny",
    "strategies": "decomp,clasp_pe",
    "references": "none",
    "seeds": "1",
    "cycles": "2",
    "budget": "2x3",
    "region": "8x8",
    "patch": "4x8x8",
    "steps": "3",
    "convnet": "{width: 4, depth: 2, crop: [8, 16, 16]}",
}


@pytest.fixture(scope="module")
def kidneys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated kidneys as nnU-Net keeps them, with labels as regions."""
    root = tmp_path_factory.mktemp("data") / "Dataset999_Kidneys"
    generate("kits23_mini", root, 0, cases=5, depth=10, side=32)
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir()
    for case in sorted(root.glob("case_*")):
        (case / "imaging.nii.gz").rename(root / f"imagesTr/{case.name}_0000.nii.gz")
        (case / "segmentation.nii.gz").rename(root / f"labelsTr/{case.name}.nii.gz")
        case.rmdir()
    held = {"labels": LABELS, "regions_class_order": [1, 3, 2], "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(held))
    return root


def run_on(root: Path, folder: Path) -> Run:
    folder.mkdir()
    return Run(folder, {**TINY, "data_root": str(root)})


def test_a_plan_needs_the_classes_alone(kidneys: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    run = run_on(data, tmp_path / "run")
    assert "dataset.json: no such file" in run.run("-n", "--quiet", fails=True)
    shutil.copy(kidneys / "dataset.json", data)
    assert "select_regions" in run.run("-n")


@pytest.mark.slow
def test_a_run_from_dataset_json_to_scores(kidneys: Path, tmp_path: Path) -> None:
    run = run_on(kidneys, tmp_path / "run")
    run.run("--cores", "2")
    results = run.folder / "results/tiny"
    settings = yaml.safe_load((results / "config.yaml").read_text())
    assert settings["classes"] == ["background", "rest of kidney", "tumour", "rest of masses"]
    folder = results / "2x3/clasp_pe/seed-0/cycle-002"
    scores = json.loads((folder / "metrics.json").read_text())
    assert set(scores["per_class"]) == {"kidney", "masses", "tumour"}
    assert {region.kind for region in read_regions(folder / "regions.csv")} == {"patch"}


def test_bad_volumes_are_refused_before_the_first_job(kidneys: Path, tmp_path: Path) -> None:
    data = shutil.copytree(kidneys, tmp_path / "data")
    flat = data / "imagesTr/case_00001_0000.nii.gz"
    volume = nib.load(flat)
    nib.save(nib.Nifti1Image(np.zeros(volume.shape, np.int16), volume.affine), flat)
    labels = data / "labelsTr/case_00002.nii.gz"
    nib.save(nib.Nifti1Image(np.full(volume.shape, 5, np.uint8), volume.affine), labels)
    run = run_on(data, tmp_path / "run")
    printed = run.run("--cores", "1", fails=True)
    assert f"{flat}: 0 in every voxel" in printed
    assert f"{labels}: label values [5]" in printed
    assert "2 problem(s)" in printed and not (run.folder / "results/tiny/pool.csv").exists()
