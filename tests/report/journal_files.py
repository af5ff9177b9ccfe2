"""Journals as jobs write them, by hand."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ZERO = {"wall": 0.0, "cpu": 0.0, "peak_mb": 0.0, "child_mb": 0.0, "gpu_mb": None, "gpus": 0}


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
    held = ZERO | figures
    head = {"attempt": os.urandom(16).hex()}
    time = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    start = {"rule": name, "part": part or None, "host": "n1", "pid": 1, "job": job}
    lines = [
        head | {"event": "start", **start, "restarts": None, "time": time, "cpus": 1}
        | {"gpus": held["gpus"]},
        head | {"event": "beat", **(held if outcome is None else ZERO | {"wall": 0.1})},
    ]  # fmt: skip
    if outcome is not None:
        lines.append(head | {"event": "end", **held, "outcome": outcome})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    torn = json.dumps(lines[-1] | {"wall": 1e6})[:-9] if outcome is None else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() + "\n" if path.exists() else ""
    path.write_text(before + text + torn)
    os.utime(path, (started, started))
