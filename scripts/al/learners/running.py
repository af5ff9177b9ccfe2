"""What every training on torch shares: files by rename, the device, progress, a stop by signal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from al.io.errors import ConfigError
from al.io.files import atomic_path, read_json, sweep
from al.io.tables import LabelRow, PoolRow

from .base import ImageSource

DONE, STATS = "done.json", "stats.json"
CHECKPOINT = "checkpoint.pt"
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


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


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
    """Load tensors to the CPU; nothing in the file is executed."""
    return torch.load(path, map_location="cpu", weights_only=True)


def is_done(folder: Path, key: str) -> bool:
    """Whether a folder holds the finished training of that key."""
    return (folder / DONE).exists() and read_json(folder / DONE)["key"] == key


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


def read_ahead(
    layout: ImageSource, rows: Sequence[PoolRow], count: int = 2
) -> Iterator[tuple[PoolRow, np.ndarray]]:
    """Yield each row with its image; the next ones are read meanwhile, by threads."""
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[tuple[PoolRow, Future[np.ndarray]]] = deque()
        for row in rows:
            waiting.append((row, pool.submit(layout.open_image, row)))
            if len(waiting) > count:
                first, image = waiting.popleft()
                yield first, image.result()
        for row, image in waiting:
            yield row, image.result()


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
