"""A job's journal: what every attempt at it used, those that were killed included.

Snakemake writes a ``benchmark:`` file when a job has ended well, over that of the attempt before.
It tells nothing of killed and failed attempts, nor what a job cost that was handed back from an
earlier one (``kept.py``). So each attempt appends lines of JSON to ``benchmarks/{run}/X.jsonl``,
which goes with ``logs/{run}/X.log``: when it starts, every ``BEAT`` seconds, and at its end. Each
line says all there is to say so far; the last one of an attempt counts:

``attempt``   its id
``rule``, ``part``   as the log is named: ``predict-2.log`` is part (shard) 2 of ``predict``
``host``, ``job``    where it runs, and SLURM's id (null elsewhere)
``started``   seconds of the epoch; the start of the process, imports included
``outcome``   ``running``, ``done``, ``failed``, or ``stopped`` by SIGINT or SIGTERM; a killed one
              stays ``running``
``wall``, ``cpu``    seconds so far, of processors with those of child processes
``gpus``      inside a SLURM job those that it holds, whether the rule computes on them or not: they
              are kept from others; elsewhere 1 once the process itself has used CUDA
``peak_mb``   resident memory of the job's largest process
``gpu_mb``    reserved by PyTorch on one device
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from al.paths import KINDS, mirrored

BEAT = 60.0  # seconds
MB = 2**20


@contextmanager
def journalled(log: str | Path) -> Iterator[None]:
    """Journal what this process uses while the block runs; for a log elsewhere, do nothing.

    Never fails the job: what cannot be written is left out.
    """
    log = Path(log)
    if log.parts[0] not in KINDS:
        yield
        return
    journal = _Journal(log)
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, KeyboardInterrupt) or end.code == 128 + signal.SIGTERM:
            outcome = "stopped"
        raise
    finally:
        journal.end(outcome)


def rule_of(log: Path) -> tuple[str, str | None]:
    """Rule and part that a log, or a journal, is named by."""
    name, _, part = log.stem.partition("-")
    return (log.parent.name, log.stem) if name == "seed" else (name, part or None)


class _Journal:
    """The lines of one attempt."""

    def __init__(self, log: Path) -> None:
        self._path = Path(mirrored(log, "benchmarks")).with_suffix(".jsonl").absolute()
        self._process = psutil.Process()
        self._over = threading.Event()
        rule, part = rule_of(log)
        self._held: dict[str, Any] = {
            "attempt": os.urandom(8).hex(),
            "rule": rule,
            "part": part,
            "host": os.uname().nodename,
            "job": os.environ.get("SLURM_JOB_ID"),
            "started": self._process.create_time(),
        }
        self._most = {"cpu": 0.0, "gpus": 0, "peak_mb": 0.0, "gpu_mb": 0.0}
        self._write("running")
        self._thread = threading.Thread(target=self._beat, name="journal", daemon=True)
        self._thread.start()

    def end(self, outcome: str) -> None:
        """Write the last line."""
        if os.getpid() != self._process.pid:
            return  # a forked child leaves the block as well
        self._over.set()
        self._thread.join()
        self._write(outcome)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            self._write("running")

    def _write(self, outcome: str) -> None:
        """Append a line in one piece, on a new line: the one before may have been cut off."""
        with contextlib.suppress(OSError, psutil.Error):
            for name, value in self._used().items():  # children that ended drop out
                self._most[name] = max(self._most[name], value)
            wall = round(time.time() - self._held["started"], 2)
            line = {**self._held, "outcome": outcome, "wall": wall, **self._most}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(handle, f"\n{json.dumps(line)}\n".encode())
            finally:
                os.close(handle)

    def _used(self) -> dict[str, float]:
        cpu, peaks = sum(os.times()[:4]), [_peak_mb()]
        for child in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                cpu += sum(child.cpu_times()[:4])
                peaks.append(child.memory_info().rss / MB)
        gpu_mb = _gpu_mb()
        gpus = int(gpu_mb is not None)
        if self._held["job"] is not None:
            gpus = int(os.environ.get("SLURM_GPUS_ON_NODE") or 0)
        used = {"cpu": cpu, "gpus": gpus, "peak_mb": max(peaks), "gpu_mb": gpu_mb or 0.0}
        return {name: round(value, 2) for name, value in used.items()}


def _peak_mb() -> float:
    """Peak resident memory; ``ru_maxrss`` would begin with that of the process that forked."""
    lines = Path("/proc/self/status").read_text(errors="replace").splitlines()
    return next((int(x.split()[1]) * 1024 / MB for x in lines if x.startswith("VmHWM:")), 0.0)


def _gpu_mb() -> float | None:
    """Largest memory reserved on one device; None unless this process has used CUDA."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    try:
        if cuda is None or not cuda.is_initialized():
            return None
        return max(cuda.max_memory_reserved(k) for k in range(cuda.device_count())) / MB
    except Exception:  # torch half imported, a lost device: no reason to lose the line
        return None
