"""A training of nnU-Net's own network, loss, augmentation and schedule; resumable.

Not nnU-Net's loop: its checkpoints need pickle, come every 50 epochs and hold no place in the data,
so that a killed training could neither be trusted nor continued as if undisturbed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from al.io.errors import ConfigError

from ..base import FitJob
from ..sampling import Stream, workers_of
from ..training import Training
from .cases import Batches, Cases, HiddenPadding
from .packages import (
    determine_num_input_channels,
    nnUNetDataLoader,
    nnUNetTrainer,
    temporary_folders,
)
from .planning import Plans
from .settings import NnunetSettings
from .store import Store, open_store

MOST_WORKERS = 12


class Trainer(nnUNetTrainer):
    """nnU-Net's trainer with the parts that a loop of ours uses; it reads and writes no file."""

    def print_to_log_file(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: the loop does."""

    def _do_i_compile(self) -> bool:
        return False

    def initialize(self) -> None:
        """Build network, optimiser and loss, without a folder of preprocessed files."""
        self._set_batch_size_and_oversample()
        self.num_input_channels = determine_num_input_channels(
            self.plans_manager, self.configuration_manager, self.dataset_json
        )
        self.network = self.build_network_architecture(
            self.plans_manager,
            self.configuration_manager,
            self.num_input_channels,
            self.label_manager.num_segmentation_heads,
            self.enable_deep_supervision,
        ).to(self.device)
        self.optimizer, self.lr_scheduler = self.configure_optimizers()
        self.loss = self._build_loss()
        self.was_initialized = True

    def loader(self, cases: Cases) -> nnUNetDataLoader:
        """Return nnU-Net's loader of augmented patches."""
        turn, flat, start, mirror = (
            self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        config, labels = self.configuration_manager, self.label_manager
        transforms = self.get_training_transforms(
            config.patch_size,
            turn,
            self._get_deep_supervision_scales(),
            mirror,
            flat,
            use_mask_for_norm=config.use_mask_for_norm,
            is_cascaded=False,
            foreground_labels=labels.foreground_labels,
            regions=labels.foreground_regions if labels.has_regions else None,
            ignore_label=labels.ignore_label,
        )
        loader = nnUNetDataLoader(
            cases,
            self.batch_size,
            start,
            config.patch_size,
            labels,
            oversample_foreground_percent=self.oversample_foreground_percent,
            transforms=HiddenPadding(transforms, labels.ignore_label),
        )
        # Where all is revealed, patches that need no foreground lie anywhere, as nnU-Net has it.
        loader.has_ignore = cases.are_partial
        return loader


def make_trainer(
    plans: Plans, settings: NnunetSettings, epochs: int, device: torch.device
) -> Trainer:
    """Return a trainer of the plans, not initialised yet."""
    held = {**copy.deepcopy(plans.plans), "continue_training": False}
    with temporary_folders():
        trainer = Trainer(held, plans.configuration, 0, plans.dataset_json, device)
    trainer.initial_lr, trainer.weight_decay = settings.learning_rate, settings.weight_decay
    trainer.oversample_foreground_percent = settings.oversample
    trainer.num_iterations_per_epoch, trainer.num_epochs = settings.iterations, epochs
    return trainer


def store_of(job: FitJob, settings: NnunetSettings) -> Store:
    """Return what was prepared for a job.

    Raises:
        ConfigError: something else or nothing is prepared, or what the cycle before did not have.
    """
    store = None if job.prepared is None else open_store(job.prepared)
    if store is None or store.settings != settings.preparation():
        found = "nothing is" if store is None else "with other settings something else is"
        raise ConfigError(f"{job.prepared}: {found} prepared there")
    before = (job.before or {}).get("plans", store.plans.key)
    if before != store.plans.key:
        raise ConfigError(
            f"{store.folder}: its plans are not those of the cycle before: it was made anew since, "
            "from other volumes. Start a new run (run=...); results would mix"
        )
    return store


class NnunetTraining(Training):
    """A training by the plans of what was prepared."""

    same = ("classes", "plans", "dataset_json", "configuration")

    def __init__(self, job: FitJob, settings: NnunetSettings, device: torch.device) -> None:
        """Open what was prepared; see ``store_of``."""
        super().__init__(job, settings, device)
        self.store = store_of(job, settings)
        if device.type == "cuda":  # as nnU-Net does
            torch.backends.cudnn.benchmark = True
        self.data: Stream | None = None

    def facts(self) -> list[Any]:
        """Settings, plans, seed, steps, classes, first weights."""
        job = self.job
        head = [self.settings.science(), self.store.plans.key, job.seed, job.steps]
        return [*head, list(job.classes), self.start_digest()]

    def build(self) -> None:
        """Bring the labels to nnU-Net's grid; let nnU-Net build network, optimiser and loader."""
        job, settings, store = self.job, self.settings, self.store
        began = time.monotonic()
        self.cases = Cases(job, store)
        self.labels_seconds = time.monotonic() - began
        epochs = math.ceil(job.steps / settings.iterations)
        self.trainer = make_trainer(store.plans, settings, epochs, self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            self.trainer.initialize()
        if (first := self.first_weights()) is not None:
            self.trainer.network.load_state_dict(first)
        self.loader = self.trainer.loader(self.cases)

    def begin(self) -> None:
        """Start to make the batch that comes next."""
        workers = workers_of(self.settings.workers, self.device, MOST_WORKERS)
        batches = Batches(self.loader, self.store.plans, self.job.seed)
        self.data = Stream(batches, range(self.step, self.job.steps), workers)

    def end(self) -> None:
        """End the processes that make batches."""
        if self.data is not None:
            self.data.close()

    def advance(self) -> None:
        """One batch."""
        trainer = self.trainer
        trainer.network.train()
        trainer.lr_scheduler.step(self.step // self.settings.iterations)
        found = trainer.train_step(next(self.data))
        self.loss = torch.as_tensor(float(found["loss"]), device=self.device)
        self.step += 1

    def state(self) -> dict[str, Any]:
        """Weights, momentum, and on a GPU the scale of the loss."""
        trainer = self.trainer
        scaler = trainer.grad_scaler
        return {
            "net": trainer.network.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo ``state``."""
        trainer = self.trainer
        trainer.network.load_state_dict(state["net"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        if trainer.grad_scaler is not None and state["scaler"] is not None:
            trainer.grad_scaler.load_state_dict(state["scaler"])

    def pixels(self) -> int:
        """Voxels of all patches."""
        plan = self.store.plans.chosen
        return self.step * plan.batch_size * math.prod(plan.patch_size)

    def more_stats(self) -> dict[str, Any]:
        """Volumes that taught something, epochs, and the time to bring labels to their grid."""
        return {
            "volumes": len(self.cases.cases),
            "epochs": self.trainer.num_epochs,
            "plans": self.store.plans.key,
            "revealed_kept": round(self.cases.kept, 4),
            "labels_seconds": round(self.labels_seconds, 3),
        }

    def description(self) -> dict[str, Any]:
        """Return the plans and the classes, and where preprocessed volumes lie."""
        order = list(self.settings.nested_order or ())
        head = {"classes": list(self.job.classes), "order": order}
        return {**head, "prepared": str(self.store.folder), **self.store.plans.as_json()}

    def weights(self) -> Mapping[str, Any]:
        """Return the last weights."""
        return self.trainer.network.state_dict()
