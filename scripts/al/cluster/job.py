"""What every script of a rule does first: its log, its journal, and its arguments by name."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from al.cluster.kept import once
from al.cluster.usage import journalled
from al.io.storage import tell_on
from al.paths import NUMBERS


def run(
    job: Any, function: Callable[..., Any], *, keep: bool = False, **made: Callable[..., Any]
) -> None:
    """Call the function of a rule's script with what Snakemake gives the job, by name.

    Args:
        job: Snakemake's object of a script job.
        function: its parameters are names of inputs, outputs, params and wildcards (numbers where
            they are some), ``threads`` and ``config``. Inputs that a rule leaves empty have the
            function's default.
        keep: a finished result is handed back when a submission is repeated; see ``kept.once``.
        **made: parameters of ``function`` that another function makes, from the same names but
            for outputs.

    Raises:
        TypeError: a name stands for two things in the rule, or a parameter without a default for
            none.
    """
    log_to(job.log)
    read = _joined(
        job,
        {name: files for name, files in job.input.items() if files},
        dict(job.params.items()),
        {k: int(v) if k in NUMBERS else v for k, v in job.wildcards.items()},
        {"threads": job.threads, "config": job.config},
    )
    given = _joined(job, read, dict(job.output.items()))

    def call() -> None:
        arguments = {name: maker(**_bound(maker, read)) for name, maker in made.items()}
        function(**_bound(function, {**given, **arguments}))

    with journalled(job.log[0]) if job.log else nullcontext():
        if keep:
            once(job, call)
        else:
            call()


def _joined(job: Any, *parts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        if twice := found.keys() & part.keys():
            raise TypeError(f"rule {job.rule}: {sorted(twice)} each stand for two things")
        found |= part
    return found


def _bound(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    names = inspect.signature(function).parameters
    return {name: given[name] for name in names if name in given}


def log_to(files: list[str]) -> None:
    """Send this process's standard output and error, at the level of the system, to a log file.

    Follow a long step with ``tail -f``. Snakemake empties the log when it starts a job again.
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
