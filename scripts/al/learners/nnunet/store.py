"""Plans and preprocessed images of a dataset, made once and shared by all trainings.

``fingerprint/CASE.npz``, ``images/CASE.b2nd`` with ``images/CASE.json``, and last of all
``plans.json``. Each file appears by rename: what a killed job has finished is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import blosc2
import nibabel as nib
import numpy as np

from al.io.arrays import read_arrays
from al.io.errors import ConfigError, DataError
from al.io.files import atomic_path, file_name, read_json, reading, short_name, sweep, write_json
from al.io.locking import locked
from al.io.tables import PoolRow
from al.io.threads import in_order

from ..base import VolumeSource
from ..sampling import available_cpus
from .geometry import Placement, canonical_axes, oriented
from .packages import comp_blosc2_params
from .planning import (
    CaseShape,
    Plans,
    make_plans,
    nnunet_version,
    refuse_shallow,
    sample_intensities,
    summarise,
)
from .settings import LABELS, NnunetSettings

PLANS = "plans.json"
MOST_THREADS = 4
OUT = TypeVar("OUT")


def facts_of(layout: VolumeSource, row: PoolRow) -> dict[str, Any]:
    """Return what tells a volume's file from another: shape, affine, size in bytes."""
    return {
        "shape": [int(n) for n in layout.grid_of(row).full],
        "affine": np.round(layout.affine(row), 4).tolist(),
        "file size": os.path.getsize(row.path) if row.path else None,
    }


def case_shape(layout: VolumeSource, row: PoolRow) -> CaseShape:
    """Return spacing and shape of a whole volume as nnU-Net reads it; opens its header alone."""
    affine = layout.affine(row)
    order, _ = canonical_axes(affine)
    sizes, shape = nib.affines.voxel_sizes(affine), layout.grid_of(row).full
    return CaseShape(
        tuple(float(sizes[axis]) for axis in order), tuple(int(shape[axis]) for axis in order)
    )


def prepare(
    layout: VolumeSource,
    rows: Sequence[PoolRow],
    folder: Path,
    settings: NnunetSettings,
    classes: Sequence[str],
) -> None:
    """Make what is missing in ``folder``: fingerprint, plans and preprocessed images.

    Raises:
        ConfigError: for settings that nnU-Net cannot plan with.
        DataError: for volumes that cannot be read.
        LockedError: while another process prepares them.
    """
    threads = settings.workers
    threads = min(MOST_THREADS, available_cpus()) if threads is None else max(1, threads)
    with locked(folder):
        sweep(folder)
        take = partial(_taken, layout, folder / "fingerprint", settings, len(rows))
        shapes, samples = zip(*_each(take, rows, threads, "fingerprint"), strict=True)
        plans = make_plans(shapes, summarise(samples), classes, settings)
        refuse_shallow(plans)
        del samples
        (folder / PLANS).unlink(missing_ok=True)  # vouches for all that follows
        facts = _each(partial(_made, layout, folder, plans), rows, threads, "preprocessed")
        about = {
            **plans.as_json(),
            "key": plans.key,
            "nnunetv2": nnunet_version(),
            "settings": settings.preparation(),
            "cases": {row.image: fact for row, fact in zip(rows, facts, strict=True)},
        }
        write_json(folder / PLANS, about)


def _each(
    function: Callable[[PoolRow], OUT], rows: Sequence[PoolRow], threads: int, word: str
) -> list[OUT]:
    found = []
    for number, value in enumerate(in_order(function, rows, threads), start=1):
        found.append(value)
        if number % max(1, len(rows) // 10) == 0 or number == len(rows):
            print(f"{word}: {number} of {len(rows)} volumes", flush=True)
    return found


def _taken(
    layout: VolumeSource, folder: Path, settings: NnunetSettings, cases: int, row: PoolRow
) -> tuple[CaseShape, np.ndarray]:
    """Return the share of one volume in the fingerprint, from its file if that is there."""
    path, facts = folder / f"{_name(row.image)}.npz", facts_of(layout, row)
    told = repr([facts, settings.foreground, cases])
    if path.exists():
        held = read_arrays(path)
        with reading(path):
            if str(held["facts"]) == told:
                whole = case_shape(layout, row)
                shape = tuple(int(n) for n in held["shape"])
                return CaseShape(whole.spacing, shape, float(held["kept"])), held["values"]
    image = layout.open_full(row)
    order, flip = canonical_axes(layout.affine(row))
    turned = oriented(image, order, flip)
    box = _box_of(turned, row)
    mask = oriented(_foreground(layout, row, image, settings), order, flip)
    values = sample_intensities(turned[box], mask[box], cases)
    whole = case_shape(layout, row)
    shape = tuple(int(s.stop - s.start) for s in box)
    kept = float(np.prod(shape) / np.prod(whole.shape))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, facts=told, shape=shape, kept=kept, values=values)
    return CaseShape(whole.spacing, shape, kept), values


def _box_of(image: np.ndarray, row: PoolRow) -> tuple[slice, ...]:
    """Return the box of voxels that are not zero, as nnU-Net crops to it."""
    sides = []
    for axis in range(3):
        held = np.flatnonzero(image.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(held):
            raise DataError(f"{row.path or row.image}: zero in every voxel; allowed: an image")
        sides.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(sides)


def _foreground(
    layout: VolumeSource, row: PoolRow, image: np.ndarray, settings: NnunetSettings
) -> np.ndarray:
    wanted = settings.foreground
    if wanted == LABELS:
        opened = getattr(layout, "open_scored_label", None)
        if opened is None:
            raise ConfigError(f"nnunet.foreground: {LABELS!r}; this layout shows no labels")
        label = opened(row)
        return (label > 0) & (label < 255)
    if wanted is None:
        return image != 0
    low, high = wanted
    return (image >= low) & (image <= high)


def preprocess(image: np.ndarray, affine: np.ndarray, plans: Plans) -> tuple[np.ndarray, Placement]:
    """Let nnU-Net transpose, crop, normalise and resample a volume.

    Args:
        image: (D, H, W) float32 as in the file.
        affine: (4, 4) of the file, in mm.
        plans: whose configuration is followed.

    Returns:
        (1, *training shape) float32 and where it lies in the file.
    """
    order, flip = canonical_axes(affine)
    sizes = nib.affines.voxel_sizes(affine)
    known: dict[str, Any] = {"spacing": [float(sizes[axis]) for axis in order]}
    processor = plans.chosen.preprocessor_class(verbose=False)
    data, _, known = processor.run_case_npy(
        oriented(image, order, flip)[None], None, known, plans.manager, plans.chosen,
        plans.dataset_json,
    )  # fmt: skip
    forward = plans.manager.transpose_forward
    placement = Placement(
        order=tuple(order[k] for k in forward),
        flip=tuple(flip[k] for k in forward),
        full=tuple(int(n) for n in known["shape_before_cropping"]),
        box=tuple((int(a), int(b)) for a, b in known["bbox_used_for_cropping"]),
        shape=tuple(int(n) for n in data.shape[1:]),
        spacing=tuple(known["spacing"][k] for k in forward),
    )
    return np.asarray(data, np.float32), placement


def _made(layout: VolumeSource, folder: Path, plans: Plans, row: PoolRow) -> dict[str, Any]:
    """Preprocess one volume, unless it is there; return its facts."""
    facts = facts_of(layout, row)
    stamp = {"facts": facts, "plans": plans.key}
    if _is_made(folder, row.image, stamp):
        return facts
    data, placement = preprocess(layout.open_full(row), layout.affine(row), plans)
    path, about = _files(folder, row.image)
    path.parent.mkdir(parents=True, exist_ok=True)
    about.unlink(missing_ok=True)  # it vouches for the image
    blocks, chunks = comp_blosc2_params(data.shape, plans.chosen.patch_size, data.itemsize)
    with atomic_path(path) as temporary:
        temporary.unlink()  # blosc2 makes files, it does not fill them
        blosc2.asarray(
            np.ascontiguousarray(data), urlpath=str(temporary), chunks=chunks, blocks=blocks,
            cparams={"codec": blosc2.Codec.LZ4HC, "clevel": 5, "nthreads": 1},
        )  # fmt: skip
    write_json(about, {**stamp, "placement": placement.as_json()})
    return facts


def _is_made(folder: Path, case: str, stamp: dict[str, Any]) -> bool:
    """Whether a preprocessed volume is there, of that file and by those plans."""
    image, about = _files(folder, case)
    if not about.exists() or not image.exists():
        return False
    held = read_json(about, facts=dict, plans=str, placement=dict)
    return {key: held[key] for key in stamp} == stamp


def _files(folder: Path, case: str) -> tuple[Path, Path]:
    """Return where a preprocessed volume lies, and what vouches for it."""
    name = _name(case)
    return folder / "images" / f"{name}.b2nd", folder / "images" / f"{name}.json"


def _name(case: str) -> str:
    """Return the name of a volume's files: its own unless that is too long, or reads as quoted."""
    return case if short_name(case) == case and not {"/", "%"} & set(case) else file_name(case)


@dataclass(frozen=True)
class Store:
    """What ``prepare`` made.

    Attributes:
        folder: where it lies.
        plans: the frozen plans.
        cases: facts of every volume, by name.
        settings: those that decided it.
    """

    folder: Path
    plans: Plans
    cases: Mapping[str, Any]
    settings: Mapping[str, Any]

    def holds(self, layout: VolumeSource, row: PoolRow) -> bool:
        """Whether the preprocessed volume is there, and is of the file as it is now."""
        stamp = {"facts": facts_of(layout, row), "plans": self.plans.key}
        return _is_made(self.folder, row.image, stamp)

    def placement(self, case: str) -> Placement:
        """Return where a preprocessed volume lies in its file."""
        about = _files(self.folder, case)[1]
        with reading(about):
            return Placement.of_json(read_json(about, placement=dict)["placement"])

    def image(self, case: str) -> blosc2.NDArray:
        """Open a preprocessed volume, (1, *training shape) float32; parts are read when used."""
        path = _files(self.folder, case)[0]
        with reading(path, "a preprocessed volume"):
            return blosc2.open(str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1})

    def check(self, layout: VolumeSource, rows: Sequence[PoolRow]) -> None:
        """Refuse volumes that were not prepared, or have changed since. Raises DataError."""
        for row in rows:
            if not self.holds(layout, row):
                now, was = facts_of(layout, row), self.cases.get(row.image)
                if now == was:
                    raise DataError(
                        f"{self.folder}: the preprocessed volume {row.image} is gone. Make it "
                        f"again: delete {self.folder / PLANS}, start the target prepare_learner"
                    )
                changed = [key for key in now if was is not None and now[key] != was[key]]
                told = f"has another {' and '.join(changed)} now" if changed else "is new"
                raise DataError(
                    f"{self.folder}: made from other data: {row.image} {told}. Put the data back "
                    "as they were, or work in another folder (--directory), or delete this one: "
                    "runs that used it can then not be continued, as other volumes are planned "
                    "for otherwise"
                )


def open_store(folder: Path) -> Store | None:
    """Open what ``prepare`` finished in a folder; ``None`` where it has not."""
    if not (folder / PLANS).exists():
        return None
    held = read_json(
        folder / PLANS, key=str, plans=dict, dataset_json=dict, configuration=str, cases=dict,
        settings=dict,
    )  # fmt: skip
    return Store(folder, Plans.of_json(held), held["cases"], held["settings"])
