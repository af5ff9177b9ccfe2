"""A trained network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from al.io.errors import ConfigError
from al.io.files import read_json, write_json
from al.io.tables import PoolRow

from ..base import FitJob, VolumeSource
from ..training import DESCRIPTION, WEIGHTS, load_tensors, save_tensors
from .geometry import Placement, Target, sample
from .packages import determine_do_sep_z_and_axis, nnUNetPredictor, nnUNetTrainer
from .planning import Plans
from .settings import NnunetSettings
from .store import Store, open_store, preprocess


@dataclass(frozen=True)
class Description:
    """What a model was made with.

    Attributes:
        plans: frozen plans.
        classes: class names.
        order: class that each sigmoid output writes; empty where the classes are exclusive.
        prepared: folder of the dataset's preprocessed volumes, if there is one; nothing depends
            on its being there.
    """

    plans: Plans
    classes: tuple[str, ...]
    order: tuple[int, ...]
    prepared: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what ``read`` reads."""
        head = {"classes": list(self.classes), "order": list(self.order), "prepared": self.prepared}
        return {**head, **self.plans.as_json()}

    @classmethod
    def read(cls, model: Path) -> Description:
        """Read the description of a finished network."""
        held = read_json(model / DESCRIPTION)
        order, classes = tuple(held["order"]), tuple(held["classes"])
        return cls(Plans.of_json(held), classes, order, held["prepared"])

    def refuse_other(self, model: Path) -> None:
        """Refuse to start from a model of other plans or classes. Raises ConfigError."""
        other = Description.read(model)
        if (other.plans.key, other.classes) != (self.plans.key, self.classes):
            raise ConfigError(f"nnunet.start: {model} was trained with other plans or classes")


def describe(store: Store, settings: NnunetSettings, job: FitJob) -> Description:
    """Return the description of what is trained now."""
    order = settings.nested_order or ()
    prepared = None if job.prepared is None else str(job.prepared)
    return Description(store.plans, tuple(job.classes), order, prepared)


def save_model(folder: Path, description: Description, weights: Mapping[str, Tensor]) -> None:
    """Write a model into an existing folder."""
    write_json(folder / DESCRIPTION, description.as_json())
    save_tensors(folder / WEIGHTS, {k: v.detach().cpu().clone() for k, v in weights.items()})


@dataclass(frozen=True)
class Predicted:
    """Outputs of all members for one volume, brought to a grid slab by slab.

    Attributes:
        maps: per member (K, ...) float16 on the training grid, in array axes.
        target: the grid.
        nested: whether the outputs are sigmoids.
    """

    maps: list[Tensor]
    target: Target
    nested: bool

    @property
    def outputs(self) -> int:
        """Number of outputs of a network."""
        return self.maps[0].shape[0]

    def slabs(self) -> Iterator[tuple[slice, list[Tensor]]]:
        """Yield rows of the first array axis, and each member's (K, rows, H, W) probabilities.

        What nnU-Net cropped away, because it is zero, is background for certain.
        """
        axes = self.target.axes()
        for part in self.target.parts():
            found = []
            for maps in self.maps:
                logits, inside = sample(maps, axes, part)
                p = logits.sigmoid_() if self.nested else logits.softmax(0)
                if inside is not None:
                    p = torch.where(inside.to(p.device), p, 0)
                    if not self.nested:
                        p[0][~inside] = 1
                found.append(p)
            yield part, found


@dataclass
class Loaded:
    """A model ready to predict: one network, or the members of an ensemble."""

    description: Description
    weights: list[dict[str, Tensor]]
    network: nn.Module
    settings: NnunetSettings
    device: torch.device
    store: Store | None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.description.classes)

    @property
    def order(self) -> tuple[int, ...]:
        """Class that each sigmoid output writes; empty where the classes are exclusive."""
        return self.description.order

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.weights)

    def predict(self, layout: VolumeSource, row: PoolRow, full: bool = False) -> Predicted:
        """Predict a volume.

        Args:
            layout: opens it.
            row: of the pool.
            full: for the file's grid, not the annotator's.
        """
        data, placement = self._preprocessed(layout, row)
        grid = layout.grid_of(row)
        target = self._target(placement, grid.full if full else grid.shape)
        found = []
        for number in range(self.members):
            predictor = self._predictor(number)
            maps = predictor.predict_sliding_window_return_logits(data)
            found.append(target.arrange(maps))
        return Predicted(found, target, bool(self.order))

    def _preprocessed(self, layout: VolumeSource, row: PoolRow) -> tuple[Tensor, Placement]:
        store = self.store
        if store is not None and store.holds(layout, row):
            data, placement = store.image(row.image)[:], store.placement(row.image)
        else:
            data, placement = preprocess(
                layout.open_full(row), layout.affine(row), self.description.plans
            )
        return torch.from_numpy(data), placement

    def _predictor(self, member: int) -> nnUNetPredictor:
        settings, plans = self.settings, self.description.plans
        # On a CPU it says that results stay there, each time.
        with contextlib.redirect_stdout(io.StringIO()):
            predictor = nnUNetPredictor(
                tile_step_size=settings.step_size,
                use_mirroring=settings.mirror,
                device=self.device,
                allow_tqdm=False,
            )
        self.network.load_state_dict(self.weights[member])
        axes = tuple(range(len(plans.chosen.patch_size)))
        predictor.manual_initialization(
            self.network, plans.manager, plans.chosen, None, plans.dataset_json, "Trainer", axes
        )
        return predictor

    def _target(self, placement: Placement, shape: Sequence[int]) -> Target:
        """The nearest voxel is taken along an axis where nnU-Net would do so."""
        p, plans = placement, self.description.plans
        trained = list(plans.chosen.spacing)
        if len(trained) == 2:
            trained = [p.spacing[0], *trained]
        wanted = [p.spacing[t] * p.full[t] / shape[p.order[t]] for t in range(3)]
        forced = plans.chosen.configuration["resampling_fn_probabilities_kwargs"][
            "force_separate_z"
        ]
        _, axis = determine_do_sep_z_and_axis(forced, trained, wanted)
        return Target(placement, tuple(int(n) for n in shape), axis)


def load(members: Sequence[Path], settings: NnunetSettings, device: torch.device) -> Loaded:
    """Load the networks of a model."""
    description = Description.read(members[0])
    plans = description.plans
    network = nnUNetTrainer.build_network_architecture(
        plans.manager, plans.chosen, 1, plans.labels.num_segmentation_heads, False
    )
    store = None if description.prepared is None else open_store(Path(description.prepared))
    if store is not None and store.plans.key != plans.key:
        store = None  # made anew since; this model keeps to its own plans
    weights = [load_tensors(member / WEIGHTS) for member in members]
    return Loaded(description, weights, network.to(device).eval(), settings, device, store)
