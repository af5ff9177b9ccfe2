"""What training samples share that draw from global generators or are made by other processes."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators that a library's transforms draw from, and put them back after."""
    states = np.random.get_state(), random.getstate(), torch.get_rng_state()
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
        torch.set_rng_state(states[2])


def leave_signals_to_the_parent(number: int) -> None:
    """Ignore SIGTERM and SIGINT in a worker process; for ``DataLoader(worker_init_fn=...)``."""
    # A job is told to end as a whole; the training must still be able to save. The processes end
    # with it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def workers_of(wish: int | None, device: torch.device, most: int) -> int:
    """Return the number of worker processes; ``None``: beside a GPU one per CPU up to ``most``."""
    if wish is not None:
        return wish
    return min(most, available_cpus()) if device.type == "cuda" else 0


class Stream(Iterator[Any]):
    """What a dataset makes; its worker processes start at once and end with ``close``.

    They do not heed SIGTERM: left to the interpreter's own end, it would wait for them for ever.
    """

    def __init__(
        self,
        samples: Dataset[Any],
        numbers: range,
        workers: int,
        size: int | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        """Make samples by number, or batches of ``size`` of them, in ``workers`` processes."""
        loader = DataLoader(
            samples,
            batch_size=size,
            sampler=numbers,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=leave_signals_to_the_parent,
        )
        # At once also because it draws from the global generator, which steps seed anew.
        self._made = iter(loader)

    def __next__(self) -> Any:
        """Return the next sample or batch."""
        return next(self._made)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        shut = getattr(self._made, "_shutdown_workers", None)  # only of those that have workers
        if shut is not None:
            shut()
