"""The training loop: a fixed number of steps, resumable at every checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al.io.labels import UNKNOWN

from ..nested import nested_targets
from ..training import Training
from .batches import Crops, Rois
from .model import build, memory_format


def nested_loss(logits: Tensor, labels: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Return the binary cross-entropy of nested classes, averaged over outputs and positions.

    Args:
        logits: (B, K, *spatial) float32.
        labels: (B, *spatial) int64; 255 does not count.
        targets: (C, K) float32, 1 where class c belongs to output k.
        weights: (C,) weight of a position by its class; ``None``: all equal.
    """
    known = labels != UNKNOWN
    wanted = labels[known]
    found = logits.movedim(1, -1)[known]
    loss = F.binary_cross_entropy_with_logits(found, targets[wanted], reduction="none").mean(1)
    if weights is None:
        return loss.mean()
    share = weights[wanted]
    return (loss * share).sum() / share.sum()


class ConvnetTraining(Training):
    """Cross-entropy, AdamW along a cosine, and an average of the weights."""

    same = ("task", "classes", "width", "depth", "stem", "position", "nested", "nested_order")

    def description(self) -> dict[str, Any]:
        """Return what ``build`` takes, and how images are opened."""
        kept = ["width", "depth", "stem", "position", "clip", "input_size"]
        if self.settings.nested is not None:
            kept += ["nested", "nested_order"]
        head = {"task": self.job.task, "classes": list(self.job.classes)}
        return {**head, **{key: getattr(self.settings, key) for key in kept}}

    def facts(self) -> list[Any]:
        """Settings, seed, steps, classes, task, first weights."""
        job = self.job
        head = [self.settings.science(), job.seed, job.steps, list(job.classes), job.task]
        return [*head, self.start_digest()]

    def build(self) -> None:
        """Read the labels and build network and optimiser."""
        job, settings, device = self.job, self.settings, self.device
        self.data = Rois(job, settings) if job.task == "roi" else Crops(job, settings)
        self.net = self._network()
        self.ema = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            _groups(self.net, settings.weight_decay), lr=settings.learning_rate
        )
        self.class_weights = self._class_weights()
        self.targets = None
        if settings.nested is not None:
            held = nested_targets(settings.nested, len(job.classes))
            self.targets = torch.from_numpy(held).float().to(device)

    def _network(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.job.seed)
            net = build(self.description())
        if (first := self.first_weights()) is not None:
            net.load_state_dict(first)
        return net.to(self.device, memory_format=memory_format(self.job.task)).train()

    def _class_weights(self) -> Tensor | None:
        if self.settings.class_weights == "none":
            return None
        count = torch.as_tensor(self.data.frequencies, dtype=torch.float32)
        weights = torch.where(count > 0, count.clamp(min=1).rsqrt(), torch.zeros(()))
        return (weights / weights[count > 0].mean()).to(self.device)

    def state(self) -> dict[str, Any]:
        """Weights, their average, and the optimiser's memory."""
        return {
            "net": self.net.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo ``state``."""
        self.net.load_state_dict(state["net"])
        self.ema = {k: v.to(self.device) for k, v in state["ema"].items()}
        self.optimizer.load_state_dict(state["optimizer"])

    def advance(self) -> None:
        """One batch."""
        images, targets = self.data.batch(self.step)
        x = torch.from_numpy(images).to(self.device, memory_format=memory_format(self.job.task))
        y = torch.from_numpy(targets).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * self._schedule()
        with torch.autocast(self.device.type, torch.bfloat16, self.device.type == "cuda"):
            logits = self.net(x)
        if self.targets is None:
            loss = F.cross_entropy(logits.float(), y, self.class_weights, ignore_index=UNKNOWN)
        else:
            loss = nested_loss(logits.float(), y, self.targets, self.class_weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.loss = loss.detach()
        self.step += 1
        self._average()

    def _schedule(self) -> float:
        """Linear warm-up, then a cosine to zero."""
        rise = max(1, round(self.settings.warmup * self.job.steps))
        if self.step < rise:
            return (self.step + 1) / rise
        return 0.5 + 0.5 * math.cos(math.pi * (self.step - rise) / max(1, self.job.steps - rise))

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        state = self.net.state_dict()
        floats = [k for k, v in state.items() if v.is_floating_point()]
        torch._foreach_lerp_([self.ema[k] for k in floats], [state[k] for k in floats], 1 - decay)
        for name in state.keys() - set(floats):
            self.ema[name] = state[name].clone()

    def pixels(self) -> int:
        """Pixels (voxels, RoIs) of all crops."""
        size = (1,) if self.job.task == "roi" else self.settings.crop or ()
        return self.step * (self.settings.batch or 1) * math.prod(size)

    def weights(self) -> Mapping[str, Tensor]:
        """Return the averaged weights."""
        return self.ema


def _groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameters with and (biases, normalisation) without weight decay."""
    parameters = list(net.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
