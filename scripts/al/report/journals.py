"""Journals of attempts as ``al.cluster.usage`` writes them, read back while jobs may be writing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from al.cluster.usage import rule_of

# A job that is alive adds a line every 60 s.
ALIVE = 180.0
# Opening a file on a network file system is waiting, mostly.
READERS, PORTION = 4, 100
# How every line begins: reading is fast without parsing those in the middle.
HEAD = b'{"attempt": "'


@dataclass
class Attempt:
    """One attempt at a job; seconds since its process began, memory in MB, 0 where not known.

    ``started`` is in seconds of the epoch. ``outcome``: ``done``, ``failed``, ``running``, or
    ``cut off`` where a signal, a node's end or a full disk left no last line.
    """

    rule: str
    part: str | None = None
    host: str = ""
    slurm_job: str | None = None
    started: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    gpus: int = 0
    peak_mb: float = 0.0
    gpu_mb: float = 0.0
    outcome: str = "running"

    @property
    def gpu_seconds(self) -> float:
        """Seconds times GPUs held."""
        return self.wall * self.gpus


@dataclass(frozen=True)
class Place:
    """Which part of a run a job belongs to, by the path of its journal.

    ``strategy`` is a strategy, ``initial``, a reference, or empty for what all share; ``budget``
    is empty where there is none, ``seed`` and ``cycle`` are None there.
    """

    budget: str = ""
    strategy: str = ""
    seed: int | None = None
    cycle: int | None = None


@dataclass(frozen=True)
class Job:
    """A job of a run: place, journal (relative to the run's folder), attempts in order."""

    place: Place
    path: Path
    attempts: list[Attempt]

    @property
    def last(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]


def place_of(path: Path) -> Place:
    """Place of a journal by its path, relative to ``benchmarks/{run}``."""
    parts = path.parts
    if parts[0] == "references" and len(parts) == 4:
        return Place("", parts[1], _number(parts[2]))
    if len(parts) == 5:
        return Place(parts[0], parts[1], _number(parts[2]), _number(parts[3]))
    return Place()


def _number(name: str) -> int | None:
    digits = name.partition("-")[2]
    return int(digits) if digits.isdecimal() else None


def read_journal(path: Path, now: float | None = None) -> list[Attempt]:
    """Attempts in a journal, in order of their first lines; none if the file has vanished.

    Lines that a kill or a full disk left incomplete are passed over. An attempt without a last line
    is ``running`` if none came after it and the file was written to within ``ALIVE`` seconds
    before ``now`` (seconds of the epoch; default: now).
    """
    try:
        written, lines = _lines(path)
    except OSError:
        return []
    held: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line.startswith(HEAD):
            held.setdefault(line[len(HEAD) : len(HEAD) + 32], []).append(line)
    attempts = [a for a in (_attempt(path, mine) for mine in held.values()) if a is not None]
    alive = (time.time() if now is None else now) - written < ALIVE
    for i, attempt in enumerate(attempts):
        if attempt.outcome == "running" and not (alive and i == len(attempts) - 1):
            attempt.outcome = "cut off"
    return attempts


def _lines(path: Path) -> tuple[float, list[bytes]]:
    """When a file was last written to, and its lines."""
    handle = os.open(path, os.O_RDONLY)
    try:
        state = os.fstat(handle)
        return state.st_mtime, os.read(handle, state.st_size).splitlines()
    finally:
        os.close(handle)


def _attempt(path: Path, lines: list[bytes]) -> Attempt | None:
    """An attempt by its first line and its last, which holds what all before it do; or None."""
    whole = next((h for h in map(_parsed, reversed(lines)) if h), None)
    if whole is None:
        return None
    attempt = Attempt(*rule_of(path))
    first = _parsed(lines[0])
    if first and first["event"] == "start":
        attempt.rule, attempt.part, attempt.host = first["rule"], first["part"], first["host"]
        attempt.slurm_job, attempt.gpus = first["job"], first["gpus"]
        attempt.started = datetime.fromisoformat(first["time"]).timestamp()
    if whole["event"] != "start":
        attempt.wall, attempt.cpu, attempt.gpus = whole["wall"], whole["cpu"], whole["gpus"]
        attempt.peak_mb = max(whole["peak_mb"], whole["child_mb"])
        attempt.gpu_mb = whole["gpu_mb"] or 0.0
        attempt.outcome = whole.get("outcome", "running")
    return attempt


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def journals(folder: Path) -> Iterator[Path]:
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
    paths = sorted(journals(folder))
    parts = [paths[i : i + PORTION] for i in range(0, len(paths), PORTION)]
    with ThreadPoolExecutor(READERS) as pool:
        return [job for some in pool.map(lambda p: _jobs(p, folder, now), parts) for job in some]


def _jobs(paths: list[Path], folder: Path, now: float | None) -> list[Job]:
    read = [(path.relative_to(folder), read_journal(path, now)) for path in paths]
    return [Job(place_of(path), path, attempts) for path, attempts in read if attempts]
