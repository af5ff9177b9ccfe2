"""What a local run says of itself: what begins, and a line for each score."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from al.io.errors import DataError
from al.io.files import read_json

from .forking import GPUS, fork_jobs

# Of Snakemake, as it names it
TERMINAL = "DefaultStreamHandler"
SCORED = "evaluate"  # rules that end with a score begin so
METRICS = "metrics.json"


def run_here(workflow: Any, learner: str, launched: bool) -> None:
    """Fork the jobs of a local run, and say what it begins with and each score.

    Args:
        workflow: Snakemake's, its jobs planned.
        learner: its name.
        launched: whether the terminal is left to that, and to what goes wrong: Snakemake's own log
            has every job.
    """
    rules = [job.rule.name for job in workflow.dag.needrun_jobs()]
    if launched and not workflow.output_settings.verbose:
        for handler in workflow.logger_manager.logger.handlers:
            if handler.name == TERMINAL:
                handler.setLevel(logging.WARNING)
    say(beginning(learner, rules))
    fork_jobs(learner, Progress(rules, say).ended)


def say(line: str) -> None:
    """Say a line on the terminal, if somebody still holds it: else the run goes on without."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def beginning(learner: str, rules: Sequence[str], gpus: Path = GPUS) -> str:
    """Return what begins: how many models are trained, and on what.

    Args:
        learner: its name.
        rules: name of the rule of each planned job.
        gpus: folder that NVIDIA's driver has an entry in for each GPU.
    """
    trained = sum(rule.startswith("train") for rule in rules)
    if not trained:
        return f"{len(rules)} job{'s' if len(rules) > 1 else ''}, no training"
    found = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    where = f"{found} GPU{'s' if found > 1 else ''}" if found else "the CPU, as there is no GPU"
    many = "s" if trained > 1 else ""
    told = f"{trained} training{many} of {learner} on {where}"
    return f"{told}; {os.cpu_count()} cores, {len(rules)} jobs"


class Progress:
    """The scores of a run as they come."""

    def __init__(
        self,
        rules: Sequence[str],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin: ``rules`` has the rule of each planned job, ``clock`` tells seconds."""
        self._planned = sum(rule.startswith(SCORED) for rule in rules)
        self._say, self._clock = say, clock
        self._done, self._start = 0, clock()

    def ended(self, rule: str, outputs: Sequence[str]) -> None:
        """Say the score of a job that has ended well, and about how long the others will take."""
        files = [Path(name) for name in outputs if Path(name).name == METRICS]
        if not rule.startswith(SCORED) or not files:
            return
        self._done += 1
        left = (self._clock() - self._start) / self._done * (self._planned - self._done)
        with suppress(DataError):
            m = read_json(
                files[0], strategy=str, seed=int, cycle=int, score_name=str, score=(int, float)
            )
            cycle = f", cycle {m['cycle']}" if m["cycle"] else ""
            self._say(
                f"{m['strategy']}, seed {m['seed']}{cycle}: {m['score_name']} {m['score']:.3f}"
                f"  ({self._done} of {self._planned} scores{_about(left)})"
            )


def _about(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * size or unit == "s":
            return f", about {round(seconds / size)} {unit} left" if round(seconds) else ""
    return ""
