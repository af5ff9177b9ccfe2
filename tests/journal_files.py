"""Journals as jobs write them, by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ZERO = {"wall": 0.0, "cpu": 0.0, "gpus": 0, "peak_mb": 0.0, "gpu_mb": 0.0}


def add_attempt(
    path: Path,
    outcome: str | None = "done",
    started: float = 1e9,
    job: str | None = None,
    **figures: Any,
) -> None:
    """Append an attempt with one beat; without an outcome it ends there, mid-line.

    ``started`` is in seconds of the epoch; the file keeps the time of the last of its attempts.
    """
    name, _, part = path.stem.partition("-")
    head = {"attempt": os.urandom(8).hex(), "rule": name, "part": part or None, "host": "n1"}
    head |= {"job": job, "started": started, "outcome": "running"}
    held = ZERO | figures
    lines = [head | ZERO, head | held]
    if outcome is not None:
        lines.append(head | held | {"outcome": outcome})
    text = "".join(f"\n{json.dumps(line)}\n" for line in lines)
    torn = "\n" + json.dumps(lines[-1] | {"wall": 1e6})[:-9] if outcome is None else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text + torn)
    os.utime(path, (started, started))
