"""The status of a run as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from al.io.markdown import grid, hours_text

from .journals import Job
from .status import REST, Plan, Standing, Status

# Failures shown; the logs of the others are found in the same folders.
SHOWN = 10


def status_text(status: Status, now: float | None = None) -> str:
    """A row per budget, strategy and seed, a total, and what failed last with its log."""
    now = time.time() if now is None else now
    unit = f"{status.unit} hours"
    table = [["budget", "strategy", "seed", "cycles", "now", "last score", unit, "to the end"]]
    table += [_cells(standing, now) for standing in status.standings]
    table.append(_total(status.standings))
    plan = status.plan
    when = datetime.fromtimestamp(now).strftime("%Y-%m-%d %H:%M:%S")
    lines = [f"{status.run}: {plan.dataset}, {plan.learner}, {when}", "", *grid(table)]
    if any(s.to_come is None for s in status.standings):
        lines += ["", "+: and what cannot be told yet, as nothing like it is finished (-)."]
    return "\n".join([*lines, *_failures(status, now), ""])


def plan_text(plan: Plan) -> str:
    """What a run does, in a few words."""
    counts = {
        "budget": len(plan.budgets),
        "strategy": len(plan.strategies),
        "seed": len(plan.seeds),
        "cycle": plan.cycles,
    }
    counted = ", ".join(f"{n} {_plural(name, n)}" for name, n in counts.items())
    return f"{plan.dataset}, {plan.learner}, {counted}"


def _plural(name: str, number: int) -> str:
    if number == 1:
        return name
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def _cells(standing: Standing, now: float) -> list[str]:
    hours = [hours_text(standing.hours), _to_come(standing)]
    if standing.row == REST:
        return ["-", "all else", "-", "-", _now(standing, now), "-", hours[0], "-"]
    budget, strategy, seed = standing.row
    score = "-"
    if standing.score is not None:
        name, value = standing.score
        cycle = f" ({standing.done[-1]:03d})" if budget else ""
        score = f"{name} {value:.3f}{cycle}"
    cycles = f"{len(standing.done)} of {standing.planned}" if budget else "-"
    return [budget or "-", strategy, str(seed), cycles, _now(standing, now), score, *hours]


def _to_come(standing: Standing) -> str:
    return "-" if standing.to_come is None else hours_text(standing.to_come)


def _now(standing: Standing, now: float) -> str:
    """What runs, or why nothing does."""
    if standing.running:
        first, *others = standing.running
        more = f" (+{len(others)})" if others else ""
        return f"{_name(first)} since {_clock(first.last.started, now)}, {_where(first)}{more}"
    if standing.failed:
        return f"{_name(standing.failed[0])} {standing.failed[0].last.outcome}"
    if standing.row == REST:
        return "-"
    return "waiting" if len(standing.done) < standing.planned else "done"


def _name(job: Job) -> str:
    """Rule, shard and cycle."""
    last = job.last
    name = f"{last.rule}-{last.part}" if last.part else last.rule
    return f"{name} {job.place.cycle:03d}" if job.place and job.place.cycle else name


def _where(job: Job) -> str:
    last = job.last
    return f"{last.host} (job {last.slurm_job})" if last.slurm_job else last.host or "?"


def _clock(moment: float, now: float) -> str:
    """Local time, with the date unless it is today's."""
    if not moment:
        return "?"
    then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")


def _total(standings: Sequence[Standing]) -> list[str]:
    cycles = [s for s in standings if s.row[0]]
    done, planned = sum(len(s.done) for s in cycles), sum(s.planned for s in cycles)
    running = sum(len(s.running) for s in standings)
    at_work = f"{running} running" if running else "nothing runs"
    known = [s.to_come for s in standings if s.to_come is not None]
    left = hours_text(sum(known)) + ("" if len(known) == len(standings) else " +")
    hours = hours_text(sum(s.hours for s in standings))
    return ["total", "", "", f"{done} of {planned}", at_work, "", hours, left]


def _failures(status: Status, now: float) -> list[str]:
    """Jobs that failed and were not finished since, the latest first."""
    failed = sorted(
        ((s, job) for s in status.standings for job in s.failed), key=lambda f: -f[1].last.started
    )
    if not failed:
        return []
    lines = ["", "Failed, cut off or stopped, and not finished since:"]
    for standing, job in failed[:SHOWN]:
        budget, strategy, seed = standing.row
        of = " ".join(filter(None, [budget, strategy, "" if seed is None else f"seed {seed}"]))
        when = _clock(job.last.started, now)
        what = f"{_name(job)} {job.last.outcome}, begun {when} on {_where(job)}"
        lines += [f"  {of + ': ' if of else ''}{what}", f"    {log_of(status.run, job)}"]
    if len(failed) > SHOWN:
        lines.append(f"  and {len(failed) - SHOWN} more")
    return lines


def log_of(run: str, job: Job) -> Path:
    """The log of a job, relative to the folder that the run was started in."""
    return Path("logs", run, job.path).with_suffix(".log")
