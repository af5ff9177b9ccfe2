"""A training of one network or of the members of an ensemble, under one lock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from al.io.errors import ConfigError

from ..base import FitJob
from ..ensemble import drop_members, member_jobs, train_members
from ..locking import locked
from ..nested import check_nested
from ..running import choose_device
from .settings import ConvnetSettings
from .training import train, training_key


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
    check_nested("convnet", settings.nested, settings.nested_order, len(job.classes))
    if job.steps < 1:
        raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
    device = choose_device(settings.device, "convnet")
    torch.set_num_threads(settings.threads)
    with locked(job.work):
        if settings.members == 1:
            drop_members(job, 0)
            return train(job, settings, device)
        alone = replace(settings, members=1, member_labels="all")
        jobs = member_jobs(job, settings.members, settings.member_labels == "folds")
        keys = [training_key(member, alone, device) for member in jobs]
        return train_members(job, jobs, keys, lambda member: train(member, alone, device))
