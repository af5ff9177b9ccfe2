"""A trained network with what is needed to use it again, on disk and on a device."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from al.io.files import read_json
from al.io.tables import PoolRow

from ..base import VolumeSource
from ..models import MapModel, Part
from ..training import DESCRIPTION, WEIGHTS, load_tensors
from .geometry import Axis, Placement, Target, sample
from .packages import determine_do_sep_z_and_axis, nnUNetPredictor, nnUNetTrainer
from .planning import Plans
from .settings import NnunetSettings
from .store import Store, open_store, preprocess


@dataclass(kw_only=True)
class NnunetModel(MapModel):
    """One network, or the weights of the members of an ensemble, by the plans of a training."""

    plans: Plans
    classes: int
    order: tuple[int, ...]
    weights: list[dict[str, Tensor]]
    network: nn.Module
    layout: VolumeSource
    settings: NnunetSettings
    device: torch.device
    store: Store | None
    segments_full: ClassVar[bool] = True

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.weights)

    def outputs(
        self, rows: Sequence[PoolRow], full: bool = False
    ) -> Iterator[tuple[PoolRow, Iterator[Part]]]:
        """Predict whole volumes on nnU-Net's grid, and bring them to the grid slab by slab."""
        for row in rows:
            yield row, self._slabs(row, full)

    def _slabs(self, row: PoolRow, full: bool) -> Iterator[Part]:
        data, placement = self._preprocessed(row)
        grid = self.layout.grid_of(row)
        target = self._target(placement, grid.full if full else grid.shape)
        maps = []
        for member in range(self.members):
            found = self._predictor(member).predict_sliding_window_return_logits(data)
            maps.append(target.arrange(found))
        axes = target.axes()
        for part in target.parts():
            yield part, map(partial(self._on_grid, axes, part), maps)

    def _on_grid(self, axes: Sequence[Axis], part: slice, maps: Tensor) -> Tensor:
        """Return probabilities of rows of the first array axis, (K, rows, H, W).

        What nnU-Net cropped away, because it is zero, is background for certain.
        """
        logits, inside = sample(maps, axes, part)
        p = logits.sigmoid_() if self.order else logits.softmax(0)
        if inside is not None:
            p = torch.where(inside.to(p.device), p, 0)
            if not self.order:
                p[0][~inside] = 1
        return p

    def _preprocessed(self, row: PoolRow) -> tuple[Tensor, Placement]:
        store, layout = self.store, self.layout
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


def load(
    members: Sequence[Path], layout: VolumeSource, settings: NnunetSettings, device: torch.device
) -> NnunetModel:
    """Load the networks of a model."""
    about = read_json(members[0] / DESCRIPTION)
    plans = Plans.of_json(about)
    network = nnUNetTrainer.build_network_architecture(
        plans.manager, plans.chosen, 1, plans.labels.num_segmentation_heads, False
    )
    store = open_store(Path(about["prepared"]))  # nothing depends on its being there
    if store is not None and store.plans.key != plans.key:
        store = None  # made anew since; this model keeps to its own plans
    return NnunetModel(
        plans=plans,
        classes=len(about["classes"]),
        order=tuple(about["order"]),
        weights=[load_tensors(member / WEIGHTS) for member in members],
        network=network.to(device).eval(),
        layout=layout,
        settings=settings,
        device=device,
        store=store,
    )
