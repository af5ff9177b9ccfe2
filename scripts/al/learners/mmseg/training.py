"""The training loop on mmsegmentation's models, optimisers and schedulers; resumable.

Not mmengine's Runner: its checkpoints need pickle, are not written by rename and hold no place in
the data, so that a killed training could neither be trusted nor continued as if undisturbed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor

from al.io.errors import ConfigError, DataError
from al.io.labels import read_label
from al.scoring.scores import confusion, iou

from ..base import FitJob
from ..sampling import Stream, workers_of
from ..training import Training
from .configs import check_weights, digest_of_weights, make_plan
from .data import Samples, only
from .model import Segmentor, build, load_pretrained, load_strictly, tag
from .settings import SCRATCH, MmsegSettings

MOST_WORKERS = 8


class MmsegTraining(Training):
    """A training of what a configuration says; ``held_out`` counts where it is validated on it."""

    same = ("backbone", "neck", "decode_head", "auxiliary_head", "classes")

    def __init__(self, job: FitJob, settings: MmsegSettings, device: torch.device) -> None:
        """Read the configuration; refuse one that has nothing to be validated on.

        Raises:
            ConfigError: for a configuration that cannot be used, or nothing to validate on.
        """
        if settings.validation != "clean":
            job = replace(job, held_out={})
        elif not job.held_out:
            raise ConfigError(
                "mmseg.validation: 'clean', but no revealed region is held out; it takes two or "
                "more"
            )
        if settings.validation == "paper" and job.score is None:
            raise ConfigError("mmseg.validation: 'paper' needs scored images; none were given")
        super().__init__(job, settings, device)
        self.plan = make_plan(settings, job.classes, job.steps)
        self.data: Stream | None = None
        self.scores: list[list[float]] = []  # step and score of every validation
        self.best: dict[str, Tensor] = {}

    def facts(self) -> list[Any]:
        """Settings, configuration, seed, steps, classes, first weights, what is held out."""
        job, made = self.job, asdict(self.plan)
        if self.settings.validation == "none":  # how images are predicted then decides nothing
            made["model"] = {k: v for k, v in made["model"].items() if k != "test_cfg"}
            made["model"]["data_preprocessor"] = dict(made["model"].get("data_preprocessor") or {})
            made["model"]["data_preprocessor"].pop("test_cfg", None)
        held = {k: [(r.start, r.size) for r in v] for k, v in sorted(job.held_out.items())}
        start = self.start_digest() if self.previous else digest_of_weights(self.settings)
        head = [self.settings.science(), made, job.seed, job.steps, list(job.classes)]
        return [*head, start, held]

    def build(self) -> None:
        """Find the labels that teach; build network, optimiser and schedulers."""
        settings, plan, device = self.settings, self.plan, self.device
        self.samples = Samples(self.job, plan, settings.pad)
        self.amp = settings.amp and device.type == "cuda"
        self.model = Segmentor(self._network().to(device), device, self.job.layout, settings)
        self.optimizer = build_optim_wrapper(self.model.network, plan.optim_wrapper)
        self.schedulers = [
            PARAM_SCHEDULERS.build(dict(s), default_args={"optimizer": self.optimizer})
            for s in plan.schedule
        ]

    def _network(self) -> torch.nn.Module:
        job, settings = self.job, self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            network = build(self.plan.model, settings.config)
        if (first := self.first_weights()) is not None:
            load_strictly(network, first, str(self.previous))
            return network
        check_weights(settings, self.plan)
        if settings.pretrained not in (None, SCRATCH):
            print(load_pretrained(network, settings.pretrained), flush=True)
        return network

    def is_over(self) -> bool:
        """Whether all steps are made, or ``patience`` validations brought nothing better."""
        values = [s for _, s in self.scores]
        best = values.index(max(values)) if values else 0
        return self.step >= self.job.steps or len(values) - 1 - best >= self.settings.patience

    def begin(self) -> None:
        """Start to read from the sample that comes next."""
        workers = workers_of(self.settings.workers, self.device, MOST_WORKERS)
        parts = self.settings.accumulate
        size = self.plan.batch // parts
        numbers = range(self.step * self.plan.batch, self.job.steps * self.plan.batch)
        self.data = Stream(self.samples, numbers, workers, size, pseudo_collate)

    def end(self) -> None:
        """End the processes that make batches."""
        if self.data is not None:
            self.data.close()

    def advance(self) -> None:
        """One batch."""
        # Dropout and the like depend on the step alone, so that a resumed training goes on as an
        # undisturbed one.
        seed = np.random.SeedSequence([self.job.seed, self.step]).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0]))
        network, parts = self.model.network, self.settings.accumulate
        network.train()
        total = torch.zeros((), device=self.device)
        for _ in range(parts):
            with torch.autocast(self.device.type, torch.bfloat16, self.amp):
                batch = network.data_preprocessor(next(self.data), True)
                loss, _ = network.parse_losses(network(**batch, mode="loss"))
            self.optimizer.backward(loss / parts)
            total += loss.detach() / parts
        self.optimizer.step()
        self.optimizer.zero_grad()
        for scheduler in self.schedulers:
            scheduler.step()
        self.loss = total
        self.step += 1

    def is_review_due(self) -> bool:
        """Whether this step is to be validated, and has not been."""
        if self.settings.validation == "none" or not self.step:
            return False
        due = self.step % self.settings.validate_every == 0 or self.step == self.job.steps
        return due and not (self.scores and self.scores[-1][0] == self.step)

    def review(self) -> None:
        """Validate; keep the weights that a clean validation finds best."""
        settings = self.settings
        self.model.network.eval()
        score = self._score()
        if not np.isfinite(score):
            raise DataError("labels: what the training is validated on has no labelled pixel")
        better = not self.scores or score > max(s for _, s in self.scores)
        if better and settings.validation == "clean":
            state = self.model.network.state_dict()
            self.best = {k: v.detach().cpu().clone() for k, v in state.items()}
        self.scores.append([self.step, score])
        print(f"step {self.step}  validation ({settings.validation}) {score:.4f}", flush=True)

    def _score(self) -> float:
        """Mean IoU of what steers the training."""
        if self.job.score is not None and self.settings.validation == "paper":
            return self.job.score(self.model.segment)
        matrix = np.zeros((len(self.job.classes),) * 2, np.int64)
        for row in sorted(self.job.labels, key=lambda r: r.image):
            held = self.job.held_out.get(row.image, ())
            if held:
                truth = only(read_label(row.path, self.job.rows[row.image].shape), held)
                found = self.model.segment(self.job.rows[row.image])
                matrix += confusion(truth, found, len(self.job.classes))
        return float(np.nanmean(iou(matrix))) if matrix.any() else np.nan

    def description(self) -> dict[str, Any]:
        """Return the configuration of the segmentor, and the classes."""
        return {"classes": list(self.job.classes), **tag(self.plan.model)}

    def weights(self) -> Mapping[str, Tensor]:
        """Return the best weights of a clean validation, otherwise the last ones."""
        return self.best or self.model.network.state_dict()

    def pixels(self) -> int:
        """Pixels of all crops."""
        return self.step * self.plan.batch * math.prod(self.plan.crop)

    def more_stats(self) -> dict[str, Any]:
        """What steered the training, with the step and score of every validation."""
        return {"validation": {"by": self.settings.validation, "scores": self.scores}}

    def state(self) -> dict[str, Any]:
        """Weights, the memory of optimiser and schedulers, and the scores so far."""
        return {
            "network": self.model.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [s.state_dict() for s in self.schedulers],
            "scores": self.scores,
            "best": self.best,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo ``state``."""
        self.model.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for scheduler, held in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(held)
        self.scores, self.best = state["scores"], state["best"]
