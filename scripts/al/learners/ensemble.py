"""Ensembles of any learner: which trainings their members are, and where these lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from al.io.files import write_json
from al.io.labels import UNKNOWN, read_label
from al.io.tables import LabelRow

from .base import FitJob
from .training import DONE, STATS, WEIGHTS, Training, already_trained, building, is_done

FINISHED = "finished"


def member_folder(model: Path, member: int, members: int) -> Path:
    """Return where a member's network lies: in the model itself where it is alone."""
    return model if members == 1 else model / f"member-{member}"


def members_in(model: Path) -> list[Path]:
    """Return the folders of a finished model's networks; none where it holds no model."""
    if (model / WEIGHTS).exists():
        return [model]
    count = len(list(model.glob(f"member-*/{WEIGHTS}")))
    # Here even a single one lies in a folder of its own, so no count may read as "alone".
    return [member_folder(model, member, count + 1) for member in range(count)]


def train_members(
    job: FitJob, count: int, folds: bool, make: Callable[[FitJob], Training]
) -> dict[str, Any]:
    """Train one network, or each member of an ensemble in its own work folder until all are there.

    The caller holds the lock of ``job.work``. Members that are finished are kept for the next
    attempt.

    Args:
        job: the training of the whole; its ``out`` gets a folder for each member.
        count: number of members, from 1.
        folds: member i leaves out fold i of the annotated images; otherwise each learns from all.
        make: returns the training of a job.

    Returns:
        Statistics; see ``Learner.fit``.
    """
    jobs = [job] if count == 1 else member_jobs(job, count, folds)
    _drop_others(job, jobs)
    if count == 1:
        return make(job).train()
    keys = [make(member).key for member in jobs]
    key = sha256(" ".join(keys).encode()).hexdigest()
    if is_done(job.out, key):
        return already_trained(job.out)
    found = []
    for number, (member, own) in enumerate(zip(jobs, keys, strict=True)):
        print(f"member {number + 1} of {count}", flush=True)
        finished = is_done(member.out, own)
        stats = make(member).train()
        found.append({**stats, "resumed_from": stats["steps"]} if finished else stats)
    total = _sum_up(found)
    with building(job.out) as folder:
        for number, member in enumerate(jobs):
            shutil.copytree(member.out, member_folder(folder, number, count))
        write_json(folder / STATS, total)
        write_json(folder / DONE, {"key": key, "steps": total["steps"], "members": count})
    return total


def member_jobs(job: FitJob, count: int, folds: bool) -> list[FitJob]:
    """Return the trainings of an ensemble's members; the first has the seed of the whole.

    Args:
        job: the training of the whole.
        count: number of members, from 2.
        folds: member i leaves out fold i of the annotated images; otherwise each learns from all.
    """
    labels: list[Sequence[LabelRow]] = [job.labels] * count
    if folds:
        labels = [leave_out(job.labels, fold, count) for fold in range(count)]
    return [
        replace(
            job,
            labels=labels[i],
            out=job.work / f"member-{i}" / FINISHED,
            work=job.work / f"member-{i}",
            seed=member_seed(job.seed, i),
            previous=job.previous and member_folder(job.previous, i, count),
        )
        for i in range(count)
    ]


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member: ``seed`` itself for the first, unrelated ones for the others."""
    if member == 0:
        return seed
    return int(np.random.SeedSequence([seed, member]).generate_state(1, np.uint64)[0] >> 1)


def leave_out(labels: Sequence[LabelRow], fold: int, folds: int) -> list[LabelRow]:
    """Return the labels of the annotated images that are not in a fold.

    Images that reveal something are dealt to the folds in the order of a hash of their names,
    whatever the order of ``labels``. All labels are returned where the others would be none.
    """
    known = {row.image for row in labels if _reveals(row)}
    dealt = sorted(known, key=lambda name: (sha256(name.encode()).digest(), name))
    rest = known - set(dealt[fold::folds])
    return [row for row in labels if row.image in rest] if rest else list(labels)


def _drop_others(job: FitJob, jobs: Sequence[FitJob]) -> None:
    """Remove from ``job.work`` what another number of members left there."""
    kept = {member.work.name for member in jobs}
    for other in job.work.glob("member-*"):
        if other.name not in kept:
            shutil.rmtree(other)
    if len(jobs) > 1:
        for old in job.work.glob("key-*"):
            shutil.rmtree(old)


def _reveals(row: LabelRow) -> bool:
    if row.path:
        return bool((read_label(row.path) != UNKNOWN).any())
    return row.label is not None and row.label != UNKNOWN


def _sum_up(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = {k: sum(m[k] for m in members) for k in ("steps", "resumed_from", "pixels_seen")}
    shared = {"plans": members[0]["plans"]} if "plans" in members[0] else {}
    return {
        **total,
        **shared,
        "seconds": round(sum(m["seconds"] for m in members), 3),
        "loss": sum(m["loss"] for m in members) / len(members),
        "device": members[0]["device"],
        "members": len(members),
    }
