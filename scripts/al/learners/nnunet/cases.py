"""Training batches: batch k depends on the seed and k alone, whoever makes it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import blosc2
import numpy as np
import torch
from torch.utils.data import Dataset

from al.io.errors import DataError
from al.io.labels import UNKNOWN, count_classes, read_label
from al.io.tables import LabelRow

from ..base import FitJob
from ..sampling import seeded
from .packages import (
    ComposeTransforms,
    GaussianBlurTransform,
    RemoveLabelTransform,
    nnUNetDataLoader,
)
from .planning import Plans
from .store import Store

LOCATIONS = 10_000
TRIES, FEW = 20, 2
MUCH = 0.9  # of what is revealed; a little is lost and won by rounding


@dataclass(frozen=True)
class Case:
    """The revealed labels of one volume on the training grid.

    Attributes:
        seg: (1, *training shape) int16, compressed in memory; ``ignore`` where nothing is revealed.
        locations: by class (region), and by all of them, (N, 4) voxels to centre patches on.
    """

    seg: blosc2.NDArray
    locations: dict[Any, np.ndarray]


def training_labels(label: np.ndarray, store: Store, case: str) -> np.ndarray:
    """Bring revealed labels to the training grid.

    Args:
        label: (D, H, W) uint8 on the annotator's grid, 255 where nothing is revealed.
        store: with the volume's placement.
        case: its name.

    Returns:
        (1, *training shape) int16, nnU-Net's ``ignore`` for 255.
    """
    seg = store.placement(case).labels(label).astype(np.int16)
    seg[seg == UNKNOWN] = store.plans.labels.ignore_label
    return seg[None]


def locate(seg: np.ndarray, plans: Plans, seed: int) -> dict[Any, np.ndarray]:
    """Return voxels of each foreground class (region) and of all that is revealed.

    As nnU-Net's preprocessor does it for labels with ``ignore``: ``LOCATIONS`` of each, of a class
    1 % if that is more; of all that is revealed no more than ``LOCATIONS``.

    Args:
        seg: (1, *training shape) int16.
        plans: whose labels count.
        seed: of the choice among more.

    Returns:
        (N, 4) int64 by class number, by the classes of a region, and by -1 and all classes.
    """
    labels = plans.labels
    rng = np.random.default_rng(seed)
    wanted = labels.foreground_regions if labels.has_regions else labels.foreground_labels
    revealed = tuple([-1, *labels.all_labels])
    found: dict[Any, np.ndarray] = {}
    for key in [*wanted, revealed]:
        name = tuple(key) if isinstance(key, list | tuple) else int(key)
        mask = seg != labels.ignore_label if name == revealed else np.isin(seg, name)
        places = np.flatnonzero(mask)
        most = LOCATIONS if name == revealed else max(LOCATIONS, -(-len(places) // 100))
        if len(places) > most:
            places = rng.choice(places, most, replace=False)
        found[name] = np.stack(np.unravel_index(places, seg.shape), 1) if len(places) else []
    return found


class Cases:
    """The volumes that teach something, in the form that nnU-Net's loader reads."""

    def __init__(self, job: FitJob, store: Store) -> None:
        self.store = store
        self.cases: dict[str, Case] = {}
        self._partial = False
        self._revealed = np.zeros(2)  # shares of volumes: on the annotator's grid, on nnU-Net's
        for row in sorted(job.labels, key=lambda r: r.image):
            if (case := self._case(row, job)) is not None:
                self.cases[row.image] = case
        if self.kept < MUCH:
            print(
                f"{1 - self.kept:.0%} of what is revealed lies between the voxels of nnU-Net's "
                "grid and teaches nothing; layout_options.grid of its voxel size avoids that",
                flush=True,
            )
        if not self.cases:
            raise DataError("labels: no revealed voxel belongs to a class; nothing to learn from")
        store.check(job.layout, [job.rows[name] for name in self.cases])

    def _case(self, row: LabelRow, job: FitJob) -> Case | None:
        label = read_label(row.path, job.rows[row.image].shape)
        if not count_classes(label, len(job.classes), row.path).any():
            return None
        if row.image not in self.store.cases:
            raise DataError(f"{self.store.folder}: holds no volume {row.image!r}")
        seg = training_labels(label, self.store, row.image)
        hidden = UNKNOWN, self.store.plans.labels.ignore_label
        values = zip((label, seg), hidden, strict=True)
        self._revealed += [np.count_nonzero(v != none) / v.size for v, none in values]
        self._partial |= bool((seg == self.store.plans.labels.ignore_label).any())
        locations = locate(seg, self.store.plans, seed=1234)
        if not len(locations[tuple([-1, *self.store.plans.labels.all_labels])]):
            return None  # all of it lies between voxels of a coarser grid, or was cropped away
        packed = blosc2.asarray(
            seg,
            cparams={"codec": blosc2.Codec.LZ4, "nthreads": 1},
            dparams={"nthreads": 1},
        )
        return Case(packed, locations)

    @property
    def kept(self) -> float:
        """Share of what is revealed that is on nnU-Net's grid; the rest lies between its voxels."""
        return float(self._revealed[1] / self._revealed[0]) if self._revealed[0] else 1.0

    @property
    def are_partial(self) -> bool:
        """Whether something of a volume is not revealed."""
        return self._partial

    @property
    def identifiers(self) -> Sequence[str]:
        """Names of the volumes."""
        return list(self.cases)

    def load_case(self, name: str) -> tuple[Any, Any, None, Mapping[str, Any]]:
        """Return image, labels, no earlier stage, and where voxels of each class lie."""
        case = self.cases[name]
        return self.store.image(name), case.seg, None, {"class_locations": case.locations}


def decide_no_step_by_the_clock(transforms: ComposeTransforms) -> None:
    """Let nnU-Net's blur take one of its two convolutions, not the one that proves the faster."""
    for step in transforms.transforms:
        inner = getattr(step, "transform", step)
        if isinstance(inner, GaussianBlurTransform):
            inner.benchmark = False


class HiddenPadding:
    """nnU-Net's transforms, for patches that hang over the border of a volume.

    nnU-Net fills them up with background, and so it does with corners that it turns into a patch.
    Where a patch is revealed in part that would be most of what it learns from, though nobody
    annotated it: there padding is ignored as well (ours).
    """

    def __init__(self, transforms: ComposeTransforms, ignore: int) -> None:
        decide_no_step_by_the_clock(transforms)
        self.ignore, self.whole, self.partly = ignore, transforms, copy.deepcopy(transforms)
        for step in self.partly.transforms:
            if isinstance(step, RemoveLabelTransform):  # padding, -1 until then, is background
                step.set_to = ignore

    def __call__(self, image: torch.Tensor, segmentation: torch.Tensor) -> dict[str, Any]:
        """Transform a patch, (1, *patch) float32 and int16 with -1 where it is padded."""
        hidden = bool((segmentation == self.ignore).any())
        transforms = self.partly if hidden else self.whole
        return transforms(image=image, segmentation=segmentation)


class Batches(Dataset[dict[str, Any]]):
    """Augmented batches by number."""

    def __init__(self, loader: nnUNetDataLoader, plans: Plans, seed: int) -> None:
        self.loader, self.labels, self.seed = loader, plans.labels, seed

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return ``data`` (B, 1, *patch) float32 and ``target``, labels at every depth."""
        for attempt in range(TRIES):
            rng = np.random.default_rng([self.seed, number, attempt])
            with seeded(int(rng.integers(2**32))):
                batch = self.loader.generate_train_batch()
            taught = self._teaches(batch["target"])
            # A large batch is hardly ever without a patch that lost them.
            few = max(FEW, TRIES // len(taught))
            if taught.all() or (attempt >= few and taught.any()):
                return {"data": batch["data"], "target": batch["target"]}
        raise DataError(
            f"labels: {TRIES} batches in turn held nothing revealed; a larger nnunet.patch may help"
        )

    def _teaches(self, target: Any) -> torch.Tensor:
        """Return (B,) bool: which patches have a revealed voxel; turning may carry them out."""
        finest = target[0] if isinstance(target, list) else target
        if self.labels.has_regions:  # the last channel says what is ignored
            known = finest[:, -1] == 0
        else:
            known = finest[:, 0] != self.labels.ignore_label
        return known.flatten(1).any(1)
