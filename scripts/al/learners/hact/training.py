"""The training loop: a fixed number of steps, resumable at every checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from al.io.errors import ConfigError, DataError
from al.io.tables import LabelRow, PoolRow
from al.io.threads import in_order
from al.scoring.scores import score_rois

from ..base import FitJob
from ..cache import Cache
from ..sampling import seeded
from ..training import Training
from .batches import (
    batch_numbers,
    epoch_steps,
    key_of,
    known_labels,
    seen_rois,
    size_of,
    validation_labels,
)
from .graph_file import RoiGraph
from .model import NETWORK, Batch, Network, run_rois, to_device
from .network import collate
from .preparing import Store
from .settings import HactSettings


def store_of(job: FitJob, settings: HactSettings) -> Store:
    """Return the graphs that were prepared for a job.

    Raises:
        ConfigError: others or none are prepared.
        DataError: for labels that nothing can be learnt from, graphs made anew since the cycle
            before.
    """
    if not known_labels(job.labels):
        raise DataError("labels: no labelled RoI; nothing to learn from")
    store = None if job.prepared is None else Store.of(job.prepared)
    if store is None or store.plans["settings"] != settings.preparation():
        found = "nothing is" if store is None else "with other settings something else is"
        raise ConfigError(f"{job.prepared}: {found} prepared there")
    store.check_key((job.before or {}).get("plans", store.key), "the cycle before")
    return store


class HactTraining(Training):
    """A training on the graphs of ``store``."""

    same = ("network", "classes", "plans")

    def __init__(self, job: FitJob, settings: HactSettings, device: torch.device) -> None:
        """Open what was prepared; see ``store_of``."""
        super().__init__(job, settings, device)
        self.store = store_of(job, settings)
        self.scores: list[list[float]] = []  # step, weighted F1 and loss of every validation
        self.best: dict[str, Tensor] = {}
        self.data: Iterator[tuple[Batch, Tensor]] | None = None

    def facts(self) -> list[Any]:
        """Settings, graphs, seed, steps, classes, first weights, RoIs that choose the weights."""
        job = self.job
        chosen = sorted([row.image, row.roi, row.label] for row in self._validation())
        head = [self.settings.science(), self.store.key, job.seed, job.steps, list(job.classes)]
        return [*head, self.start_digest(), chosen]

    def _validation(self) -> list[LabelRow]:
        if self.settings.validation == "none":
            return []
        return validation_labels(self.job)

    def build(self) -> None:
        """Find the RoIs that teach and that choose; build network and optimiser."""
        settings = self.settings
        self.rows, self.targets = self._split(known_labels(self.job.labels))
        self.chosen, self.truth = self._split(self._validation())
        self.cache: Cache[RoiGraph] = Cache(settings.cache_gb * 1e9, size_of)
        self.net = self._network()
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def _split(self, labels: Sequence[LabelRow]) -> tuple[list[PoolRow], np.ndarray]:
        rows = [self.job.rows[key_of(row)] for row in labels]
        self.store.check(rows)
        return rows, np.array([row.label for row in labels], dtype=np.int64)

    def _network(self) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.job.seed)
            net = Network(self.description()["network"])
        if self._is_standardised():
            net.standardise(self.store.plans["moments"])
        if (first := self.first_weights()) is not None:
            net.load_state_dict(first)
        return net.to(self.device)

    def _is_standardised(self) -> bool:
        settings = self.settings
        if settings.standardise == "auto":
            return settings.builds and settings.weights is None
        return bool(settings.standardise)

    def begin(self) -> None:
        """Start to read the batches that come next, by threads."""
        self.data = in_order(self._batch, range(self.step, self.job.steps), 2)

    def end(self) -> None:
        """End the threads that read batches."""
        if self.data is not None:
            self.data.close()

    def _load(self, row: PoolRow) -> RoiGraph:
        return self.cache.get(row.key, lambda: self.store.graphs.load(row.key))

    def _batch(self, step: int) -> tuple[Batch, Tensor]:
        numbers = batch_numbers(len(self.rows), self.settings.batch, self.job.seed, step)
        graphs = [self._load(self.rows[n]) for n in numbers]
        return collate(graphs), torch.from_numpy(self.targets[numbers])

    def advance(self) -> None:
        """One batch, and at the end of an epoch what is validated."""
        batch, targets = next(self.data)
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
        (found,) = run_rois([self.net], self.chosen, self._load, len(classes), most, self.device)
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

    def description(self) -> dict[str, Any]:
        """Return what the network is made of, and the graphs that it was trained on."""
        job, plans = self.job, self.store.plans
        network = {key: getattr(self.settings, key) for key in NETWORK}
        return {
            "network": {**network, "dims": dict(plans["dims"]), "classes": len(job.classes)},
            "classes": list(job.classes),
            "plans": self.store.key,
            "prepared": str(self.store.folder),
        }

    def weights(self) -> Mapping[str, Tensor]:
        """Return the best weights, without validation the last ones."""
        return self.best or self.net.state_dict()
