"""A trained network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from al.io.files import read_json
from al.io.tables import PoolRow

from ..base import VolumeSource
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .geometry import Placement, Target, sample
from .packages import determine_do_sep_z_and_axis, nnUNetPredictor, nnUNetTrainer
from .planning import Plans
from .settings import NnunetSettings
from .store import Store, open_store, preprocess


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

    plans: Plans
    classes: int
    order: tuple[int, ...]
    weights: list[dict[str, Tensor]]
    network: nn.Module
    settings: NnunetSettings
    device: torch.device
    store: Store | None

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
            data, placement = preprocess(layout.open_full(row), layout.affine(row), self.plans)
        return torch.from_numpy(data), placement

    def _predictor(self, member: int) -> nnUNetPredictor:
        settings, plans = self.settings, self.plans
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
        p, plans = placement, self.plans
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
    about = read_json(members[0] / DESCRIPTION)
    plans = Plans.of_json(about)
    network = nnUNetTrainer.build_network_architecture(
        plans.manager, plans.chosen, 1, plans.labels.num_segmentation_heads, False
    )
    store = open_store(Path(about["prepared"]))  # nothing depends on its being there
    if store is not None and store.plans.key != plans.key:
        store = None  # made anew since; this model keeps to its own plans
    weights = [load_tensors(member / WEIGHTS) for member in members]
    classes, order = len(about["classes"]), tuple(about["order"])
    return Loaded(
        plans, classes, order, weights, network.to(device).eval(), settings, device, store
    )
