"""The table "what the run has used": hours and memory of every attempt, killed ones included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from .journals import Attempt, Job, read_jobs
from .markdown import grid

SHARED = "(shared)"
TOTAL = "total"
# Its jobs run beside the one that writes the table.
REPORT = "report"


@dataclass(frozen=True)
class Usage:
    """What the attempts at some jobs used; memory in MB, the largest of any of them.

    ``budget`` is empty for references and for what all share, and ``strategy`` too for the latter.
    ``failed`` ended with an error, ``cut_off`` without a word; both are among the ``attempts``.
    GPU hours are wall hours times the GPUs held, CPU hours those that were computed.
    """

    budget: str
    strategy: str
    rule: str
    attempts: int
    failed: int
    cut_off: int
    gpu_hours: float
    cpu_hours: float
    wall_hours: float
    peak_mb: float
    peak_gpu_mb: float


def _usage(head: tuple[str, str, str], attempts: Sequence[Attempt]) -> Usage:
    return Usage(
        *head,
        attempts=len(attempts),
        failed=sum(a.outcome == "failed" for a in attempts),
        cut_off=sum(a.outcome == "cut off" for a in attempts),
        gpu_hours=sum(a.gpu_seconds for a in attempts) / 3600,
        cpu_hours=sum(a.cpu for a in attempts) / 3600,
        wall_hours=sum(a.wall for a in attempts) / 3600,
        peak_mb=max((a.peak_mb for a in attempts), default=0.0),
        peak_gpu_mb=max((a.gpu_mb for a in attempts), default=0.0),
    )


def usage_rows(folder: Path) -> list[Usage]:
    """What each rule used for each budget and strategy; none where nothing was journalled.

    Args:
        folder: ``benchmarks/{run}``, with journals (see ``al.cluster.usage``). Those of the report
            are left out: they are being written while this is read.
    """
    held: dict[tuple[str, str, str], list[Attempt]] = {}
    for job in read_jobs(Path(folder)):
        if job.path.parts[0] != REPORT:
            for attempt in job.attempts:
                held.setdefault(_head(job, attempt), []).append(attempt)
    return [_usage(head, held[head]) for head in sorted(held, key=_order)]


def _head(job: Job, attempt: Attempt) -> tuple[str, str, str]:
    place = job.place
    return (place.budget, place.strategy, attempt.rule) if place else ("", "", attempt.rule)


def _order(head: tuple[str, str, str]) -> tuple[object, ...]:
    """Strategies by budget, then references and what all share."""
    sizes = [int(v) for v in head[0].split("x") if v.isdecimal()]
    return (not head[0], sizes, not head[1], head)


def summed(rows: Iterable[Usage], head: tuple[str, str, str] = ("", "", TOTAL)) -> Usage:
    """One row that adds up the others; memory is the largest."""
    numbers = [astuple(row)[len(head) :] for row in rows]
    columns = list(zip(*numbers, strict=True)) if numbers else [(0,)] * (len(fields(Usage)) - 3)
    return Usage(*head, *map(sum, columns[:-2]), *map(max, columns[-2:]))


def per_rule(rows: Sequence[Usage]) -> list[Usage]:
    """One row per rule, by name."""
    return _grouped(rows, lambda row: ("", "", row.rule))


def per_strategy(rows: Sequence[Usage]) -> list[Usage]:
    """One row per budget and strategy, reference, and what all share."""
    return _grouped(rows, lambda row: (row.budget, row.strategy, ""))


def _grouped(rows: Sequence[Usage], key: Callable[[Usage], tuple[str, str, str]]) -> list[Usage]:
    heads = sorted({key(row) for row in rows}, key=_order)
    return [summed((r for r in rows if key(r) == head), head) for head in heads]


HEAD = (
    "attempts",
    "failed",
    "cut off",
    "GPU hours",
    "CPU hours",
    "wall hours",
    "peak MB",
    "peak GPU MB",
)


def hours_text(hours: float) -> str:
    """Hours with two significant digits below 10, whole ones from 100 on."""
    if hours == 0:
        return "0"
    if hours < 0.0095:
        return f"{hours:.2g}" if hours >= 0.0001 else "< 0.0001"
    return f"{hours:.{2 if hours < 10 else 1 if hours < 100 else 0}f}"


def _cells(row: Usage) -> list[str]:
    return [
        *map(str, (row.attempts, row.failed, row.cut_off)),
        *map(hours_text, (row.gpu_hours, row.cpu_hours, row.wall_hours)),
        f"{row.peak_mb:.0f}" if row.peak_mb else "-",
        f"{row.peak_gpu_mb:.0f}" if row.peak_gpu_mb else "-",
    ]


def usage_markdown(rows: Sequence[Usage], run: str) -> str:
    """What a run has used per rule and per strategy, with totals, as Markdown."""
    if not rows:
        return f"### {run}: what it has used\n\nNo attempt was journalled.\n"
    total = _cells(summed(rows))
    rules = [[row.rule, *_cells(row)] for row in per_rule(rows)]
    strategies = [
        [row.budget or "-", row.strategy or SHARED, *_cells(row)] for row in per_strategy(rows)
    ]
    lines = [f"### {run}: what it has used, by rule", ""]
    lines += grid([["rule", *HEAD], *rules, [TOTAL, *total]])
    lines += ["", f"### {run}: what it has used, by strategy", ""]
    lines += grid([["budget", "strategy", *HEAD], *strategies, [TOTAL, "", *total]])
    return "\n".join([*lines, "", NOTES])


NOTES = """\
Every attempt counts: failed ones, and those cut off by a signal, up to their last sign of life (at
most a minute before). CPU hours are computed ones, those of child processes included. GPU hours are
wall hours times the GPUs held; on SLURM every rule of a submission with a GPU holds it, elsewhere
those rules that computed on it. Jobs side by side in one submission (evaluation beside a
prediction) each count its GPU. Waiting for a node, and what a submission does between its rules,
are not in here. Memory is the largest of any one process, GPU memory what PyTorch reserved on one
device. The jobs of this report, of generating data and of preparing them for
all runs are left out.
"""
