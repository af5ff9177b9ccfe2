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
from .resumable import already_trained
from .running import DONE, STATS, building, is_done

FINISHED = "finished"


def member_folder(model: Path, member: int, members: int) -> Path:
    """Return where a member's network lies: in the model itself where it is alone."""
    return model if members == 1 else model / f"member-{member}"


def members_in(model: Path, weights: str) -> list[Path]:
    """Return the folders of a finished model's networks.

    Args:
        model: folder of the model; the list is empty where it holds none.
        weights: name of the file that every network's folder has.
    """
    if (model / weights).exists():
        return [model]
    count = len(list(model.glob(f"member-*/{weights}")))
    # Here even a single one lies in a folder of its own, so no count may read as "alone".
    return [member_folder(model, member, count + 1) for member in range(count)]


def train_members(
    job: FitJob,
    jobs: Sequence[FitJob],
    keys: Sequence[str],
    train_one: Callable[[FitJob], dict[str, Any]],
) -> dict[str, Any]:
    """Train each member in its own work folder, where it stays until all are there.

    The caller holds the lock of ``job.work``. Returns at once where ``job.out`` holds this very
    ensemble.

    Args:
        job: the training of the whole; its ``out`` gets a folder for each member.
        jobs: the members' trainings; see ``member_jobs``.
        keys: key of each member's training, as its ``done.json`` holds it.
        train_one: trains one of ``jobs``, or resumes, and returns its statistics.

    Returns:
        Statistics: ``steps``, ``seconds``, ``pixels_seen`` and ``resumed_from`` are sums over the
        members, ``loss`` is their mean; ``device`` is the first one's, ``members`` their number.

    Raises:
        Whatever ``train_one`` raises; members that are finished are kept for the next attempt.
    """
    key = sha256(" ".join(keys).encode()).hexdigest()
    if is_done(job.out, key):
        return already_trained(job.out)
    drop_members(job, len(jobs))
    for old in job.work.glob("key-*"):  # checkpoints of a single network before
        shutil.rmtree(old)
    found = []
    for number, (member, own) in enumerate(zip(jobs, keys, strict=True)):
        print(f"member {number + 1} of {len(jobs)}", flush=True)
        finished = is_done(member.out, own)
        stats = train_one(member)
        found.append({**stats, "resumed_from": stats["steps"]} if finished else stats)
    total = _sum_up(found)
    with building(job.out) as folder:
        for number, member in enumerate(jobs):
            shutil.copytree(member.out, member_folder(folder, number, len(jobs)))
        write_json(folder / STATS, total)
        write_json(folder / DONE, {"key": key, "steps": total["steps"], "members": len(jobs)})
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


def drop_members(job: FitJob, count: int) -> None:
    """Remove from ``job.work`` what is left of members that an ensemble of ``count`` has not.

    A single network has no member folders: its ``count`` is 0.
    """
    kept = {f"member-{i}" for i in range(count)}
    for other in job.work.glob("member-*"):
        if other.name not in kept:
            shutil.rmtree(other)


def _reveals(row: LabelRow) -> bool:
    if row.path:
        return bool((read_label(row.path) != UNKNOWN).any())
    return row.label is not None and row.label != UNKNOWN


def _sum_up(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = {k: sum(m[k] for m in members) for k in ("steps", "resumed_from", "pixels_seen")}
    return {
        **total,
        "seconds": round(sum(m["seconds"] for m in members), 3),
        "loss": sum(m["loss"] for m in members) / len(members),
        "device": members[0]["device"],
        "members": len(members),
    }
