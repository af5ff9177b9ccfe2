"""Time and peak memory of nnU-Net's stages on one large CT volume, each in a process of its own.

    OMP_NUM_THREADS=1 python tests/benchmarks/nnunet_memory.py --shape 600 512 512

A generated volume of 1 x 0.8 x 0.8 mm, 4 classes, annotated at 1.84 mm and predicted with a small
network (its size does not matter here): the record on the annotator's grid and on the file's, and
the labels that are scored.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from al.io.labels import UNKNOWN, write_label
from al.io.tables import LabelRow
from al.layouts import get_layout
from al.learners import FitJob, Request, get_learner
from tests.benchmarks.machine import cpu_name

CLASSES = ["background", "kidney", "tumour", "cyst"]
SETTINGS = {
    "configuration": "3d_lowres", "modality": "CT", "foreground": [-200, 500], "batch": 2,
    "nested": [[1, 2, 3], [2, 3], [2]], "nested_order": [1, 3, 2],
    "patch": [64, 96, 96], "features": 4, "mirror": False, "workers": 1,
}  # fmt: skip
STAGES = ("prepare", "train", "record at 1.84 mm", "record on the file's grid", "segment in full")


def write_volume(folder: Path, shape: tuple[int, int, int]) -> None:
    """Write a body of noise with a kidney in it, slices along the first axis."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = -1.0, -0.8, -0.8, 1
    case = folder / "case_00000"
    case.mkdir(parents=True)
    rng = np.random.default_rng(0)
    image = np.full(shape, -1000, np.int16)
    inside = tuple(slice(n // 8, -n // 8) for n in shape)
    image[inside] = rng.integers(-100, 200, image[inside].shape, dtype=np.int16)
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(n // 3, n // 2) for n in shape)] = 1
    nib.save(nib.Nifti1Image(image, affine), case / "imaging.nii.gz")
    nib.save(nib.Nifti1Image(label, affine), case / "segmentation.nii.gz")


def run_stage(stage: str, folder: Path) -> dict[str, Any]:
    """Run one stage; return seconds and peak memory in MB."""
    grid = None if "file" in stage else 1.84
    layout = get_layout("kits23", {"grid": grid}, CLASSES)
    rows, learner = layout.index(folder / "data"), get_learner("nnunet")
    request = Request(frozenset({"labels", "uncertainty"}), (0.7,), "least_confidence")
    model, began = folder / "model", time.monotonic()
    if stage == "prepare":
        learner.prepare(layout, rows, folder / "prepared", SETTINGS, CLASSES)
    elif stage == "train":
        seen = layout.open_label(rows[0])
        label = np.full(seen.shape, UNKNOWN, np.uint8)
        middle = slice(seen.shape[0] // 2 - 4, seen.shape[0] // 2 + 4)
        label[middle] = seen[middle]
        write_label(folder / "label.npz", label)
        job = FitJob(
            layout=layout, rows={rows[0].key: rows[0]}, out=model, work=folder / "work", seed=0,
            labels=[LabelRow(rows[0].image, "", str(folder / "label.npz"), None)], steps=1,
            settings=SETTINGS, classes=CLASSES, task="3d", prepared=folder / "prepared",
        )  # fmt: skip
        learner.fit(job)
    elif stage == "segment in full":
        learner.open(model, layout, SETTINGS).segment(rows[0], full=True)
    else:
        list(learner.open(model, layout, SETTINGS).predict(rows, {}, request))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=[600, 512, 512])
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(run_stage(given.stage, given.folder)))
        return
    print(f"{cpu_name()}; {' x '.join(map(str, given.shape))} voxels")
    with tempfile.TemporaryDirectory() as name:
        write_volume(Path(name) / "data", tuple(given.shape))
        for stage in STAGES:
            words = [sys.executable, __file__, "--stage", stage, "--folder", name]
            made = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(made.stdout.splitlines()[-1])
            print(f"{stage:28} {found['seconds']:8.1f} s {found['peak_mb']:8d} MB", flush=True)


if __name__ == "__main__":
    main()
