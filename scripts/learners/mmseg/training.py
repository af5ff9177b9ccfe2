"""The training loop on mmsegmentation's models, optimisers and schedulers; resumable.

Not mmengine's Runner: its checkpoints need pickle, are not written by rename and hold no place in
the data, so that a killed training could neither be trusted nor continued as if undisturbed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor

from glue.errors import ConfigError
from glue.files import read_json, write_json
from glue.labels import read_label
from glue.scores import confusion, iou
from glue.tables import PoolRow

from ..base import FitJob
from ..locking import locked
from ..running import (
    CHECKPOINT,
    DONE,
    STATS,
    Progress,
    available_cpus,
    building,
    choose_device,
    digest_labels,
    is_done,
    load_tensors,
    own_folder,
    save_tensors,
    stopping,
)
from .configs import Plan, check_weights, make_plan
from .data import Samples, batches, only
from .model import (
    WEIGHTS,
    Loaded,
    build,
    load_pretrained,
    load_strictly,
    same_model,
    save_model,
)
from .settings import SCRATCH, MmsegSettings

MOST_WORKERS = 8


def fit(job: FitJob) -> dict[str, Any]:
    """Train ``job`` and return its statistics; at once where ``job.out`` holds this very training.

    ``steps`` are those that were made, ``validation`` the scores that decided when to stop.

    Raises:
        ConfigError: for settings, weights or a configuration that cannot be used.
        DataError: for labels that nothing can be learnt from.
        LockedError: while another process trains it.
    """
    settings = MmsegSettings.of(job.settings)
    if job.steps < 1:
        raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
    device = choose_device(settings.device, "mmseg")
    torch.set_num_threads(settings.threads)
    plan = make_plan(settings, job.classes, job.steps)
    if settings.validation != "clean":
        job = replace(job, held_out={})
    with locked(job.work):
        key = training_key(job, settings, plan, device)
        if is_done(job.out, key):
            print(f"already trained: {job.out}", flush=True)
            return read_json(job.out / STATS)
        return _Run(job, settings, plan, device, key).train()


def training_key(job: FitJob, settings: MmsegSettings, plan: Plan, device: torch.device) -> str:
    """Return a hash of what decides the result: labels, configuration, seed, first weights."""
    start = _first_weights(job, settings)
    held = {k: [(r.start, r.size) for r in v] for k, v in sorted(job.held_out.items())}
    facts = [
        settings.science(),
        asdict(plan),
        job.seed,
        job.steps,
        list(job.classes),
        start and sha256(start.read_bytes()).hexdigest(),
        held,
        device.type,
        digest_labels(job.labels),
    ]
    return sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _first_weights(job: FitJob, settings: MmsegSettings) -> Path | None:
    if settings.start == "previous" and job.previous is not None:
        return job.previous / WEIGHTS
    if settings.pretrained in (None, SCRATCH) or not Path(settings.pretrained).is_file():
        return None
    return Path(settings.pretrained)


class _Run:
    def __init__(
        self, job: FitJob, settings: MmsegSettings, plan: Plan, device: torch.device, key: str
    ) -> None:
        self.job, self.settings, self.plan, self.device, self.key = job, settings, plan, device, key
        self.samples = Samples(job, plan, settings.pad)
        amp = settings.amp and device.type == "cuda"
        self.model = Loaded(self._network().to(device), device, len(job.classes), amp)
        self.optimizer = build_optim_wrapper(self.model.network, plan.optim_wrapper)
        self.schedulers = [
            PARAM_SCHEDULERS.build(dict(s), default_args={"optimizer": self.optimizer})
            for s in plan.schedule
        ]
        self.step = 0
        self.spent = 0.0  # seconds of training, those of interrupted attempts included
        self.loss = torch.zeros(())
        self.scores: list[list[float]] = []  # step and score of every validation
        self.best: dict[str, Tensor] = {}

    def _network(self) -> torch.nn.Module:
        job, settings = self.job, self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            network = build(self.plan.model, settings.config)
        if settings.start == "previous" and job.previous is not None:
            same_model(job.previous, self.plan.model, job.classes)
            load_strictly(network, load_tensors(job.previous / WEIGHTS), str(job.previous))
            print(f"starts from {job.previous}", flush=True)
            return network
        check_weights(settings, self.plan)
        if settings.pretrained not in (None, SCRATCH):
            print(load_pretrained(network, settings.pretrained), flush=True)
        return network

    def train(self) -> dict[str, Any]:
        """Run the steps that are left and write the model."""
        folder = own_folder(self.job.work, self.key)
        self._resume(folder / CHECKPOINT)
        began = time.monotonic() - self.spent
        resumed, steps = self.step, self.job.steps
        progress = Progress(steps, self.step, time.monotonic())
        data = self._data()
        with stopping() as stop:
            while self.step < steps and not self._is_stuck():
                self._advance(data)
                progress.tell(self.step, self.loss)
                self._validate()
                last = self.step == steps or self._is_stuck()
                if last or stop.is_set() or self.step % self.settings.checkpoint_every == 0:
                    self.spent = time.monotonic() - began
                    self._save(folder / CHECKPOINT)
                if stop.is_set() and not last:
                    print(f"stopped by a signal, saved at step {self.step}", flush=True)
                    raise SystemExit(143)
        stats = self._stats(resumed, round(time.monotonic() - began, 3))
        # Asked again, a finished training gives the very same files.
        if resumed == self.step and (folder / STATS).exists():
            stats = read_json(folder / STATS)
        write_json(folder / STATS, stats)
        with building(self.job.out) as out:
            save_model(out, self.plan.model, self.job.classes, self._final_weights())
            write_json(out / STATS, stats)
            write_json(out / DONE, {"key": self.key, "steps": self.step})
        return stats

    def _stats(self, resumed: int, seconds: float) -> dict[str, Any]:
        return {
            "steps": self.step,
            "seconds": seconds,
            "resumed_from": resumed,
            "pixels_seen": self.step * self.plan.batch * math.prod(self.plan.crop),
            "loss": float(self.loss),
            "device": str(self.device),
            "validation": {"by": self.settings.validation, "scores": self.scores},
        }

    def _data(self) -> Iterator[dict[str, Any]]:
        workers = self.settings.workers
        if workers is None:
            workers = min(MOST_WORKERS, available_cpus()) if self.device.type == "cuda" else 0
        parts = self.settings.accumulate
        size = self.plan.batch // parts
        return batches(self.samples, self.step * parts, self.job.steps * parts, size, workers)

    def _advance(self, data: Iterator[dict[str, Any]]) -> None:
        # Dropout and the like depend on the step alone, so that a resumed training goes on as an
        # undisturbed one.
        seed = np.random.SeedSequence([self.job.seed, self.step]).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0]))
        network, parts = self.model.network, self.settings.accumulate
        network.train()
        total = torch.zeros((), device=self.device)
        for _ in range(parts):
            with torch.autocast(self.device.type, torch.bfloat16, self.model.amp):
                batch = network.data_preprocessor(next(data), True)
                loss, _ = network.parse_losses(network(**batch, mode="loss"))
            self.optimizer.backward(loss / parts)
            total += loss.detach() / parts
        self.optimizer.step()
        self.optimizer.zero_grad()
        for scheduler in self.schedulers:
            scheduler.step()
        self.loss = total
        self.step += 1

    def _validate(self) -> None:
        settings = self.settings
        if settings.validation == "none" or self.step % settings.validate_every:
            return
        self.model.network.eval()
        score = self._score()
        if not self.scores or score > max(s for _, s in self.scores):
            state = self.model.network.state_dict()
            self.best = {k: v.detach().cpu().clone() for k, v in state.items()}
        self.scores.append([self.step, score])
        print(f"step {self.step}  validation ({settings.validation}) {score:.4f}", flush=True)

    def _score(self) -> float:
        """Mean IoU of what steers the training."""
        if self.settings.validation == "paper":
            if self.job.score is None:
                raise ConfigError("mmseg.validation: 'paper' needs scored images; none were given")
            return self.job.score(self._segment)
        matrix = np.zeros((len(self.job.classes),) * 2, np.int64)
        for row in sorted(self.job.labels, key=lambda r: r.image):
            held = self.job.held_out.get(row.image, ())
            if held:
                truth = only(read_label(row.path), held)
                matrix += confusion(
                    truth, self._segment(self.job.rows[row.image]), len(self.job.classes)
                )
        if not matrix.any():
            raise ConfigError("mmseg.validation: 'clean', but no revealed region is held out")
        return float(np.nanmean(iou(matrix)))

    def _segment(self, row: PoolRow) -> np.ndarray:
        found = self.model.probabilities(self.job.layout.open_image(row))
        return found.argmax(0).to(torch.uint8).cpu().numpy()

    def _is_stuck(self) -> bool:
        """Whether the score has not improved for ``patience`` validations."""
        values = [s for _, s in self.scores]
        return (
            bool(values) and len(values) - 1 - values.index(max(values)) >= self.settings.patience
        )

    def _final_weights(self) -> dict[str, Tensor]:
        if self.settings.validation == "clean" and self.best:
            state: dict[str, Tensor] = self.best
        else:
            state = self.model.network.state_dict()
        return {k: v.detach().cpu().contiguous() for k, v in state.items()}

    def _resume(self, path: Path) -> None:
        if not path.exists():
            return
        state = load_tensors(path)
        if state["key"] != self.key:
            return
        self.model.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for scheduler, held in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(held)
        self.step, self.spent = state["step"], state["spent"]
        self.loss, self.scores, self.best = state["loss"], state["scores"], state["best"]
        print(f"resumed at step {self.step}", flush=True)

    def _save(self, path: Path) -> None:
        if not torch.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss is {float(self.loss)} at step {self.step}; lower the learning rate with "
                "mmseg.options: {optim_wrapper.optimizer.lr: ...}, or set mmseg.amp: false"
            )
        state = {
            "key": self.key,
            "step": self.step,
            "spent": self.spent,
            "loss": self.loss.cpu(),
            "network": self.model.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [s.state_dict() for s in self.schedulers],
            "scores": self.scores,
            "best": self.best,
        }
        save_tensors(path, state)
