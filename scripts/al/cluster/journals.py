"""Journals of attempts as ``al.cluster.usage`` writes them, read back while jobs may be writing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from al.io.files import check_keys
from al.paths import Place

# A job that is alive adds a line every 60 s.
ALIVE = 180.0
# Opening a file on a network file system is waiting, mostly.
READERS, PORTION = 4, 100
# How every line begins: reading is fast without parsing those in the middle.
HEAD = b'{"attempt": "'
ID = 16
WRITTEN: dict[str, Any] = dict.fromkeys(("attempt", "rule", "host", "outcome"), str)
WRITTEN |= dict.fromkeys(("part", "job"), (str, type(None)))
WRITTEN |= dict.fromkeys(("started", "wall", "cpu", "peak_mb", "gpu_mb"), float) | {"gpus": int}


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job; seconds since its process began, memory in MB.

    ``started`` is in seconds of the epoch. ``outcome``: ``done``, ``failed``, ``stopped`` by a
    signal that it heeded, ``running``, or ``cut off`` where a signal, a node's end or a full disk
    left no last line.
    """

    rule: str
    part: str | None
    host: str
    slurm_job: str | None
    started: float
    wall: float
    cpu: float
    gpus: int
    peak_mb: float
    gpu_mb: float
    outcome: str

    @property
    def gpu_seconds(self) -> float:
        """Seconds times GPUs held."""
        return self.wall * self.gpus


@dataclass(frozen=True)
class Job:
    """A job of a run: place, journal (relative to the run's folder), attempts in order.

    ``place`` is None for what all share.
    """

    place: Place | None
    path: Path
    attempts: list[Attempt]

    @property
    def last(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]


def read_journal(path: Path, now: float | None = None) -> list[Attempt]:
    """Attempts in a journal, in order of their first lines; none if the file has vanished.

    Lines that a kill or a full disk left incomplete are passed over. An attempt without a last line
    is ``running`` if none came after it and the file was written to within ``ALIVE`` seconds
    before ``now`` (seconds of the epoch; default: now).
    """
    try:
        with path.open("rb") as file:
            written, lines = os.fstat(file.fileno()).st_mtime, file.read().splitlines()
    except OSError:
        return []
    held: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line.startswith(HEAD):
            held.setdefault(line[len(HEAD) : len(HEAD) + ID], []).append(line)
    alive = (time.time() if now is None else now) - written < ALIVE
    last = next(reversed(held), None)
    found = (_attempt(mine, alive and key == last) for key, mine in held.items())
    return [attempt for attempt in found if attempt is not None]


def _attempt(lines: list[bytes], may_run: bool) -> Attempt | None:
    """An attempt by its last line that is whole, which holds what all before it do; or None."""
    held = next((found for line in reversed(lines) if (found := _parsed(line))), None)
    if held is None:
        return None
    del held["attempt"]
    if held["outcome"] == "running" and not may_run:
        held["outcome"] = "cut off"
    return Attempt(slurm_job=held.pop("job"), **held)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is not whole, or not as ``al.cluster.usage`` writes it."""
    try:
        held = json.loads(line)
        check_keys(held, WRITTEN)
        return {key: held[key] for key in WRITTEN}
    except ValueError:
        return None


def _journals(folder: Path) -> Iterator[Path]:
    """Paths of all journals under a folder; folders may come and go meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".jsonl"):
                yield Path(parent, name)


def read_jobs(folder: Path, now: float | None = None) -> list[Job]:
    """Every job of a run that has an attempt, by path.

    Args:
        folder: ``benchmarks/{run}``; need not be there.
        now: as in ``read_journal``.
    """
    paths = sorted(_journals(folder))
    parts = [paths[i : i + PORTION] for i in range(0, len(paths), PORTION)]
    with ThreadPoolExecutor(READERS) as pool:
        return [job for some in pool.map(lambda p: _jobs(p, folder, now), parts) for job in some]


def _jobs(paths: list[Path], folder: Path, now: float | None) -> list[Job]:
    read = [(path.relative_to(folder), read_journal(path, now)) for path in paths]
    return [Job(Place.parse(path), path, attempts) for path, attempts in read if attempts]
