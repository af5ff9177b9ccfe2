"""A training of one network or of the members of an ensemble, under one lock."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from glue.errors import ConfigError
from glue.files import write_json
from glue.labels import UNKNOWN, read_label
from glue.tables import LabelRow

from ..base import FitJob
from ..locking import locked
from ..resumable import already_trained
from ..running import DONE, STATS, building, choose_device, is_done
from .model import member_folder
from .settings import ConvnetSettings, check_nested
from .training import train, training_key

FINISHED = "finished"


def fit(job: FitJob) -> dict[str, Any]:
    """Train ``job`` and return its statistics; at once where ``job.out`` holds this very training.

    An ensemble lies in ``member-0``, ``member-1``, ... of ``job.out``, each a model of its own;
    ``steps``, ``seconds``, ``pixels_seen`` and ``resumed_from`` are then sums over the members,
    ``loss`` their mean.

    Raises:
        ConfigError: for settings or steps that cannot be used.
        DataError: for labels that nothing can be learnt from.
        LockedError: while another process trains it.
    """
    settings = ConvnetSettings.of(job.settings, job.task)
    check_nested(settings, len(job.classes))
    if job.steps < 1:
        raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
    device = choose_device(settings.device, "convnet")
    torch.set_num_threads(settings.threads)
    with locked(job.work):
        if settings.members == 1:
            _drop_members(job, 0)
            return train(job, settings, device)
        return _train_members(job, settings, device)


def _train_members(job: FitJob, settings: ConvnetSettings, device: torch.device) -> dict[str, Any]:
    """Train each member in its own work folder, where it stays until all are there."""
    alone = replace(settings, members=1, member_labels="all")
    jobs = member_jobs(job, settings)
    keys = [training_key(member, alone, device) for member in jobs]
    key = sha256(" ".join(keys).encode()).hexdigest()
    if is_done(job.out, key):
        return already_trained(job.out)
    _drop_members(job, settings.members)
    for old in job.work.glob("key-*"):
        shutil.rmtree(old)
    found = []
    for number, (member, own) in enumerate(zip(jobs, keys, strict=True)):
        print(f"member {number + 1} of {len(jobs)}", flush=True)
        finished = is_done(member.out, own)
        stats = train(member, alone, device)
        found.append({**stats, "resumed_from": stats["steps"]} if finished else stats)
    total = _sum_up(found)
    with building(job.out) as folder:
        for number, member in enumerate(jobs):
            shutil.copytree(member.out, member_folder(folder, number, len(jobs)))
        write_json(folder / STATS, total)
        write_json(folder / DONE, {"key": key, "steps": total["steps"], "members": len(jobs)})
    return total


def member_jobs(job: FitJob, settings: ConvnetSettings) -> list[FitJob]:
    """Return the trainings of an ensemble's members; the first has the seed of the whole."""
    count = settings.members
    labels: list[Sequence[LabelRow]] = [job.labels] * count
    if settings.member_labels == "folds":
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


def _reveals(row: LabelRow) -> bool:
    if row.path:
        return bool((read_label(row.path) != UNKNOWN).any())
    return row.label is not None and row.label != UNKNOWN


def _drop_members(job: FitJob, count: int) -> None:
    """Remove what is left of members that an ensemble of ``count`` does not have."""
    kept = {f"member-{i}" for i in range(count)}
    for other in job.work.glob("member-*"):
        if other.name not in kept:
            shutil.rmtree(other)


def _sum_up(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = {k: sum(m[k] for m in members) for k in ("steps", "resumed_from", "pixels_seen")}
    return {
        **total,
        "seconds": round(sum(m["seconds"] for m in members), 3),
        "loss": sum(m["loss"] for m in members) / len(members),
        "device": members[0]["device"],
        "members": len(members),
    }
