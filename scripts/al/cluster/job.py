"""A job's output goes to its log, tracebacks included, and what it uses to its journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from al.cluster.usage import start_journal
from al.io.storage import tell_on


def log_to(files: Sequence[str]) -> None:
    """Send this process's standard output and error, at the level of the system, to a log file.

    Follow a long step with ``tail -f``. Snakemake empties the log when it starts a job again.
    Journal what the process uses from here on (see ``al.cluster.usage``).
    """
    if not files:
        return
    path = Path(files[0])
    tell_on(os.dup(2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout.reconfigure(line_buffering=True)
    start_journal(path)
