"""A finished training is made again only when somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from al.cluster.kept import TRAININGS, forget_job
from al.paths import mirrored

SHOWN = 5
# Its outputs are `ancient` to trainings, which Snakemake heeds only while they are there.
PREPARES = "prepare_learner"


class RetrainRefused(RuntimeError):
    """A plan that would silently repeat finished trainings; the message says how to ask for it."""


def refuse_retraining(dag: Any) -> None:
    """Refuse a plan that repeats finished trainings for another reason than being told to.

    Parameters, inputs and their times change for reasons that nobody meant: a new version of the
    project, a folder copied without its times. What was forced (``--forcerun``), was not finished,
    or follows from such a job is let through.

    Args:
        dag: Snakemake's graph of jobs, after it has decided which have to run.

    Raises:
        RetrainRefused: naming the trainings, why Snakemake would run them, and what can be done.
    """
    asked = _asked(dag)
    found = [
        job
        for job in dag.needrun_jobs()
        if job.rule.name in TRAININGS
        and all(Path(output).exists() for output in job.output)
        and not _resumes(job)
        and job not in asked
    ]
    if not found:
        return
    if lost := [job for job in dag.needrun_jobs() if _is_lost(job)]:
        raise RetrainRefused(
            f"{lost[0].output[0]} is gone, and {len(found)} finished trainings would follow it.\n"
            f"To keep them: the same command, once, with the target {PREPARES}; then without it."
        )
    ends = " ".join(_ends(found))
    lines = [f"  {job.output[0]}: {_why(dag, job)}" for job in _sorted(found)[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    raise RetrainRefused(
        f"{len(found)} finished trainings would be made again, and nobody asked for it:\n"
        + "\n".join(lines)
        + "\nTo make them again: the same command with --forcerun train (or train_reference, or the"
        " file of one)."
        "\nTo keep them as they are: the same command, once, with --touch and the last training of"
        f" each strategy and seed:\n  --touch {ends}"
    )


def _is_lost(job: Any) -> bool:
    return job.rule.name == PREPARES and not Path(job.output[0]).exists()


def _resumes(job: Any) -> bool:
    """Whether the training still lies under ``work/``, so that to repeat it costs nothing.

    So it is after a Snakemake that was killed while it noted the end of a submission.
    """
    return Path(mirrored(job.output[0], "work")).is_dir()


def _ends(found: Iterable[Any]) -> list[str]:
    """The last of these trainings of each strategy and seed; ``--touch`` takes what led there."""
    last: dict[Path, str] = {}
    for job in _sorted(found):
        model = Path(job.output[0]).parent
        last[model.parent if model.name.startswith("cycle-") else model] = str(job.output[-1])
    return sorted(last.values())


def forget_forced(dag: Any, forcerun: Iterable[Any]) -> None:
    """Let jobs that somebody asked for begin anew: no checkpoint, no kept result.

    Args:
        dag: Snakemake's graph of jobs.
        forcerun: the rules and files of ``--forcerun``.
    """
    wanted = {str(name) for name in forcerun}
    for job in dag.needrun_jobs():
        outputs = [str(output) for output in job.output]
        if outputs and (job.rule.name in wanted or wanted & set(outputs)):
            forget_job(job.rule.name, outputs)


def _asked(dag: Any) -> set[Any]:
    """Jobs that were forced, and those that run after them."""
    after = [job for job in dag.needrun_jobs() if dag.reason(job).forced]
    found: set[Any] = set()
    while after:
        job = after.pop()
        if job not in found:
            found.add(job)
            after += [later for later in dag.depending[job] if dag.needrun(later)]
    return found


def _why(dag: Any, job: Any) -> str:
    """Snakemake's reason, of the first job before this one that has one of its own."""
    current = job
    while before := [j for j in dag.dependencies[current] if dag.needrun(j)]:
        current = _sorted(before)[0]
    reason = str(dag.reason(current)) or "it is planned"
    return reason if current is job else f"after {current.rule.name}: {reason}"


def _sorted(jobs: Iterable[Any]) -> list[Any]:
    return sorted(jobs, key=lambda job: [str(o) for o in job.output])
