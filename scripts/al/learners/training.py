"""A training in steps that can be cut off anywhere and goes on at its last checkpoint.

With what every training on torch shares: files by rename, the device, progress, a stop by signal.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import textwrap
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from al.io.errors import ConfigError
from al.io.files import atomic_path, check_keys, read_json, reading, stored, sweep, write_json
from al.io.tables import LabelRow

from .base import FitJob

WEIGHTS, DESCRIPTION = "weights.pt", "model.json"
DONE, STATS = "done.json", "stats.json"
# What every training says of itself
STATISTICS: dict[str, Any] = {"steps": int, "seconds": float, "resumed_from": int, "loss": float}
CHECKPOINT = "checkpoint.pt"
# What a checkpoint has beside a training's own state
HEAD: dict[str, Any] = {"key": str, "step": int, "spent": float, "loss": Tensor}
REPORT_SECONDS = 10.0


def choose_device(wish: str, learner: str) -> torch.device:
    """Return the device to compute on. Raises ConfigError where ``cuda`` is asked and absent."""
    if wish == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"{learner}.device: 'cuda', but no CUDA device is available; allowed: auto, cpu"
        )
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wish)


def save_tensors(path: Path, value: Any) -> None:
    """Save tensors by rename, byte for byte the same for the same values."""
    # torch.save names the archive's folder after the path it is given, but not of an open file.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:
            # What torch makes of a failed write tells neither the file nor the reason.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_tensors(path: Path) -> Any:
    """Load tensors to the CPU; nothing in the file is executed.

    Raises:
        DataError: the file is not there or damaged.
    """
    with stored(path, "tensors") as archive:
        if broken := archive.testzip():  # torch reads without the checksums
            raise ValueError(f"checksum of {broken}")
        return torch.load(path, map_location="cpu", weights_only=True)


def is_done(folder: Path, key: str) -> bool:
    """Whether a folder holds the finished training of that key."""
    return (folder / DONE).exists() and read_json(folder / DONE, key=str)["key"] == key


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of ``out``, by rename, when the block succeeds.

    The caller holds a lock, so what lies there under such a name was left by a killed training.
    """
    for left in out.parent.glob(f".{out.name}.*-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = out.with_name(f".{out.name}.{socket.gethostname()}-{os.getpid()}")
    folder.mkdir(parents=True)
    try:
        yield folder
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hash_training(facts: Any, labels: Iterable[LabelRow]) -> str:
    """Return a hash of facts and of the revealed labels, wherever their files lie.

    Args:
        facts: what JSON can hold.
        labels: in any order.
    """
    digest = sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for row in sorted(labels, key=lambda r: (r.image, r.roi)):
        digest.update(json.dumps([row.image, row.roi, row.label]).encode())
        if row.path:
            digest.update(sha256(Path(row.path).read_bytes()).digest())
    return digest.hexdigest()


def own_folder(work: Path, key: str) -> Path:
    """The checkpoint folder of a training's key; those of other labels or settings are removed.

    So are checkpoints that a killed training had begun to write.
    """
    for other in work.glob("key-*"):
        if other.name != f"key-{key[:16]}":
            shutil.rmtree(other)
    folder = work / f"key-{key[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, fresh=0)
    return folder


@dataclass
class Progress:
    """Prints a line now and then."""

    steps: int
    first: int
    began: float
    printed: float = 0.0

    def tell(self, step: int, loss: Tensor) -> None:
        now = time.monotonic()
        if step < self.steps and now - self.printed < REPORT_SECONDS:
            return
        self.printed = now
        rate = (step - self.first) / max(now - self.began, 1e-9)
        left = (self.steps - step) / max(rate, 1e-9)
        print(
            f"step {step}/{self.steps}  loss {float(loss):.4f}  {rate:.1f} it/s  ETA {left:.0f} s",
            flush=True,
        )


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and the first SIGINT set; signals reach the main thread only."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heed(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])  # a second one ends at once

    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, heed)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Training(ABC):
    """One training; what a step does, is made of and leaves is a subclass's.

    The caller holds the lock of ``job.work``. ``done.json`` and the model are the same whenever the
    same training is run on the same CPU; ``stats.json`` holds the time it took.

    Attributes:
        same: keys of ``description`` in which a model agrees that weights are taken from.
    """

    same: ClassVar[tuple[str, ...]]

    def __init__(self, job: FitJob, settings: Any, device: torch.device) -> None:
        """Keep what the training is of; nothing is built or read before ``train``."""
        self.job, self.settings, self.device = job, settings, device
        self.step = 0
        self.spent = 0.0  # seconds of training, those of interrupted attempts included
        self.loss = torch.zeros((), device=device)

    @cached_property
    def key(self) -> str:
        """Hash of what decides the result."""
        return hash_training([*self.facts(), self.device.type], self.job.labels)

    @property
    def previous(self) -> Path | None:
        """The model of the cycle before, where the weights of the first step are its.

        Raises:
            ConfigError: it has another number of members.
        """
        folder = self.job.previous
        if self.settings.start != "previous" or folder is None:
            return None
        if not (folder / WEIGHTS).exists():
            raise ConfigError(
                f"{self.settings.learner}.members: {folder} has no weights to start from; "
                "allowed: as many members as in the cycle before"
            )
        return folder

    def first_weights(self) -> dict[str, Tensor] | None:
        """Return the weights of the cycle before, where they are the first ones.

        Raises:
            ConfigError: they are of a model of another kind.
        """
        folder = self.previous
        if folder is None:
            return None
        ours, theirs = json.loads(json.dumps(self.description())), read_json(folder / DESCRIPTION)
        for key in self.same:
            if ours.get(key) != theirs.get(key):
                told = [textwrap.shorten(repr(side.get(key)), 90) for side in (theirs, ours)]
                raise ConfigError(
                    f"{self.settings.learner}.start: {folder} has {key} {told[0]}, not {told[1]}"
                )
        print(f"starts from {folder}", flush=True)
        return load_tensors(folder / WEIGHTS)

    def start_digest(self) -> str | None:
        """Return a hash of the weights of the cycle before, where they are the first ones."""
        folder = self.previous
        return None if folder is None else sha256((folder / WEIGHTS).read_bytes()).hexdigest()

    @abstractmethod
    def facts(self) -> list[Any]:
        """Return what decides the result beside labels and device, as JSON can hold it."""

    @abstractmethod
    def build(self) -> None:
        """Read the data and build what is trained."""

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
    def description(self) -> dict[str, Any]:
        """Return what the model is made of, as JSON can hold it; see ``same``."""

    @abstractmethod
    def weights(self) -> Mapping[str, Tensor]:
        """Return the finished weights."""

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
        """Run the steps that are left, write the model and return statistics.

        Returns at once where ``job.out`` holds this very training.
        """
        if is_done(self.job.out, self.key):
            return already_trained(self.job.out)
        self.build()
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
                    saved = self.step % self.settings.checkpoint_every == 0 or self.is_review_due()
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
            stats = read_json(folder / STATS, **STATISTICS)
        write_json(folder / STATS, stats)
        with building(self.job.out) as out:
            weights = {k: v.detach().cpu().contiguous() for k, v in self.weights().items()}
            write_json(out / DESCRIPTION, self.description())
            save_tensors(out / WEIGHTS, weights)
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
        with reading(path, "the checkpoint"):
            check_keys(state, HEAD)
            if state["key"] != self.key:
                return
            for part, own in self.state().items():
                held = state[part]
                for name, value in own.items() if isinstance(own, Mapping) else ():
                    if isinstance(value, Tensor) and held[name].shape != value.shape:
                        raise ValueError(f"{part}.{name} of another shape")
        self.restore(state)  # what a GPU raises says nothing of the file
        self.step, self.spent = state["step"], state["spent"]
        self.loss = state["loss"].to(self.device)
        print(f"resumed at step {self.step}", flush=True)
        if self.is_over():
            print("no step is left: an earlier attempt made all of them", flush=True)

    def _save(self, path: Path) -> None:
        if not torch.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss is {float(self.loss)} at step {self.step}; nothing is saved any more. A "
                "lower learning rate may help"
            )
        head = dict(zip(HEAD, (self.key, self.step, self.spent, self.loss), strict=True))
        save_tensors(path, {**head, **self.state()})


def already_trained(out: Path) -> dict[str, Any]:
    """Return the statistics of a finished training."""
    print(f"already trained: {out}", flush=True)
    return read_json(out / STATS, **STATISTICS)
