"""A training in steps that can be cut off anywhere and goes on at its last checkpoint."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from al.io.files import read_json, write_json

from .base import FitJob
from .running import (
    CHECKPOINT,
    DONE,
    STATS,
    Progress,
    building,
    load_tensors,
    own_folder,
    save_tensors,
    stopping,
)


class Training(ABC):
    """One training; what a step does, is made of and leaves is a subclass's.

    The caller holds the lock of ``job.work``. ``done.json`` and the model are the same whenever the
    same training is run on the same CPU; ``stats.json`` holds the time it took.
    """

    def __init__(self, job: FitJob, device: torch.device, key: str, checkpoint_every: int) -> None:
        self.job, self.device, self.key = job, device, key
        self.checkpoint_every = checkpoint_every
        self.step = 0
        self.spent = 0.0  # seconds of training, those of interrupted attempts included
        self.loss = torch.zeros((), device=device)

    @abstractmethod
    def advance(self) -> None:
        """Make step ``self.step``, set ``self.loss`` (a detached scalar) and count the step."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return tensors and plain values that the training goes on from."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` returned, its tensors on the CPU."""

    @abstractmethod
    def pixels(self) -> int:
        """Return the number of pixels (voxels, RoIs) seen so far."""

    @abstractmethod
    def save_model(self, folder: Path) -> None:
        """Write the finished model into an existing folder."""

    def begin(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare for the steps from ``self.step`` on."""

    def end(self) -> None:  # noqa: B027 - most have nothing to end
        """Let go of what ``begin`` started; called however the steps came to an end."""

    def is_over(self) -> bool:
        """Whether no further step is wanted."""
        return self.step >= self.job.steps

    def is_review_due(self) -> bool:
        """Whether ``review`` is wanted before the next step."""
        return False

    def review(self) -> None:  # noqa: B027 - most do without
        """Look at what was learnt so far; may take long, and is not cut off by SIGTERM."""

    def more_stats(self) -> dict[str, Any]:
        """Return what a subclass adds to the statistics."""
        return {}

    def train(self) -> dict[str, Any]:
        """Run the steps that are left, write the model and return statistics."""
        folder = own_folder(self.job.work, self.key)
        self._resume(folder / CHECKPOINT)
        began, resumed = time.monotonic() - self.spent, self.step
        progress = Progress(self.job.steps, self.step, time.monotonic())
        with stopping() as stop:
            late = self.is_review_due()  # an earlier attempt was ended in it
            if late:
                self.review()
            self.begin()
            try:
                while not self.is_over():
                    self.advance()
                    progress.tell(self.step, self.loss)
                    saved = self.step % self.checkpoint_every == 0 or self.is_review_due()
                    if saved or stop.is_set() or self.is_over():
                        self.spent = time.monotonic() - began
                        self._save(folder / CHECKPOINT)
                    if self.is_review_due() and not stop.is_set():
                        self.review()
                    if stop.is_set() and (self.is_review_due() or not self.is_over()):
                        print(f"stopped by a signal, saved at step {self.step}", flush=True)
                        raise SystemExit(143)
            finally:
                self.end()
            if late or self.step != resumed:  # with what the last review found
                self._save(folder / CHECKPOINT)
        stats = self._stats(resumed, round(time.monotonic() - began, 3))
        # Asked again, a finished training gives the very same files.
        if resumed == self.step and (folder / STATS).exists():
            stats = read_json(folder / STATS)
        write_json(folder / STATS, stats)
        with building(self.job.out) as out:
            self.save_model(out)
            write_json(out / STATS, stats)
            write_json(out / DONE, {"key": self.key, "steps": self.step})
        return stats

    def _stats(self, resumed: int, seconds: float) -> dict[str, Any]:
        return {
            "steps": self.step,
            "seconds": seconds,
            "resumed_from": resumed,
            "pixels_seen": self.pixels(),
            "loss": float(self.loss),
            "device": str(self.device),
            **self.more_stats(),
        }

    def _resume(self, path: Path) -> None:
        if not path.exists():
            return
        state = load_tensors(path)
        if state["key"] != self.key:
            return
        self.restore(state)
        self.step, self.spent = state["step"], state["spent"]
        self.loss = state["loss"].to(self.device)
        print(f"resumed at step {self.step}", flush=True)

    def _save(self, path: Path) -> None:
        if not torch.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss is {float(self.loss)} at step {self.step}; nothing is saved any more. A "
                "lower learning rate may help"
            )
        head = {"key": self.key, "step": self.step, "spent": self.spent, "loss": self.loss}
        save_tensors(path, {**head, **self.state()})


def already_trained(out: Path) -> dict[str, Any]:
    """Return the statistics of a finished training."""
    print(f"already trained: {out}", flush=True)
    return read_json(out / STATS)
