"""The table "what the run has used": hours and memory of every attempt, killed ones included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from al.cluster.journals import Attempt, read_jobs

SHARED = "(shared)"
TOTAL = "total"
# Its jobs run beside the one that writes the table.
REPORT = "report"


class Head(NamedTuple):
    """Whose a row is; ``budget`` is empty of references and of what all share, ``strategy`` of it.

    For all rules together ``rule`` is empty, and so on.
    """

    budget: str
    strategy: str
    rule: str


USAGE_COLUMNS = (
    *Head._fields,
    *("attempts", "failed", "cut_off", "gpu_hours", "cpu_hours", "wall_hours", "median_seconds"),
    *("peak_mb", "peak_gpu_mb"),
)
# The same for a page and a terminal, which are narrow.
USAGE_HEAD = (
    *("budget", "strategy", "rule", "attempts", "failed", "cut off", "GPU h", "CPU h", "wall h"),
    *("median s", "MB", "GPU MB"),
)
Attempts = Sequence[tuple[Head, Attempt]]


def attempts_in(folder: Path) -> list[tuple[Head, Attempt]]:
    """Every attempt that was journalled, with its budget, strategy and rule.

    Args:
        folder: ``benchmarks/{run}``, with journals (see ``al.cluster.usage``). Those of the report
            are left out: they are being written while this is read.
    """
    found = []
    for job in read_jobs(Path(folder)):
        place = (job.place.budget, job.place.strategy) if job.place else ("", "")
        if job.path.parts[0] != REPORT:
            found += [(Head(*place, attempt.rule), attempt) for attempt in job.attempts]
    return found


def usage_rows(
    attempts: Attempts, key: Callable[[Head], Head] = lambda h: h
) -> list[dict[str, Any]]:
    """A row for all attempts of the same ``key``: by budget, then references and what all share.

    Keys are ``USAGE_COLUMNS``. ``failed`` ended with an error, ``cut_off`` without a word or by
    being stopped; both are among the ``attempts``. GPU hours are wall hours times the GPUs held,
    CPU hours those that were computed. ``median_seconds`` is the wall time of an attempt that was
    done (of a shard, where a job has such); NaN where none was. Memory is in MB, the largest of
    any attempt.
    """
    held: dict[Head, list[Attempt]] = {}
    for head, attempt in attempts:
        held.setdefault(key(head), []).append(attempt)
    return [_usage(head, held[head]) for head in sorted(held, key=_order)]


def _usage(head: Head, attempts: Sequence[Attempt]) -> dict[str, Any]:
    done = [a.wall for a in attempts if a.outcome == "done"]
    return {
        **head._asdict(),
        "attempts": len(attempts),
        "failed": sum(a.outcome == "failed" for a in attempts),
        "cut_off": sum(a.outcome in ("cut off", "stopped") for a in attempts),
        "gpu_hours": sum(a.gpu_seconds for a in attempts) / 3600,
        "cpu_hours": sum(a.cpu for a in attempts) / 3600,
        "wall_hours": sum(a.wall for a in attempts) / 3600,
        "median_seconds": median(done) if done else nan,
        "peak_mb": max(a.peak_mb for a in attempts),
        "peak_gpu_mb": max(a.gpu_mb for a in attempts),
    }


def _order(head: Head) -> tuple[object, ...]:
    sizes = [int(v) for v in head.budget.split("x") if v.isdecimal()]
    return (not head.budget, sizes, not head.strategy, head)


def usage_totals(attempts: Attempts) -> list[dict[str, Any]]:
    """What a run has used by rule, then by budget and strategy, then in all."""
    by_strategy = usage_rows(attempts, lambda h: Head(h.budget, h.strategy, ""))
    return [
        *usage_rows(attempts, lambda h: Head("", "", h.rule)),
        *({**row, "strategy": row["strategy"] or SHARED} for row in by_strategy),
        *usage_rows(attempts, lambda h: Head("", TOTAL, "")),
    ]
