"""What every learner is: it trains, and opens what it trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from al.io.damage import remedy
from al.io.errors import ConfigError, DataError
from al.io.files import reading
from al.io.locking import locked
from al.io.tables import PoolRow

from .base import FitJob, ImageSource, Model, Start
from .ensemble import members_in, train_members
from .settings import LearnerSettings
from .training import WEIGHTS, Training, choose_device


class Learner(ABC):
    """Trains a network or an ensemble, and opens it on a device.

    ``section`` is the learner's section of the configuration, as ``settings.of`` reads it.

    Attributes:
        settings: model of its settings, which says what it can do.
        training: of one network, under the lock of ``job.work``.
    """

    settings: ClassVar[type[LearnerSettings]]
    training: ClassVar[type[Training]]

    @property
    def name(self) -> str:
        """Name, as the configuration has it."""
        return self.settings.learner

    @abstractmethod
    def load(
        self, members: Sequence[Path], layout: Any, settings: Any, device: torch.device
    ) -> Model:
        """Return the model whose networks lie in these folders."""

    def task_of(self, member: Path) -> str | None:
        """Return the task that a network was trained for, where settings depend on it."""
        return None

    def check_start(self, section: Mapping[str, Any], start: Start) -> None:
        """Refuse, before the first job, what would fail in it.

        Raises:
            DataError: where what was prepared is of other data.
            ConfigError: naming the key, its value and what is allowed.
        """
        return

    def identity(self, section: Mapping[str, Any], start: Start) -> dict[str, Any]:
        """Return what the files that a section names hold, as JSON can; not known yet: no key.

        Raises:
            ConfigError: for files that cannot be used.
        """
        return {}

    def fit(self, job: FitJob) -> dict[str, Any]:
        """Train, or resume; return statistics. Returns at once where ``job.out`` holds the model.

        Statistics: ``steps`` made, ``seconds`` they took, ``pixels_seen`` (voxels, RoIs),
        ``resumed_from`` (a step), last ``loss``, ``device``, and what is the learner's own. Of an
        ensemble, which lies in ``member-0``, ``member-1``, ... of ``job.out``, the first four are
        sums over the ``members``, and ``loss`` is their mean.

        Raises:
            ConfigError: for settings or steps that cannot be used.
            DataError: for labels that nothing can be learnt from, or data that have changed.
            LockedError: while another process trains it.
        """
        settings = self.settings.of(job.settings, job.task, len(job.classes))
        if job.steps < 1:
            raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
        device = choose_device(settings.device, self.name)
        torch.set_num_threads(settings.threads)
        folds = getattr(settings, "member_labels", "all") == "folds"
        make = partial(self.training, settings=settings.single(), device=device)
        with locked(job.work):
            return train_members(job, settings.networks(), folds, make)

    def open(self, model: Path, layout: ImageSource, section: Mapping[str, Any]) -> Any:
        """Return a finished ``Model``, which predicts images of ``layout`` as ``section`` says how.

        Raises:
            DataError: there is none, or it is damaged.
        """
        members = members_in(model)
        if not members:
            raise DataError(
                f"{model} holds no model: neither {WEIGHTS} nor member-0/{WEIGHTS}. To do: "
                f"{remedy(model)}"
            )
        with reading(model, "the model", passed=(torch.OutOfMemoryError, torch.AcceleratorError)):
            settings = self.settings.of(section, self.task_of(members[0]))
            torch.set_num_threads(settings.threads)
            device = choose_device(settings.device, self.name)
            return self.load(members, layout, settings, device)


class Preparing(Learner):
    """A learner that prepares data once per dataset, for all runs that prepare them alike."""

    @abstractmethod
    def prepare(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Fill ``folder``; ``plans.json`` is written last.

        Its ``key`` changes with all that decides trainings, whose statistics hold it as ``plans``.
        What is there already is kept, so that one that was killed goes on.

        Args:
            layout: opens images; never asked for labels, unless settings of a control want them.
            rows: of all images, with shapes on the file's grid.
            folder: where to write; it may not be there yet.
            section: the learner's section of the configuration.
            classes: class names, in index order.

        Raises:
            ConfigError, DataError: what cannot be prepared.
            LockedError: while another process prepares it.
        """

    def prepare_part(
        self,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        part: int,
        folder: Path,
        section: Mapping[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Make one part (from 1) of what ``prepare`` makes of all ``rows``."""
        raise ConfigError(f"learner: {self.name!r} prepares data in one piece")
