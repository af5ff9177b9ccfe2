"""What the tests of ``nnunet`` share; imports nothing of nnU-Net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from al.io.labels import UNKNOWN, write_label
from al.io.tables import LabelRow, PoolRow
from al.layouts import Layout, get_layout
from al.learners import get_learner
from decomp_core import Region
from tests.learners.fakes import CLASSES, Toy, prepared

TINY: dict[str, Any] = {
    "patch": [8, 16, 16],
    "batch": 2,
    "features": 8,
    "iterations": 25,
    "learning_rate": 0.05,
    "mirror": False,
    "checkpoint_every": 1000,
}
# Where it need not learn anything.
FAST: dict[str, Any] = {**TINY, "features": 4, "iterations": 4}
NESTED: dict[str, Any] = {"nested": [[1, 2], [2]], "nested_order": [1, 2]}


def fit(toy: Toy, folder: Path, steps: int = 2, **changes: Any) -> dict[str, Any]:
    """Train on what the toy reveals; fields of the job and settings by name."""
    fields = ("previous", "prepared", "before", "seed", "rows", "layout", "classes")
    given = {key: changes.pop(key) for key in fields if key in changes}
    labels = changes.pop("labels", None) or toy.labels(folder / "y")
    learner = get_learner("nnunet")
    job = toy.job(folder, labels, steps, settings={**FAST, **changes}, **given)
    return learner.fit(prepared(learner, job))


def reveal(
    toy: Toy, folder: Path, windows: Mapping[str, Sequence[Region]], value: int | None = None
) -> list[LabelRow]:
    """Write labels of windows alone, of the truth or all of one value."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, truth in toy.truth.items():
        label = np.full(truth.shape, UNKNOWN, np.uint8)
        for region in windows.get(name, ()):
            label[region.slices] = truth[region.slices] if value is None else value
        write_label(folder / f"{name}.npz", label)
        rows.append(LabelRow(name, "", str(folder / f"{name}.npz"), None))
    return rows


def corners(toy: Toy) -> dict[str, list[Region]]:
    """One slice's window at a border or a corner of each volume, and one voxel of the last."""
    found: dict[str, list[Region]] = {}
    for number, (name, truth) in enumerate(toy.truth.items()):
        size = (1, 5, 4) if number < len(toy.truth) - 1 else (1, 1, 1)
        ends = [number >> axis & 1 for axis in range(3)]
        start = [end * (n - s) for end, n, s in zip(ends, truth.shape, size, strict=True)]
        found[name] = [Region(tuple(start), size)]
    return found


def write_dataset(folder: Path, toy: Toy, step: float = 1.0) -> Path:
    """Write the volumes of a toy as a dataset of nnU-Net's raw form, voxels of ``step`` mm."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    affine = np.diag([step, step, step, 1.0])[[2, 1, 0, 3]]
    for name, image in toy.images.items():
        nib.save(nib.Nifti1Image(image, affine), folder / f"imagesTr/{name}_0000.nii.gz")
        nib.save(nib.Nifti1Image(toy.truth[name], affine), folder / f"labelsTr/{name}.nii.gz")
    return folder


def open_dataset(folder: Path, **options: Any) -> tuple[Layout, dict[str, PoolRow]]:
    """Return layout and rows of a written dataset."""
    layout = get_layout("nnunet_raw", options, CLASSES)
    return layout, {row.key: row for row in layout.index(folder)}


def count_calls(monkeypatch: Any, function: Callable[..., Any], *modules: Any) -> list[int]:
    """Count the calls of a function under its name in modules, one number for each call."""
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return function(*args, **kwargs)

    for module in modules:
        monkeypatch.setattr(module, function.__name__, counted)
    return calls
