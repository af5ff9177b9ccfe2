"""The training loop: a fixed number of steps, resumable at every checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from al.io.errors import ConfigError, DataError
from al.io.tables import LabelRow, PoolRow
from al.scoring.scores import score_rois

from ..base import FitJob
from ..ensemble import drop_members, member_jobs, train_members
from ..locking import locked
from ..resumable import Training, already_trained
from ..running import choose_device, hash_training, is_done, load_tensors
from ..sampling import seeded
from .batches import (
    Ahead,
    Kept,
    batch_numbers,
    epoch_steps,
    key_of,
    known_labels,
    seen_rois,
    validation_labels,
)
from .model import WEIGHTS, Batch, Network, describe, run_rois, save_model, to_device
from .network import collate
from .preparing import Store, open_store, prepare
from .settings import HactSettings, made_by


def fit(job: FitJob) -> dict[str, Any]:
    """Train ``job`` and return its statistics; at once where ``job.out`` holds this very training.

    Where nothing was prepared for the dataset, that is done for the RoIs of the job.

    Raises:
        ConfigError: for settings or steps that cannot be used.
        DataError: for labels that nothing can be learnt from, and graphs of other data.
        LockedError: while another process trains it.
    """
    settings = HactSettings.of(job.settings)
    if job.steps < 1:
        raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
    if not known_labels(job, job.labels, "labels"):
        raise DataError("labels: no labelled RoI; nothing to learn from")
    device = choose_device(settings.device, "hact")
    torch.set_num_threads(settings.threads)
    with locked(job.work):
        store = _store(job, settings)
        _refuse_other_plans(job, store)
        one = replace(settings, members=1, member_labels="all")

        def train_one(member: FitJob) -> dict[str, Any]:
            key = training_key(member, one, store, device)
            if is_done(member.out, key):
                return already_trained(member.out)
            return _Run(member, one, store, device, key).train()

        if settings.members == 1:
            drop_members(job, 0)
            return train_one(job)
        jobs = member_jobs(job, settings.members, settings.member_labels == "folds")
        keys = [training_key(member, one, store, device) for member in jobs]
        return {**train_members(job, jobs, keys, train_one), "plans": store.key}


def _store(job: FitJob, settings: HactSettings) -> Store:
    folder = job.prepared or job.work / "prepared"
    store = open_store(folder)
    if job.prepared is None:
        rows = list(job.rows.values())
        if store is None or not _is_of(store, settings, rows):
            prepare(job.layout, rows, folder, settings)
            store = open_store(folder)
    elif store is None:
        raise ConfigError(f"{folder}: nothing is prepared there")
    elif store.plans["settings"] != settings.preparation():
        raise ConfigError(f"{folder}: with other settings something else is prepared there")
    return store


def _is_of(store: Store, settings: HactSettings, rows: Sequence[PoolRow]) -> bool:
    """Whether a preparation of a job's own is of its settings and rows."""
    plans = store.plans
    if plans["settings"] != settings.preparation() or plans["made_by"] != made_by():
        return False
    try:
        store.check(rows)
    except DataError:
        return False
    return len(plans["rois"]) == len(rows)


def _refuse_other_plans(job: FitJob, store: Store) -> None:
    """Refuse to go on from a cycle that was trained on other graphs. Raises ConfigError."""
    before = (job.before or {}).get("plans", store.key)
    if before != store.key:
        raise ConfigError(
            f"{store.folder}: its graphs are not those of the cycle before: it was made anew "
            "since. Start a new run (run=...); results would mix"
        )


def training_key(job: FitJob, settings: HactSettings, store: Store, device: torch.device) -> str:
    """Return a hash of what decides the result: labels, graphs, seed, first weights."""
    start = None
    if settings.start == "previous" and job.previous is not None:
        start = sha256((job.previous / WEIGHTS).read_bytes()).hexdigest()
    chosen = sorted([row.image, row.roi, row.label] for row in _validation(job, settings))
    head = [settings.science(), store.key, job.seed, job.steps, list(job.classes), start, chosen]
    return hash_training([*head, device.type], job.labels)


def _validation(job: FitJob, settings: HactSettings) -> list[LabelRow]:
    if settings.validation == "none":
        return []
    return validation_labels(job, known_labels(job, job.labels, "labels"))


class _Run(Training):
    def __init__(
        self, job: FitJob, settings: HactSettings, store: Store, device: torch.device, key: str
    ) -> None:
        super().__init__(job, device, key, settings.checkpoint_every)
        self.settings, self.store = settings, store
        labels = known_labels(job, job.labels, "labels")
        if not labels:
            raise DataError("labels: no labelled RoI; nothing to learn from")
        self.rows, self.targets = self._split(labels)
        self.chosen, self.truth = self._split(_validation(job, settings))
        self.kept = Kept(lambda row: store.graphs.load(row.key), settings.cache_gb * 1e9)
        self.description = describe(store, settings, job)
        self.net = self._network()
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scores: list[list[float]] = []  # step, weighted F1 and loss of every validation
        self.best: dict[str, Tensor] = {}
        self.data: Ahead[tuple[Batch, Tensor]] | None = None

    def _split(self, labels: Sequence[LabelRow]) -> tuple[list[PoolRow], np.ndarray]:
        rows = [self.job.rows[key_of(row)] for row in labels]
        self.store.check(rows)
        return rows, np.array([row.label for row in labels], dtype=np.int64)

    def _network(self) -> Network:
        job, settings = self.job, self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            net = Network(self.description.network)
        if self._is_standardised():
            net.standardise(self.store.plans["moments"])
        if settings.start == "previous" and job.previous is not None:
            self.description.refuse_other(job.previous)
            net.load_state_dict(load_tensors(job.previous / WEIGHTS))
            print(f"starts from {job.previous}", flush=True)
        return net.to(self.device)

    def _is_standardised(self) -> bool:
        settings = self.settings
        if settings.standardise == "auto":
            return settings.builds and settings.graph.weights is None
        return bool(settings.standardise)

    def begin(self) -> None:
        """Start to read the batch that comes next."""
        self.data = Ahead(self._batch, self.job.steps)

    def end(self) -> None:
        """End the thread that reads batches."""
        if self.data is not None:
            self.data.close()

    def _batch(self, step: int) -> tuple[Batch, Tensor]:
        numbers = batch_numbers(len(self.rows), self.settings.batch, self.job.seed, step)
        graphs = [self.kept.get(self.rows[n]) for n in numbers]
        return collate(graphs), torch.from_numpy(self.targets[numbers])

    def advance(self) -> None:
        """One batch, and at the end of an epoch what is validated."""
        batch, targets = self.data.get(self.step)
        for group in self.optimizer.param_groups:
            share = 0.5 + 0.5 * math.cos(math.pi * self.step / self.job.steps)
            group["lr"] = self.settings.learning_rate * share
        # Dropout depends on the step alone, so that a resumed training goes on as an undisturbed
        # one.
        seed = np.random.SeedSequence([self.job.seed, self.step]).generate_state(1)
        self.net.train()
        with seeded(int(seed[0])):
            logits = self.net(*to_device(batch, self.device))
            loss = F.cross_entropy(logits, targets.to(self.device))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()
        self.step += 1
        # Part of the step: a checkpoint at every epoch, which may be one step, would take longer.
        epoch = epoch_steps(len(self.rows), self.settings.batch)
        if self.chosen and (self.step % epoch == 0 or self.step == self.job.steps):
            self._validate()

    def _validate(self) -> None:
        """Keep the weights if they are the best so far.

        The best have the highest weighted F1, of equal ones the lowest loss, of equal ones the
        first.
        """
        classes, most = self.job.classes, self.settings.max_nodes
        self.net.eval()
        (found,) = run_rois([self.net], self.chosen, self.kept.get, len(classes), most, self.device)
        score = score_rois(self.truth, found.argmax(1), classes)["score"]
        loss = float(F.cross_entropy(torch.from_numpy(found), torch.from_numpy(self.truth)))
        loss = loss if math.isfinite(loss) else math.inf
        better = all((score, -loss) > (before, -other) for _, before, other in self.scores)
        if better:
            state = self.net.state_dict()
            self.best = {k: v.detach().cpu().clone() for k, v in state.items()}
        self.scores.append([self.step, score, loss])

    def pixels(self) -> int:
        """RoIs of all batches."""
        return seen_rois(len(self.rows), self.settings.batch, self.step)

    def more_stats(self) -> dict[str, Any]:
        """RoIs that taught and that chose the weights, and the key of the graphs."""
        scores = [[step, round(score, 6), round(loss, 6)] for step, score, loss in self.scores]
        best = max(self.scores, key=lambda s: (s[1], -s[2]))[0] if self.scores else None
        told = {"rois": len(self.chosen), "chosen_step": best, "scores": scores}
        return {"rois": len(self.rows), "plans": self.store.key, "validation": told}

    def state(self) -> dict[str, Any]:
        """Weights, the optimiser's memory, and the best weights so far with all scores."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scores": self.scores,
            "best": self.best,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo ``state``."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scores, self.best = state["scores"], state["best"]

    def save_model(self, folder: Path) -> None:
        """Write the best weights, without validation the last ones."""
        save_model(folder, self.description, self.best or self.net.state_dict())
